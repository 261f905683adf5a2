// Package dynamic reads CloudFormation's dynamic references: texts within
// properties that stand for values of the Parameter Store and of Secrets
// Manager. It is pure; who asks for the values is somebody else.
//
//	{{resolve:ssm:parameter-name:version}}
//	{{resolve:ssm-secure:parameter-name:version}}
//	{{resolve:secretsmanager:secret-id:secret-string:json-key:version-stage:version-id}}
//
// A stack's records, events and template keep the reference as it is written;
// only the call that makes or changes the resource carries the value.
package dynamic

import (
	"encoding/json"
	"regexp"
	"strings"
)

// The services that references name.
const (
	Parameter       = "ssm"
	SecureParameter = "ssm-secure"
	Secret          = "secretsmanager"
)

// Ref is a reference.
type Ref struct {
	Service string
	Name    string // of the parameter, or the secret's id
	Version string // of the parameter, "" for the newest

	JSONKey, VersionStage, VersionID string // of the secret; "" for the whole and the current
}

// Error is what is wrong with a reference, in CloudFormation's words.
type Error string

// Error implements error.
func (e Error) Error() string { return string(e) }

// start begins a reference.
const start = "{{resolve:"

// In tells whether a text has a reference in it.
func In(text string) bool { return strings.Contains(text, start) }

var reference = regexp.MustCompile(`\{\{resolve:([^{}]*)\}\}`)

// arnParts is how many parts, between colons, the ARN of a secret has.
const arnParts = 7

// parse reads what stands between "{{resolve:" and "}}".
func parse(body string) (Ref, error) {
	bad := func(what, why string) (Ref, error) {
		return Ref{}, Error("Incorrect format is used in the following " + what + " reference: [" + body + "]" + why)
	}
	service, rest, _ := strings.Cut(body, ":")
	parts := strings.Split(rest, ":")
	switch service {
	case Parameter, SecureParameter:
		if len(parts) > 2 || parts[0] == "" {
			return bad("SSM", "")
		}
		r := Ref{Service: service, Name: parts[0]}
		if len(parts) == 2 {
			r.Version = parts[1]
		}
		return r, nil
	case Secret:
		r := Ref{Service: service, Name: parts[0]}
		rest := parts[1:]
		if parts[0] == "arn" && len(parts) >= arnParts {
			r.Name, rest = strings.Join(parts[:arnParts], ":"), parts[arnParts:]
		}
		for len(rest) < 4 {
			rest = append(rest, "")
		}
		switch {
		case r.Name == "" || r.Name == "arn" || len(rest) > 4:
			return bad("Secrets Manager", "")
		case rest[0] != "SecretString" && rest[0] != "":
			return bad("Secrets Manager", ": the only supported value of secret-string is SecretString")
		case rest[2] != "" && rest[3] != "":
			return bad("Secrets Manager", ": version-stage and version-id can't both be given")
		}
		r.JSONKey, r.VersionStage, r.VersionID = rest[1], rest[2], rest[3]
		return r, nil
	}
	return Ref{}, Error("Dynamic reference to an unknown service: [" + body + "]")
}

// Replace returns a copy of a value - texts, lists, maps - with every reference
// in it replaced by what value gives for it. The values are not read for
// references again.
func Replace(v any, value func(Ref) (string, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return replaceText(v, value)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = Replace(item, value); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			var err error
			if out[k], err = Replace(item, value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

func replaceText(text string, value func(Ref) (string, error)) (string, error) {
	if !In(text) {
		return text, nil
	}
	var first error
	out := reference.ReplaceAllStringFunc(text, func(found string) string {
		if first != nil {
			return found
		}
		r, err := parse(found[len(start) : len(found)-len("}}")])
		if err == nil {
			var v string
			if v, err = value(r); err == nil {
				return v
			}
		}
		first = err
		return found
	})
	return out, first
}

// Has tells whether there is a reference in a value.
func Has(v any) bool {
	switch v := v.(type) {
	case string:
		return In(v)
	case []any:
		for _, item := range v {
			if Has(item) {
				return true
			}
		}
	case map[string]any:
		for _, item := range v {
			if Has(item) {
				return true
			}
		}
	}
	return false
}

// Field is the value of a key in a secret that is a JSON object, in
// CloudFormation's words when it is not there.
func Field(secret, key string) (string, error) {
	if key == "" {
		return secret, nil
	}
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(secret), &all) != nil {
		return "", Error("Could not parse SecretString JSON")
	}
	raw, ok := all[key]
	if !ok {
		return "", Error("Could not find a value associated with JSONKey in SecretString")
	}
	var text string
	if raw[0] == '"' && json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	return string(raw), nil
}

// where are the properties in which ssm-secure references may be.
var where = map[string][]string{
	"AWS::RDS::DBInstance": {"MasterUserPassword"},
	"AWS::RDS::DBCluster":  {"MasterUserPassword"},
}

// SecureIn tells whether ssm-secure references may be in a property.
func SecureIn(typ, property string) bool {
	for _, p := range where[typ] {
		if p == property {
			return true
		}
	}
	return false
}

// Secure tells whether a text has a reference of the kind ssm-secure in it.
func Secure(text string) bool { return strings.Contains(text, start+SecureParameter+":") }
