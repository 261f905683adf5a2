package ecs

import (
	"slices"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
	"minato/services/ecs/pull"
	"minato/services/ecs/revision"
	"minato/services/ecs/rollout"
	"minato/store"
)

// inconsistent is how many failures in a row make a service say that it cannot
// start tasks.
const inconsistent = 3

// note takes down what is seen of the tasks: who has become healthy, who is not
// any more, who ended without having been of use.
func (p *pass) note() {
	notes := map[string]rollout.Note{}
	for i := range p.tasks {
		t := &p.tasks[i]
		n := p.rec.Notes[t.ID]
		p.noteHealth(t, &n)
		p.noteEnd(t, &n)
		if n != (rollout.Note{}) {
			notes[t.ID] = n
		}
	}
	p.rec.Notes = notes
}

// noteHealth looks at a task that lives.
func (p *pass) noteHealth(t *taskRecord, n *rollout.Note) {
	if stopping(t) || n.Retired {
		return
	}
	x := p.rec.Observed(t.seen(), p.health)
	if p.serves(x) {
		n.Ailing = false
		n.Healthy = true
		// Where nobody checks, only lasting tells that a task has started well.
		// It counts once: others may go on failing beside it.
		r := p.rec.Find(aws.Val(t.StartedBy))
		if r != nil && !n.Useful && (p.rec.Balanced() || r.Checked || p.now.Sub(x.Started) >= rollout.ShortLife) {
			n.Useful = true
			r.Failures = 0
		}
		return
	}
	over := aws.Val(t.StartedAt).Add(p.Clock.Paced(p.rec.Grace()))
	if x.Target != deploy.TargetUnhealthy || n.Ailing || p.now.Before(over) {
		return
	}
	n.Ailing = true
	for _, target := range p.rec.TargetsOf(t.seen()) {
		if h := p.health[target]; h.State == deploy.TargetUnhealthy {
			p.say(events.Unhealthy(target.Port, target.Group, h.Reason))
		}
	}
}

// noteEnd looks at a task that ends, once.
func (p *pass) noteEnd(t *taskRecord, n *rollout.Note) {
	if !stopping(t) {
		return
	}
	r := p.rec.Find(aws.Val(t.StartedBy))
	if !n.Counted && (n.Retired || t.StartedAt == nil || t.StoppingAt != nil || t.StoppedAt != nil) {
		n.Counted = true
		byUser := t.Stop != nil && t.Stop.Code == ecsapi.TaskStopCodeUserInitiated
		checked := r != nil && (p.rec.Balanced() || r.Checked)
		if r != nil && !byUser && n.Failed(t.seen(), checked) {
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

// healthy is how many healthy tasks a rollout has.
func (p *pass) healthy(deployment string) int {
	n := 0
	for i := range p.tasks {
		x := p.rec.Observed(p.tasks[i].seen(), p.health)
		if x.Deployment == deployment && !x.Stopping && !x.Retired && p.serves(x) {
			n++
		}
	}
	return n
}

// serves tells whether a task does what it is there for.
func (p *pass) serves(x deploy.Task) bool {
	return x.Running && (x.Container == deploy.None || x.Container == deploy.Healthy) && (!p.rec.Balanced() || x.Bare || x.Target == deploy.TargetHealthy)
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
	if g := p.rec.Green(); g != nil {
		live[g.Blue] = true // what to go back to
	}
	primary := 0
	p.rec.Rollouts = slices.DeleteFunc(slices.Clone(p.rec.Rollouts), func(r rollout.Rollout) bool {
		primary++
		return primary > 1 && !live[aws.Val(r.Id)]
	})
	ongoing := p.deployment.Ongoing()
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
	p.rec.Unplaceable = p.rec.Unplaceable && len(p.plan.Start) > 0
	if ongoing {
		p.show()
	}
}

// count counts the tasks of the service and of each rollout. A task behind a
// load balancer runs, for ECS, once its targets are registered.
func (p *pass) count() {
	running, pending := map[string]int32{}, map[string]int32{}
	var allRunning, allPending int32
	for i := range p.tasks {
		t := &p.tasks[i]
		x := p.rec.Observed(t.seen(), p.health)
		switch id := aws.Val(t.StartedBy); {
		case stopping(t):
		case x.Running && (!p.rec.Balanced() || x.Bare || x.Target != deploy.Absent || x.Retired):
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
		for k := range p.started {
			if aws.Val(p.started[k].StartedBy) == id {
				waiting++
			}
		}
		r.RunningCount, r.PendingCount, r.FailedTasks = aws.Ptr(running[id]), &waiting, aws.Ptr(int32(r.Failures))
	}
	p.rec.RunningCount, p.rec.PendingCount = &allRunning, &allPending
}

// complete writes down that the service is what it should be.
func (p *pass) complete() {
	r := p.rec.Primary()
	if aws.Val(r.RolloutState) != ecsapi.DeploymentRolloutStateCompleted {
		r.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateCompleted)
		r.RolloutStateReason = aws.Ptr("ECS deployment " + aws.Val(r.Id) + " completed.")
		r.UpdatedAt = &p.now
		r.Shift, r.Blue = nil, ""
		stable := *r
		p.rec.Stable = &stable
		p.deployment.Finish(p.now)
		p.finished = true
		p.say(events.Completed(aws.Val(r.Id)))
	}
	if !p.rec.Calm {
		p.rec.Calm = true
		p.say(events.Steady)
	}
}

// asked does what StopServiceDeployment was called for.
func (p *pass) asked() {
	if p.deployment.Asked != "" && p.rec.Primary() != nil {
		p.giveUp(revision.Stopped, p.deployment.Asked == ecsapi.StopServiceDeploymentStopTypeRollback, events.Asked)
	}
}

// trip gives the primary deployment up for the failures of its tasks.
func (p *pass) trip() {
	breaker := p.rec.DeploymentConfiguration.DeploymentCircuitBreaker
	p.giveUp(revision.Tripped, aws.Val(breaker.Rollback), events.Tripped)
}

// giveUp gives the primary deployment up and, where that is wanted, goes back to
// the last one that was completed.
func (p *pass) giveUp(cause revision.Cause, rollback bool, words events.GivenUp) {
	p.show()
	failed := p.rec.Primary()
	failed.GivenUp = true
	failed.RolloutState, failed.UpdatedAt = aws.Ptr(ecsapi.DeploymentRolloutStateFailed), &p.now
	failed.RolloutStateReason = aws.Ptr(words.Reason())
	p.say(words.Failed(aws.Val(failed.Id)))
	back := p.rec.WayBack()
	if !rollback && p.rec.Green() == nil || back == nil {
		p.deployment.Fail(cause, p.now)
		return
	}
	p.deployment.RollBack(p.rec.RevisionARN(back.Id), cause, p.now)
	p.rec.GoBack(*back, &p.now)
	p.rec.Primary().RolloutStateReason = aws.Ptr(words.RollingBack(aws.Val(back.Id)))
	p.say(events.RollingBack(aws.Val(back.Id)))
}

// noteZones tells that zones are being evened out, and when they are even.
func (p *pass) noteZones() {
	if p.plan.Rebalancing == p.rec.Rebalancing || !p.plan.Rebalancing && !p.plan.Steady {
		return
	}
	p.rec.Rebalancing = p.plan.Rebalancing
	perZone := map[string]int{}
	for _, sub := range p.rec.Primary().Subnets {
		perZone[sub.Zone] = 0
	}
	for i := range p.tasks {
		if !stopping(&p.tasks[i]) {
			perZone[p.tasks[i].Subnet.Zone]++
		}
	}
	p.say(events.Zones(perZone, !p.plan.Rebalancing))
}

// show writes down how far the service deployment is.
func (p *pass) show() {
	counts, failures := map[string]revision.Count{}, 0
	for i := range p.rec.Rollouts {
		x := &p.rec.Rollouts[i]
		counts[p.rec.RevisionARN(x.Id)] = p.rec.Count(x)
		if i == 0 {
			failures = x.Failures
		}
	}
	p.deployment.Show(counts, failures, p.rec.Wanted(p.Clock.Paced).Threshold())
}

// putImages writes into the rollouts' revisions which images their tags turned
// out to mean.
func (p *pass) putImages(tx *store.Tx) error {
	for id, images := range p.resolved {
		key := p.rec.History(revision.Of(id))
		rec, found, err := p.revisions().TxGet(tx, key...)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		rec.ContainerImages = images
		if err := p.revisions().TxPut(tx, rec, key...); err != nil {
			return err
		}
	}
	return nil
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
func (p *pass) resolveImages(r *rollout.Rollout, d *taskDefinitionRecord) error {
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
