package ecs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/controller"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
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
		t, found, err := s.tasks.GetKey(s.bgCtx, key)
		if err != nil || !found {
			return "" // the resync finds what this missed
		}
		name, ok := strings.CutPrefix(aws.Val(t.Group), groupOfService(""))
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
func (s *Service) ownGroups(r *serviceRecord) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groupOwners == nil {
		s.groupOwners = map[string]string{}
	}
	for _, lb := range r.LoadBalancers {
		s.groupOwners[aws.Val(lb.TargetGroupArn)] = s.services().Key(r.ids()...)
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
	tasks = slices.DeleteFunc(tasks, func(t taskRecord) bool {
		// An earlier service of this name may have left stopped tasks.
		return aws.Val(t.Group) != rec.group() || aws.Val(t.CreatedAt).Before(aws.Val(rec.CreatedAt))
	})
	p := &pass{serviceLoop: l, ctx: ctx, rec: &rec, tasks: tasks, now: l.Clock.Now().UTC(), generation: rec.Generation}
	if err := p.run(); err != nil {
		return controller.Result{}, err
	}
	after := lookSteady
	if !p.plan.Steady {
		after = lookUnsteady
	}
	if w := p.plan.Wake; !w.IsZero() {
		after = max(min(after, w.Sub(p.now)), time.Millisecond)
	}
	return controller.Result{After: after}, nil
}

// forget removes the record of a service that has been gone for long enough.
func (l *serviceLoop) forget(ctx context.Context, r *serviceRecord) (controller.Result, error) {
	if left := aws.Val(r.Ended).Add(serviceKept).Sub(l.Clock.Now()); left > 0 {
		return controller.Result{After: left}, nil
	}
	return controller.Result{}, store.Update(ctx, l.Store, func(tx *store.Tx) error {
		// A new service may have taken its place meanwhile.
		have, found, err := l.services().TxGet(tx, r.ids()...)
		if err == nil && found && aws.Val(have.Status) == statusInactive {
			l.services().TxDelete(tx, r.ids()...)
		}
		return err
	})
}

// pass is one look at a service.
type pass struct {
	*serviceLoop
	ctx        context.Context // ECS's own identity
	rec        *serviceRecord  // as it will be written
	tasks      []taskRecord
	health     deploy.Health
	plan       deploy.Actions
	now        time.Time
	generation int      // of what the plan was made for
	done       []string // events of what was done to targets
	events     []string // the others, said when the pass is written
	started    []taskRecord
	stopped    map[string]stopRequest
}

// say keeps an event for the end of the pass.
func (p *pass) say(text string) { p.events = append(p.events, text) }

func (p *pass) run() error {
	var err error
	if p.health, err = p.readHealth(); err != nil {
		return err
	}
	p.note()
	var seen []deploy.Task
	for i := range p.tasks {
		seen = append(seen, p.rec.observed(&p.tasks[i], p.health))
	}
	p.plan = deploy.Plan(p.rec.wanted(p.Clock.Paced), p.rec.deployments(), seen, p.now)
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
	for _, lb := range p.rec.LoadBalancers {
		group := aws.Val(lb.TargetGroupArn)
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

// register registers the targets of tasks that have come to run.
func (p *pass) register() error {
	return p.perGroup(p.plan.Register, func(t deploy.Place) bool { return p.health[t].State == deploy.Absent }, func(group string, targets []elbapi.TargetDescription) error {
		_, err := p.ELB.RegisterTargets(p.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		if err == nil {
			p.done = append(p.done, events.Registered(len(targets), group))
		}
		return gone(err)
	})
}

// deregister takes the targets of retired tasks out, and those of tasks that
// ended without being asked to.
func (p *pass) deregister() error {
	list := slices.Clone(p.plan.Deregister)
	for i := range p.tasks {
		if stopping(&p.tasks[i]) && !p.addressInUse(&p.tasks[i]) {
			list = append(list, p.tasks[i].ID)
		}
	}
	registered := func(t deploy.Place) bool {
		x := p.health[t].State
		return x != deploy.Absent && x != deploy.Draining
	}
	draining := 0
	err := p.perGroup(list, registered, func(group string, targets []elbapi.TargetDescription) error {
		_, err := p.ELB.DeregisterTargets(p.ctx, &elbapi.DeregisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		if err == nil {
			draining = max(draining, len(targets))
			p.done = append(p.done, events.Deregistered(len(targets), group))
		}
		return gone(err)
	})
	if draining > 0 {
		p.done = append(p.done, events.Draining(draining))
	}
	return err
}

// addressInUse tells whether a task that lives has the address of one that
// ended: then the target is the living one's.
func (p *pass) addressInUse(ended *taskRecord) bool {
	return ended.Address != "" && slices.ContainsFunc(p.tasks, func(t taskRecord) bool { return !stopping(&t) && t.Address == ended.Address })
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
func (p *pass) perGroup(ids []string, keep func(deploy.Place) bool, f func(group string, targets []elbapi.TargetDescription) error) error {
	for _, lb := range p.rec.LoadBalancers {
		var list []elbapi.TargetDescription
		for i := range p.tasks {
			if !slices.Contains(ids, p.tasks[i].ID) {
				continue
			}
			for _, t := range p.rec.targetsOf(&p.tasks[i]) {
				if t.Group == aws.Val(lb.TargetGroupArn) && t.Port == aws.Val(lb.ContainerPort) && keep(t) {
					list = append(list, elbapi.TargetDescription{Id: aws.Ptr(t.IP), Port: aws.Ptr(t.Port)})
				}
			}
		}
		if len(list) > 0 {
			if err := f(aws.Val(lb.TargetGroupArn), list); err != nil {
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
		p.rec.Notes[r.Task] = n
	}
}

// stop has retired tasks stopped whose targets are gone.
func (p *pass) stop() {
	p.stopped = map[string]stopRequest{}
	p.plan.Stop = p.plan.Stop[:min(len(p.plan.Stop), maxTasks)]
	for _, id := range p.plan.Stop {
		request := stopRequest{Code: ecsapi.TaskStopCodeServiceSchedulerInitiated}
		switch p.rec.Notes[id].Reason {
		case deploy.FailedTarget:
			group := ""
			if p.rec.balanced() {
				group = aws.Val(p.rec.LoadBalancers[0].TargetGroupArn)
			}
			request.Reason = events.FailedTarget(group)
		case deploy.FailedContainer:
			request.Reason = events.FailedContainer
		default:
			i := slices.IndexFunc(p.tasks, func(t taskRecord) bool { return t.ID == id })
			request.Reason = events.Scaled(aws.Val(p.tasks[i].StartedBy))
		}
		p.stopped[id] = request
	}
	if len(p.plan.Stop) > 0 {
		p.say(events.Stopped(p.plan.Stop))
	}
}

// start makes the records of new tasks.
func (p *pass) start() error {
	starts := p.plan.Start[:min(len(p.plan.Start), maxTasks)]
	if len(starts) == 0 {
		return nil
	}
	primary := p.rec.primary()
	definition, found, err := p.definition(p.ctx, p.rec.Place, aws.Val(primary.TaskDefinition))
	if err != nil {
		return err
	}
	if !found {
		return errors.New("the task definition " + aws.Val(primary.TaskDefinition) + " is gone")
	}
	if err := p.resolveImages(&definition); err != nil {
		return err
	}
	var names []string
	placed := map[string]int{}
	for i := range p.tasks {
		if t := &p.tasks[i]; !stopping(t) && aws.Val(t.StartedBy) == aws.Val(primary.Id) {
			placed[aws.Val(t.CapacityProviderName)]++
		}
	}
	for i, x := range starts {
		provider := deploy.NextProvider(shares(primary.CapacityProviderStrategy), placed)
		placed[provider]++
		t := p.newTask(p.rec.Place, taskRequest{
			Cluster: p.rec.Cluster, Definition: &definition, VPC: primary.NetworkConfiguration.AwsvpcConfiguration, Subnet: subnetIn(primary.Subnets, x.Zone, len(p.tasks)+i),
			Group: p.rec.group(), StartedBy: aws.Val(primary.Id), CapacityProvider: provider,
			Tags: p.rec.taskTags(&definition), ExecuteCommand: aws.Val(p.rec.EnableExecuteCommand),
		})
		t.Digests = primary.Images
		p.started = append(p.started, t)
		names = append(names, t.ID)
	}
	p.say(events.Started(names))
	return nil
}

// subnetIn picks a zone's subnets by turns.
func subnetIn(subnets []taskSubnet, zone string, turn int) taskSubnet {
	var in []taskSubnet
	for _, s := range subnets {
		if s.Zone == zone {
			in = append(in, s)
		}
	}
	return in[turn%len(in)]
}

// taskTags are the tags of the service's new tasks.
func (r *serviceRecord) taskTags(d *taskDefinitionRecord) []ecsapi.Tag {
	var out []ecsapi.Tag
	switch aws.Val(r.PropagateTags) {
	case ecsapi.PropagateTagsService:
		out = slices.Clone(r.Tags)
	case ecsapi.PropagateTagsTaskDefinition:
		out = slices.Clone(d.Tags)
	}
	if aws.Val(r.EnableECSManagedTags) {
		out = mergeTags(out, []ecsapi.Tag{
			{Key: aws.Ptr("aws:ecs:clusterName"), Value: &r.Cluster},
			{Key: aws.Ptr("aws:ecs:serviceName"), Value: r.ServiceName},
		})
	}
	return out
}

// commit writes the pass. When an operation has changed the service meanwhile,
// only what was really done is written down, and the service is looked at again.
func (p *pass) commit() error {
	again := false
	err := store.Update(p.ctx, p.Store, func(tx *store.Tx) error {
		again = false
		have, found, err := p.services().TxGet(tx, p.rec.ids()...)
		if err != nil || !found {
			return err
		}
		next := *p.rec
		if again = have.Generation != p.generation; again {
			next = have
		}
		next.Tags, next.Events = have.Tags, have.Events
		for _, e := range p.done {
			next.say(p.now, "%s", e)
		}
		if again {
			return p.services().TxPut(tx, next, p.rec.ids()...)
		}
		for _, e := range p.events {
			next.say(p.now, "%s", e)
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
		return p.services().TxPut(tx, next, p.rec.ids()...)
	})
	if err == nil && again {
		p.plan.Steady, p.plan.Wake = false, p.now
	}
	return err
}
