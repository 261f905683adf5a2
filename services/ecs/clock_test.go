package ecs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/record"
)

var jumps = map[string]time.Duration{"forward": 48 * time.Hour, "back": -48 * time.Hour}

// TestTheClockIsSetInTheGracePeriod: nobody is stopped before the period is over,
// and it is over when it would have been.
func TestTheClockIsSetInTheGracePeriod(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			in := creation()
			in.HealthCheckGracePeriodSeconds = aws.Ptr[int32](60)
			y.must(second(y.ecs.CreateService(y.ctx, in)))
			y.elb.sick = true
			for range 5 {
				y.step()
			}
			tasks := y.running()
			if len(tasks) != 2 {
				t.Fatalf("%d tasks run", len(tasks))
			}
			y.clock.Jump(jump)
			sick := func() bool {
				return slices.ContainsFunc(y.events(), func(e string) bool { return strings.Contains(e, "is unhealthy in") })
			}
			for range 10 { // 20 of the 60 seconds
				y.step()
				if !slices.Equal(y.running(), tasks) || sick() {
					t.Fatalf("the grace period is over early:\n%s", strings.Join(y.events(), "\n"))
				}
			}
			for range 30 {
				y.step()
			}
			if !sick() {
				t.Error("the grace period is not over when it should be")
			}
		})
	}
}

// TestTheClockIsSetInABackoff: what waits for its next try does not wait for days.
func TestTheClockIsSetInABackoff(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			y.failing = func(*record.Task) bool { return true }
			y.must(second(y.ecs.CreateService(y.ctx, creation())))
			for range 20 {
				y.step()
			}
			before := len(y.all())
			y.clock.Jump(jump)
			for range 60 { // two minutes
				y.step()
			}
			if n := len(y.all()) - before; n == 0 || n > 20 {
				t.Errorf("%d tasks were tried in two minutes", n)
			}
			y.failing = nil
			for range 300 {
				if y.step(); len(y.running()) == 2 {
					return
				}
			}
			t.Error("it does not come up any more")
		})
	}
}

// TestTheClockIsSetInARollout: a rollout goes on, at the same number of tasks.
func TestTheClockIsSetInARollout(t *testing.T) {
	for name, jump := range jumps {
		t.Run(name, func(t *testing.T) {
			y := newYard(t)
			y.must(second(y.ecs.CreateService(y.ctx, creation())))
			y.stable()
			y.least = 2
			y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), ForceNewDeployment: aws.Ptr(true)})))
			y.step()
			y.clock.Jump(jump)
			y.stable()
			if y.least < 2 {
				t.Errorf("%d tasks were left", y.least)
			}
		})
	}
}

// all are the tasks there have been.
func (y *yard) all() []record.Task {
	y.Helper()
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	return tasks
}
