package cloudformation

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/aws/api/secretsmanager"
	"minato/aws/api/ssm"
	"minato/store"
)

// answerSecrets answers what is asked of Secrets Manager and Systems Manager.
// Parameters whose names begin with /secure are SecureStrings.
func (f *fakeAPI) answerSecrets(in any) (any, error) {
	switch in := in.(type) {
	case *secretsmanager.GetSecretValueInput:
		v, ok := f.vault[*in.SecretId]
		if !ok {
			return nil, secretsmanager.ResourceNotFoundException("Secrets Manager can't find the specified secret.")
		}
		return &secretsmanager.GetSecretValueOutput{SecretString: &v}, nil
	case *ssm.GetParametersInput:
		v, ok := f.vault[in.Names[0]]
		if !ok {
			return &ssm.GetParametersOutput{InvalidParameters: in.Names}, nil
		}
		kind := ssm.ParameterTypeString
		if strings.HasPrefix(in.Names[0], "/secure") {
			kind = ssm.ParameterTypeSecureString
		}
		return &ssm.GetParametersOutput{Parameters: []ssm.Parameter{{Name: &in.Names[0], Type: &kind, Value: &v}}}, nil
	case *ssm.PutParameterInput:
		f.name(*in.Name)
	case *ssm.DeleteParameterInput:
		return nil, f.drop(in.Name, "ParameterNotFound")
	}
	return nil, nil
}

const references = `
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: "{{resolve:ssm:/days:1}}"}
  Shown:
    Type: AWS::SSM::Parameter
    Properties:
      Type: String
      Value: !Sub "user={{resolve:secretsmanager:${AWS::StackName}/db:SecretString:user}} pass={{resolve:secretsmanager:app/db:SecretString:pass}}"
Outputs:
  Days: {Value: "{{resolve:ssm:/days:1}}"}
  Pass: {Value: "{{resolve:secretsmanager:app/db:SecretString:pass}}"}
`

func newVaultFixture(t *testing.T) *fixture {
	f := newFixture(t)
	f.fake.vault = map[string]string{"/days:1": "7", "/days": "30", "app/db": `{"user":"admin","pass":"hunter2-value"}`, "/secure/pass": "secure-value", "/list": "a, b"}
	return f
}

// inputs are an operation's inputs of a type.
func inputsOf[T any](f *fixture, op string) []*T {
	f.fake.mu.Lock()
	defer f.fake.mu.Unlock()
	var out []*T
	for _, in := range f.fake.inputs[op] {
		out = append(out, in.(*T))
	}
	return out
}

// nowhere fails when a text is in what the service stored.
func (f *fixture) nowhere(text string) {
	f.Helper()
	recs, _, err := f.store.List(f.ctx, "", store.Page{})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range recs {
		if strings.Contains(string(r.Value), text) {
			f.Errorf("%s holds %s: %s", r.Key, text, r.Value)
		}
	}
}

// TestReferences: the call has the value, and nothing else does.
func TestReferences(t *testing.T) {
	f := newVaultFixture(t)
	st := f.create("app", references)
	is(f, st, api.StackStatusCreateComplete)
	put := inputsOf[ssm.PutParameterInput](f, "PutParameter")
	if len(put) != 1 || *put[0].Value != "user=admin pass=hunter2-value" {
		t.Fatalf("the call had %+v", put)
	}
	days := inputsOf[logs.PutRetentionPolicyInput](f, "PutRetentionPolicy")
	if len(days) != 1 || *days[0].RetentionInDays != 7 {
		t.Fatalf("the call had %+v", days)
	}
	for _, o := range st.Outputs {
		if want := map[string]string{"Days": "7", "Pass": "{{resolve:secretsmanager:app/db:SecretString:pass}}"}[*o.OutputKey]; *o.OutputValue != want {
			t.Errorf("the output %s is %s", *o.OutputKey, *o.OutputValue)
		}
	}
	f.nowhere("hunter2-value")

	// The value alone changes nothing; another property does, with the value that
	// is there then.
	f.fake.mu.Lock()
	f.fake.vault["app/db"] = `{"user":"admin","pass":"rotated-value"}`
	f.fake.mu.Unlock()
	f.update("app", strings.Replace(references, "Outputs:", "  Other: {Type: AWS::Logs::LogGroup}\nOutputs:", 1))
	if n := f.fake.count("PutParameter"); n != 1 {
		t.Errorf("%d calls", n)
	}
	f.update("app", strings.Replace(references, "pass={{", "password={{", 1))
	if put = inputsOf[ssm.PutParameterInput](f, "PutParameter"); len(put) != 2 || *put[1].Value != "user=admin password=rotated-value" {
		t.Errorf("the calls had %d", len(put))
	}
	f.nowhere("rotated-value")
	// What is gone meanwhile does not keep the stack from being deleted.
	f.fake.mu.Lock()
	f.fake.vault = nil
	f.fake.mu.Unlock()
	is(f, f.delete("app"), api.StackStatusDeleteComplete)
}

func is(f *fixture, st api.Stack, status string) {
	f.Helper()
	if *st.StackStatus != status {
		f.Fatalf("the stack is %s: %s\n%s", *st.StackStatus, aws.Val(st.StackStatusReason), strings.Join(f.history(*st.StackId), "\n"))
	}
}

func TestReferenceFailures(t *testing.T) {
	parameter := func(value string) string {
		return "Resources:\n  P:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: '" + value + "'}\n"
	}
	for text, want := range map[string]string{
		parameter("{{resolve:secretsmanager:none}}"):                         "Secrets Manager can't find the specified secret. (Service: SecretsManager, Status Code: 400",
		parameter("{{resolve:secretsmanager:app/db:SecretString:password}}"): "Could not find a value associated with JSONKey in SecretString",
		parameter("{{resolve:ssm:/none}}"):                                   "Parameters: [ssm:/none] cannot be found.",
		parameter("{{resolve:ssm:/secure/pass}}"):                            "types not supported",
		parameter("{{resolve:nothing:x}}"):                                   "unknown service",
		// The database refuses the password, and says which.
		"Resources:\n  P:\n    Type: AWS::Logs::LogGroup\n    Properties: {RetentionInDays: '{{resolve:secretsmanager:app/db:SecretString:pass}}'}\n": "expected type: Integer, found: String",
	} {
		f := newVaultFixture(t)
		st := f.create("app", text)
		is(f, st, api.StackStatusRollbackComplete)
		if h := f.history("app"); !slices.ContainsFunc(h, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("%s\n%s", text, strings.Join(h, "\n"))
		}
		f.nowhere("hunter2-value")
	}
}

// TestReferenceInMessage: the API's message repeats the value; the event does not.
func TestReferenceInMessage(t *testing.T) {
	f := newVaultFixture(t)
	f.fake.fail["PutParameter"] = aws.Errorf("ValidationException", "The value hunter2-value is no good")
	f.create("app", "Resources:\n  P:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: '{{resolve:secretsmanager:app/db:SecretString:pass}}'}\n")
	if h := strings.Join(f.history("app"), "\n"); !strings.Contains(h, "The value **** is no good") {
		t.Error(h)
	}
	f.nowhere("hunter2-value")
}

// TestSecureReferences: ssm-secure in a database's password, and nowhere else.
func TestSecureReferences(t *testing.T) {
	f := newVaultFixture(t)
	_, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("app"), TemplateBody: aws.Ptr("Resources:\n  P:\n    Type: AWS::SSM::Parameter\n    Properties: {Type: String, Value: !Sub '{{resolve:ssm-secure:/secure/pass}}'}\n")})
	if err == nil || !strings.Contains(err.Error(), "SSM Secure reference is not supported in: [AWS::SSM::Parameter/Properties/Value]") {
		t.Errorf("%v", err)
	}
	const database = `
Resources:
  DB:
    Type: AWS::RDS::DBInstance
    Properties: {Engine: mysql, DBInstanceClass: db.t3.micro, MasterUsername: admin, MasterUserPassword: "{{resolve:ssm-secure:/secure/pass}}", AllocatedStorage: "20", DBSubnetGroupName: g, DBParameterGroupName: p, VPCSecurityGroups: [sg]}
`
	f.fake.things["subgrp:g"], f.fake.things["p"], f.fake.things["sg"] = nil, nil, nil
	is(f, f.create("db", database), api.StackStatusCreateComplete)
	if in := inputsOf[rds.CreateDBInstanceInput](f, "CreateDBInstance"); len(in) != 1 || *in[0].MasterUserPassword != "secure-value" {
		t.Errorf("the call had %+v", in)
	}
	// The password stays: it is not sent again.
	is(f, f.update("db", strings.Replace(database, `"20"`, `"30"`, 1)), api.StackStatusUpdateComplete)
	if in := inputsOf[rds.ModifyDBInstanceInput](f, "ModifyDBInstance"); len(in) != 1 || in[0].MasterUserPassword != nil || *in[0].AllocatedStorage != 30 {
		t.Errorf("the call had %+v", in)
	}
	f.nowhere("secure-value")
}

// TestStoredParameters: parameters whose values are in the Parameter Store.
func TestStoredParameters(t *testing.T) {
	const text = `
Parameters:
  Days: {Type: "AWS::SSM::Parameter::Value<String>", Default: /days}
  Names: {Type: "AWS::SSM::Parameter::Value<List<String>>", Default: /list}
  Name: {Type: "AWS::SSM::Parameter::Name", Default: /days}
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: !Ref Days}
Outputs:
  All: {Value: !Join ["+", !Ref Names]}
  Name: {Value: !Ref Name}
`
	f := newVaultFixture(t)
	st := f.create("app", text)
	is(f, st, api.StackStatusCreateComplete)
	got := map[string]string{}
	for _, o := range st.Outputs {
		got[*o.OutputKey] = *o.OutputValue
	}
	for _, p := range st.Parameters {
		got[*p.ParameterKey+"?"] = *p.ParameterValue + " " + aws.Val(p.ResolvedValue)
	}
	if s := fmt.Sprint(got); s != "map[All:a+b Days?:/days 30 Name:/days Name?:/days  Names?:/list a, b]" {
		t.Error(s)
	}
	_, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: aws.Ptr("app"), UsePreviousTemplate: aws.Ptr(true)})
	if err == nil || !strings.Contains(err.Error(), "No updates are to be performed.") {
		t.Errorf("nothing changed: %v", err)
	}
	f.fake.mu.Lock()
	f.fake.vault["/days"] = "14"
	f.fake.mu.Unlock()
	is(f, f.update("app", text), api.StackStatusUpdateComplete)
	if days := inputsOf[logs.PutRetentionPolicyInput](f, "PutRetentionPolicy"); len(days) != 2 || *days[1].RetentionInDays != 14 {
		t.Errorf("the calls had %+v", days)
	}
	for value, want := range map[string]string{
		"/none":        "Unable to fetch parameters [/none] from parameter store for this account.",
		"/secure/pass": "Parameters [/secure/pass] referenced by template have types not supported by CloudFormation.",
	} {
		_, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("other"), TemplateBody: aws.Ptr(text), Parameters: pairs([]string{"Days", value})})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
