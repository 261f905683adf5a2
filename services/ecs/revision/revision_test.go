package revision

import (
	"slices"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

var t0 = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func fresh() *Deployment {
	d := New(&ecsapi.Service{ServiceName: aws.Ptr("web"), DeploymentConfiguration: &ecsapi.DeploymentConfiguration{
		DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: aws.Ptr(true), Rollback: aws.Ptr(true)},
		Alarms:                   &ecsapi.DeploymentAlarms{Enable: aws.Ptr(true), Rollback: aws.Ptr(true), AlarmNames: []string{"a"}},
	}}, arn.In("us-east-1", "000000000000"), "chat", []string{"old"}, "new", 3, t0)
	return &d
}

// TestLife walks every way that the drawing has.
func TestLife(t *testing.T) {
	start := func(d *Deployment) { d.Start(t0) }
	finish := func(d *Deployment) { d.Finish(t0) }
	fail := func(d *Deployment) { d.Fail(Tripped, t0) }
	back := func(d *Deployment) { d.RollBack("old", Tripped, t0) }
	stop := func(d *Deployment) { d.Ask("ROLLBACK", t0) }
	abort := func(d *Deployment) { d.Ask("ABORT", t0) }
	for _, c := range []struct {
		steps                  []func(*Deployment)
		status, breaker, alarm string
		ongoing, asked         bool
	}{
		{nil, "PENDING", "MONITORING", "MONITORING", true, false},
		{[]func(*Deployment){start}, "IN_PROGRESS", "MONITORING", "MONITORING", true, false},
		{[]func(*Deployment){start, finish}, "SUCCESSFUL", "MONITORING_COMPLETE", "MONITORING_COMPLETE", false, false},
		{[]func(*Deployment){start, finish, fail}, "SUCCESSFUL", "MONITORING_COMPLETE", "MONITORING_COMPLETE", false, false},
		{[]func(*Deployment){start, fail}, "STOPPED", "TRIGGERED", "MONITORING_COMPLETE", false, false},
		{[]func(*Deployment){start, back}, "ROLLBACK_IN_PROGRESS", "TRIGGERED", "MONITORING", true, false},
		{[]func(*Deployment){start, back, start, finish}, "ROLLBACK_SUCCESSFUL", "TRIGGERED", "MONITORING_COMPLETE", false, false},
		{[]func(*Deployment){start, back, fail}, "ROLLBACK_FAILED", "TRIGGERED", "MONITORING_COMPLETE", false, false},
		{[]func(*Deployment){start, stop}, "ROLLBACK_REQUESTED", "MONITORING", "MONITORING", true, true},
		{[]func(*Deployment){stop, start, abort}, "ROLLBACK_REQUESTED", "MONITORING", "MONITORING", true, true},
		{[]func(*Deployment){start, abort}, "STOP_REQUESTED", "MONITORING", "MONITORING", true, true},
		{[]func(*Deployment){start, back, stop}, "ROLLBACK_IN_PROGRESS", "TRIGGERED", "MONITORING", true, false},
	} {
		d := fresh()
		for _, step := range c.steps {
			step(d)
		}
		if *d.Status != c.status || *d.DeploymentCircuitBreaker.Status != c.breaker || *d.Alarms.Status != c.alarm || d.Ongoing() != c.ongoing || (d.Asked != "") != c.asked || (d.FinishedAt == nil) != c.ongoing {
			t.Errorf("%s, breaker %s, alarms %s, asked %q; want %+v", *d.Status, *d.DeploymentCircuitBreaker.Status, *d.Alarms.Status, d.Asked, c)
		}
	}
	d := fresh()
	d.RollBack("old", Alarmed([]string{"a"}), t0)
	if *d.Alarms.Status != "TRIGGERED" || !slices.Equal(d.Alarms.TriggeredAlarmNames, []string{"a"}) || *d.Rollback.ServiceRevisionArn != "old" {
		t.Errorf("%+v", d)
	}
}

func TestIDs(t *testing.T) {
	d := fresh()
	a, ids, ok := IDs("service-deployment", *d.ServiceDeploymentArn)
	if !ok || a.Region != "us-east-1" || ids[0] != "chat" || ids[1] != "web" || len(ids[2]) != 21 || d.ID() != ids[2] {
		t.Errorf("%s: %v %v", *d.ServiceDeploymentArn, ids, ok)
	}
	for _, text := range []string{"", "web", "arn:aws:ecs:us-east-1:000000000000:service-deployment/chat/web", "arn:aws:ecs:us-east-1:000000000000:service-deployment/chat//x", "arn:aws:ecs:us-east-1:000000000000:service-revision/chat/web/1"} {
		if _, _, ok := IDs("service-deployment", text); ok {
			t.Errorf("%q is one", text)
		}
	}
}

func TestExpired(t *testing.T) {
	p := arn.In("us-east-1", "000000000000")
	named := func(id string) string { return p.Of("ecs", "service-revision/chat/web/"+id) }
	record := func(id string) Record {
		return Record{ecsapi.ServiceRevision{ServiceRevisionArn: aws.Ptr(named(id)), CreatedAt: &t0}}
	}
	old := fresh()
	old.TargetServiceRevision.Arn, old.SourceServiceRevisions = aws.Ptr(named("1")), nil
	old.Finish(t0)
	under := fresh() // way
	under.TargetServiceRevision.Arn, under.SourceServiceRevisions[0].Arn = aws.Ptr(named("3")), aws.Ptr(named("2"))
	revisions := []Record{record("1"), record("2"), record("3"), record("4")}
	deployments, gone := Expired([]Deployment{*old, *under}, revisions, []string{"4"}, t0.Add(Kept))
	if !slices.Equal(deployments, []string{old.ID()}) || !slices.Equal(gone, []string{"1"}) {
		t.Errorf("%v %v", deployments, gone)
	}
	if deployments, gone = Expired([]Deployment{*old, *under}, revisions, nil, t0.Add(Kept-1)); len(deployments)+len(gone) > 0 {
		t.Errorf("too early: %v %v", deployments, gone)
	}
}
