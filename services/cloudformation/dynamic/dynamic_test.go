package dynamic_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"minato/services/cloudformation/dynamic"
)

func TestReplace(t *testing.T) {
	const arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf"
	for text, want := range map[string]string{
		"plain": "plain", "{{other}}": "{{other}}", "{{resolve:": "{{resolve:",
		"{{resolve:ssm:/prod/host:3}}":                                 "<ssm /prod/host 3>",
		"{{resolve:ssm:host}}":                                         "<ssm host>",
		"{{resolve:ssm-secure:/prod/password:1}}":                      "<ssm-secure /prod/password 1>",
		"{{resolve:secretsmanager:prod/db}}":                           "<secretsmanager prod/db>",
		"{{resolve:secretsmanager:prod/db:SecretString:password}}":     "<secretsmanager prod/db password>",
		"{{resolve:secretsmanager:prod/db:SecretString::AWSPREVIOUS}}": "<secretsmanager prod/db AWSPREVIOUS>",
		"{{resolve:secretsmanager:" + arn + ":SecretString:port:::}}":  "error",
		"{{resolve:secretsmanager:" + arn + ":SecretString:port::}}":   "<secretsmanager " + arn + " port>",
		"{{resolve:secretsmanager:" + arn + "}}":                       "<secretsmanager " + arn + ">",
		"mysql://{{resolve:ssm:user}}:{{resolve:ssm:pass}}@db":         "mysql://<ssm user>:<ssm pass>@db",
		"{{resolve:secretsmanager:x:SecretBinary:password}}":           "error",
		"{{resolve:secretsmanager:x:SecretString:a:b:c}}":              "error",
		"{{resolve:ssm:a:b:c}}":                                        "error",
		"{{resolve:ssm:}}":                                             "error",
		"{{resolve:s3:x}}":                                             "error",
	} {
		got, err := dynamic.Replace(map[string]any{"a": []any{text, 1}}, shown)
		if err != nil {
			got = map[string]any{"a": []any{"error", 1}}
		}
		if !reflect.DeepEqual(got, map[string]any{"a": []any{want, 1}}) {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	if _, err := dynamic.Replace("{{resolve:ssm:x}}", func(dynamic.Ref) (string, error) { return "", errors.New("denied") }); err == nil {
		t.Error("an error got lost")
	}
	// What comes out is not read again.
	if got, err := dynamic.Replace("{{resolve:ssm:x}}", func(dynamic.Ref) (string, error) { return "{{resolve:ssm:y}}", nil }); err != nil || got != "{{resolve:ssm:y}}" {
		t.Errorf("%v %v", got, err)
	}
}

func shown(r dynamic.Ref) (string, error) {
	parts := []string{r.Service}
	for _, p := range []string{r.Name, r.Version, r.JSONKey, r.VersionStage, r.VersionID} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return "<" + strings.Join(parts, " ") + ">", nil
}

func FuzzReplace(f *testing.F) {
	f.Add("{{resolve:secretsmanager:arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf:SecretString:port::}} {{resolve:ssm:x:1}}")
	f.Fuzz(func(t *testing.T, text string) {
		n := 0
		got, err := dynamic.Replace(text, func(r dynamic.Ref) (string, error) {
			n++
			if r.Name == "" {
				t.Errorf("%q names nothing", text)
			}
			return "", nil
		})
		if err == nil && (n == 0) != (got == text) {
			t.Errorf("%q became %q with %d values", text, got, n)
		}
		if n > 0 && !dynamic.Has([]any{map[string]any{"a": text}}) {
			t.Errorf("%q is not seen", text)
		}
	})
}

func TestField(t *testing.T) {
	const secret = `{"user":"admin","port":5432,"odd":"a\"b"}`
	for key, want := range map[string]string{
		"": secret, "user": "admin", "port": "5432", "odd": `a"b`, "none": "Could not find a value associated with JSONKey in SecretString",
	} {
		got, err := dynamic.Field(secret, key)
		if err != nil {
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
	if _, err := dynamic.Field("plain", "user"); err == nil || err.Error() != "Could not parse SecretString JSON" {
		t.Errorf("%v", err)
	}
	if !dynamic.Secure("x{{resolve:ssm-secure:a}}") || dynamic.Secure("{{resolve:ssm:a}}") || !dynamic.SecureIn("AWS::RDS::DBInstance", "MasterUserPassword") || dynamic.SecureIn("AWS::ECS::Service", "ServiceName") {
		t.Error("ssm-secure")
	}
}
