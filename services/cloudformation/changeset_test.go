package cloudformation

import (
	"fmt"
	"strings"
	"testing"

	"minato/aws"
	api "minato/aws/api/cloudformation"
)

// changes is what a change set says: action, resource, replacement, properties.
func (f *fixture) changeSetLines(stack, name string) []string {
	f.Helper()
	out, err := f.DescribeChangeSet(f.ctx, &api.DescribeChangeSetInput{StackName: &stack, ChangeSetName: &name})
	if err != nil {
		f.Fatal(err)
	}
	lines := []string{aws.Val(out.Status) + " " + aws.Val(out.ExecutionStatus)}
	for _, c := range out.Changes {
		r := c.ResourceChange
		line := strings.TrimSpace(aws.Val(r.Action) + " " + aws.Val(r.LogicalResourceId) + " " + aws.Val(r.Replacement))
		for _, d := range r.Details {
			line += fmt.Sprintf(" %s.%s/%s/%s", aws.Val(d.Target.Attribute), aws.Val(d.Target.Name), aws.Val(d.Target.RequiresRecreation), aws.Val(d.Evaluation))
		}
		lines = append(lines, line)
	}
	return lines
}

// TestChangeSets goes the way of `aws cloudformation deploy`.
func TestChangeSets(t *testing.T) {
	f := newFixture(t)
	set := func(typ, text, name string, parameters ...string) {
		t.Helper()
		if _, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: &name, ChangeSetType: &typ, TemplateBody: &text, Parameters: pairs(parameters)}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(name string, want ...string) {
		t.Helper()
		if got := f.changeSetLines("s", name); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	execute := func(name string) api.Stack {
		t.Helper()
		if _, err := f.ExecuteChangeSet(f.ctx, &api.ExecuteChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: &name}); err != nil {
			t.Fatal(err)
		}
		return f.run("s")
	}
	set("CREATE", logGroup, "first")
	f.is(f.run("s"), api.StackStatusReviewInProgress)
	is("first", "CREATE_COMPLETE AVAILABLE", "Add Group", "Add Other")
	if len(f.fake.things) > 0 {
		t.Error("a change set made something")
	}
	f.is(execute("first"), api.StackStatusCreateComplete)
	if _, err := f.ExecuteChangeSet(f.ctx, &api.ExecuteChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: aws.Ptr("first")}); !aws.IsCode(err, "InvalidChangeSetStatus") {
		t.Error(err)
	}
	set("UPDATE", logGroup, "none")
	is("none", "FAILED UNAVAILABLE")
	set("UPDATE", logGroup, "days", "Days", "30")
	is("days", "CREATE_COMPLETE AVAILABLE", "Modify Group False Properties.RetentionInDays/Never/Static")
	set("UPDATE", logGroup, "name", "Name", "/new")
	is("name", "CREATE_COMPLETE AVAILABLE", "Modify Group True Properties.LogGroupName/Always/Static", "Modify Other Conditional Properties.LogGroupName/Conditionally/Dynamic")
	set("UPDATE", logGroup[:strings.Index(logGroup, "  Other:")]+"  More: {Type: AWS::EC2::VPC}\n", "less")
	is("less", "CREATE_COMPLETE AVAILABLE", "Add More", "Remove Other")
	f.is(execute("name"), api.StackStatusUpdateComplete)
	if _, ok := f.fake.things["/new/other"]; !ok {
		t.Errorf("there are %v", f.fake.things)
	}
	list, err := f.ListChangeSets(f.ctx, &api.ListChangeSetsInput{StackName: aws.Ptr("s")})
	if err != nil || len(list.Summaries) != 1 || aws.Val(list.Summaries[0].ExecutionStatus) != api.ExecutionStatusExecuteComplete {
		t.Errorf("%+v %v", list, err)
	}
	for _, c := range []struct{ stack, typ, want string }{
		{"s", "CREATE", "Stack [s] already exists and cannot be created again with the changeSet [x]."},
		{"nobody", "UPDATE", "Stack [nobody] does not exist"},
	} {
		_, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{StackName: &c.stack, ChangeSetName: aws.Ptr("x"), ChangeSetType: &c.typ, TemplateBody: aws.Ptr(logGroup)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Error(err)
		}
	}
	if _, err := f.DescribeChangeSet(f.ctx, &api.DescribeChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: aws.Ptr("days")}); !aws.IsCode(err, "ChangeSetNotFound") {
		t.Error(err)
	}
	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	f.nothing()
}

// TestReviewedStackDeleted deletes a stack that was never made.
func TestReviewedStackDeleted(t *testing.T) {
	f := newFixture(t)
	if _, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: aws.Ptr("c"), ChangeSetType: aws.Ptr("CREATE"), TemplateBody: aws.Ptr(logGroup)}); err != nil {
		t.Fatal(err)
	}
	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	if all, err := f.changes.List(f.ctx, "000000000000", "us-east-1"); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

// TestChangeSetSeesThroughFunctions changes a parameter that stands in a text:
// alone, and beside what only the resources will tell.
func TestChangeSetSeesThroughFunctions(t *testing.T) {
	f := newFixture(t)
	text := `
Parameters:
  Tag: {Type: String, Default: one}
  Same: {Type: String, Default: x}
Resources:
  Group: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Sub "/app/${Tag}"}}
  Beside: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /b, Tags: [{Key: a, Value: !Sub "${Tag}-${Other}"}]}}
  Joined: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: /j, Tags: [{Key: a, Value: !Join ["-", [!Ref Other, !Ref Tag]]}]}}
  Other: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Join ["/", ["", !Ref Same]], Tags: [{Key: a, Value: !Sub "${Same}"}]}}
`
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: &text}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: aws.Ptr("c"), UsePreviousTemplate: aws.Ptr(true)}); err == nil {
		t.Error("a stack that is being made can be changed")
	}
	f.run("s")
	if _, err := f.CreateChangeSet(f.ctx, &api.CreateChangeSetInput{StackName: aws.Ptr("s"), ChangeSetName: aws.Ptr("c"), UsePreviousTemplate: aws.Ptr(true), Parameters: pairs([]string{"Tag", "two"})}); err != nil {
		t.Fatal(err)
	}
	want := "CREATE_COMPLETE AVAILABLE\nModify Beside False Tags.Tags/Never/Static\nModify Group True Properties.LogGroupName/Always/Static\nModify Joined False Tags.Tags/Never/Static"
	if got := strings.Join(f.changeSetLines("s", "c"), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
