package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/services/ecs/deploy"
	"minato/services/ecs/shift"
)

var t0 = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

// web is a service of two tasks that was deployed with a strategy.
func web(strategy string) *Service {
	r := &Service{Place: arn.In("us-east-1", "000000000000"), Cluster: "chat", Service: ecsapi.Service{
		ServiceName: aws.Ptr("web"), DesiredCount: aws.Ptr[int32](2), TaskDefinition: aws.Ptr("web:1"),
		DeploymentConfiguration: &ecsapi.DeploymentConfiguration{MinimumHealthyPercent: aws.Ptr[int32](100), MaximumPercent: aws.Ptr[int32](200), Strategy: &strategy},
		LoadBalancers: []ecsapi.LoadBalancer{{TargetGroupArn: aws.Ptr("one"), ContainerName: aws.Ptr("web"), ContainerPort: aws.Ptr[int32](80), AdvancedConfiguration: &ecsapi.AdvancedConfiguration{
			AlternateTargetGroupArn: aws.Ptr("two"), ProductionListenerRule: aws.Ptr("rule"), TestListenerRule: aws.Ptr("test"), RoleArn: aws.Ptr("role"),
		}}},
	}}
	r.deploy("web:1")
	return r
}

// deploy begins a rollout of a definition.
func (r *Service) deploy(definition string) *Rollout {
	r.Begin(r.Make(&ecsapi.TaskDefinition{TaskDefinitionArn: &definition}, []Subnet{{ID: "a", Zone: "za"}, {ID: "b", Zone: "zb"}}), &t0)
	return r.Primary()
}

// groups tells where the rollouts are, and the weights of both rules.
func (r *Service) where() string {
	var parts []string
	for i := range r.Rollouts {
		parts = append(parts, aws.Val(r.Rollouts[i].LoadBalancers[0].TargetGroupArn))
	}
	for _, rule := range r.Rules() {
		parts = append(parts, fmt.Sprintf("%s %d:%d", rule.ARN, rule.Weights[0], rule.Weights[1]))
	}
	return strings.Join(parts, ", ")
}

// TestTurns: deployments take turns with the two target groups, and the weights
// are those of whoever is to have the traffic.
func TestTurns(t *testing.T) {
	r := web("BLUE_GREEN")
	see := func(want string) {
		t.Helper()
		if got := r.where(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	see("one, rule 100:0, test 100:0")
	first := *r.Primary().Id
	green := r.deploy("web:2")
	see("two, one, rule 100:0, test 100:0")
	if r.Green() != green || green.Blue != first {
		t.Errorf("%+v", green)
	}
	green.Shift.Production, green.Shift.Test = 30, 100
	see("two, one, rule 70:30, test 0:100")

	// One more in the middle: blue stays the one to go back to.
	r.deploy("web:3")
	see("two, two, one, rule 100:0, test 100:0")
	if g := r.Green(); g.Blue != first || *r.WayBack().Id != first {
		t.Errorf("%+v", g)
	}
	r.GoBack(*r.WayBack(), &t0)
	see("one, two, two, rule 100:0, test 100:0")
	if *r.Primary().Id != first || *r.TaskDefinition != "web:1" || *r.LoadBalancers[0].TargetGroupArn != "one" || r.Green() != nil {
		t.Errorf("%+v", r.Primary())
	}

	// And one that is done: the next comes back to the first group.
	r.Rollouts = r.Rollouts[:1]
	r.deploy("web:4").Shift.Stage = "CLEAN_UP"
	see("two, one, rule 0:100, test 0:100")
	r.Rollouts = r.Rollouts[:1]
	r.deploy("web:5")
	see("one, two, rule 0:100, test 0:100")

	// Rolling stays where the traffic is.
	r.DeploymentConfiguration.Strategy = aws.Ptr("ROLLING")
	r.deploy("web:6")
	see("two, one, two, rule 0:100, test 0:100")
	if r.Green() != nil {
		t.Error("rolling shifts traffic")
	}
}

// TestFleets: while traffic is shifted, blue and green each have their tasks, and
// what is neither has none.
func TestFleets(t *testing.T) {
	r := web("LINEAR")
	blue := *r.Primary().Id
	stale := *r.deploy("web:2").Id
	green := r.deploy("web:3")
	task := func(id, deployment string) deploy.Task {
		return deploy.Task{ID: id, Deployment: deployment, Zone: "za", Running: true, Target: deploy.TargetHealthy}
	}
	tasks := []deploy.Task{task("b1", blue), task("s1", stale)} // one of blue's two is lost
	now := func(d time.Duration) time.Duration { return d }
	starts := func(a deploy.Actions) (of []string) {
		for _, s := range a.Start {
			of = append(of, s.Deployment)
		}
		slices.Sort(of)
		return of
	}
	a := r.Plan(tasks, false, now, t0)
	if !slices.Equal(starts(a), []string{blue}) || len(a.Retire) != 1 || a.Retire[0].Task != "s1" {
		t.Errorf("to begin with: %+v", a)
	}
	green.Shift.Stage = "SCALE_UP"
	want := []string{blue, *green.Id, *green.Id}
	slices.Sort(want)
	if a = r.Plan(tasks[:1], false, now, t0); !slices.Equal(starts(a), want) || a.Steady {
		t.Errorf("green comes up: %+v", a)
	}
	if a = r.Plan(tasks[:1], true, now, t0); !a.Alarm {
		t.Errorf("an alarm: %+v", a)
	}
	// Given back: green keeps its tasks until the load balancer has followed.
	r.GoBack(*r.WayBack(), &t0)
	r.ShiftedAt = t0
	tasks = []deploy.Task{task("b1", blue), task("b2", blue), task("g1", *r.Rollouts[1].Id), task("g2", *r.Rollouts[1].Id)}
	if a = r.Plan(tasks, false, now, t0); len(a.Retire) > 0 || !a.Wake.Equal(t0.Add(shift.Settle)) {
		t.Errorf("at once: %+v", a)
	}
	if a = r.Plan(tasks, false, now, t0.Add(shift.Settle)); len(a.Retire) != 2 {
		t.Errorf("a moment later: %+v", a)
	}
}

// TestNotices: what counts as a failure, once, and what takes it back.
func TestNotices(t *testing.T) {
	r := web("ROLLING")
	id := *r.Primary().Id
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	target := deploy.Place{Group: "one", IP: "10.0.0.1", Port: 80}
	healthy := deploy.Health{target: {State: deploy.TargetHealthy}}
	sick := deploy.Health{target: {State: deploy.TargetUnhealthy, Reason: "Request timed out"}}
	for _, c := range []struct {
		name     string
		tasks    []*Task
		health   deploy.Health
		now      int
		failures int
		said     []string
	}{
		{"two that never ran", []*Task{{ID: "a", Deployment: id, Stopping: true, Unstarted: "no image."}, {ID: "b", Deployment: id, Stopping: true}}, nil, 1, 2, []string{"was unable to place a task. Reason: no image."}},
		{"the same again", []*Task{{ID: "a", Deployment: id, Stopping: true, Unstarted: "no image."}, {ID: "b", Deployment: id, Stopping: true}}, nil, 2, 2, nil},
		{"one by StopTask", []*Task{{ID: "c", Deployment: id, Stopping: true, ByUser: true}}, nil, 3, 2, nil},
		{"of no rollout", []*Task{{ID: "d", Deployment: "other", Stopping: true}}, nil, 3, 2, nil},
		{"a third", []*Task{{ID: "e", Deployment: id, Stopping: true, Started: at(1), Ended: at(2)}}, nil, 4, 3, []string{"is unable to consistently start tasks successfully."}},
		{"sick within the grace period", []*Task{{ID: "f", Deployment: id, Running: true, Started: at(0), Address: "10.0.0.1"}}, sick, 9, 3, nil},
		{"and after it", []*Task{{ID: "f", Deployment: id, Running: true, Started: at(0), Address: "10.0.0.1"}}, sick, 10, 3, []string{"(port 80) is unhealthy in (target-group one) due to (reason Request timed out)."}},
		{"which is said once", []*Task{{ID: "f", Deployment: id, Running: true, Started: at(0), Address: "10.0.0.1"}}, sick, 11, 3, nil},
		{"healthy", []*Task{{ID: "f", Deployment: id, Running: true, Started: at(0), Address: "10.0.0.1"}}, healthy, 12, 0, nil},
		{"healthy, and then it ends", []*Task{{ID: "f", Deployment: id, Stopping: true, Started: at(0), Ended: at(13), Address: "10.0.0.1"}}, nil, 13, 0, nil},
	} {
		said := r.Notice(c.tasks, c.health, 10*time.Second, at(c.now))
		if r.Primary().Failures != c.failures || !slices.Equal(said, c.said) {
			t.Errorf("%s: %d failures, %q", c.name, r.Primary().Failures, said)
		}
	}
	if len(r.Notes) != 1 {
		t.Errorf("notes of tasks that are gone: %v", r.Notes)
	}
}

func TestTally(t *testing.T) {
	r := web("ROLLING")
	old := *r.Primary().Id
	id := *r.deploy("web:2").Id
	r.Tally([]*Task{
		{ID: "a", Deployment: old, Running: true, Address: "10.0.0.1"},
		{ID: "b", Deployment: old, Stopping: true},
		{ID: "c", Deployment: id, Running: true, Address: "10.0.0.2"},
		{ID: "d", Deployment: id},
	}, deploy.Health{{Group: "one", IP: "10.0.0.1", Port: 80}: {State: deploy.TargetHealthy}}, map[string]int32{id: 2})
	if *r.RunningCount != 1 || *r.PendingCount != 4 || *r.Rollouts[1].RunningCount != 1 || *r.Rollouts[0].PendingCount != 4 {
		t.Errorf("%d running, %d pending", *r.RunningCount, *r.PendingCount)
	}
}

// TestWeigh: a rule is changed when it has to be, and only if it is ECS's.
func TestWeigh(t *testing.T) {
	forward := func(pairs ...any) []elbapi.Action {
		c := &elbapi.ForwardActionConfig{TargetGroupStickinessConfig: &elbapi.TargetGroupStickinessConfig{Enabled: aws.Ptr(false)}}
		for i := 0; i < len(pairs); i += 2 {
			c.TargetGroups = append(c.TargetGroups, elbapi.TargetGroupTuple{TargetGroupArn: aws.Ptr(pairs[i].(string)), Weight: aws.Ptr(int32(pairs[i+1].(int)))})
		}
		return []elbapi.Action{{Type: aws.Ptr("authenticate-oidc")}, {Type: aws.Ptr("forward"), ForwardConfig: c}}
	}
	for _, c := range []struct {
		have    []elbapi.Action
		weights [2]int32
		want    string // of a change
		fails   string
	}{
		{forward("one", 1), [2]int32{100, 0}, "", ""},
		{forward("one", 100, "two", 0), [2]int32{100, 0}, "", ""},
		{forward("one", 1), [2]int32{0, 100}, "one 0 two 100 ", ""},
		{forward("one", 100, "two", 0), [2]int32{60, 40}, "one 60 two 40 ", ""},
		{forward("one", 100, "three", 0), [2]int32{60, 40}, "one 60 two 40 ", ""},
		{forward("one", 100, "three", 5), [2]int32{60, 40}, "", "Production listener rule is forwarding traffic to unexpected target group three. Expected traffic to be forwarded to either targetGroupArn: one or alternateTargetGroupArn: two"},
		{[]elbapi.Action{{Type: aws.Ptr("redirect")}}, [2]int32{60, 40}, "", "The listener rule rule does not forward to a target group."},
	} {
		rule := &Rule{ARN: "rule", Groups: [2]string{"one", "two"}, Weights: c.weights}
		out, changed, err := rule.Weigh(c.have)
		got := ""
		if changed {
			for _, g := range out[1].ForwardConfig.TargetGroups {
				got += fmt.Sprintf("%s %d ", *g.TargetGroupArn, *g.Weight)
			}
			if out[1].ForwardConfig.TargetGroupStickinessConfig == nil || aws.Val(out[0].Type) != "authenticate-oidc" {
				t.Errorf("more than the weights was changed: %+v", out)
			}
		}
		if got != c.want || (err == nil) != (c.fails == "") || err != nil && aws.AsError(err).Message != c.fails {
			t.Errorf("%q, %v; want %q, %s", got, err, c.want, c.fails)
		}
	}
}
