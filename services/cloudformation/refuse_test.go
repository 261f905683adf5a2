package cloudformation

import (
	"strings"
	"testing"

	"minato/aws"
	api "minato/aws/api/cloudformation"
)

// TestRefused has templates that are refused before anything happens.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown type that its condition keeps": {`{"Conditions":{"Yes":{"Fn::Equals":["a","a"]}},"Resources":{"A":{"Type":"AWS::Moon::Base","Condition":"Yes"}}}`, "ValidationError: Template format error: Unrecognized resource types: [AWS::Moon::Base]"},
		"unknown types": {`{"Resources":{"A":{"Type":"AWS::Moon::Base"},"B":{"Type":"AWS::Sun::Spot"}}}`, "ValidationError: Template format error: Unrecognized resource types: [AWS::Moon::Base, AWS::Sun::Spot]"},
		"unknown attribute": {
			`{"Resources":{"A":{"Type":"AWS::EC2::VPC"}},"Outputs":{"O":{"Value":{"Fn::GetAtt":["A","Colour"]}}}}`,
			"ValidationError: Template error: resource A does not support attribute type Colour in Fn::GetAtt",
		},
		"broken":           {`{"Resources":`, "ValidationError: Template format error: JSON not well-formed. (line 1, column 14)"},
		"capability":       {`{"Resources":{"A":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{}}}}}`, "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_IAM]"},
		"named capability": {`{"Resources":{"A":{"Type":"AWS::IAM::Role","Properties":{"RoleName":"x","AssumeRolePolicyDocument":{}}}}}`, "InsufficientCapabilitiesException: Requires capabilities : [CAPABILITY_NAMED_IAM]"},
		"too long":         {`{"Description":"` + strings.Repeat("x", 1<<20) + `"}`, "ValidationError: 1 validation error detected: Value at 'templateBody' failed"},
		"transform":        {`{"Transform":"AWS::Serverless-2016-10-31","Resources":{"A":{"Type":"AWS::EC2::VPC"}}}`, "ValidationError: Transforms are not supported by minato"},
		"parameter":        {`{"Parameters":{"P":{"Type":"String"}},"Resources":{"A":{"Type":"AWS::EC2::VPC"}}}`, "ValidationError: Parameters: [P] must have values"},
		"cycle":            {`{"Resources":{"A":{"Type":"AWS::EC2::VPC","DependsOn":"B"},"B":{"Type":"AWS::EC2::VPC","DependsOn":"A"}}}`, "ValidationError: Circular dependency between resources: [A, B]"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			_, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: &c.text})
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if _, err := f.find(f.ctx, "s"); err == nil {
				t.Error("a stack was made")
			}
		})
	}
	f := newFixture(t)
	for _, name := range []string{"", "1a", "a b", strings.Repeat("a", 129)} {
		if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: &name, TemplateBody: aws.Ptr(logGroup)}); !aws.IsCode(err, "ValidationError") {
			t.Errorf("%q: %v", name, err)
		}
	}
	f.create("s", logGroup)
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: aws.Ptr(logGroup)}); !aws.IsCode(err, "AlreadyExistsException") {
		t.Error(err)
	}
}

// TestUnknownProperty fails by name before anything is made.
func TestUnknownProperty(t *testing.T) {
	f := newFixture(t)
	st := f.create("s", `
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Subnet: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24, Colour: red}}
`)
	f.is(st, api.StackStatusRollbackComplete)
	f.has(f.history("s"), `(?s)^Subnet CREATE_FAILED Properties validation failed for resource Subnet with message:\n#: extraneous key \[Colour\] is not permitted$`)
	if f.fake.count("CreateVpc") != 0 {
		t.Error("a VPC was made")
	}
}

// TestNoEcho shows a secret nowhere.
func TestNoEcho(t *testing.T) {
	f := newFixture(t)
	st := f.create("s", `
Parameters: {Secret: {Type: String, NoEcho: true}}
Resources:
  G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Ref Secret}}
`, "Secret", "hunter22")
	if got := aws.Val(st.Parameters[0].ParameterValue); got != "****" {
		t.Errorf("DescribeStacks shows %s", got)
	}
	out, err := f.DescribeStackEvents(f.ctx, &api.DescribeStackEventsInput{StackName: aws.Ptr("s")})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.StackEvents {
		if strings.Contains(aws.Val(e.ResourceProperties), "hunter22") {
			t.Errorf("an event shows %s", *e.ResourceProperties)
		}
	}
}

// TestOnFailure leaves a failed stack as it is, or deletes it.
func TestOnFailure(t *testing.T) {
	for onFailure, want := range map[string]string{api.OnFailureDoNothing: api.StackStatusCreateFailed, api.OnFailureDelete: api.StackStatusDeleteComplete, api.OnFailureRollback: api.StackStatusRollbackComplete} {
		f := newFixture(t)
		f.fake.fail["CreateDBInstance"] = aws.Errorf("X", "no")
		if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: aws.Ptr(workshop(t)), OnFailure: &onFailure}); err != nil {
			t.Fatal(err)
		}
		f.is(f.run("s"), want)
		if onFailure != api.OnFailureDoNothing {
			continue
		}
		if len(f.fake.things) == 0 {
			t.Error("all was removed")
		}
		// What failed is mended by an update, and nothing else is made again.
		f.fake.fail = nil
		vpcs := f.fake.count("CreateVpc")
		f.is(f.update("s", strings.Replace(workshop(t), "5.7.22", "8.0.43", 1)), api.StackStatusUpdateComplete)
		if f.fake.count("CreateVpc") != vpcs {
			t.Error("the VPC was made again")
		}
		f.is(f.delete("s"), api.StackStatusDeleteComplete)
		f.nothing()
	}
}

// TestValidateTemplate says what a template asks for.
func TestValidateTemplate(t *testing.T) {
	f := newFixture(t)
	out, err := f.ValidateTemplate(f.ctx, &api.ValidateTemplateInput{TemplateBody: aws.Ptr(`{"Description":"d","Parameters":{"P":{"Type":"String","Default":"x"}},"Resources":{"A":{"Type":"AWS::IAM::Role","Properties":{"AssumeRolePolicyDocument":{}}}}}`)})
	if err != nil || aws.Val(out.Description) != "d" || len(out.Parameters) != 1 || out.Capabilities[0] != "CAPABILITY_IAM" || aws.Val(out.CapabilitiesReason) != "The following resource(s) require capabilities: [AWS::IAM::Role]" {
		t.Errorf("%+v %v", out, err)
	}
	sum, err := f.GetTemplateSummary(f.ctx, &api.GetTemplateSummaryInput{TemplateBody: aws.Ptr(workshop(t))})
	if err != nil || len(sum.ResourceTypes) != 15 {
		t.Errorf("%+v %v", sum, err)
	}
}

// TestPages pages through a stack's events.
func TestPages(t *testing.T) {
	f := newFixture(t)
	f.create("chat", workshop(t))
	f.delete("chat")
	st, err := f.all(f.ctx)
	if err != nil || len(st) != 1 {
		t.Fatal(err)
	}
	list, _ := f.events.List(f.ctx, st[0].Account, st[0].Region, st[0].ID)
	if got := f.history(aws.Val(st[0].StackId)); len(got) != len(list) || len(got) < 101 {
		t.Errorf("%d events in pages, %d in all", len(got), len(list))
	}
	if _, err := f.DescribeStackEvents(f.ctx, &api.DescribeStackEventsInput{StackName: st[0].StackId, NextToken: aws.Ptr("x")}); !aws.IsCode(err, "ValidationError") {
		t.Error(err)
	}
}
