package resources

import (
	"context"
	"strings"
	"testing"

	"minato/aws"
	"minato/aws/api/rds"
	"minato/aws/api/secretsmanager"
)

const testSecret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:R-X-AbCdEf"

// secretAnswers are what the API says about secrets.
func secretAnswers(value string) map[string]any {
	return map[string]any{
		"GetRandomPassword": &secretsmanager.GetRandomPasswordOutput{RandomPassword: aws.Ptr("r&m")},
		"CreateSecret":      &secretsmanager.CreateSecretOutput{ARN: aws.Ptr(testSecret)},
		"PutResourcePolicy": &secretsmanager.PutResourcePolicyOutput{ARN: aws.Ptr(testSecret)},
		"GetSecretValue":    &secretsmanager.GetSecretValueOutput{ARN: aws.Ptr(testSecret), SecretString: &value, VersionId: aws.Ptr("v1")},
		"DescribeDBInstances": &rds.DescribeDBInstancesOutput{DBInstances: []rds.DBInstance{{
			DBInstanceIdentifier: aws.Ptr("db"), Engine: aws.Ptr("mysql"), DBName: aws.Ptr("chat"), Endpoint: &rds.Endpoint{Address: aws.Ptr("db.rds"), Port: aws.Ptr[int32](3306)},
		}}},
	}
}

// noTokens takes the request tokens out of calls.
func noTokens(calls string) string {
	for {
		before, after, ok := strings.Cut(calls, `"ClientRequestToken":"`)
		if !ok {
			return calls
		}
		calls = before + after[32+len(`",`):]
	}
}

func TestSecretTypes(t *testing.T) {
	const id = `"SecretId":"` + testSecret + `"`
	for name, c := range map[string]struct {
		typ, before, after     string
		value                  string
		create, update, delete string
	}{
		"generated": {
			typ: "AWS::SecretsManager::Secret", before: `{"Description":"d","GenerateSecretString":{"SecretStringTemplate":"{\"username\":\"admin\"}","GenerateStringKey":"password","PasswordLength":"20","ExcludeCharacters":"\"@/"},"Tags":[{"Key":"a","Value":"b"}]}`,
			after:  `{"Description":"e","GenerateSecretString":{"SecretStringTemplate":"{\"username\":\"admin\"}","GenerateStringKey":"password","PasswordLength":"20","ExcludeCharacters":"\"@/"},"Tags":[{"Key":"a","Value":"c"}]}`,
			create: "GetRandomPassword {\"ExcludeCharacters\":\"\\\"@/\",\"PasswordLength\":20}\n" + `CreateSecret {"Description":"d","Name":"R-X","SecretString":"{\"password\":\"r\u0026m\",\"username\":\"admin\"}","Tags":[{"Key":"a","Value":"b"}]}`,
			update: "UpdateSecret {\"Description\":\"e\"," + id + "}\nTagResource {" + id + `,"Tags":[{"Key":"a","Value":"c"}]}`,
			delete: `DeleteSecret {"ForceDeleteWithoutRecovery":true,` + id + `}`,
		},
		"given": {
			typ: "AWS::SecretsManager::Secret", before: `{"Name":"prod/db","SecretString":"one"}`, after: `{"Name":"prod/db","SecretString":"two"}`,
			create: `CreateSecret {"Name":"prod/db","SecretString":"one"}`, update: "UpdateSecret {" + id + `,"SecretString":"two"}`, delete: `DeleteSecret {"ForceDeleteWithoutRecovery":true,` + id + `}`,
		},
		"attachment": {
			typ: "AWS::SecretsManager::SecretTargetAttachment", before: `{"SecretId":"` + testSecret + `","TargetId":"db","TargetType":"AWS::RDS::DBInstance"}`, after: `{"SecretId":"` + testSecret + `","TargetId":"db","TargetType":"AWS::RDS::DBInstance"}`,
			value:  `{"username":"admin","password":"p"}`,
			create: "DescribeDBInstances {\"DBInstanceIdentifier\":\"db\"}\nGetSecretValue {" + id + "}\nPutSecretValue {" + id + `,"SecretString":"{\"dbInstanceIdentifier\":\"db\",\"dbname\":\"chat\",\"engine\":\"mysql\",\"host\":\"db.rds\",\"password\":\"p\",\"port\":3306,\"username\":\"admin\"}"}`,
			update: "DescribeDBInstances {\"DBInstanceIdentifier\":\"db\"}\nGetSecretValue {" + id + "}\nPutSecretValue {" + id + `,"SecretString":"{\"dbInstanceIdentifier\":\"db\",\"dbname\":\"chat\",\"engine\":\"mysql\",\"host\":\"db.rds\",\"password\":\"p\",\"port\":3306,\"username\":\"admin\"}"}`,
			delete: "GetSecretValue {" + id + "}\nPutSecretValue {" + id + `,"SecretString":"{\"password\":\"p\",\"username\":\"admin\"}"}`,
		},
		"policy": {
			typ: "AWS::SecretsManager::ResourcePolicy", before: `{"SecretId":"` + testSecret + `","ResourcePolicy":{"Version":"2012-10-17"},"BlockPublicPolicy":"true"}`, after: `{"SecretId":"` + testSecret + `","ResourcePolicy":{"Version":"2008-10-17"}}`,
			create: `PutResourcePolicy {"BlockPublicPolicy":true,"ResourcePolicy":"{\"Version\":\"2012-10-17\"}",` + id + `}`, update: `PutResourcePolicy {"ResourcePolicy":"{\"Version\":\"2008-10-17\"}",` + id + `}`, delete: "DeleteResourcePolicy {" + id + "}",
		},
		"parameter": {
			typ: "AWS::SSM::Parameter", before: `{"Type":"String","Value":"1","Description":"d","Tags":{"a":"b"}}`, after: `{"Type":"String","Value":"2"}`,
			create: `PutParameter {"Description":"d","Name":"CFN-R-X","Tags":[{"Key":"a","Value":"b"}],"Type":"String","Value":"1"}`,
			update: "PutParameter {\"Description\":\"\",\"Name\":\"CFN-R-X\",\"Overwrite\":true,\"Type\":\"String\",\"Value\":\"2\"}\n" + `RemoveTagsFromResource {"ResourceId":"CFN-R-X","ResourceType":"Parameter","TagKeys":["a"]}`,
			delete: `DeleteParameter {"Name":"CFN-R-X"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := &recorder{t: t, answers: secretAnswers(c.value)}
			typ := Table(api)[c.typ]
			r := request(t, c.typ, c.before)
			r.Tags = nil
			want := func(what, want string) {
				t.Helper()
				if got := noTokens(api.take()); got != want {
					t.Errorf("%s\ngot  %s\nwant %s", what, got, want)
				}
			}
			var err error
			if r.PhysicalID, err = typ.Create(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			want("create", c.create)
			if a, ready, err := typ.Ready(context.Background(), r); !ready || err != nil || len(a) == 0 {
				t.Errorf("not ready: %v %v", a, err)
			}
			r.Previous, r.Properties = r.Properties, request(t, c.typ, c.after).Properties
			if err := typ.Update(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			want("update", c.update)
			if c.value != "" { // what the attachment wrote is there
				api.answers = secretAnswers(`{"dbInstanceIdentifier":"db","dbname":"chat","engine":"mysql","host":"db.rds","password":"p","port":3306,"username":"admin"}`)
			}
			if err := typ.Delete(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			want("delete", c.delete)
		})
	}
}

// TestSecretMadeBefore: the answer to a creation got lost. The secret is taken
// over when its version shows that this stack made it.
func TestSecretMadeBefore(t *testing.T) {
	r := request(t, "AWS::SecretsManager::Secret", `{"Name":"prod/db","GenerateSecretString":{}}`)
	for _, mine := range []bool{true, false} {
		api := &recorder{t: t, answers: secretAnswers(""), errors: map[string]error{"CreateSecret": secretsmanager.ResourceExistsException("The operation failed because the secret prod/db already exists.")}}
		stages := map[string][]string{"other": {"AWSCURRENT"}}
		if mine {
			stages = map[string][]string{*r.token(): {"AWSCURRENT"}}
		}
		api.answers["DescribeSecret"] = &secretsmanager.DescribeSecretOutput{ARN: aws.Ptr(testSecret), VersionIdsToStages: stages}
		r.Resumed = true
		id, err := Table(api)["AWS::SecretsManager::Secret"].Create(context.Background(), r)
		if mine != (err == nil && id == testSecret) {
			t.Errorf("mine %v: %q %v", mine, id, err)
		}
	}
}

func TestSecretRefusals(t *testing.T) {
	for properties, want := range map[string]string{
		`{"ReplicaRegions":[{"Region":"eu-west-1"}]}`:                                           "ReplicaRegions",
		`{"SecretString":"a","GenerateSecretString":{}}`:                                        "both",
		`{"GenerateSecretString":{"SecretStringTemplate":"{}"}}`:                                "GenerateStringKey",
		`{"GenerateSecretString":{"SecretStringTemplate":"no","GenerateStringKey":"password"}}`: "Could not parse SecretStringTemplate JSON.",
	} {
		api := &recorder{t: t, answers: secretAnswers("")}
		if _, err := Table(api)["AWS::SecretsManager::Secret"].Create(context.Background(), request(t, "AWS::SecretsManager::Secret", properties)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", properties, err)
		}
		if strings.Contains(api.take(), "CreateSecret") {
			t.Errorf("%s: made all the same", properties)
		}
	}
	api := &recorder{t: t, answers: secretAnswers("no JSON")}
	for properties, want := range map[string]string{
		`{"SecretId":"x","TargetId":"db","TargetType":"AWS::Redshift::Cluster"}`: "AWS::Redshift::Cluster", `{"SecretId":"x","TargetId":"db","TargetType":"AWS::RDS::DBInstance"}`: "Could not parse SecretString JSON",
	} {
		if _, err := Table(api)["AWS::SecretsManager::SecretTargetAttachment"].Create(context.Background(), request(t, "AWS::SecretsManager::SecretTargetAttachment", properties)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", properties, err)
		}
	}
}
