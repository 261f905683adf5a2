package cloudformation

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	s3api "minato/aws/api/s3"
	"minato/internal/clock"
	"minato/store/memstore"
)

// nesting is the API with CloudFormation and a bucket in it: stacks that stacks
// make are run too.
type nesting struct {
	*fakeAPI
	t      *testing.T
	s      *Service
	bucket map[string]string
}

func (n *nesting) Invoke(ctx context.Context, op *aws.Operation, in any) (any, error) {
	if get, ok := in.(*s3api.GetObjectInput); ok {
		return &s3api.GetObjectOutput{Body: io.NopCloser(strings.NewReader(n.bucket[*get.Key]))}, nil
	}
	if op.Service.Name != api.Model.Name {
		return n.fakeAPI.Invoke(ctx, op, in)
	}
	out, err := api.Handlers(n.s)[op.Name](ctx, in)
	if err != nil || strings.HasPrefix(op.Name, "Describe") {
		return out, err
	}
	go func() {
		keys, err := n.s.Keys(context.Background())
		if err != nil {
			n.t.Error(err)
		}
		for _, key := range keys {
			if st, _, _ := n.s.stacks.GetKey(context.Background(), key); st.ParentId != nil || strings.Contains(st.name(), "-Inner-") {
				if _, err := n.s.Reconcile(context.Background(), key); err != nil {
					n.t.Error(err)
				}
			}
		}
	}()
	return out, err
}

func newNesting(t *testing.T) (*fixture, *nesting) {
	f := newFixture(t)
	n := &nesting{fakeAPI: f.fake, t: t, bucket: map[string]string{"inner.yaml": logGroup}}
	n.s = New(Deps{Store: memstore.New(), Clock: clock.Real(1), Invoker: n})
	f.Service = n.s
	return f, n
}

const outer = `
Parameters:
  Days: {Type: Number, Default: 7}
  Extra: {Type: String, Default: /outer}
Resources:
  Inner:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: https://s3.amazonaws.com/templates/inner.yaml
      Parameters: {Days: !Ref Days, Name: !Join ["", [/, in]]}
  Group:
    Type: AWS::Logs::LogGroup
    DependsOn: Inner
    Properties: {LogGroupName: !Ref Extra, RetentionInDays: !Ref Days}
Outputs:
  Arn: {Value: !GetAtt Inner.Outputs.Arn}
`

func TestNested(t *testing.T) {
	f, n := newNesting(t)
	st := f.create("s", outer)
	f.is(st, api.StackStatusCreateComplete)
	if got := aws.Val(st.Outputs[0].OutputValue); !strings.HasSuffix(got, ":log-group:/in:*") {
		t.Error(got)
	}
	if got := sortedKeys(f.fake.things); !slices.Equal(got, []string{"/in", "/in/other", "/outer"}) {
		t.Error(got)
	}
	inner := func() api.Stack {
		r, err := f.DescribeStackResource(f.ctx, &api.DescribeStackResourceInput{StackName: aws.Ptr("s"), LogicalResourceId: aws.Ptr("Inner")})
		if err != nil {
			t.Fatal(err)
		}
		out, err := f.DescribeStacks(f.ctx, &api.DescribeStacksInput{StackName: r.StackResourceDetail.PhysicalResourceId})
		if err != nil {
			t.Fatal(err)
		}
		return out.Stacks[0]
	}
	in := inner()
	if aws.Val(in.ParentId) != aws.Val(st.StackId) || aws.Val(in.RootId) != aws.Val(st.StackId) || !strings.HasPrefix(aws.Val(in.StackName), "s-Inner-") {
		t.Errorf("%+v", in)
	}
	f.is(f.update("s", outer, "Days", "14"), api.StackStatusUpdateComplete)
	if v := aws.Val(inner().Parameters[0].ParameterValue); v != "14" {
		t.Error(v)
	}

	// Another text behind the same URL, and nothing else.
	n.bucket["inner.yaml"] = strings.Replace(logGroup, "}/other", "}/another", 1)
	f.is(f.update("s", outer, "Days", "14"), api.StackStatusUpdateComplete)
	if got := sortedKeys(f.fake.things); !slices.Contains(got, "/in/another") || slices.Contains(got, "/in/other") {
		t.Error(got)
	}

	// What fails outside takes back what is inside.
	f.fake.fail["CreateRole"] = aws.Errorf("MalformedPolicyDocument", "no statement")
	role := "\n  Role: {Type: AWS::IAM::Role, DependsOn: Group, Properties: {AssumeRolePolicyDocument: {Statement: []}}}\nOutputs:"
	f.is(f.update("s", strings.Replace(outer, "Outputs:", role, 1), "Days", "30"), api.StackStatusUpdateRollbackComplete)
	if v := aws.Val(inner().Parameters[0].ParameterValue); v != "14" {
		t.Error(v)
	}

	// What fails inside takes back what is outside.
	n.bucket["inner.yaml"] = strings.Replace(logGroup, "Outputs:", role, 1)
	f.is(f.update("s", outer, "Days", "30"), api.StackStatusUpdateRollbackComplete)
	f.has(f.history("s"), `^Inner UPDATE_FAILED .*Embedded stack arn:\S+ was not successfully updated: The following resource\(s\) failed to update: \[Role\]\.`)

	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	f.nothing()
}

// TestNestedFails has a stack within a new stack fail, and one that asks for more
// than the stack around it was given.
func TestNestedFails(t *testing.T) {
	f, n := newNesting(t)
	n.bucket["inner.yaml"] = strings.Replace(logGroup, "RetentionInDays: !Ref Days", "RetentionInDays: 8", 1)
	f.is(f.create("s", outer), api.StackStatusRollbackComplete)
	f.has(f.history("s"), `^Inner CREATE_FAILED .*Embedded stack arn:\S+ was not successfully created: The following resource\(s\) failed to create: \[Group\]\.`)
	f.nothing()
	n.bucket["inner.yaml"] = "Resources: {R: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Statement: []}}}}"
	text := strings.Replace(outer, "      Parameters: {Days: !Ref Days, Name: !Join [\"\", [/, in]]}\n", "", 1)
	text = strings.ReplaceAll(text, "!GetAtt Inner.Outputs.Arn", "x")
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("t"), TemplateBody: &text}); err != nil {
		t.Fatal(err)
	}
	f.is(f.run("t"), api.StackStatusRollbackComplete)
	f.has(f.history("t"), `^Inner CREATE_FAILED .*Requires capabilities : \[CAPABILITY_IAM\]`)
	for deadline := time.Now().Add(time.Minute); len(f.fake.things) > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	f.nothing()
}
