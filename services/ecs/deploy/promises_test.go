package deploy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world plays the rest of the machine: tasks start, get healthy and drain, each
// at its own pace.
type world struct {
	service     *Service
	deployments []Deployment
	now         time.Time
	tasks       []Task
	made        int
	checked     bool // containers have health checks
	most, least int  // tasks at most and healthy ones at least, since they were set
}

func (w *world) healthy(x *Task) bool {
	if x.Container == None && !w.service.Balanced && w.now.Before(x.Started.Add(w.service.Settle)) {
		return false // nobody looks, and it has not lasted yet
	}
	return x.Running && !x.Stopping && !x.Retired && (x.Container == None || x.Container == Healthy) && (!w.service.Balanced || x.Target == TargetHealthy)
}

func (w *world) count(keep func(x *Task) bool) int {
	n := 0
	for i := range w.tasks {
		if keep(&w.tasks[i]) {
			n++
		}
	}
	return n
}

func (w *world) alive() int { return w.count(func(x *Task) bool { return !x.Stopping }) }

func (w *world) find(id string) *Task {
	for i := range w.tasks {
		if w.tasks[i].ID == id {
			return &w.tasks[i]
		}
	}
	panic(id)
}

// plan plans, twice, to see that it is the same.
func (w *world) plan() Actions {
	a := Plan(w.service, w.deployments, w.tasks, w.now)
	for _, r := range a.Retire {
		if x := w.find(r.Task); w.now.Before(x.Protected) && (r.Reason == Replaced || r.Reason == ScaledIn) {
			panic(fmt.Sprintf("a protected task is to go: %+v", x))
		}
	}
	// Neither the order in which tasks are seen nor a second look matters.
	again := slices.Clone(w.tasks)
	slices.Reverse(again)
	if b := Plan(w.service, w.deployments, again, w.now); !reflect.DeepEqual(a, b) {
		panic(fmt.Sprintf("the same state gave another plan:\n%+v\n%+v", a, b))
	}
	return a
}

// balance does what a plan says to the load balancer, which is done before the
// rest is written.
func (w *world) balance(a Actions) {
	for _, id := range a.Deregister {
		w.find(id).Target = Draining
	}
	for _, id := range a.Register {
		w.find(id).Target = Initial
	}
}

// write does the rest, or as much of it as a transaction has room for.
func (w *world) write(a Actions, room int) {
	for _, id := range a.Stop[:min(len(a.Stop), room)] {
		w.find(id).Stopping = true
	}
	for _, r := range a.Retire {
		w.find(r.Task).Retired = true
	}
	for _, s := range a.Start[:min(len(a.Start), room)] {
		w.made++
		w.tasks = append(w.tasks, Task{ID: fmt.Sprintf("t%04d", w.made), Deployment: s.Deployment, Zone: s.Zone, Created: w.now})
	}
	w.most, w.least = max(w.most, w.alive()), min(w.least, w.count(w.healthy))
}

// The faults that a task may meet.
const (
	dies = iota
	failsTarget
	sickens
	forgotten // the load balancer was restarted
	lost      // somebody deregistered it
	failsContainer
	recovers
	fine // and above
)

// step lets one task get on, or meet a fault.
func (w *world) step(x *Task, fault int) {
	w.now = w.now.Add(time.Second)
	serves := x.Running && !x.Stopping && !x.Retired
	switch {
	case x.Stopping:
	case fault == dies:
		x.Stopping = true
	case !x.Running:
		x.Running, x.Started = true, w.now
		if w.checked {
			x.Container = Unknown
		}
	case x.Target == Draining:
		x.Target = Absent
	case fault == failsTarget && x.Target == Initial, fault == sickens && x.Target == TargetHealthy:
		x.Target = TargetUnhealthy
	case fault == forgotten && x.Target == TargetHealthy:
		x.Target = Initial
	case fault == lost && serves && x.Target != Absent:
		x.Target = Absent
	case fault == failsContainer && x.Container != None:
		x.Container = Unhealthy
	case x.Container == Unknown, fault == recovers && x.Container == Unhealthy:
		x.Container = Healthy
	case x.Target == Initial, fault == recovers && x.Target == TargetUnhealthy && !x.Retired:
		x.Target = TargetHealthy
	}
}

// renew begins a new deployment.
func (w *world) renew() {
	for i := range w.deployments {
		w.deployments[i].Primary = false
	}
	w.deployments = append(w.deployments, Deployment{ID: fmt.Sprintf("d%d", len(w.deployments)), Primary: true})
}

// settle lets everything get on without faults until nothing is left to do.
func (w *world) settle(rounds int) bool {
	for range rounds {
		a := w.plan()
		if a.Steady && (!a.Rebalancing || w.service.Maximum() <= w.service.Count()) {
			return true
		}
		w.balance(a)
		w.write(a, 40)
		for i := range w.tasks {
			w.step(&w.tasks[i], fine)
		}
	}
	return false
}

func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{3, 6, 50}).Draw(t, "size")
		count := rapid.IntRange(0, size)
		s := service(count.Draw(t, "desired"), rapid.SampledFrom([]int{0, 33, 50, 66, 100}).Draw(t, "min"), rapid.SampledFrom([]int{100, 110, 125, 150, 200}).Draw(t, "max"))
		s.Grace = time.Duration(rapid.IntRange(0, 5).Draw(t, "grace")) * time.Second
		s.Settle = time.Duration(rapid.IntRange(0, 5).Draw(t, "settle")) * time.Second
		s.Balanced, s.Rebalance = rapid.Bool().Draw(t, "balanced"), rapid.Bool().Draw(t, "rebalance")
		zones := rapid.IntRange(1, 3)
		s.Zones = []string{"a", "b", "c", "d", "e", "f"}[:zones.Draw(t, "zones")]
		if s.Daemon = rapid.IntRange(0, 4).Draw(t, "strategy") == 0; s.Daemon {
			zones = rapid.IntRange(0, 6)
		}
		w := &world{service: s, now: t0, checked: rapid.Bool().Draw(t, "checked")}
		w.renew()
		for range rapid.IntRange(0, 80).Draw(t, "rounds") {
			switch rapid.IntRange(0, 25).Draw(t, "event") {
			case 0: // force a new deployment
				w.renew()
			case 1:
				s.Desired = count.Draw(t, "scaled")
			case 2: // a daemon's instances come and go; otherwise the subnets change
				s.Zones = []string{"a", "b", "c", "d", "e", "f"}[:zones.Draw(t, "zones")]
			case 4: // somebody protects a task, or gives its protection up
				if len(w.tasks) > 0 {
					w.tasks[rapid.IntRange(0, len(w.tasks)-1).Draw(t, "protected")].Protected = w.now.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "for")) * time.Second)
				}
			case 3: // it is seen late that everything got on
				for i := range w.tasks {
					w.step(&w.tasks[i], fine)
				}
			}
			before, grown := w.count(w.healthy), w.alive()
			a := w.plan()
			w.balance(a)
			if rapid.IntRange(0, 5).Draw(t, "crash") == 0 {
				continue // before the rest was written
			}
			w.write(a, rapid.SampledFrom([]int{1, 3, 40}).Draw(t, "room"))
			if after := w.count(w.healthy); after < before && after < s.Minimum() {
				t.Fatalf("healthy fell from %d to %d, minimum %d: %+v", before, after, s.Minimum(), a)
			}
			if n := w.alive(); n > grown && n > s.Maximum() {
				t.Fatalf("%d tasks, maximum %d: %+v", n, s.Maximum(), a)
			}
			for range rapid.IntRange(0, min(len(w.tasks), 5)).Draw(t, "steps") {
				w.step(&w.tasks[rapid.IntRange(0, len(w.tasks)-1).Draw(t, "task")], rapid.IntRange(0, 12).Draw(t, "fault"))
			}
			w.now = w.now.Add(100 * time.Millisecond)
		}
		// Without new faults it comes to its end, unless the percentages leave
		// no way: nobody may go and nobody has room to come.
		switch {
		case w.settle(1500):
			primary := w.deployments[len(w.deployments)-1].ID
			if w.alive() != s.Count() || w.count(func(x *Task) bool { return !x.Stopping && x.Deployment != primary }) > 0 {
				t.Fatalf("steady with %d tasks of %d: %+v", w.alive(), s.Count(), w.tasks)
			}
			for _, z := range s.Zones {
				if n := w.count(func(x *Task) bool { return !x.Stopping && x.Zone == z }); s.Daemon && n != 1 {
					t.Fatalf("%d tasks on the instance %s", n, z)
				}
			}
		case s.Maximum() > s.Minimum():
			t.Fatalf("not steady: %+v\n%+v\n%+v", s, w.tasks, w.plan())
		}
	})
}

// TestEveryCount rolls a service of every size with every rounding: within the
// percentages, and as fast as they allow.
func TestEveryCount(t *testing.T) {
	for desired := 1; desired <= 50; desired++ {
		for _, percent := range [][2]int{{100, 200}, {100, 150}, {100, 110}, {50, 100}, {75, 125}, {90, 100}, {0, 100}, {0, 200}, {33, 133}} {
			w := &world{service: service(desired, percent[0], percent[1]), now: t0}
			w.renew()
			if !w.settle(100) {
				t.Fatalf("%d at %v does not come up: %+v", desired, percent, w.plan())
			}
			lowest, highest := (desired*percent[0]+99)/100, desired*percent[1]/100
			w.renew()
			w.most, w.least = 0, desired
			done := w.settle(600)
			switch {
			case highest <= lowest:
				if done || !w.plan().Stuck {
					t.Errorf("%d at %v: %d to %d tasks leave no way, yet done is %v", desired, percent, lowest, highest, done)
				}
			case !done:
				t.Errorf("%d at %v is not done: %+v", desired, percent, w.plan())
			case w.least < lowest || w.most > highest:
				t.Errorf("%d at %v: %d healthy at least, %d tasks at most, want %d and %d", desired, percent, w.least, w.most, lowest, highest)
			case w.least > lowest && w.most < highest:
				t.Errorf("%d at %v: %d healthy at least, %d tasks at most: more could have been done at once", desired, percent, w.least, w.most)
			}
		}
	}
}
