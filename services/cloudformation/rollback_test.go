package cloudformation

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
)

// TestCancelUpdate takes an update back while it waits for a database.
func TestCancelUpdate(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	cancel := func() error {
		_, err := f.CancelUpdateStack(f.ctx, &api.CancelUpdateStackInput{StackName: aws.Ptr("s")})
		return err
	}
	if err := cancel(); err == nil || !strings.Contains(err.Error(), "CancelUpdateStack cannot be called from current stack status") {
		t.Error(err)
	}
	before := sortedKeys(f.fake.things)
	f.fake.block = make(chan struct{})
	if _, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: aws.Ptr("s"), TemplateBody: aws.Ptr(workshop(t))}); err != nil {
		t.Fatal(err)
	}
	st, _ := f.find(f.ctx, "s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := f.Reconcile(context.Background(), f.stacks.Key(st.Account, st.Region, st.ID)); err != nil {
			t.Error(err)
		}
	}()
	for f.fake.count("CreateDBInstance") == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := cancel(); err != nil {
		t.Fatal(err)
	}
	close(f.fake.block)
	<-done
	st, _ = f.find(f.ctx, "s")
	f.is(f.shown(st), api.StackStatusUpdateRollbackComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, before) {
		t.Errorf("there are %v, before %v", got, before)
	}
	f.has(f.history("s"), `^s UPDATE_ROLLBACK_IN_PROGRESS User Initiated$`)
}

// TestContinueUpdateRollback goes on with a rollback that failed: with what it
// failed of, when that is mended, or without it.
func TestContinueUpdateRollback(t *testing.T) {
	for _, skip := range [][]string{nil, {"Group"}} {
		f := newFixture(t)
		f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
		f.fake.fail["PutRetentionPolicy"] = aws.Errorf("ServiceUnavailableException", "not now")
		f.is(f.update("s", logGroup, "Days", "30"), api.StackStatusUpdateRollbackFailed)
		f.has(f.history("s"), `^s UPDATE_ROLLBACK_FAILED The following resource\(s\) failed to update: \[Group\]\.$`)
		if _, err := f.ContinueUpdateRollback(f.ctx, &api.ContinueUpdateRollbackInput{StackName: aws.Ptr("s"), ResourcesToSkip: []string{"Other"}}); err == nil {
			t.Error("what did not fail can be skipped")
		}
		if skip == nil {
			delete(f.fake.fail, "PutRetentionPolicy")
		}
		if _, err := f.ContinueUpdateRollback(f.ctx, &api.ContinueUpdateRollbackInput{StackName: aws.Ptr("s"), ResourcesToSkip: skip}); err != nil {
			t.Fatal(err)
		}
		st := f.run("s")
		f.is(st, api.StackStatusUpdateRollbackComplete)
		if v := aws.Val(st.Parameters[0].ParameterValue); v != "7" {
			t.Error(v)
		}
		if _, err := f.ContinueUpdateRollback(f.ctx, &api.ContinueUpdateRollbackInput{StackName: aws.Ptr("s")}); err == nil || !strings.Contains(err.Error(), "is in UPDATE_ROLLBACK_COMPLETE state") {
			t.Error(err)
		}
	}
}

// TestRollbackStack takes back what was left where it failed.
func TestRollbackStack(t *testing.T) {
	f := newFixture(t)
	role := "\n  Role: {Type: AWS::IAM::Role, DependsOn: Other, Properties: {AssumeRolePolicyDocument: {Statement: []}}}\nOutputs:"
	broken := strings.Replace(logGroup, "Outputs:", role, 1)
	f.fake.fail["CreateRole"] = aws.Errorf("MalformedPolicyDocument", "no statement")
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: &broken, DisableRollback: aws.Ptr(true), Capabilities: []string{"CAPABILITY_IAM"}}); err != nil {
		t.Fatal(err)
	}
	f.is(f.run("s"), api.StackStatusCreateFailed)
	out, err := f.RollbackStack(f.ctx, &api.RollbackStackInput{StackName: aws.Ptr("s")})
	if err != nil {
		t.Fatal(err)
	}
	f.is(f.run(*out.StackId), api.StackStatusRollbackComplete)
	f.nothing()

	f.is(f.create("t", logGroup), api.StackStatusCreateComplete)
	before := sortedKeys(f.fake.things)
	if _, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: aws.Ptr("t"), TemplateBody: &broken, DisableRollback: aws.Ptr(true), Parameters: pairs([]string{"Name", "/new"}), Capabilities: []string{"CAPABILITY_IAM"}}); err != nil {
		t.Fatal(err)
	}
	f.is(f.run("t"), api.StackStatusUpdateFailed)
	if _, err := f.RollbackStack(f.ctx, &api.RollbackStackInput{StackName: aws.Ptr("t")}); err != nil {
		t.Fatal(err)
	}
	f.is(f.run("t"), api.StackStatusUpdateRollbackComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, before) {
		t.Errorf("there are %v, before %v", got, before)
	}
	if _, err := f.RollbackStack(f.ctx, &api.RollbackStackInput{StackName: aws.Ptr("t")}); err == nil || !strings.Contains(err.Error(), "can not be rolled back") {
		t.Error(err)
	}
}
