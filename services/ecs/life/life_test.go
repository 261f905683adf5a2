package life

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/dataplane/container"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func seen(s container.State) *container.Status { return &container.Status{State: s, Started: start} }

func exited(code int, after time.Duration) *container.Status {
	return &container.Status{State: container.Ended, ExitCode: code, Started: start, Ended: start.Add(after)}
}

// The plan's steps, one state after the other: a task of "app", which is
// essential and waits for "side".
func TestPlan(t *testing.T) {
	restart := &RestartPolicy{Ignored: []int32{3}, Period: time.Minute}
	running, ended, created := seen(container.Running), exited(0, time.Hour), seen(container.Created)
	for _, x := range []struct {
		name      string
		task      Task
		condition string // of app on side; COMPLETE
		app, side Container
		now       time.Duration // after start
		want      Step
	}{
		{name: "new", task: Task{Status: Provisioning}, want: Step{Action: MakeInterface}},
		{name: "interface made", task: Task{Status: Provisioning, Interface: true}, want: Step{Action: AwaitInterface}},
		{name: "stopped before it began", task: Task{Status: Provisioning, Ending: true}, want: Step{Action: BeginStop}},
		{name: "interface real", task: Task{Status: Pending}, want: Step{Action: Prepare}},
		{name: "prepared", task: Task{Status: Pending, Ready: true}, want: Step{Action: StartContainers, Containers: []string{"side"}}},
		{name: "side runs", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running}},
		{name: "side ended", task: Task{Status: Pending, Ready: true}, side: Container{Seen: ended}, want: Step{Action: StartContainers, Containers: []string{"app"}}},
		{name: "made, not started", task: Task{Status: Pending, Ready: true}, app: Container{Seen: created}, side: Container{Seen: ended}, want: Step{Action: StartContainers, Containers: []string{"app"}}},
		{name: "all started", task: Task{Status: Pending, Ready: true}, app: Container{Seen: running}, side: Container{Seen: ended}, want: Step{Action: Activate}},
		{name: "START", condition: "START", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running}, want: Step{Action: StartContainers, Containers: []string{"app"}}},
		{name: "SUCCESS", condition: "SUCCESS", task: Task{Status: Pending, Ready: true}, side: Container{Seen: ended}, want: Step{Action: StartContainers, Containers: []string{"app"}}},
		{name: "HEALTHY, not yet", condition: "HEALTHY", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running}},
		{name: "HEALTHY", condition: "HEALTHY", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running, Healthy: true}, want: Step{Action: StartContainers, Containers: []string{"app"}}},
		{name: "SUCCESS, but it failed", condition: "SUCCESS", task: Task{Status: Pending, Ready: true}, side: Container{Seen: exited(1, time.Second)}, want: Step{
			Action: GiveUp, Containers: []string{"app"},
			Reason: "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [side(side:1) (STOPPED->RUNNING) - Exit: 1] for target [app(app:1) (NONE->RUNNING)] as dependency did not exit successfully.",
		}},
		{name: "HEALTHY, but it ended", condition: "HEALTHY", task: Task{Status: Pending, Ready: true}, side: Container{Seen: ended}, want: Step{
			Action: GiveUp, Containers: []string{"app"},
			Reason: "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [side(side:1) (STOPPED->RUNNING) - Exit: 0] for target [app(app:1) (NONE->RUNNING)] because dependency has stopped",
		}},
		{name: "START, but it cannot", condition: "START", task: Task{Status: Pending, Ready: true}, side: Container{Failed: true}, want: Step{
			Action: GiveUp, Containers: []string{"app"},
			Reason: "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [side(side:1) (STOPPED->RUNNING) - Exit: 143] for target [app(app:1) (NONE->RUNNING)] because dependency will never start",
		}},
		{name: "start time-out, not yet", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running, StartTimeout: time.Minute}, now: 20 * time.Second, want: Step{After: 40 * time.Second}},
		{name: "start time-out", task: Task{Status: Pending, Ready: true}, side: Container{Seen: running, StartTimeout: time.Minute}, now: time.Minute, want: Step{
			Action: GiveUp, Containers: []string{"app"},
			Reason: "CannotStartContainerError: dependency graph: container ordering dependency [side(side:1) (RUNNING->RUNNING)] for target [app(app:1) (NONE->RUNNING)] has timed out.",
		}},
		{name: "activating", task: Task{Status: Activating}, app: Container{Seen: running}, side: Container{Seen: ended}, want: Step{Action: BecomeRunning}},
		{name: "running", task: Task{Status: Running}, app: Container{Seen: running}, side: Container{Seen: ended}},
		{name: "essential ended", task: Task{Status: Running}, app: Container{Seen: ended}, side: Container{Seen: ended}, want: Step{Action: EndOfEssential, Containers: []string{"app"}}},
		{name: "essential never started", task: Task{Status: Pending, Ready: true}, app: Container{Failed: true}, side: Container{Seen: ended}, want: Step{Action: EndOfEssential, Containers: []string{"app"}}},
		{name: "restarted", task: Task{Status: Running}, app: Container{Seen: exited(1, time.Hour), Restart: restart}, side: Container{Seen: ended}, want: Step{Action: RestartContainers, Containers: []string{"app"}}},
		{name: "restart cut off", task: Task{Status: Running}, app: Container{Seen: &container.Status{Restarts: 1}, Restart: restart}, side: Container{Seen: ended}, want: Step{Action: RestartContainers, Containers: []string{"app"}}},
		{name: "restarted before it counts as ended", task: Task{Status: Pending, Ready: true}, side: Container{Seen: ended, Restart: restart}, want: Step{Action: RestartContainers, Containers: []string{"side"}}},
		{name: "too short a run", task: Task{Status: Running}, app: Container{Seen: exited(1, time.Second), Restart: restart}, side: Container{Seen: ended}, want: Step{Action: EndOfEssential, Containers: []string{"app"}}},
		{name: "ignored exit code", task: Task{Status: Running}, app: Container{Seen: exited(3, time.Hour), Restart: restart}, side: Container{Seen: ended}, want: Step{Action: EndOfEssential, Containers: []string{"app"}}},
		{name: "not restarted when it is to end", task: Task{Status: Running, Ending: true}, app: Container{Seen: exited(1, time.Hour), Restart: restart}, want: Step{Action: BeginStop}},
		{name: "to stop", task: Task{Status: Running, Ending: true}, app: Container{Seen: running}, want: Step{Action: BeginStop}},
		{name: "deactivating", task: Task{Status: Deactivating, Ending: true}, app: Container{Seen: running}, want: Step{Action: BeginStop}},
		{name: "stopping, the dependent first", task: Task{Status: Stopping}, app: Container{Seen: running}, side: Container{Seen: running}, want: Step{Action: StopContainers, Containers: []string{"app"}}},
		{name: "stopping, then what it needed", task: Task{Status: Stopping}, app: Container{Seen: ended}, side: Container{Seen: running}, want: Step{Action: StopContainers, Containers: []string{"side"}}},
		{name: "logs on their way", task: Task{Status: Stopping, Logging: true}, app: Container{Seen: ended}},
		{name: "all ended", task: Task{Status: Stopping}, app: Container{Seen: ended}, side: Container{Seen: created}, want: Step{Action: Deprovision}},
		{name: "deprovisioning", task: Task{Status: Deprovisioning}, want: Step{Action: Release}},
		{name: "just stopped", task: Task{Status: Stopped, StoppedAt: start}, now: time.Minute, want: Step{After: 59 * time.Minute}},
		{name: "long stopped", task: Task{Status: Stopped, StoppedAt: start}, now: 2 * time.Hour, want: Step{Action: Forget}},
	} {
		x.app.Name, x.app.Image, x.app.Essential, x.app.DependsOn = "app", "app:1", true, []Dependency{{On: "side", Condition: "COMPLETE"}}
		x.side.Name, x.side.Image = "side", "side:1"
		if x.condition != "" {
			x.app.DependsOn[0].Condition = x.condition
		}
		x.task.Containers = []Container{x.app, x.side}
		got := Plan(&x.task, start.Add(x.now))
		if got.Action != x.want.Action || !slices.Equal(got.Containers, x.want.Containers) || got.Reason != x.want.Reason || got.After != x.want.After {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
	}
}

// world is a task whose containers do as chance has it.
type world struct {
	*rapid.T
	task    Task
	now     time.Time
	journey []string
}

func conditions(t *rapid.T) string {
	return rapid.SampledFrom([]string{"START", "COMPLETE", "SUCCESS", "HEALTHY"}).Draw(t, "condition")
}

func newWorld(t *rapid.T) *world {
	w := &world{T: t, now: start, task: Task{Status: Provisioning}}
	for i := range rapid.IntRange(1, 5).Draw(t, "containers") {
		c := Container{Name: fmt.Sprint("c", i), Essential: i == 0 || rapid.Bool().Draw(t, "essential")}
		for j := range i { // on earlier ones only: no circle
			if rapid.IntRange(0, 2).Draw(t, "depends") == 0 {
				c.DependsOn = append(c.DependsOn, Dependency{On: fmt.Sprint("c", j), Condition: conditions(t)})
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "restarts") == 0 {
			c.Restart = &RestartPolicy{Ignored: []int32{0}, Period: time.Minute}
		}
		if rapid.Bool().Draw(t, "timeout") {
			c.StartTimeout = time.Duration(rapid.IntRange(2, 120).Draw(t, "seconds")) * time.Second
		}
		w.task.Containers = append(w.task.Containers, c)
	}
	// The definition's order is not that of the dependencies.
	w.task.Containers = rapid.Permutation(w.task.Containers).Draw(t, "order")
	return w
}

// happen has something happen that is none of the reconciler's doing.
func (w *world) happen() {
	w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(w.T, "passes")) * time.Second)
	c := &w.task.Containers[rapid.IntRange(0, len(w.task.Containers)-1).Draw(w.T, "who")]
	switch rapid.IntRange(0, 9).Draw(w.T, "what") {
	case 0, 1, 2:
		if c.running() {
			s := *c.Seen
			s.State, s.Ended, s.ExitCode = container.Ended, w.now, rapid.IntRange(0, 2).Draw(w.T, "code")
			c.Seen, c.Healthy = &s, false
		}
	case 3, 4, 5:
		c.Healthy = c.running() && rapid.Bool().Draw(w.T, "healthy")
	case 6:
		w.task.Ending = true
	case 7:
		w.task.Logging = !w.task.Logging
	}
}

// take does what the plan says, and holds the plan to its promises.
func (w *world) take(s Step) {
	before := w.task.Status
	w.journey = append(w.journey, fmt.Sprint(before, " ", s))
	switch s.Action {
	case MakeInterface:
		w.task.Interface = true
	case AwaitInterface:
		w.task.Status = Pending
	case Prepare:
		w.task.Ready = true
	case StartContainers:
		for _, name := range s.Containers {
			c := w.task.container(name)
			for _, d := range c.DependsOn {
				on := w.task.container(d.On)
				ended := on.Seen != nil && on.Seen.State == container.Ended
				if ok := map[string]bool{"START": on.Seen != nil, "COMPLETE": ended, "SUCCESS": ended && on.Seen.ExitCode == 0, "HEALTHY": on.Healthy}[d.Condition]; !ok {
					w.Fatalf("%s was started before %s was %s: %q", name, d.On, d.Condition, w.journey)
				}
			}
			if c.Seen != nil || c.Failed {
				w.Fatalf("%s was started twice: %q", name, w.journey)
			}
			if rapid.IntRange(0, 15).Draw(w.T, "cannot") == 0 {
				c.Failed = true
				continue
			}
			c.Seen = &container.Status{State: container.Running, Started: w.now}
		}
	case GiveUp:
		for _, name := range s.Containers {
			if w.task.container(name).Seen != nil || s.Reason == "" {
				w.Fatalf("%s was given up: %q", name, w.journey)
			}
			w.task.container(name).Failed = true
		}
	case Activate:
		w.task.Status = Activating
	case BecomeRunning:
		w.task.Status = Running
	case RestartContainers:
		for _, name := range s.Containers {
			c := w.task.container(name)
			if c.Seen.State != container.Ended || c.Seen.ExitCode == 0 || c.Seen.Ended.Sub(c.Seen.Started) < time.Minute {
				w.Fatalf("%s was started again: %q", name, w.journey)
			}
			c.Seen = &container.Status{State: container.Running, Started: w.now, Restarts: c.Seen.Restarts + 1}
		}
	case EndOfEssential:
		w.task.Ending = true
	case BeginStop:
		w.task.Status = map[string]string{Running: Deactivating}[before]
		if w.task.Status == "" {
			w.task.Status = Stopping
		}
	case StopContainers:
		for _, name := range s.Containers {
			for i := range w.task.Containers {
				if x := &w.task.Containers[i]; x.running() && slices.ContainsFunc(x.DependsOn, func(d Dependency) bool { return d.On == name }) {
					w.Fatalf("%s was stopped while %s needs it: %q", name, x.Name, w.journey)
				}
			}
			c := w.task.container(name)
			s := *c.Seen
			s.State, s.Ended = container.Ended, w.now
			c.Seen = &s
		}
	case Deprovision:
		w.task.Status = Deprovisioning
		for i := range w.task.Containers {
			if w.task.Containers[i].running() {
				w.Fatalf("%s still runs: %q", w.task.Containers[i].Name, w.journey)
			}
		}
	case Release:
		w.task.Status, w.task.StoppedAt = Stopped, w.now
	}
	order := []string{Provisioning, Pending, Activating, Running, Deactivating, Stopping, Deprovisioning, Stopped}
	if slices.Index(order, w.task.Status) < slices.Index(order, before) {
		w.Fatalf("from %s back to %s", before, w.task.Status)
	}
	if ending := s.Action >= BeginStop; w.task.Ending && before != Stopped && !ending && s.Action != Nothing && s.Action != EndOfEssential && w.task.Status != before {
		w.Fatalf("it is to end and goes on to %s: %q", w.task.Status, w.journey)
	}
}

// Whatever happens in whatever order, containers start when their dependencies
// hold, stop in the reverse order, and a task that is to end ends.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			s := Plan(&w.task, w.now)
			if again := Plan(&w.task, w.now); fmt.Sprint(again) != fmt.Sprint(s) {
				t.Fatalf("%+v, then %+v", s, again)
			}
			if s.Action == Forget {
				return
			}
			w.take(s)
			w.happen()
		}
		w.task.Ending, w.task.Logging = true, false
		for range 30 {
			s := Plan(&w.task, w.now)
			if s.Action == Nothing && s.After > 0 && w.task.Status == Stopped {
				w.now = w.now.Add(s.After)
				continue
			}
			if s.Action == Forget {
				return
			}
			w.take(s)
		}
		t.Fatalf("it does not end: %q", w.journey)
	})
}
