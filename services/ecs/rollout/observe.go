package rollout

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/deploy"
	"minato/services/ecs/serviceconfig"
	"minato/services/ecs/shift"
)

// Task is what is seen of a task of the service.
type Task struct {
	ID, Deployment, Zone, Address string
	Running                       bool // its last status is RUNNING
	Stopping                      bool // told to stop, or on its way, or stopped
	Created, Started, Ended       time.Time
	Protected                     time.Time // until when it may not be scaled in or replaced
	Health                        string    // a HealthStatus
	ByUser                        bool      // StopTask ended it
	Unstarted                     string    // why it did not come to run, once it is STOPPED
}

// BalancersOf are where a task of the service is registered.
func (r *Service) BalancersOf(deployment string) []ecsapi.LoadBalancer {
	if x := r.Find(deployment); x != nil {
		return x.LoadBalancers
	}
	return r.LoadBalancers
}

// TargetsOf are the targets that a task of the service has, one a target group.
func (r *Service) TargetsOf(t *Task) []deploy.Place {
	if t.Address == "" {
		return nil
	}
	var out []deploy.Place
	for _, lb := range r.BalancersOf(t.Deployment) {
		out = append(out, deploy.Place{Group: aws.Val(lb.TargetGroupArn), IP: t.Address, Port: aws.Val(lb.ContainerPort)})
	}
	return out
}

// Groups are the target groups in which tasks of the service may be.
func (r *Service) Groups() []string {
	var out []string
	add := func(balancers []ecsapi.LoadBalancer) {
		for _, lb := range balancers {
			if g := aws.Val(lb.TargetGroupArn); !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	add(r.LoadBalancers)
	for i := range r.Rollouts {
		add(r.Rollouts[i].LoadBalancers)
	}
	return out
}

// Plan asks the planner what to do. While traffic is shifted from one rollout to
// another each has tasks of its own, as if it were alone; and for a moment longer,
// until the load balancer has followed.
func (r *Service) Plan(tasks []deploy.Task, alarmed bool, paced func(time.Duration) time.Duration, now time.Time) deploy.Actions {
	wanted := r.Wanted(paced)
	wanted.Alarmed = alarmed
	green := r.Green()
	settled := r.at(r.ShiftedAt).Add(shift.Settle)
	if green == nil && !now.Before(settled) {
		return deploy.Plan(wanted, r.Planned(), tasks, now)
	}
	var out deploy.Actions
	for i, d := range r.Planned() {
		d.Primary = true
		alone := *wanted
		alone.Zones = r.zones(&r.Rollouts[i])
		if green != nil && d.ID != green.Blue && (i > 0 || !green.Shift.Up()) {
			alone.Desired = 0 // not yet, or not any more
		}
		mine := slices.DeleteFunc(slices.Clone(tasks), func(t deploy.Task) bool { return t.Deployment != d.ID })
		a := deploy.Plan(&alone, []deploy.Deployment{d}, mine, now)
		if i == 0 {
			out.Trip, out.Alarm = a.Trip, a.Alarm
		}
		out.Start, out.Register, out.Retire = append(out.Start, a.Start...), append(out.Register, a.Register...), append(out.Retire, a.Retire...)
		out.Deregister, out.Stop = append(out.Deregister, a.Deregister...), append(out.Stop, a.Stop...)
		if out.Wake.IsZero() || !a.Wake.IsZero() && a.Wake.Before(out.Wake) {
			out.Wake = a.Wake
		}
	}
	if green == nil && (out.Wake.IsZero() || settled.Before(out.Wake)) {
		out.Wake = settled
	}
	return out
}

// Wanted is the service as the plan sees it.
func (r *Service) Wanted(paced func(time.Duration) time.Duration) *deploy.Service {
	c := r.DeploymentConfiguration
	desired := int(aws.Val(r.DesiredCount))
	out := &deploy.Service{
		Desired: desired, MinPercent: int(aws.Val(c.MinimumHealthyPercent)), MaxPercent: int(aws.Val(c.MaximumPercent)),
		Grace: paced(r.Grace()), Settle: max(paced(settled), leastSettled), Balanced: r.Balanced(), Daemon: serviceconfig.Daemon(r.SchedulingStrategy),
		Rebalance: aws.Val(r.AvailabilityZoneRebalancing) == ecsapi.AvailabilityZoneRebalancingEnabled,
		Breaker:   c.DeploymentCircuitBreaker != nil && aws.Val(c.DeploymentCircuitBreaker.Enable),
		Backoff:   func(n int) time.Duration { return paced(deploy.Backoff(n / max(desired, 1))) },
	}
	if p := r.Primary(); p != nil {
		out.Zones = r.zones(p)
	}
	return out
}

// zones are those of a rollout's subnets; a daemon's are instances, of which there
// are none.
func (r *Service) zones(x *Rollout) []string {
	var out []string
	for _, sub := range x.Subnets {
		if !serviceconfig.Daemon(r.SchedulingStrategy) && !slices.Contains(out, sub.Zone) {
			out = append(out, sub.Zone)
		}
	}
	return out
}

// Planned are the rollouts as the plan sees them.
func (r *Service) Planned() []deploy.Deployment {
	var out []deploy.Deployment
	for i := range r.Rollouts {
		x := &r.Rollouts[i]
		out = append(out, deploy.Deployment{
			ID: aws.Val(x.Id), Primary: i == 0, Failures: x.Failures, LastFailed: r.at(x.LastFailed), Failed: x.GivenUp,
			// Once it has the traffic for good there is no short way back.
			Complete: aws.Val(x.RolloutState) == ecsapi.DeploymentRolloutStateCompleted || x.Shift != nil && x.Shift.Over(),
		})
	}
	return out
}

// Observed is a task as the plan sees it.
func (r *Service) Observed(t *Task, h deploy.Health) deploy.Task {
	n := r.Notes[t.ID]
	out := deploy.Task{
		ID: t.ID, Deployment: t.Deployment, Zone: t.Zone, Running: t.Running, Stopping: t.Stopping, Retired: n.Retired,
		Created: t.Created, Started: t.Started,
	}
	if aws.Val(r.Status) == "ACTIVE" { // a service that is deleted takes all its tasks with it
		out.Protected = t.Protected
	}
	if x := r.Find(out.Deployment); x != nil && x.Checked {
		out.Container = map[string]deploy.Check{ecsapi.HealthStatusHealthy: deploy.Healthy, ecsapi.HealthStatusUnhealthy: deploy.Unhealthy}[t.Health]
		if out.Container == deploy.None {
			out.Container = deploy.Unknown
		}
	}
	out.Bare = len(r.BalancersOf(t.Deployment)) == 0
	targets := r.TargetsOf(t)
	if n.Retired {
		out.Target = h.Anywhere(targets)
	} else {
		out.Target = h.Worst(targets).State
	}
	return out
}

// How long a task that is not checked by anybody must run until it replaces
// another: longer than programs take that end at once. The pace shortens AWS's
// waits, not a program's start.
const (
	settled      = 5 * time.Second
	leastSettled = time.Second
)

// ShortLife is how long a task that is not checked by anybody must run to count
// as started well. On AWS the time that a start takes slows a crash loop down;
// here it is a tenth of a second.
const ShortLife = 30 * time.Second

// Failed tells whether a task that ended had never been of use.
func (n Note) Failed(t *Task, checked bool) bool {
	switch {
	case n.Retired:
		return n.Reason == deploy.FailedTarget || n.Reason == deploy.FailedContainer
	case t.Started.IsZero():
		return true
	case checked:
		return !n.Healthy
	}
	return !t.Ended.IsZero() && t.Ended.Sub(t.Started) < ShortLife
}

// Shares is a capacity provider strategy as the plan sees it.
func Shares(strategy []ecsapi.CapacityProviderStrategyItem) []deploy.Share {
	var out []deploy.Share
	for _, i := range strategy {
		out = append(out, deploy.Share{Provider: aws.Val(i.CapacityProvider), Base: int(aws.Val(i.Base)), Weight: int(aws.Val(i.Weight))})
	}
	return out
}
