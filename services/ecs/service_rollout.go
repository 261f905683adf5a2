package ecs

import (
	"maps"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/events"
	"minato/services/ecs/life"
	"minato/services/ecs/pull"
	"minato/services/ecs/record"
	"minato/services/ecs/revision"
	"minato/services/ecs/rollout"
	"minato/store"
)

// conclude writes down where the rollouts stand.
func (p *pass) conclude() {
	started := map[string]int32{}
	for i := range p.started {
		started[aws.Val(p.started[i].StartedBy)]++
	}
	p.rec.Tally(p.seen, p.health, started)
	live := map[string]bool{}
	for i := range p.tasks {
		if !p.tasks[i].Stopping() {
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
	case p.plan.Alarm:
		p.giveUp(revision.Alarmed(p.raised), aws.Val(p.rec.DeploymentConfiguration.Alarms.Rollback), events.Alarmed)
	case p.plan.Steady && len(p.rec.Rollouts) == 1 && p.baked():
		p.complete()
	default:
		p.rec.Calm = false
	}
	if r := p.rec.Primary(); r != nil && !p.plan.Steady {
		r.SteadyAt = time.Time{}
	}
	if p.plan.Stuck && !p.rec.Stuck {
		p.say(events.Stuck)
	}
	p.rec.Stuck = p.plan.Stuck
	for _, id := range slices.Sorted(maps.Keys(p.plan.Protected)) {
		if n := p.plan.Protected[id]; n != p.rec.Protected[id] {
			p.events = append(p.events, events.Event{TaskSet: id, Text: events.Protected(n)})
		}
	}
	p.rec.Protected = p.plan.Protected
	p.rec.Unplaceable = p.rec.Unplaceable && len(p.plan.Start) > 0
	if ongoing {
		p.show()
	}
}

// complete writes down that the service is what it should be, and its deployment
// completed, unless that was given up before.
func (p *pass) complete() {
	r := p.rec.Primary()
	if !r.GivenUp && aws.Val(r.RolloutState) != ecsapi.DeploymentRolloutStateCompleted {
		r.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateCompleted)
		r.RolloutStateReason = aws.Ptr("ECS deployment " + aws.Val(r.Id) + " completed.")
		r.UpdatedAt = &p.now
		r.Shift, r.Blue, r.SteadyAt = nil, "", time.Time{}
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

// alarms asks CloudWatch for the alarms that guard the deployment. Those that are
// raised when it begins are not watched.
func (p *pass) alarms() error {
	begins := aws.Val(p.deployment.Status) == ecsapi.ServiceDeploymentStatusPending
	if c := p.rec.DeploymentConfiguration.Alarms; c == nil || !aws.Val(c.Enable) || !begins && !p.deployment.Monitoring() {
		return nil
	}
	out, err := p.Alarms.DescribeAlarms(p.ctx, &cwapi.DescribeAlarmsInput{
		AlarmNames: p.deployment.Alarms.AlarmNames, AlarmTypes: []string{cwapi.AlarmTypeMetricAlarm, cwapi.AlarmTypeCompositeAlarm},
	})
	if err != nil {
		return err
	}
	p.bake = leastBake
	for _, a := range out.MetricAlarms {
		if aws.Val(a.StateValue) == cwapi.StateValueAlarm {
			p.raised = append(p.raised, aws.Val(a.AlarmName))
		}
		p.bake = max(p.bake, time.Duration(aws.Val(a.Period)*aws.Val(a.EvaluationPeriods))*time.Second)
	}
	for _, a := range out.CompositeAlarms {
		if aws.Val(a.StateValue) == cwapi.StateValueAlarm {
			p.raised = append(p.raised, aws.Val(a.AlarmName))
		}
	}
	if begins && len(p.raised) > 0 {
		p.deployment.Ignore()
		p.raised = nil
	}
	return nil
}

// leastBake is how long alarms are watched at least once all tasks are there; it
// is as long as the longest of them takes to see.
const leastBake = time.Minute

// baked tells whether alarms have been watched for long enough.
func (p *pass) baked() bool {
	r := p.rec.Primary()
	if !p.deployment.Monitoring() || r.Shift != nil {
		return true // shifted traffic has a bake time of its own
	}
	if r.SteadyAt.IsZero() {
		r.SteadyAt = p.now
	}
	return !p.now.Before(p.at(r.SteadyAt).Add(p.Clock.Paced(p.bake)))
}

// asked does what StopServiceDeployment was called for.
func (p *pass) asked() {
	if r := p.rec.Primary(); r != nil && r.Shift != nil && r.Shift.Over() {
		p.deployment.Asked = "" // too late
	}
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
		if !p.tasks[i].Stopping() {
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
		if aws.Val(p.tasks[i].LastStatus) != life.Stopped {
			return
		}
	}
	p.rec.Status, p.rec.Ended = aws.Ptr(statusInactive), &p.now
	p.rec.Rollouts, p.rec.Notes, p.rec.Stable = nil, nil, nil
}

// resolveImages finds out, once a deployment, which digests the tags of its
// images have now. For another registry that is what the first task finds. What
// is not there yet keeps its tag: the task says what is wrong with it.
func (p *pass) resolveImages(r *rollout.Rollout, d *record.TaskDefinition) error {
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
