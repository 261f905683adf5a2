package ecs

import (
	"slices"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
	"minato/services/ecs/pull"
)

// inconsistent is how many failures in a row make a service say that it cannot
// start tasks.
const inconsistent = 3

// note takes down what is seen of the tasks: who has become healthy, who is not
// any more, who ended without having been of use.
func (p *pass) note() {
	notes := map[string]note{}
	for i := range p.tasks {
		t := &p.tasks[i]
		n := p.rec.Notes[t.ID]
		p.noteHealth(t, &n)
		p.noteEnd(t, &n)
		if n != (note{}) {
			notes[t.ID] = n
		}
	}
	p.rec.Notes = notes
}

// noteHealth looks at a task that lives.
func (p *pass) noteHealth(t *taskRecord, n *note) {
	if stopping(t) || n.Retired {
		return
	}
	x := p.rec.observed(t, p.health)
	state := p.health.Worst(p.rec.targetsOf(t))
	healthy := x.Running && (x.Container == deploy.None || x.Container == deploy.Healthy) && (!p.rec.balanced() || x.Target == deploy.TargetHealthy)
	if healthy {
		n.Ailing = false
		n.Healthy = true
		// Where nobody checks, only lasting tells that a task has started well.
		// It counts once: others may go on failing beside it.
		r := p.rec.rollout(aws.Val(t.StartedBy))
		if r != nil && !n.Useful && (p.rec.balanced() || r.Checked || p.now.Sub(x.Started) >= shortLife) {
			n.Useful = true
			r.Failures = 0
		}
		return
	}
	over := aws.Val(t.StartedAt).Add(p.Clock.Paced(p.rec.grace()))
	if x.Target != deploy.TargetUnhealthy || n.Ailing || p.now.Before(over) {
		return
	}
	n.Ailing = true
	for _, target := range p.rec.targetsOf(t) {
		if p.health[target].State == deploy.TargetUnhealthy {
			p.say(events.Unhealthy(target.Port, target.Group, state.Reason))
		}
	}
}

// noteEnd looks at a task that ends, once.
func (p *pass) noteEnd(t *taskRecord, n *note) {
	if !stopping(t) {
		return
	}
	r := p.rec.rollout(aws.Val(t.StartedBy))
	if !n.Counted && (n.Retired || t.StartedAt == nil || t.StoppingAt != nil || t.StoppedAt != nil) {
		n.Counted = true
		byUser := t.Stop != nil && t.Stop.Code == ecsapi.TaskStopCodeUserInitiated
		checked := r != nil && (p.rec.balanced() || r.Checked)
		if r != nil && !byUser && n.failed(t, checked, shortLife) {
			r.Failures++
			r.LastFailed = p.now
			if r.Failures == inconsistent {
				p.say(events.Inconsistent)
			}
		}
	}
	if !n.Told && t.StartedAt == nil && aws.Val(t.LastStatus) == taskStopped && aws.Val(t.StopCode) == ecsapi.TaskStopCodeTaskFailedToStart {
		n.Told = true
		if reason := aws.Val(t.StoppedReason); reason != "" {
			p.say(events.Unplaced(reason))
		}
	}
}

// conclude writes down where the rollouts stand.
func (p *pass) conclude() {
	p.count()
	live := map[string]bool{}
	for i := range p.tasks {
		if !stopping(&p.tasks[i]) {
			live[aws.Val(p.tasks[i].StartedBy)] = true
		}
	}
	primary := 0
	p.rec.Rollouts = slices.DeleteFunc(slices.Clone(p.rec.Rollouts), func(r rollout) bool {
		primary++
		return primary > 1 && !live[aws.Val(r.Id)]
	})
	switch {
	case aws.Val(p.rec.Status) == serviceDraining:
		p.end()
	case p.plan.Trip:
		p.trip()
	case p.plan.Steady && len(p.rec.Rollouts) == 1:
		p.complete()
	default:
		p.rec.Calm = false
	}
	if p.plan.Stuck && !p.rec.Stuck {
		p.say(events.Stuck)
	}
	p.rec.Stuck = p.plan.Stuck
}

// count counts the tasks of the service and of each rollout. A task behind a
// load balancer runs, for ECS, once its targets are registered.
func (p *pass) count() {
	running, pending := map[string]int32{}, map[string]int32{}
	var allRunning, allPending int32
	for i := range p.tasks {
		t := &p.tasks[i]
		x := p.rec.observed(t, p.health)
		switch id := aws.Val(t.StartedBy); {
		case stopping(t):
		case x.Running && (!p.rec.balanced() || x.Target != deploy.Absent || x.Retired):
			running[id]++
			allRunning++
		default:
			pending[id]++
			allPending++
		}
	}
	allPending += int32(len(p.started))
	for i := range p.rec.Rollouts {
		r := &p.rec.Rollouts[i]
		id := aws.Val(r.Id)
		waiting := pending[id]
		if i == 0 {
			waiting += int32(len(p.started))
		}
		r.RunningCount, r.PendingCount, r.FailedTasks = aws.Ptr(running[id]), &waiting, aws.Ptr(int32(r.Failures))
	}
	p.rec.RunningCount, p.rec.PendingCount = &allRunning, &allPending
}

// complete writes down that the service is what it should be.
func (p *pass) complete() {
	r := p.rec.primary()
	if aws.Val(r.RolloutState) != ecsapi.DeploymentRolloutStateCompleted {
		r.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateCompleted)
		r.RolloutStateReason = aws.Ptr("ECS deployment " + aws.Val(r.Id) + " completed.")
		r.UpdatedAt = &p.now
		stable := *r
		p.rec.Stable = &stable
		p.say(events.Completed(aws.Val(r.Id)))
	}
	if !p.rec.Calm {
		p.rec.Calm = true
		p.say(events.Steady)
	}
}

// trip gives the primary deployment up and, where that is wanted, goes back to
// the last one that was completed.
func (p *pass) trip() {
	failed := p.rec.primary()
	failed.GivenUp = true
	failed.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateFailed)
	failed.RolloutStateReason = aws.Ptr("ECS deployment circuit breaker: tasks failed to start.")
	failed.UpdatedAt = &p.now
	p.say(events.Failed(aws.Val(failed.Id)))
	breaker, stable := p.rec.DeploymentConfiguration.DeploymentCircuitBreaker, p.rec.Stable
	if !aws.Val(breaker.Rollback) || stable == nil || aws.Val(stable.Id) == aws.Val(failed.Id) {
		return
	}
	// As long as the completed deployment has tasks, it is the one to go back to,
	// and they stay.
	i := slices.IndexFunc(p.rec.Rollouts, func(r rollout) bool { return aws.Val(r.Id) == aws.Val(stable.Id) })
	if i > 0 {
		r := p.rec.Rollouts[i]
		failed.Status, r.Status = aws.Ptr(statusActive), aws.Ptr("PRIMARY")
		r.RolloutState, r.UpdatedAt = aws.Ptr(ecsapi.DeploymentRolloutStateInProgress), &p.now
		r.Failures, r.DesiredCount = 0, p.rec.DesiredCount
		p.rec.Rollouts = slices.Concat([]rollout{r}, p.rec.Rollouts[:i], p.rec.Rollouts[i+1:])
		p.rec.Calm = false
	} else {
		p.rec.begin(*stable, &p.now)
	}
	back := p.rec.primary()
	back.RolloutStateReason = aws.Ptr("ECS deployment circuit breaker: rolling back to deploymentId " + aws.Val(back.Id) + ".")
	p.rec.TaskDefinition, p.rec.NetworkConfiguration = back.TaskDefinition, back.NetworkConfiguration
	p.rec.LaunchType, p.rec.CapacityProviderStrategy, p.rec.PlatformVersion = back.LaunchType, back.CapacityProviderStrategy, back.PlatformVersion
	p.say(events.RollingBack(aws.Val(back.Id)))
}

// end makes a service INACTIVE whose tasks are all gone.
func (p *pass) end() {
	for i := range p.tasks {
		if aws.Val(p.tasks[i].LastStatus) != taskStopped {
			return
		}
	}
	p.rec.Status, p.rec.Ended = aws.Ptr(statusInactive), &p.now
	p.rec.Rollouts, p.rec.Notes, p.rec.Stable = nil, nil, nil
}

// resolveImages finds out, once a deployment, which digests the tags of its
// images have now. For another registry that is what the first task finds. What
// is not there yet keeps its tag: the task says what is wrong with it.
func (p *pass) resolveImages(d *taskDefinitionRecord) error {
	r := p.rec.primary()
	if r.Images != nil {
		p.firstPulls(r, d)
		return nil
	}
	images := map[string]string{}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		ref := pull.ParseRef(aws.Val(c.Image))
		if !ref.ECR() || ref.Digest != "" {
			continue
		}
		out, err := p.ECR.DescribeImages(p.ctx, &ecrapi.DescribeImagesInput{
			RegistryId: &ref.Account, RepositoryName: &ref.Repository, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: &ref.Tag}},
		})
		switch {
		case aws.IsCode(err, "ImageNotFoundException"), aws.IsCode(err, "RepositoryNotFoundException"):
			return nil
		case err != nil:
			return err
		case len(out.ImageDetails) > 0:
			images[aws.Val(c.Name)] = aws.Val(out.ImageDetails[0].ImageDigest)
		}
	}
	r.Images = images
	p.firstPulls(r, d)
	return nil
}
