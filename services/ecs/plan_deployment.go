package ecs

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/deploy"
)

// target is a place where a task can be reached.
type target struct {
	Group string // ARN of the target group
	IP    string
	Port  int32
}

// targetState is how a target stands, and why.
type targetState struct {
	State  deploy.Target
	Reason string // AWS's description, of an unhealthy one
}

// targetHealth is what ELB says of the targets of a service's groups.
type targetHealth map[target]targetState

// targetStateOf translates ELB's words.
func targetStateOf(h *elbapi.TargetHealth) targetState {
	switch aws.Val(h.State) {
	case elbapi.TargetHealthStateEnumHealthy:
		return targetState{State: deploy.TargetHealthy}
	case elbapi.TargetHealthStateEnumUnhealthy:
		return targetState{State: deploy.TargetUnhealthy, Reason: aws.Val(h.Description)}
	case elbapi.TargetHealthStateEnumDraining:
		return targetState{State: deploy.Draining}
	case elbapi.TargetHealthStateEnumUnused:
		if aws.Val(h.Reason) == elbapi.TargetHealthReasonEnumTargetNotRegistered {
			return targetState{State: deploy.Absent}
		}
	}
	// initial; also unused and unavailable: registered, but nobody knows.
	return targetState{State: deploy.Initial}
}

// targetsOf are the targets that a task of the service has, one a target group.
func (r *serviceRecord) targetsOf(t *taskRecord) []target {
	ip := t.Address
	if ip == "" {
		return nil
	}
	var out []target
	for _, lb := range r.LoadBalancers {
		out = append(out, target{aws.Val(lb.TargetGroupArn), ip, aws.Val(lb.ContainerPort)})
	}
	return out
}

// worst is how a task stands over all of its target groups: missing in one it
// is still to be registered; draining in one it is on its way out.
func (h targetHealth) worst(targets []target) targetState {
	rank := map[deploy.Target]int{deploy.TargetHealthy: 0, deploy.Initial: 1, deploy.TargetUnhealthy: 2, deploy.Absent: 3, deploy.Draining: 4}
	out := targetState{State: deploy.Absent}
	for i, t := range targets {
		if x := h[t]; i == 0 || rank[x.State] > rank[out.State] {
			out = x
		}
	}
	return out
}

// anywhere is how a retired task stands: it is registered as long as one group
// still has it.
func (h targetHealth) anywhere(targets []target) deploy.Target {
	out := deploy.Absent
	for _, t := range targets {
		switch x := h[t].State; {
		case x == deploy.Absent:
		case x != deploy.Draining:
			return x
		default:
			out = x
		}
	}
	return out
}

// The waits between attempts to start tasks that fail: none for the first, then
// twice as long each time. An attempt is as many failures as there should be
// tasks.
const (
	freeAttempts = 2
	firstBackoff = 10 * time.Second
	longBackoff  = 15 * time.Minute
)

// backoff is how long to wait after failed attempts in a row, at full pace.
func backoff(attempts int) time.Duration {
	if attempts <= freeAttempts {
		return 0
	}
	return min(firstBackoff<<min(attempts-freeAttempts-1, 10), longBackoff)
}

// wanted is the service as the plan sees it.
func (r *serviceRecord) wanted(paced func(time.Duration) time.Duration) *deploy.Service {
	c := r.DeploymentConfiguration
	desired := int(aws.Val(r.DesiredCount))
	out := &deploy.Service{
		Desired: desired, MinPercent: int(aws.Val(c.MinimumHealthyPercent)), MaxPercent: int(aws.Val(c.MaximumPercent)),
		Grace: paced(r.grace()), Balanced: r.balanced(),
		Breaker: c.DeploymentCircuitBreaker != nil && aws.Val(c.DeploymentCircuitBreaker.Enable),
		Backoff: func(n int) time.Duration { return paced(backoff(n / max(desired, 1))) },
	}
	if p := r.primary(); p != nil {
		for _, sub := range p.Subnets {
			if !slices.Contains(out.Zones, sub.Zone) {
				out.Zones = append(out.Zones, sub.Zone)
			}
		}
	}
	return out
}

// deployments are the rollouts as the plan sees them.
func (r *serviceRecord) deployments() []deploy.Deployment {
	var out []deploy.Deployment
	for i := range r.Rollouts {
		x := &r.Rollouts[i]
		out = append(out, deploy.Deployment{ID: aws.Val(x.Id), Primary: i == 0, Failures: x.Failures, LastFailed: x.LastFailed, Failed: x.GivenUp})
	}
	return out
}

// observed is a task as the plan sees it.
func (r *serviceRecord) observed(t *taskRecord, h targetHealth) deploy.Task {
	n := r.Notes[t.ID]
	out := deploy.Task{
		ID: t.ID, Deployment: aws.Val(t.StartedBy), Zone: t.Subnet.Zone,
		Running: aws.Val(t.LastStatus) == taskRunning, Stopping: stopping(t), Retired: n.Retired,
		Created: aws.Val(t.CreatedAt), Started: aws.Val(t.StartedAt),
	}
	if x := r.rollout(out.Deployment); x != nil && x.Checked {
		out.Container = map[string]deploy.Check{ecsapi.HealthStatusHealthy: deploy.Healthy, ecsapi.HealthStatusUnhealthy: deploy.Unhealthy}[aws.Val(t.HealthStatus)]
		if out.Container == deploy.None {
			out.Container = deploy.Unknown
		}
	}
	targets := r.targetsOf(t)
	if n.Retired {
		out.Target = h.anywhere(targets)
	} else {
		out.Target = h.worst(targets).State
	}
	return out
}

// stopping tells whether a task was told to stop, or stops, or has stopped.
func stopping(t *taskRecord) bool {
	switch aws.Val(t.LastStatus) {
	case taskDeactivating, taskStopping, taskDeprovisioning, taskStopped:
		return true
	}
	return t.Stop != nil || aws.Val(t.DesiredStatus) == taskStopped
}

// shortLife is how long a task that is not checked by anybody must run to count
// as started well. On AWS the time that a start takes slows a crash loop down;
// here it is a tenth of a second.
const shortLife = 30 * time.Second

// failed tells whether a task that ended had never been of use.
func (n note) failed(t *taskRecord, checked bool, shortest time.Duration) bool {
	switch {
	case n.Retired:
		return n.Reason == deploy.FailedTarget || n.Reason == deploy.FailedContainer
	case t.StartedAt == nil:
		return true
	case checked:
		return !n.Healthy
	}
	end := t.StoppingAt
	if end == nil {
		end = t.StoppedAt
	}
	return end != nil && end.Sub(*t.StartedAt) < shortest
}
