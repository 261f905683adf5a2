package deploy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
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

func zoned(desired int) *Service {
	s := service(desired, 100, 200)
	s.Rebalance = true
	return s
}

func daemon(minPercent, maxPercent int) *Service {
	s := service(9, minPercent, maxPercent)
	s.Daemon, s.Zones = true, []string{"a", "b", "c"}
	return s
}

// protect protects tasks until a minute after TestSteps' time.
func protect(tasks []Task, which ...int) []Task {
	for _, i := range which {
		tasks[i].Protected = t0.Add(time.Hour + time.Minute)
	}
	return tasks
}

// spots makes healthy tasks in the zones named by letters.
func spots(zones string) []Task {
	out := fleet("new", len(zones), good)
	for i := range out {
		out[i].Zone = zones[i : i+1]
	}
	return out
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
		{"old ones without a load balancer serve as they run", service(2, 100, 150), two, append(fleet("old", 2, Task{Running: true, Bare: true}), fleet("new", 1, good)...), Actions{Retire: []Retirement{{"old0", Replaced}}}},
		{"scale in: the fullest zone", service(2, 100, 200), one, fleet("new", 3, good), Actions{Retire: []Retirement{{"new0", ScaledIn}}}},
		{"scale in: those that do not serve first", service(1, 100, 200), one, append(fleet("new", 1, good), Task{ID: "x", Deployment: "new", Zone: "b", Created: later}), Actions{Retire: []Retirement{{"x", ScaledIn}}}},
		{"zones are evened out: a new one first", zoned(4), one, spots("aaab"), Actions{Start: []Start{{"new", "b"}}, Rebalancing: true}},
		{"and waited for", zoned(4), one, append(spots("aaab"), Task{ID: "x", Deployment: "new", Zone: "b", Created: later}), Actions{Rebalancing: true}},
		{"and then one of the fullest goes", zoned(4), one, spots("aaabb"), Actions{Retire: []Retirement{{"new0", ScaledIn}}}},
		{"a difference of one is even", zoned(3), one, spots("aab"), Actions{Steady: true}},
		{"no room to even out", &Service{Desired: 2, MinPercent: 50, MaxPercent: 100, Zones: []string{"a", "b"}, Balanced: true, Rebalance: true}, one, spots("aa"), Actions{Rebalancing: true, Steady: true}},
		{"a daemon on each instance", daemon(0, 100), one, spots("ab"), Actions{Start: []Start{{"new", "c"}}}},
		{"a daemon: one too many, and one whose instance is gone", daemon(0, 100), one, spots("aabcd"), Actions{Retire: []Retirement{{"new0", ScaledIn}, {"new4", ScaledIn}}}},
		{"a daemon starts where the old one is gone", daemon(50, 100), two, []Task{{ID: "o", Deployment: "old", Zone: "a", Running: true, Target: TargetHealthy}, {ID: "p", Deployment: "old", Zone: "c", Running: true, Target: TargetHealthy}}, Actions{Start: []Start{{"new", "b"}}}},
		{
			"a protected one stays in a scale-in", service(1, 100, 200), one, protect(fleet("new", 3, good), 0, 1),
			Actions{Retire: []Retirement{{"new2", ScaledIn}}, Wake: later.Add(time.Minute)},
		},
		{
			"one that the minimum needs stays while a protected one is not healthy", service(1, 100, 200), one, protect([]Task{{ID: "x", Deployment: "new", Running: true, Started: t0, Target: Initial}, {ID: "y", Deployment: "new", Running: true, Started: t0, Target: TargetHealthy}}, 0),
			Actions{Wake: later.Add(time.Minute)},
		},
		{
			"and in a deployment", service(2, 100, 200), two, append(protect(fleet("old", 2, good), 0), fleet("new", 2, good)...),
			Actions{Retire: []Retirement{{"old1", Replaced}}, Wake: later.Add(time.Minute)},
		},
		{
			"and is told when nothing else is left", service(2, 100, 200), two, append(protect(fleet("old", 1, good), 0), fleet("new", 2, good)...),
			Actions{Protected: map[string]int{"old": 1}, Wake: later.Add(time.Minute)},
		},
		{
			"as one that the count is too low for", service(1, 100, 200), one, protect(fleet("new", 3, good), 0, 1, 2),
			Actions{Protected: map[string]int{"new": 2}, Wake: later.Add(time.Minute)},
		},
		{
			"but not when it is sick", service(1, 100, 200), two, append(protect(fleet("old", 1, sick), 0), fleet("new", 1, good)...),
			Actions{Retire: []Retirement{{"old0", FailedTarget}}, Wake: later.Add(time.Minute)},
		},
		{"a fullest zone that is protected is not evened out", zoned(4), one, protect(spots("aaab"), 0, 1, 2), Actions{Steady: true, Wake: later.Add(time.Minute)}},
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
	failing.Complete = true
	if a := Plan(s, []Deployment{failing}, nil, t0.Add(time.Hour)); a.Trip || len(a.Start) != 1 {
		t.Errorf("a deployment that was complete is not given up: %+v", a)
	}
	s.Alarmed = true
	if a := Plan(s, []Deployment{failing}, nil, t0.Add(time.Hour)); a.Alarm {
		t.Errorf("nor for an alarm: %+v", a)
	}
	failing.Complete, failing.Failures = false, 0
	if a := Plan(s, []Deployment{failing}, fleet("d", 1, good), t0); !a.Alarm {
		t.Errorf("one under way is given up for an alarm, whatever its tasks do: %+v", a)
	}
	s.Alarmed = false
	s.Grace = time.Minute
	ill := fleet("d", 1, good)
	ill[0].Container = Unhealthy
	if a := Plan(s, []Deployment{{ID: "d", Primary: true}}, ill, t0); a.Start != nil || a.Retire != nil || !a.Wake.Equal(t0.Add(time.Minute)) {
		t.Errorf("a container's check within the grace period: %+v", a)
	}
	s.Grace = 0
	failing.Failed = true
	if a := Plan(s, []Deployment{failing, {ID: "old"}}, fleet("old", 1, good), t0); a.Trip || a.Start != nil || a.Retire != nil {
		t.Errorf("given up, the old one serves on: %+v", a)
	}
}

// TestSettle is a service whose tasks nobody checks: a new one has to last.
func TestSettle(t *testing.T) {
	s := service(1, 100, 200)
	s.Balanced, s.Settle = false, 5*time.Second
	both := []Deployment{{ID: "d", Primary: true}, {ID: "old"}}
	fresh, old := fleet("d", 1, bare)[0], fleet("old", 1, Task{Running: true})[0]
	if a := Plan(s, both, []Task{old, fresh}, t0.Add(time.Second)); a.Retire != nil || a.Steady || !a.Wake.Equal(t0.Add(s.Settle)) {
		t.Errorf("just started: %+v", a)
	}
	if a := Plan(s, both, []Task{old, fresh}, t0.Add(s.Settle)); len(a.Retire) != 1 || a.Retire[0].Task != old.ID {
		t.Errorf("it has lasted: %+v", a)
	}
	if a := Plan(s, both[:1], []Task{fresh}, t0.Add(time.Second)); a.Steady {
		t.Errorf("complete too early: %+v", a)
	}
	fresh.Container = Healthy
	if a := Plan(s, both, []Task{old, fresh}, t0.Add(time.Second)); len(a.Retire) != 1 {
		t.Errorf("one that is checked need not wait: %+v", a)
	}
}
