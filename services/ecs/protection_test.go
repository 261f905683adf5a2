package ecs

import (
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// protect protects tasks, or gives their protection up, and returns the failures'
// reasons.
func (y *yard) protect(enabled bool, tasks ...string) []string {
	y.Helper()
	out, err := y.ecs.UpdateTaskProtection(y.ctx, &ecsapi.UpdateTaskProtectionInput{Cluster: aws.Ptr("chat"), Tasks: tasks, ProtectionEnabled: &enabled, ExpiresInMinutes: aws.Ptr[int32](30)})
	y.must(err)
	var reasons []string
	for _, f := range out.Failures {
		reasons = append(reasons, aws.Val(f.Reason))
	}
	return reasons
}

func (y *yard) protected(task string) bool {
	y.Helper()
	out, err := y.ecs.GetTaskProtection(y.ctx, &ecsapi.GetTaskProtectionInput{Cluster: aws.Ptr("chat"), Tasks: []string{task}})
	y.must(err)
	return len(out.ProtectedTasks) == 1 && *out.ProtectedTasks[0].ProtectionEnabled
}

// alive are the ids of the service's tasks that are not stopping.
func (y *yard) alive() map[string]bool {
	y.Helper()
	all, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	out := map[string]bool{}
	for i := range all {
		if !all[i].Stopping() {
			out[all[i].ID] = true
		}
	}
	return out
}

// TestProtection: neither a lower count nor a deployment ends a protected task,
// until its protection is over; and one that is kept keeps others from being
// protected.
func TestProtection(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	var first, second string
	for id := range y.alive() {
		first, second = second, id
	}
	if got := y.protect(true, first); got != nil || !y.protected(first) || y.protected(second) {
		t.Fatalf("%v", got)
	}
	y.update(func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = aws.Ptr[int32](0) })
	for range 20 {
		y.step()
	}
	if now := y.alive(); !now[first] || now[second] {
		t.Errorf("after the scale-in %v run, %s is protected", now, first)
	}
	y.update(func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = aws.Ptr[int32](2) })
	y.stable()
	y.update(force)
	for range 40 {
		y.step()
	}
	now := y.alive()
	if !now[first] || len(now) != 3 {
		t.Errorf("after the rollout %v run, %s is protected", now, first)
	}
	told := "(service web, taskSet ecs-svc/N) was unable to scale in due to (reason 1 tasks under protection)"
	if got := strings.Count(strings.Join(y.events(), "\n"), told); got != 2 { // for the scale-in, and for the rollout
		t.Errorf("told %d times: %s", got, strings.Join(y.events(), "\n"))
	}
	for id := range now {
		want := "DEPLOYMENT_BLOCKED"
		if got := y.protect(true, id); len(got) != 1 || got[0] != want {
			t.Errorf("while the deployment waits: %v", got)
		}
	}
	if got := y.protect(true, "nobody", second); len(got) != 2 || got[0] != "MISSING" || got[1] != "TASK_NOT_VALID" {
		t.Errorf("failures %v", got)
	}
	// Its protection ends by itself.
	y.clock.Advance(31 * time.Minute)
	if y.protected(first) {
		t.Error("the protection does not end")
	}
	y.stable()
	if y.alive()[first] {
		t.Error("it runs on, although its protection is over")
	}
	// A task that is no service's.
	y.must(y.run("solo"))
	all, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	for i := range all {
		if aws.Val(all[i].StartedBy) == "solo" {
			if got := y.protect(true, all[i].ID); len(got) != 1 || got[0] != "TASK_NOT_VALID" {
				t.Errorf("a task of no service: %v", got)
			}
		}
	}
}

func (y *yard) run(startedBy string) error {
	out, err := y.ecs.RunTask(y.ctx, &ecsapi.RunTaskInput{
		Cluster: aws.Ptr("chat"), TaskDefinition: aws.Ptr("chat"), LaunchType: aws.Ptr("FARGATE"), NetworkConfiguration: creation().NetworkConfiguration, StartedBy: &startedBy,
	})
	if err == nil && len(out.Tasks) != 1 {
		y.Fatalf("%+v", out)
	}
	return err
}
