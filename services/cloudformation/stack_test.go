package cloudformation

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/identity"
	"minato/internal/clock"
	"minato/store/memstore"
)

// fixture is the service over a fake of the others.
type fixture struct {
	*testing.T
	*Service
	fake *fakeAPI
	ctx  context.Context
}

func newFixture(t *testing.T) *fixture {
	fake := newFake()
	s := New(Deps{Store: memstore.New(), Clock: clock.Real(1), Invoker: fake})
	ctx := identity.With(context.Background(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1", Partition: "aws", ARN: "arn:aws:iam::000000000000:user/admin"})
	return &fixture{t, s, fake, ctx}
}

// run reconciles the stack until it rests and returns it.
func (f *fixture) run(name string) api.Stack {
	f.Helper()
	st, err := f.find(f.ctx, name)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := f.Reconcile(ctx, f.stacks.Key(st.Account, st.Region, st.ID)); err != nil {
		f.Fatal(err)
	}
	out, err := f.DescribeStacks(f.ctx, &api.DescribeStacksInput{StackName: st.StackId})
	if err != nil {
		f.Fatal(err)
	}
	return out.Stacks[0]
}

// create makes a stack of the template and runs it.
func (f *fixture) create(name, text string, parameters ...string) api.Stack {
	f.Helper()
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: &name, TemplateBody: &text, Parameters: pairs(parameters), Capabilities: []string{"CAPABILITY_NAMED_IAM"}}); err != nil {
		f.Fatal(err)
	}
	return f.run(name)
}

// update changes a stack and runs it.
func (f *fixture) update(name, text string, parameters ...string) api.Stack {
	f.Helper()
	if _, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: &name, TemplateBody: &text, Parameters: pairs(parameters), Capabilities: []string{"CAPABILITY_NAMED_IAM"}}); err != nil {
		f.Fatal(err)
	}
	return f.run(name)
}

// remove deletes a stack and runs it.
func (f *fixture) delete(name string) api.Stack {
	f.Helper()
	st, err := f.find(f.ctx, name)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := f.DeleteStack(f.ctx, &api.DeleteStackInput{StackName: &name}); err != nil {
		f.Fatal(err)
	}
	return f.run(aws.Val(st.StackId))
}

func pairs(list []string) []api.Parameter {
	var out []api.Parameter
	for i := 0; i < len(list); i += 2 {
		out = append(out, api.Parameter{ParameterKey: &list[i], ParameterValue: &list[i+1]})
	}
	return out
}

// events returns "LogicalId STATUS reason" of all events, oldest first.
func (f *fixture) history(name string) []string {
	f.Helper()
	var lines []string
	in := &api.DescribeStackEventsInput{StackName: &name}
	for {
		out, err := f.DescribeStackEvents(f.ctx, in)
		if err != nil {
			f.Fatal(err)
		}
		for _, e := range out.StackEvents {
			lines = append([]string{strings.TrimSpace(aws.Val(e.LogicalResourceId) + " " + aws.Val(e.ResourceStatus) + " " + aws.Val(e.ResourceStatusReason))}, lines...)
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return lines
		}
	}
}

// is fails unless the stack has the status.
func (f *fixture) is(st api.Stack, status string) {
	f.Helper()
	if aws.Val(st.StackStatus) != status {
		f.Fatalf("%s is %s (%s), not %s\n%s", aws.Val(st.StackName), aws.Val(st.StackStatus), aws.Val(st.StackStatusReason), status, strings.Join(f.history(aws.Val(st.StackId)), "\n"))
	}
}

// has fails unless a line matches.
func (f *fixture) has(lines []string, pattern string) {
	f.Helper()
	re := regexp.MustCompile(pattern)
	for _, l := range lines {
		if re.MatchString(l) {
			return
		}
	}
	f.Errorf("no event matches %s:\n%s", pattern, strings.Join(lines, "\n"))
}

// nothing fails when something is left.
func (f *fixture) nothing() {
	f.Helper()
	if len(f.fake.things) > 0 {
		f.Errorf("left: %v", f.fake.things)
	}
}

func workshop(t *testing.T) string {
	text, err := os.ReadFile("testdata/workshop.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestWorkshop makes and removes the hands-on's stack.
func TestWorkshop(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	st := f.create("chat", workshop(t))
	f.is(st, api.StackStatusCreateComplete)
	t.Logf("created in %v with %d calls", time.Since(start), len(f.fake.calls))
	res, err := f.DescribeStackResources(f.ctx, &api.DescribeStackResourcesInput{StackName: aws.Ptr("chat")})
	if err != nil || len(res.StackResources) != 25 {
		t.Fatalf("%d resources, %v", len(res.StackResources), err)
	}
	for _, r := range res.StackResources {
		if aws.Val(r.ResourceStatus) != api.ResourceStatusCreateComplete || aws.Val(r.PhysicalResourceId) == "" {
			t.Errorf("%s: %s %s", aws.Val(r.LogicalResourceId), aws.Val(r.ResourceStatus), aws.Val(r.PhysicalResourceId))
		}
	}
	events := f.history("chat")
	f.has(events, `^chat CREATE_IN_PROGRESS User Initiated$`)
	f.has(events, `^Vpc CREATE_IN_PROGRESS Resource creation Initiated$`)
	f.has(events, `^chat CREATE_COMPLETE$`)
	f.is(f.delete("chat"), api.StackStatusDeleteComplete)
	f.nothing()
	if _, err := f.DescribeStacks(f.ctx, &api.DescribeStacksInput{StackName: aws.Ptr("chat")}); !aws.IsCode(err, "ValidationError") || !strings.Contains(err.Error(), "Stack with id chat does not exist") {
		t.Error(err)
	}
}

// TestWall is the first wall of the hands-on: RDS refuses, and all goes back.
func TestWall(t *testing.T) {
	f := newFixture(t)
	f.fake.fail["CreateDBInstance"] = aws.Errorf("InvalidParameterCombination", "Cannot find version 5.7.22 for mysql")
	f.fake.slow["CreateNatGateway"] = 1000
	st := f.create("chat", workshop(t))
	f.is(st, api.StackStatusRollbackComplete)
	events := f.history("chat")
	f.has(events, `^Database CREATE_FAILED Resource handler returned message: "Cannot find version 5\.7\.22 for mysql \(Service: Rds, Status Code: 400, Request ID: [-0-9a-f]{36}\)" \(RequestToken: [-0-9a-f]{36}, HandlerErrorCode: InvalidRequest\)$`)
	f.has(events, `^Nat CREATE_FAILED Resource creation cancelled$`)
	f.has(events, `^chat ROLLBACK_IN_PROGRESS The following resource\(s\) failed to create: \[.*Database.*\]\. Rollback requested by user\.$`)
	f.has(events, `^Vpc DELETE_COMPLETE$`)
	f.nothing()
	_, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: aws.Ptr("chat"), TemplateBody: aws.Ptr(workshop(t))})
	if err == nil || !strings.HasSuffix(err.Error(), "is in ROLLBACK_COMPLETE state and can not be updated.") {
		t.Error(err)
	}
	f.is(f.delete("chat"), api.StackStatusDeleteComplete)
}

// TestNoGateway has an error that nothing in the stack will mend: it is not
// waited for.
func TestNoGateway(t *testing.T) {
	f := newFixture(t)
	start := time.Now()
	st := f.create("s", `
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  A: {Type: AWS::EC2::Subnet, Properties: {VpcId: !Ref Vpc, CidrBlock: 10.0.0.0/24}}
  Eip: {Type: AWS::EC2::EIP}
  Nat: {Type: AWS::EC2::NatGateway, Properties: {SubnetId: !Ref A, AllocationId: !GetAtt Eip.AllocationId}}
`)
	f.is(st, api.StackStatusRollbackComplete)
	f.has(f.history("s"), `^Nat CREATE_FAILED Resource handler returned message: "Network vpc has no Internet gateway attached`)
	if took := time.Since(start); took > time.Minute { // retryLimit is longer
		t.Errorf("it took %v", took)
	}
	f.nothing()
}
