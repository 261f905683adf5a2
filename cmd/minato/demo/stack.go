package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// mends are the three things in the workshop's template that AWS has retired
// since it was written, and what stands there today.
var mends = [][2]string{
	{`"EngineVersion": "8.0.43"`, `"EngineVersion": "5.7.22"`},
	{`"DBInstanceClass": "db.t3.micro"`, `"DBInstanceClass": "db.t2.micro"`},
	{`"Family": "mysql8.0"`, `"Family": "mysql5.7"`},
}

// firstWall creates the stack from the template as it was printed in 2019.
func (j *journey) firstWall(ctx context.Context) error {
	mended, err := os.ReadFile(filepath.Join(j.Source, "template.json"))
	if err != nil {
		return err
	}
	original := string(mended)
	for _, m := range mends {
		if !strings.Contains(original, m[0]) {
			return fmt.Errorf("%s does not hold %s any more", filepath.Join(j.Source, "template.json"), m[0])
		}
		original = strings.Replace(original, m[0], m[1], 1)
	}
	name := filepath.Join(j.work, "original.json")
	if err := os.WriteFile(name, []byte(original), 0o600); err != nil {
		return err
	}
	if err := j.aws(ctx, nil, "cloudformation", "create-stack", "--stack-name", "chat", "--template-body", "file://"+name); err != nil {
		return err
	}
	j.made = append(j.made, "the stack chat")
	if err := j.timed("the stack is rolled back", func() error { return j.stackReaches(ctx, "ROLLBACK_COMPLETE") }); err != nil {
		return err
	}
	reasons, err := j.failures(ctx)
	if err != nil {
		return err
	}
	for _, r := range reasons {
		j.ui.wall(r)
	}
	if err := j.why(ctx, "chat"); err != nil {
		return err
	}
	j.ui.say("Three lines are out of date: EngineVersion 5.7.22, DBInstanceClass db.t2.micro, Family mysql5.7.")
	if err := j.aws(ctx, nil, "cloudformation", "delete-stack", "--stack-name", "chat"); err != nil {
		return err
	}
	return j.quiet(ctx, nil, nil, "cloudformation", "wait", "stack-delete-complete", "--stack-name", "chat")
}

// createStack creates the mended stack and notes what it made.
func (j *journey) createStack(ctx context.Context) error {
	if err := j.aws(ctx, nil, "cloudformation", "create-stack", "--stack-name", "chat", "--template-body", "file://"+filepath.Join(j.Source, "template.json")); err != nil {
		return err
	}
	if err := j.timed("VPC, subnets, NAT gateway, security groups, load balancer, database, workspace", func() error { return j.stackReaches(ctx, "CREATE_COMPLETE") }); err != nil {
		return err
	}
	var out struct {
		StackResources []struct{ LogicalResourceId, PhysicalResourceId string }
	}
	if err := j.quiet(ctx, nil, &out, "cloudformation", "describe-stack-resources", "--stack-name", "chat"); err != nil {
		return err
	}
	j.stack = map[string]string{}
	for _, r := range out.StackResources {
		j.stack[r.LogicalResourceId] = r.PhysicalResourceId
	}
	j.ui.say("%d resources are there, and real: `%s status%s` shows where.", len(j.stack), j.Self, j.dataDirFlag())
	return nil
}

// stackReaches waits until the stack chat is in the wanted state.
func (j *journey) stackReaches(ctx context.Context, want string) error {
	for {
		var out struct {
			Stacks []struct{ StackStatus string }
		}
		if err := j.quiet(ctx, nil, &out, "cloudformation", "describe-stacks", "--stack-name", "chat"); err != nil {
			return err
		}
		if len(out.Stacks) == 0 {
			return errors.New("the stack is gone")
		}
		status := out.Stacks[0].StackStatus
		if status == want {
			return nil
		}
		if !strings.HasSuffix(status, "_IN_PROGRESS") {
			reasons, err := j.failures(ctx)
			return errors.Join(fmt.Errorf("the stack is %s: %s", status, strings.Join(reasons, "; ")), err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// failures are the reasons of what could not be made, as the stack's events
// have them.
func (j *journey) failures(ctx context.Context) ([]string, error) {
	var out struct {
		StackEvents []struct{ LogicalResourceId, ResourceStatus, ResourceStatusReason string }
	}
	if err := j.quiet(ctx, nil, &out, "cloudformation", "describe-stack-events", "--stack-name", "chat"); err != nil {
		return nil, err
	}
	var reasons []string
	for _, e := range out.StackEvents {
		if strings.HasSuffix(e.ResourceStatus, "_FAILED") && !strings.Contains(e.ResourceStatusReason, "cancelled") {
			reasons = append(reasons, e.LogicalResourceId+": "+e.ResourceStatusReason)
		}
	}
	return reasons, nil
}

// why shows minato's explanation of a name.
func (j *journey) why(ctx context.Context, name string) error {
	j.ui.call("minato why " + name)
	out, err := j.output(ctx, nil, "", j.Self, "why", "--data-dir", j.DataDir, name)
	if err != nil {
		return err
	}
	j.ui.say("%s", strings.TrimRight(string(out), "\n"))
	return nil
}
