package ecs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/controller"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
	"minato/services/ecs/record"
	"minato/services/ecs/revision"
	"minato/services/ecs/rollout"
	"minato/store"
)

// serviceReconciler brings services to what is wanted of them.
const serviceReconciler = "ecs-service"

// How often a service is looked at although nothing woke it.
const (
	lookUnsteady = time.Second // a rollout waits for something that publishes nothing
	lookSteady   = 30 * time.Second
)

// maxTasks is how many tasks one pass starts, and stops: a transaction has room
// for so many.
const maxTasks = 40

// serviceLoop is the reconciler of services; keys are those of their records.
type serviceLoop struct{ *Service }

// addServiceReconciler adds it, woken by changes of services, of their tasks and
// of the health of their targets.
func (s *Service) addServiceReconciler(c *controller.Controller) {
	l := &serviceLoop{s}
	c.Add(serviceReconciler, l, controller.Options{Workers: 4, Resync: lookSteady})
	c.Wake(serviceReconciler, s.services().Prefix(), nil)
	c.Wake(serviceReconciler, s.tasks.Prefix(), func(key string) string {
		t, found, err := s.tasks.ReadKey(s.bgCtx, key)
		if err != nil || !found {
			return "" // the resync finds what this missed
		}
		name, ok := t.OfService()
		if !ok {
			return ""
		}
		return s.services().Key(t.Place.Account, t.Place.Region, t.Cluster, name)
	})
	c.Wake(serviceReconciler, "arn:aws:elasticloadbalancing:", s.serviceOfGroup)
}

// serviceOfGroup is the key of the service that registers targets in a group.
func (s *Service) serviceOfGroup(group string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.groupOwners[group]
}

// ownGroups remembers whose target groups are whose, so that a change of health
// leads to the service.
func (s *Service) ownGroups(r *rollout.Service) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groupOwners == nil {
		s.groupOwners = map[string]string{}
	}
	for _, g := range r.Groups() {
		s.groupOwners[g] = s.services().Key(r.IDs()...)
	}
}

// Keys implements controller.Reconciler.
func (l *serviceLoop) Keys(ctx context.Context) ([]string, error) { return l.services().Keys(ctx) }

// Reconcile looks at everything, plans, and does it: first what can be done
// twice (targets), then, in one transaction, what cannot (new tasks, marks,
// counts and the events that tell of it).
func (l *serviceLoop) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	rec, found, err := l.services().GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	if aws.Val(rec.Status) == statusInactive {
		return l.forget(ctx, &rec)
	}
	l.ownGroups(&rec)
	ctx = own(ctx, rec.Place)
	tasks, err := l.tasksOf(ctx, rec.Cluster)
	if err != nil {
		return controller.Result{}, err
	}
	tasks = slices.DeleteFunc(tasks, func(t record.Task) bool {
		// An earlier service of this name may have left stopped tasks. Which came
		// first is no way to tell: the clock may have been set back.
		return aws.Val(t.Group) != rec.Group() || !t.Service.IsZero() && !t.Service.Equal(aws.Val(rec.CreatedAt))
	})
	p := &pass{serviceLoop: l, ctx: ctx, rec: &rec, tasks: tasks, now: l.Clock.Now().UTC(), generation: rec.Generation, resolved: map[string][]ecsapi.ContainerImage{}}
	if err := p.run(); err != nil {
		return controller.Result{}, err
	}
	if p.finished {
		if err := l.forgetHistory(ctx, p.rec, p.now); err != nil {
			return controller.Result{}, err
		}
	}
	after := lookSteady
	if !p.plan.Steady || p.deployment.Ongoing() {
		after = lookUnsteady
	}
	for _, w := range []time.Time{p.plan.Wake, p.wake} {
		if !w.IsZero() {
			after = max(min(after, w.Sub(p.now)), time.Millisecond)
		}
	}
	return controller.Result{After: after}, nil
}

// forget removes the record of a service that has been gone for long enough.
func (l *serviceLoop) forget(ctx context.Context, r *rollout.Service) (controller.Result, error) {
	if left := aws.Val(r.Ended).Add(serviceKept).Sub(l.Clock.Now()); left > 0 {
		return controller.Result{After: left}, nil
	}
	if err := l.forgetHistory(ctx, r, aws.Val(r.Ended).Add(revision.Kept)); err != nil {
		return controller.Result{}, err
	}
	return controller.Result{}, store.Update(ctx, l.Store, func(tx *store.Tx) error {
		// A new service may have taken its place meanwhile.
		have, found, err := l.services().TxGet(tx, r.IDs()...)
		if err == nil && found && aws.Val(have.Status) == statusInactive {
			l.services().TxDelete(tx, r.IDs()...)
		}
		return err
	})
}

// pass is one look at a service.
type pass struct {
	*serviceLoop
	ctx        context.Context  // ECS's own identity
	rec        *rollout.Service // as it will be written
	tasks      []record.Task
	seen       []*rollout.Task // the same, as the rollouts see them
	health     deploy.Health
	plan       deploy.Actions
	deployment revision.Deployment // the last one; nothing for a service without
	now        time.Time
	wake       time.Time      // when to look again for the sake of shifted traffic; zero for never
	generation int            // of what the plan was made for
	raised     []string       // alarms that end the deployment
	bake       time.Duration  // how long alarms are watched once all tasks are there
	done       []events.Event // of what was done to targets
	events     []events.Event // the others, said when the pass is written
	started    []record.Task
	stopped    map[string]record.Stop
	finished   bool                               // the deployment was
	resolved   map[string][]ecsapi.ContainerImage // of rollouts whose tasks were started
}

// say keeps an event for the end of the pass.
func (p *pass) say(text string) { p.events = append(p.events, events.Event{Text: text}) }

// did keeps an event of what is done by now, and told even if the pass is not
// written.
func (p *pass) did(e events.Event) { p.done = append(p.done, e) }

// at is Clock.At of what has happened.
func (p *pass) at(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return p.Clock.At(t)
}

func (p *pass) run() error {
	var err error
	if p.health, err = p.readHealth(); err != nil {
		return err
	}
	if p.deployment, _, err = p.deployments().Get(p.ctx, p.rec.History(p.rec.Deployment)...); err != nil {
		return err
	}
	if err := p.alarms(); err != nil {
		return err
	}
	p.deployment.Start(p.now)
	// What is asked below is how long ago something was, and the clock may have
	// been set since.
	p.rec.At = p.Clock.At
	for i := range p.tasks {
		t := p.tasks[i].Seen()
		t.Created, t.Started, t.Ended = p.at(t.Created), p.at(t.Started), p.at(t.Ended)
		p.seen = append(p.seen, t)
	}
	for _, text := range p.rec.Notice(p.seen, p.health, p.Clock.Paced(p.rec.Grace()), p.now) {
		p.say(text)
	}
	p.asked()
	if err := p.shift(); err != nil {
		return err
	}
	var seen []deploy.Task
	for _, t := range p.seen {
		seen = append(seen, p.rec.Observed(t, p.health))
	}
	p.plan = p.rec.Plan(seen, len(p.raised) > 0, p.Clock.Paced, p.now)
	p.noteZones()
	if err := p.register(); err != nil {
		return err
	}
	if err := p.deregister(); err != nil {
		return err
	}
	p.retire()
	p.stop()
	if err := p.start(); err != nil {
		return err
	}
	p.conclude()
	return p.commit()
}

// readHealth asks ELB about every target of the service's groups.
func (p *pass) readHealth() (deploy.Health, error) {
	out := deploy.Health{}
	for _, group := range p.rec.Groups() {
		h, err := p.ELB.DescribeTargetHealth(p.ctx, &elbapi.DescribeTargetHealthInput{TargetGroupArn: &group})
		if err != nil {
			if aws.IsCode(err, "TargetGroupNotFound") {
				continue // deleted under the service: its tasks have no targets
			}
			return nil, err
		}
		for _, d := range h.TargetHealthDescriptions {
			out[deploy.Place{Group: group, IP: aws.Val(d.Target.Id), Port: aws.Val(d.Target.Port)}] = targetStateOf(d.TargetHealth)
		}
	}
	return out, nil
}

// register registers the targets of tasks that have come to run. What the load
// balancer does not take is told, once, and tried again.
func (p *pass) register() error {
	coming := map[string]bool{}
	for _, id := range p.plan.Register {
		coming[id] = true
	}
	absent := func(t deploy.Place) bool { return p.health[t].State == deploy.Absent }
	refused := ""
	err := p.perGroup(coming, absent, func(group string, targets []elbapi.TargetDescription) error {
		_, err := p.ELB.RegisterTargets(p.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		switch {
		case err == nil:
			p.did(events.Event{Text: events.Registered(len(targets), group)})
		case aws.AsError(err).HTTPStatus() >= 500:
			return err
		case gone(err) != nil:
			refused = events.NotRegistered(group, aws.AsError(err).Message)
		}
		return nil
	})
	if refused != "" && refused != p.rec.Refused {
		p.say(refused)
	}
	p.rec.Refused = refused
	return err
}

// deregister takes the targets of retired tasks out, and those of tasks that
// ended without being asked to, as long as they can be theirs.
func (p *pass) deregister() error {
	registered := func(t deploy.Place) bool {
		x := p.health[t].State
		return x != deploy.Absent && x != deploy.Draining
	}
	going, living := map[string]bool{}, map[string]bool{} // tasks, addresses
	for _, id := range p.plan.Deregister {
		going[id] = true
	}
	for i := range p.tasks {
		living[p.tasks[i].Address] = living[p.tasks[i].Address] || !p.tasks[i].Stopping()
	}
	draining := map[string]int{} // tasks, by rollout
	for _, t := range p.seen {
		in := slices.ContainsFunc(p.rec.TargetsOf(t), registered)
		if n := p.rec.Notes[t.ID]; t.Stopping && !n.Out {
			going[t.ID] = in && !living[t.Address]
			n.Out = !going[t.ID]
			p.rec.Notes[t.ID] = n
		}
		if in && going[t.ID] {
			draining[t.Deployment]++
		}
	}
	err := p.perGroup(going, registered, func(group string, targets []elbapi.TargetDescription) error {
		_, err := p.ELB.DeregisterTargets(p.ctx, &elbapi.DeregisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		if err == nil {
			p.did(events.Event{Text: events.Deregistered(len(targets), group)})
		}
		return gone(err)
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(draining)) {
		p.did(events.Event{TaskSet: id, Text: events.Draining(draining[id])})
	}
	return nil
}

// gone forgives a target group that was deleted under the service.
func gone(err error) error {
	if aws.IsCode(err, "TargetGroupNotFound") {
		return nil
	}
	return err
}

// perGroup calls f once for each target group with the targets of tasks that a
// filter keeps.
func (p *pass) perGroup(tasks map[string]bool, keep func(deploy.Place) bool, f func(group string, targets []elbapi.TargetDescription) error) error {
	lists := map[string][]elbapi.TargetDescription{}
	for i := range p.tasks {
		if !tasks[p.tasks[i].ID] {
			continue
		}
		for _, t := range p.rec.TargetsOf(p.seen[i]) {
			if keep(t) {
				lists[t.Group] = append(lists[t.Group], elbapi.TargetDescription{Id: aws.Ptr(t.IP), Port: aws.Ptr(t.Port)})
			}
		}
	}
	for _, group := range p.rec.Groups() {
		if list := lists[group]; len(list) > 0 {
			if err := f(group, list); err != nil {
				return err
			}
		}
	}
	return nil
}

// retire marks the tasks that have to go.
func (p *pass) retire() {
	for _, r := range p.plan.Retire {
		n := p.rec.Notes[r.Task]
		n.Retired, n.Reason = true, r.Reason
		if r.Reason == deploy.FailedTarget {
			n.Group = p.failing(r.Task)
		}
		p.rec.Notes[r.Task] = n
	}
}

// failing is the target group whose checks a task fails.
func (p *pass) failing(id string) string {
	for i := range p.tasks {
		for _, t := range p.rec.TargetsOf(p.seen[i]) {
			if p.tasks[i].ID == id && p.health[t].State == deploy.TargetUnhealthy {
				return t.Group
			}
		}
	}
	return ""
}

// stop has retired tasks stopped whose targets are gone.
func (p *pass) stop() {
	p.stopped = map[string]record.Stop{}
	p.plan.Stop = p.plan.Stop[:min(len(p.plan.Stop), maxTasks)]
	for _, id := range p.plan.Stop {
		request := record.Stop{Code: ecsapi.TaskStopCodeServiceSchedulerInitiated}
		switch p.rec.Notes[id].Reason {
		case deploy.FailedTarget:
			request.Reason = events.FailedTarget(p.rec.Notes[id].Group)
		case deploy.FailedContainer:
			request.Reason = events.FailedContainer
		default:
			i := slices.IndexFunc(p.tasks, func(t record.Task) bool { return t.ID == id })
			request.Reason = events.Scaled(aws.Val(p.tasks[i].StartedBy))
		}
		p.stopped[id] = request
	}
	if len(p.plan.Stop) > 0 {
		p.say(events.Stopped(p.plan.Stop, p.evened(p.plan.Stop)))
	}
}

// evened is the zone of the task that goes, or comes, to even out the zones; ""
// for any other reason.
func (p *pass) evened(ids []string) string {
	all := slices.Concat(p.tasks, p.started)
	i := slices.IndexFunc(all, func(t record.Task) bool { return t.ID == ids[0] })
	if !p.rec.Rebalancing || len(ids) != 1 || i < 0 {
		return ""
	}
	return all[i].Subnet.Zone
}

// start makes the records of new tasks.
func (p *pass) start() error {
	starts := p.plan.Start[:min(len(p.plan.Start), maxTasks)]
	for len(starts) > 0 {
		// Those of one rollout after those of another: the list is in that order.
		n := slices.IndexFunc(starts, func(x deploy.Start) bool { return x.Deployment != starts[0].Deployment })
		if n < 0 {
			n = len(starts)
		}
		if err := p.startOf(p.rec.Find(starts[0].Deployment), starts[:n]); err != nil {
			return err
		}
		starts = starts[n:]
	}
	return nil
}

// startOf makes the records of new tasks of a rollout.
func (p *pass) startOf(r *rollout.Rollout, starts []deploy.Start) error {
	if t := aws.Val(r.LaunchType); t == ecsapi.LaunchTypeEc2 || t == ecsapi.LaunchTypeExternal {
		if !p.rec.Unplaceable {
			p.say(events.NoInstances)
		}
		p.rec.Unplaceable = true
		return nil
	}
	definition, found, err := p.definition(p.ctx, p.rec.Place, aws.Val(r.TaskDefinition))
	if err != nil {
		return err
	}
	if !found {
		return errors.New("the task definition " + aws.Val(r.TaskDefinition) + " is gone")
	}
	if err := p.resolveImages(r, &definition); err != nil {
		return err
	}
	p.resolved[aws.Val(r.Id)] = r.Resolved(&definition.TaskDefinition)
	var names []string
	placed := map[string]int{}
	for i := range p.tasks {
		if t := &p.tasks[i]; !t.Stopping() && aws.Val(t.StartedBy) == aws.Val(r.Id) {
			placed[aws.Val(t.CapacityProviderName)]++
		}
	}
	for i, x := range starts {
		provider := deploy.NextProvider(rollout.Shares(r.CapacityProviderStrategy), placed)
		placed[provider]++
		t := record.NewTask(p.rec.Place, record.Request{
			Cluster: p.rec.Cluster, Definition: &definition, VPC: r.NetworkConfiguration.AwsvpcConfiguration, Subnet: rollout.In(r.Subnets, x.Zone, len(p.tasks)+i),
			Group: p.rec.Group(), StartedBy: aws.Val(r.Id), CapacityProvider: provider,
			Tags: p.rec.TaskTags(definition.Tags), ExecuteCommand: aws.Val(p.rec.EnableExecuteCommand),
		}, p.Service.now())
		t.Digests, t.Service = r.Images, aws.Val(p.rec.CreatedAt)
		p.started = append(p.started, t)
		names = append(names, t.ID)
	}
	p.say(events.Started(names, p.evened(names)))
	return nil
}

// commit writes the pass. When an operation has changed the service meanwhile,
// only what was really done is written down, and the service is looked at again.
func (p *pass) commit() error {
	again := false
	err := store.Update(p.ctx, p.Store, func(tx *store.Tx) error {
		again = false
		have, found, err := p.services().TxGet(tx, p.rec.IDs()...)
		if err != nil || !found {
			return err
		}
		next := *p.rec
		if again = have.Generation != p.generation; again {
			next = have
		}
		next.Tags, next.Events = have.Tags, have.Events
		for _, e := range p.done {
			next.Say(p.now, e)
		}
		if again {
			return p.services().TxPut(tx, next, p.rec.IDs()...)
		}
		for _, e := range p.events {
			next.Say(p.now, e)
		}
		if p.rec.Deployment != "" {
			if err := p.deployments().TxPut(tx, p.deployment, p.rec.History(p.rec.Deployment)...); err != nil {
				return err
			}
		}
		if err := p.putImages(tx); err != nil {
			return err
		}
		for id, request := range p.stopped {
			if _, _, err := p.stopTask(tx, p.rec.Place, id, request); err != nil {
				return err
			}
		}
		for _, t := range p.started {
			if err := p.putTask(tx, t); err != nil {
				return err
			}
		}
		return p.services().TxPut(tx, next, p.rec.IDs()...)
	})
	if err == nil && again {
		p.plan.Steady, p.plan.Wake = false, p.now
	}
	return err
}
