package deploy

import (
	"cmp"
	"slices"
	"time"
)

// state is a task with what it counts as.
type state struct {
	*Task
	primary bool
	healthy bool
	bad     bool
	kept    bool   // protected: neither a lower count nor a deployment ends it
	reason  Reason // why it is bad
}

// plan is the work of one call of Plan.
type plan struct {
	service *Service
	primary *Deployment
	now     time.Time
	live    []state // not stopping, retired ones included
	extra   int     // tasks beyond the count, while zones are evened out
	out     Actions
}

// Plan says what to do.
func Plan(s *Service, deployments []Deployment, tasks []Task, now time.Time) Actions {
	p := &plan{service: s, now: now}
	for i := range deployments {
		if deployments[i].Primary {
			p.primary = &deployments[i]
		}
	}
	for i := range tasks {
		if !tasks[i].Stopping {
			p.live = append(p.live, p.see(&tasks[i]))
		}
	}
	// Oldest first, so that the same state gives the same plan.
	slices.SortFunc(p.live, func(a, b state) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	p.finishRetired()
	p.rebalance()
	p.retireBad()
	p.retireSurplus()
	p.retireOld()
	p.register()
	p.start()
	p.conclude()
	return p.out
}

// see classifies a task.
func (p *plan) see(t *Task) state {
	x := state{Task: t, primary: p.primary != nil && t.Deployment == p.primary.ID}
	if x.kept = p.now.Before(t.Protected); x.kept {
		p.wake(t.Protected)
	}
	if !t.Running {
		return x
	}
	x.healthy = (t.Container == None || t.Container == Healthy) && (!p.service.Balanced || t.Bare || t.Target == TargetHealthy)
	if settled := t.Started.Add(p.service.Settle); x.healthy && !p.checked(t) && p.now.Before(settled) {
		p.wake(settled)
		x.healthy = false
	}
	if t.Container != Unhealthy && t.Target != TargetUnhealthy {
		return x
	}
	if over := t.Started.Add(p.service.Grace); p.now.Before(over) {
		p.wake(over)
		return x
	}
	x.bad, x.reason = true, FailedTarget
	if t.Container == Unhealthy {
		x.reason = FailedContainer
	}
	return x
}

// checked tells whether anybody looks at how a task does.
func (p *plan) checked(t *Task) bool {
	return t.Container != None || p.service.Balanced && !t.Bare
}

// wake asks for another plan at a time.
func (p *plan) wake(at time.Time) {
	if p.out.Wake.IsZero() || at.Before(p.out.Wake) {
		p.out.Wake = at
	}
}

// count counts live tasks that a filter keeps.
func (p *plan) count(keep func(*state) bool) int {
	n := 0
	for i := range p.live {
		if keep(&p.live[i]) {
			n++
		}
	}
	return n
}

func healthy(x *state) bool  { return x.healthy && !x.Retired }
func ours(x *state) bool     { return x.primary && !x.Retired }
func hopeful(x *state) bool  { return x.primary && !x.Retired && !x.bad }
func ourBad(x *state) bool   { return x.primary && !x.Retired && x.bad }
func everything(*state) bool { return true }

// retire marks a task; from here on it counts for nothing but room. The copy
// keeps the caller's tasks as they are.
func (p *plan) retire(x *state, reason Reason) {
	t := *x.Task
	t.Retired = true
	x.Task = &t
	p.out.Retire = append(p.out.Retire, Retirement{x.ID, reason})
}

// finishRetired moves retired tasks on: deregister, wait, stop.
func (p *plan) finishRetired() {
	for i := range p.live {
		x := &p.live[i]
		switch {
		case !x.Retired || x.Target == Draining:
		case x.Target == Absent:
			p.out.Stop = append(p.out.Stop, x.ID)
		default:
			p.out.Deregister = append(p.out.Deregister, x.ID)
		}
	}
}

// register gives running tasks their targets.
func (p *plan) register() {
	if !p.service.Balanced {
		return
	}
	for i := range p.live {
		if x := &p.live[i]; x.Running && !x.Retired && !x.Bare && x.Target == Absent {
			p.out.Register = append(p.out.Register, x.ID)
		}
	}
}

// retireBad lets bad tasks go. One of the primary deployment stays until its
// replacement is healthy, or has turned bad itself, or could not be started for
// want of room; those of older deployments have a replacement already.
func (p *plan) retireBad() {
	for i := range p.live {
		if x := &p.live[i]; x.bad && !x.Retired && !x.primary {
			p.retire(x, x.reason)
		}
	}
	vacant := max(p.service.Count()-p.count(func(x *state) bool { return x.primary && healthy(x) && !x.bad }), 0)
	excess := p.count(ourBad) - vacant
	if p.startable() {
		excess = max(excess, p.crowded())
	}
	for i := range p.live {
		if x := &p.live[i]; excess > 0 && ourBad(x) {
			p.retire(x, x.reason)
			excess--
		}
	}
}

// rebalance sees whether a zone has at least two healthy tasks more than
// another. Then one task more than the count may be there, in the emptiest zone;
// when it is healthy, one of the fullest zone is too many. Rollouts and
// replacements go first.
func (p *plan) rebalance() {
	n := p.count(func(x *state) bool { return healthy(x) && x.primary && !x.bad })
	if !p.service.Rebalance || p.service.Daemon || n < p.service.Count() || p.count(func(x *state) bool { return !x.primary || x.Retired || x.bad }) > 0 || !p.startable() {
		return
	}
	zones := p.perZone(healthy)
	low, high := n, 0
	for _, z := range p.service.Zones {
		low, high = min(low, zones[z]), max(high, zones[z])
	}
	inFullest := func(x *state) bool { return zones[x.Zone] == high && healthy(x) && !x.kept }
	if high-low < 2 || p.count(inFullest) == 0 {
		return
	}
	p.out.Rebalancing = true
	if n == p.service.Count() && p.service.Maximum() > n {
		p.extra = 1
	}
}

// perZone counts live tasks that a filter keeps by their zones.
func (p *plan) perZone(keep func(*state) bool) map[string]int {
	out := map[string]int{}
	for i := range p.live {
		if keep(&p.live[i]) {
			out[p.live[i].Zone]++
		}
	}
	return out
}

// retireSurplus lets tasks of the primary deployment go that are more than
// desired and not protected: first those that do not serve yet, then from the
// fullest zone, but none that the minimum needs: a protected one that has to stay
// may not be healthy. Those on instances that are gone are more than a daemon
// needs.
func (p *plan) retireSurplus() {
	for {
		zones, spare := p.perZone(hopeful), p.count(healthy) > p.service.Minimum()
		var worst *state
		for i := range p.live {
			x := &p.live[i]
			if !hopeful(x) || x.kept || x.healthy && !spare || p.service.Daemon && p.needed(x, zones) {
				continue
			}
			if worst == nil || worst.healthy && !x.healthy ||
				worst.healthy == x.healthy && zones[x.Zone] > zones[worst.Zone] {
				worst = x
			}
		}
		surplus := p.count(ours) - p.service.Count() - p.extra - p.count(ourBad)
		if worst == nil || !p.service.Daemon && surplus <= 0 {
			return
		}
		p.retire(worst, ScaledIn)
	}
}

// needed tells whether a daemon's task is the only one of its instance.
func (p *plan) needed(x *state, zones map[string]int) bool {
	return slices.Contains(p.service.Zones, x.Zone) && zones[x.Zone] < 2
}

// retireOld lets tasks of older deployments go that are not protected, as far as
// the minimum allows:
// those that do not even run at once; the others when more are healthy than
// desired, or when the new ones have no room to start.
func (p *plan) retireOld() {
	for i := range p.live {
		if x := &p.live[i]; !x.primary && !x.Retired && !x.kept && !x.Running {
			p.retire(x, Replaced)
		}
	}
	total := p.count(healthy)
	budget := total - p.service.Minimum()
	wanted := total - p.service.Count()
	if p.startable() {
		wanted = max(wanted, p.crowded())
	}
	for i := range p.live {
		// Runs, but nobody knows how it is, as after a restart of the load
		// balancer: it may be serving, so it stays while too few are healthy.
		if x := &p.live[i]; !x.primary && !x.Retired && !x.kept && !x.healthy && budget >= 0 && (wanted > 0 || total >= p.service.Count()) {
			p.retire(x, Replaced)
			wanted--
		}
	}
	for i := range p.live {
		if x := &p.live[i]; !x.primary && healthy(x) && !x.kept && budget > 0 && wanted > 0 {
			p.retire(x, Replaced)
			budget--
			wanted--
		}
	}
}

// crowded is how many of the tasks to start have no room, and will have none
// when those that are retired already are gone.
func (p *plan) crowded() int {
	room := p.service.Maximum() - p.count(func(x *state) bool { return !x.Retired })
	return p.need() - max(room, 0)
}

// need is how many tasks the primary deployment lacks.
func (p *plan) need() int {
	if !p.service.Daemon {
		return p.service.Count() + p.extra - p.count(hopeful)
	}
	zones, n := p.perZone(hopeful), 0
	for _, z := range p.service.Zones {
		if zones[z] == 0 {
			n++
		}
	}
	return n
}

// startable tells whether the primary deployment may start tasks at all.
func (p *plan) startable() bool { return p.primary != nil && !p.primary.Failed }

// start fills the primary deployment up as far as the maximum allows, in the
// zones that have the fewest of its tasks.
func (p *plan) start() {
	if !p.startable() {
		return
	}
	if p.service.Alarmed && !p.primary.Complete {
		p.out.Alarm = true
		return
	}
	need := p.need()
	if need <= 0 {
		return
	}
	if p.service.Breaker && !p.primary.Complete && p.primary.Failures >= p.service.Threshold() {
		p.out.Trip = true
		return
	}
	if p.primary.Failures > 0 && p.service.Backoff != nil {
		if at := p.primary.LastFailed.Add(p.service.Backoff(p.primary.Failures)); p.now.Before(at) {
			p.wake(at)
			return
		}
	}
	room := p.service.Maximum() - p.count(everything)
	p.place(min(need, room))
	going := p.count(func(x *state) bool { return x.Retired })
	p.out.Stuck = room <= 0 && going == 0 && p.count(func(x *state) bool { return !x.primary }) > 0 &&
		p.service.Maximum()-p.service.Minimum() <= 0
}

// place starts n tasks. A daemon's go where there is none yet; next to an older
// one only when the service may have more tasks than instances.
func (p *plan) place(n int) {
	zones, all := p.perZone(hopeful), p.perZone(everything)
	for range n {
		zone, found := "", len(p.service.Zones) == 0
		for _, z := range p.service.Zones {
			if p.service.Daemon && (zones[z] > 0 || all[z] > 0 && p.service.MaxPercent <= 100) {
				continue
			}
			if !found || zones[z] < zones[zone] || zones[z] == zones[zone] && p.service.Daemon && all[z] < all[zone] {
				zone, found = z, true
			}
		}
		if !found {
			return
		}
		zones[zone]++
		all[zone]++
		p.out.Start = append(p.out.Start, Start{p.primary.ID, zone})
	}
}

// protected counts the tasks that are too many and protected, by deployment; none
// while there is something else to do.
func (p *plan) protected() map[string]int {
	var out map[string]int
	surplus := p.count(ours) - p.service.Count() - p.extra
	for i := range p.live {
		switch x := &p.live[i]; {
		case x.Retired, x.primary && !healthy(x), !x.primary && !x.kept:
			return nil
		case !x.primary, x.kept && surplus > 0:
			if out == nil {
				out = map[string]int{}
			}
			out[x.Deployment]++
			if x.primary {
				surplus--
			}
		}
	}
	return out
}

// conclude tells whether there is nothing left to do.
func (p *plan) conclude() {
	if p.primary != nil && p.need() <= 0 {
		p.out.Protected = p.protected()
	}
	p.out.Steady = p.primary != nil && p.need() <= 0 && len(p.live) == p.service.Count() &&
		p.count(func(x *state) bool { return x.primary && healthy(x) && !x.bad }) == p.service.Count()
}
