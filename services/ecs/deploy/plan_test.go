package deploy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

func TestRounding(t *testing.T) {
	for _, c := range []struct{ desired, minPercent, maxPercent, min, max, threshold int }{
		{2, 100, 200, 2, 4, 3}, {4, 50, 100, 2, 4, 3}, {3, 50, 150, 2, 4, 3}, {1, 50, 150, 1, 1, 3}, {0, 100, 200, 0, 0, 3}, {10, 33, 133, 4, 13, 5}, {500, 100, 200, 500, 1000, 200},
	} {
		s := Service{Desired: c.desired, MinPercent: c.minPercent, MaxPercent: c.maxPercent}
		if s.Minimum() != c.min || s.Maximum() != c.max || s.Threshold() != c.threshold {
			t.Errorf("%+v: min %d max %d threshold %d", c, s.Minimum(), s.Maximum(), s.Threshold())
		}
	}
}

// fleet makes n tasks like one, in zones a and b by turns.
func fleet(deployment string, n int, like Task) []Task {
	var out []Task
	for i := range n {
		x := like
		x.Deployment, x.ID, x.Zone = deployment, fmt.Sprintf("%s%d", deployment, i), []string{"a", "b"}[i%2]
		x.Created = t0.Add(time.Duration(i) * time.Second)
		out = append(out, x)
	}
	return out
}

var (
	starting = Task{}
	bare     = Task{Running: true, Started: t0}
	initial  = Task{Running: true, Started: t0, Target: Initial}
	good     = Task{Running: true, Started: t0, Target: TargetHealthy}
	sick     = Task{Running: true, Started: t0, Target: TargetUnhealthy}
	draining = Task{Running: true, Started: t0, Target: Draining, Retired: true}
	gone     = Task{Running: true, Started: t0, Target: Absent, Retired: true}
	undrawn  = Task{Running: true, Started: t0, Target: TargetHealthy, Retired: true}
)

func service(desired, minPercent, maxPercent int) *Service {
	return &Service{Desired: desired, MinPercent: minPercent, MaxPercent: maxPercent, Zones: []string{"a", "b"}, Balanced: true}
}

func TestSteps(t *testing.T) {
	one, two := []Deployment{{ID: "new", Primary: true}}, []Deployment{{ID: "new", Primary: true}, {ID: "old"}}
	later := t0.Add(time.Hour)
	for _, c := range []struct {
		name        string
		service     *Service
		deployments []Deployment
		tasks       []Task
		want        Actions
	}{
		{"from nothing, over the zones", service(3, 100, 200), one, nil, Actions{Start: []Start{{"new", "a"}, {"new", "b"}, {"new", "a"}}}},
		{"running tasks get targets", service(2, 100, 200), one, fleet("new", 2, bare), Actions{Register: []string{"new0", "new1"}}},
		{"new targets are waited for", service(2, 100, 200), one, fleet("new", 2, initial), Actions{}},
		{"steady", service(2, 100, 200), one, fleet("new", 2, good), Actions{Steady: true}},
		{"rollout begins with new tasks", service(2, 100, 200), two, fleet("old", 2, good), Actions{Start: []Start{{"new", "a"}, {"new", "b"}}}},
		{"old ones stay until new ones are healthy", service(2, 100, 200), two, append(fleet("old", 2, good), fleet("new", 2, initial)...), Actions{}},
		{
			"one healthy new one frees one old", service(2, 100, 200), two, slices.Concat(fleet("old", 2, good), fleet("new", 1, good), fleet("newer", 0, good), []Task{{ID: "new9", Deployment: "new", Created: later}}),
			Actions{Retire: []Retirement{{"old0", Replaced}}},
		},
		{"retired with a target: deregister", service(2, 100, 200), two, append(fleet("old", 2, undrawn), fleet("new", 2, good)...), Actions{Deregister: []string{"old0", "old1"}}},
		{"draining is waited for", service(2, 100, 200), two, append(fleet("old", 2, draining), fleet("new", 2, good)...), Actions{}},
		{"drained is stopped", service(2, 100, 200), two, append(fleet("old", 2, gone), fleet("new", 2, good)...), Actions{Stop: []string{"old0", "old1"}}},
		{"old tasks that do not run go at once", service(2, 100, 200), two, append(fleet("old", 2, starting), fleet("new", 2, starting)...), Actions{Retire: []Retirement{{"old0", Replaced}, {"old1", Replaced}}}},
		{"no room: the minimum allows one to go", service(2, 50, 100), two, fleet("old", 2, good), Actions{Retire: []Retirement{{"old0", Replaced}}}},
		{"no room and no one may go", service(1, 100, 150), two, fleet("old", 1, good), Actions{Stuck: true}},
		{"after a restart nothing is known: nobody goes", service(2, 100, 200), two, append(fleet("old", 2, initial), fleet("new", 2, initial)...), Actions{}},
		{"known healthy new ones let unknown old ones go", service(2, 100, 200), two, append(fleet("old", 2, initial), fleet("new", 2, good)...), Actions{Retire: []Retirement{{"old0", Replaced}, {"old1", Replaced}}}},
		{"a sick one is replaced first", service(2, 100, 200), one, append(fleet("new", 1, good), Task{ID: "x", Deployment: "new", Zone: "b", Running: true, Target: TargetUnhealthy, Created: later}), Actions{Start: []Start{{"new", "b"}}}},
		{"and goes when the replacement is healthy", service(1, 100, 200), one, append(fleet("new", 1, sick), Task{ID: "x", Deployment: "new", Zone: "b", Running: true, Target: TargetHealthy, Created: later}), Actions{Retire: []Retirement{{"new0", FailedTarget}}}},
		{"or when the replacement is sick too", service(1, 100, 200), one, append(fleet("new", 1, sick), Task{ID: "x", Deployment: "new", Zone: "b", Running: true, Target: TargetUnhealthy, Created: later}), Actions{Retire: []Retirement{{"new0", FailedTarget}}}},
		{"or at once without room", service(1, 0, 100), one, fleet("new", 1, sick), Actions{Retire: []Retirement{{"new0", FailedTarget}}}},
		{"all are sick, replacements too: as many stay as should be", service(2, 100, 200), one, fleet("new", 4, sick), Actions{Retire: []Retirement{{"new0", FailedTarget}, {"new1", FailedTarget}}}},
		{"and while those drain the others stay", service(2, 100, 200), one, append(fleet("new", 2, sick), Task{ID: "x", Deployment: "new", Running: true, Target: Draining, Retired: true}, Task{ID: "y", Deployment: "new", Running: true, Target: Draining, Retired: true}), Actions{}},
		{"scale in: the fullest zone", service(2, 100, 200), one, fleet("new", 3, good), Actions{Retire: []Retirement{{"new0", ScaledIn}}}},
		{"scale in: those that do not serve first", service(1, 100, 200), one, append(fleet("new", 1, good), Task{ID: "x", Deployment: "new", Zone: "b", Created: later}), Actions{Retire: []Retirement{{"x", ScaledIn}}}},
		{"to zero", service(0, 100, 200), one, fleet("new", 1, good), Actions{Retire: []Retirement{{"new0", ScaledIn}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Plan(c.service, c.deployments, c.tasks, later); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestGraceBackoffAndBreaker(t *testing.T) {
	s := service(1, 100, 200)
	s.Grace = time.Minute
	if a := Plan(s, []Deployment{{ID: "d", Primary: true}}, fleet("d", 1, sick), t0); a.Start != nil || !a.Wake.Equal(t0.Add(time.Minute)) {
		t.Errorf("within the grace period: %+v", a)
	}
	if a := Plan(s, []Deployment{{ID: "d", Primary: true}}, fleet("d", 1, sick), t0.Add(time.Minute)); a.Start == nil {
		t.Errorf("after the grace period: %+v", a)
	}
	s.Backoff = func(n int) time.Duration { return time.Duration(n) * time.Second }
	failing := Deployment{ID: "d", Primary: true, Failures: 3, LastFailed: t0}
	if a := Plan(s, []Deployment{failing}, nil, t0); a.Start != nil || !a.Wake.Equal(t0.Add(3*time.Second)) {
		t.Errorf("backing off: %+v", a)
	}
	if a := Plan(s, []Deployment{failing}, nil, t0.Add(3*time.Second)); len(a.Start) != 1 {
		t.Errorf("after backing off: %+v", a)
	}
	s.Breaker = true
	if a := Plan(s, []Deployment{failing}, nil, t0); !a.Trip || a.Start != nil {
		t.Errorf("three failures: %+v", a)
	}
	failing.Failed = true
	if a := Plan(s, []Deployment{failing, {ID: "old"}}, fleet("old", 1, good), t0); a.Trip || a.Start != nil || a.Retire != nil {
		t.Errorf("given up, the old one serves on: %+v", a)
	}
}

// world plays the rest of the machine: tasks start, get healthy and drain, each
// at its own pace.
type world struct {
	now   time.Time
	tasks []Task
	made  int
}

func (w *world) healthyCount() int {
	n := 0
	for i := range w.tasks {
		if x := &w.tasks[i]; x.Target == TargetHealthy && x.Running && !x.Stopping && !x.Retired {
			n++
		}
	}
	return n
}

func (w *world) alive() int {
	n := 0
	for i := range w.tasks {
		if !w.tasks[i].Stopping {
			n++
		}
	}
	return n
}

func (w *world) find(id string) *Task {
	for i := range w.tasks {
		if w.tasks[i].ID == id {
			return &w.tasks[i]
		}
	}
	panic(id)
}

// apply does what a plan says.
func (w *world) apply(a Actions) {
	for _, id := range a.Stop {
		w.find(id).Stopping = true
	}
	for _, id := range a.Deregister {
		w.find(id).Target = Draining
	}
	for _, id := range a.Register {
		w.find(id).Target = Initial
	}
	for _, r := range a.Retire {
		w.find(r.Task).Retired = true
	}
	for _, s := range a.Start {
		w.made++
		w.tasks = append(w.tasks, Task{ID: fmt.Sprintf("t%03d", w.made), Deployment: s.Deployment, Zone: s.Zone, Created: w.now})
	}
}

// step lets one task get on.
func (w *world) step(i int, faults bool, roll int) {
	w.now = w.now.Add(time.Second)
	x := &w.tasks[i%len(w.tasks)]
	switch {
	case x.Stopping:
	case faults && roll == 0:
		x.Stopping = true // it died
	case !x.Running:
		x.Running, x.Started = true, w.now
	case x.Target == Draining:
		x.Target = Absent
	case x.Target == Initial && faults && roll == 1, x.Target == TargetHealthy && faults && roll == 2:
		x.Target = TargetUnhealthy
	case x.Target == Initial, x.Target == TargetUnhealthy && !x.Retired && roll == 3:
		x.Target = TargetHealthy
	case x.Target == TargetHealthy && faults && roll == 4:
		x.Target = Initial // the load balancer was restarted
	}
}

func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := service(rapid.IntRange(0, 6).Draw(t, "desired"), rapid.SampledFrom([]int{0, 50, 66, 100}).Draw(t, "min"), rapid.SampledFrom([]int{100, 125, 150, 200}).Draw(t, "max"))
		s.Grace = time.Duration(rapid.IntRange(0, 5).Draw(t, "grace")) * time.Second
		w := &world{now: t0}
		deployments := []Deployment{{ID: "d0", Primary: true}}
		// ceiling is the most tasks that an earlier, larger count allowed.
		ceiling := s.Maximum()
		round := func(faults bool) Actions {
			before := w.healthyCount()
			a := Plan(s, deployments, w.tasks, w.now)
			if again := Plan(s, deployments, slices.Clone(w.tasks), w.now); !reflect.DeepEqual(a, again) {
				t.Fatal("the same state gave another plan")
			}
			grown := w.alive()
			w.apply(a)
			if after := w.healthyCount(); after < before && after < min(s.Minimum(), before) {
				t.Fatalf("healthy fell from %d to %d, minimum %d: %+v", before, after, s.Minimum(), a)
			}
			if n := w.alive(); n > grown && n > s.Maximum() {
				t.Fatalf("%d tasks, maximum %d: %+v", n, s.Maximum(), a)
			}
			ceiling = max(ceiling, s.Maximum())
			if w.alive() > ceiling {
				t.Fatalf("%d tasks, never more than %d allowed", w.alive(), ceiling)
			}
			if len(w.tasks) > 0 {
				w.step(rapid.IntRange(0, len(w.tasks)-1).Draw(t, "task"), faults, rapid.IntRange(0, 12).Draw(t, "roll"))
			}
			w.now = w.now.Add(100 * time.Millisecond)
			return a
		}
		for i := range rapid.IntRange(0, 60).Draw(t, "rounds") {
			switch rapid.IntRange(0, 25).Draw(t, "event") {
			case 0: // force a new deployment
				for j := range deployments {
					deployments[j].Primary = false
				}
				deployments = append(deployments, Deployment{ID: fmt.Sprintf("d%d", i+1), Primary: true})
			case 1:
				s.Desired = rapid.IntRange(0, 6).Draw(t, "scaled")
			}
			round(true)
		}
		// Without new faults it comes to its end, unless the percentages leave
		// no way: nobody may go and nobody has room to come.
		for range 400 {
			a := Plan(s, deployments, w.tasks, w.now)
			if a.Steady {
				for i := range w.tasks {
					if x := &w.tasks[i]; !x.Stopping && x.Deployment != deployments[len(deployments)-1].ID {
						t.Fatalf("steady with a task of %s", x.Deployment)
					}
				}
				return
			}
			w.apply(a)
			for i := range w.tasks {
				w.step(i, false, 12)
			}
		}
		if s.Maximum() <= s.Minimum() {
			return
		}
		t.Fatalf("not steady: %+v\n%+v\n%+v", s, w.tasks, Plan(s, deployments, w.tasks, w.now))
	})
}
