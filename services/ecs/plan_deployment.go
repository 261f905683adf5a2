package ecs

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/deploy"
)

// targetStateOf is what ELB says of a target.
func targetStateOf(h *elbapi.TargetHealth) deploy.TargetState {
	return deploy.StateOf(aws.Val(h.State), aws.Val(h.Reason), aws.Val(h.Description))
}

// targetsOf are the targets that a task of the service has, one a target group.
func (r *serviceRecord) targetsOf(t *taskRecord) []deploy.Place {
	ip := t.Address
	if ip == "" {
		return nil
	}
	var out []deploy.Place
	for _, lb := range r.LoadBalancers {
		out = append(out, deploy.Place{Group: aws.Val(lb.TargetGroupArn), IP: ip, Port: aws.Val(lb.ContainerPort)})
	}
	return out
}

// wanted is the service as the plan sees it.
func (r *serviceRecord) wanted(paced func(time.Duration) time.Duration) *deploy.Service {
	c := r.DeploymentConfiguration
	desired := int(aws.Val(r.DesiredCount))
	out := &deploy.Service{
		Desired: desired, MinPercent: int(aws.Val(c.MinimumHealthyPercent)), MaxPercent: int(aws.Val(c.MaximumPercent)),
		Grace: paced(r.grace()), Balanced: r.balanced(),
		Breaker: c.DeploymentCircuitBreaker != nil && aws.Val(c.DeploymentCircuitBreaker.Enable),
		Backoff: func(n int) time.Duration { return paced(deploy.Backoff(n / max(desired, 1))) },
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
func (r *serviceRecord) observed(t *taskRecord, h deploy.Health) deploy.Task {
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
		out.Target = h.Anywhere(targets)
	} else {
		out.Target = h.Worst(targets).State
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

// shares is a capacity provider strategy as the plan sees it.
func shares(strategy []ecsapi.CapacityProviderStrategyItem) []deploy.Share {
	var out []deploy.Share
	for _, i := range strategy {
		out = append(out, deploy.Share{Provider: aws.Val(i.CapacityProvider), Base: int(aws.Val(i.Base)), Weight: int(aws.Val(i.Weight))})
	}
	return out
}
