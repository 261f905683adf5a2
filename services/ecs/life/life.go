// Package life plans the life of a task: what is done next about one, from what
// its task definition says and what is seen of its containers. It is pure.
package life

import (
	"slices"
	"time"

	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

// The statuses of tasks, in the order of their life.
const (
	Provisioning   = "PROVISIONING"
	Pending        = "PENDING"
	Activating     = "ACTIVATING"
	Running        = "RUNNING"
	Deactivating   = "DEACTIVATING"
	Stopping       = "STOPPING"
	Deprovisioning = "DEPROVISIONING"
	Stopped        = "STOPPED"
)

// Retention is how long a stopped task is shown, as on AWS.
const Retention = time.Hour

// Task is a task as it is seen.
type Task struct {
	Status    string
	Ending    bool // it is to end
	Interface bool // its network interface was made
	Ready     bool // images are there, log streams made
	Logging   bool // a log is not delivered yet
	StoppedAt time.Time
	// Containers are in the task definition's order.
	Containers []Container
}

// Container is a container of a task: what its definition says, and what is seen
// of it.
type Container struct {
	Name, Image  string
	Essential    bool
	DependsOn    []Dependency
	StartTimeout time.Duration // 0: none
	Restart      *RestartPolicy

	Seen    *container.Status // nil: not made yet
	Failed  bool              // it could not be started
	Healthy bool
}

// Dependency is what a container waits for before it is started.
type Dependency struct {
	On        string
	Condition string // an ecsapi.ContainerCondition
}

// RestartPolicy is when a container that has ended is started again.
type RestartPolicy struct {
	Ignored []int32       // exit codes with which it stays ended
	Period  time.Duration // for which it must have run
}

// Action is what a task's reconciler does next.
type Action uint8

// The actions, each with the status the task is in.
const (
	Nothing           Action = iota
	MakeInterface            // PROVISIONING
	AwaitInterface           // PROVISIONING: its interface was made
	Prepare                  // PENDING: images, log streams
	StartContainers          // PENDING: those whose dependencies hold
	GiveUp                   // PENDING: a container whose dependencies will never hold
	Activate                 // PENDING: all were started
	BecomeRunning            // ACTIVATING
	RestartContainers        // PENDING to RUNNING: those whose policy says so
	EndOfEssential           // PENDING to RUNNING: an essential container ended
	BeginStop                // it is to end
	StopContainers           // STOPPING: signals; it goes on when they have ended
	Deprovision              // STOPPING: all have ended, all logs are delivered
	Release                  // DEPROVISIONING: containers, interface
	Forget                   // STOPPED: long enough
)

// Step is an action with what it is about.
type Step struct {
	Action     Action
	Containers []string
	Reason     string        // of GiveUp
	After      time.Duration // look again then, even if nothing changes
}

// Plan says what to do next about a task.
func Plan(t *Task, now time.Time) Step {
	switch t.Status {
	case Provisioning:
		switch {
		case t.Ending:
			return Step{Action: BeginStop}
		case !t.Interface:
			return Step{Action: MakeInterface}
		}
		return Step{Action: AwaitInterface}
	case Pending, Activating, Running, Deactivating:
		return t.live(now)
	case Stopping:
		if running := t.stoppable(); len(running) > 0 {
			return Step{Action: StopContainers, Containers: running}
		}
		if t.Logging {
			return Step{}
		}
		return Step{Action: Deprovision}
	case Deprovisioning:
		return Step{Action: Release}
	case Stopped:
		if age := now.Sub(t.StoppedAt); age < Retention {
			return Step{After: Retention - age}
		}
		return Step{Action: Forget}
	}
	return Step{}
}

// live is Plan between the interface and the stop.
func (t *Task) live(now time.Time) Step {
	if t.Ending {
		return Step{Action: BeginStop}
	}
	var again []string
	for i := range t.Containers {
		switch c := &t.Containers[i]; {
		case c.Essential && c.ended():
			return Step{Action: EndOfEssential, Containers: []string{c.Name}}
		case c.WillRestart():
			again = append(again, c.Name)
		}
	}
	if len(again) > 0 {
		return Step{Action: RestartContainers, Containers: again}
	}
	switch t.Status {
	case Pending:
		if !t.Ready {
			return Step{Action: Prepare}
		}
		return t.start(now)
	case Activating:
		return Step{Action: BecomeRunning}
	}
	return Step{}
}

// start is Plan while containers wait to be started.
func (t *Task) start(now time.Time) Step {
	var ready []string
	var after time.Duration
	waiting := false
	for i := range t.Containers {
		c := &t.Containers[i]
		if c.started() {
			continue
		}
		holds := true
		for _, d := range c.DependsOn {
			v := t.judge(c, d, now)
			if v.never != "" {
				return Step{Action: GiveUp, Containers: []string{c.Name}, Reason: v.never}
			}
			holds = holds && v.holds
			if v.after > 0 && (after == 0 || v.after < after) {
				after = v.after
			}
		}
		if holds {
			ready = append(ready, c.Name)
		} else {
			waiting = true
		}
	}
	switch {
	case len(ready) > 0:
		return Step{Action: StartContainers, Containers: ready}
	case waiting:
		return Step{After: after}
	}
	return Step{Action: Activate}
}

// stoppable are the containers that run and that no other one which runs depends
// on: they are stopped in the reverse of the order in which they were started.
func (t *Task) stoppable() []string {
	needed := map[string]bool{}
	for i := range t.Containers {
		if c := &t.Containers[i]; c.running() {
			for _, d := range c.DependsOn {
				needed[d.On] = true
			}
		}
	}
	var out []string
	for i := range t.Containers {
		if c := &t.Containers[i]; c.running() && !needed[c.Name] {
			out = append(out, c.Name)
		}
	}
	return out
}

// WillRestart tells whether the container has ended and its restart policy has
// it started again, as long as its task is not to end; also when that was begun
// and cut off.
func (c *Container) WillRestart() bool {
	if c.Restart == nil || c.Seen == nil || c.Failed {
		return false
	}
	switch s := c.Seen; s.State {
	case container.Created:
		return s.Restarts > 0
	case container.Ended:
		return !slices.Contains(c.Restart.Ignored, int32(s.ExitCode)) && s.Ended.Sub(s.Started) >= c.Restart.Period
	}
	return false
}

func (c *Container) started() bool {
	return c.Failed || c.Seen != nil && (c.Seen.State != container.Created || c.Seen.Restarts > 0)
}

func (c *Container) running() bool { return c.Seen != nil && c.Seen.State == container.Running }

// ended tells whether the container is over for good.
func (c *Container) ended() bool {
	return c.Failed || c.Seen != nil && c.Seen.State == container.Ended && !c.WillRestart()
}

func (t *Task) container(name string) *Container {
	i := slices.IndexFunc(t.Containers, func(c Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &t.Containers[i]
}

// verdict is what is to be said of a dependency.
type verdict struct {
	holds bool
	never string        // why it never will
	after time.Duration // when its time is over
}

// judge tells whether what a container depends on has come about, or never will.
func (t *Task) judge(target *Container, d Dependency, now time.Time) verdict {
	on := t.container(d.On)
	if on == nil {
		return verdict{} // registration refuses it
	}
	if on.Failed {
		return verdict{never: unresolved(on, target, "because dependency will never start")}
	}
	switch d.Condition {
	case ecsapi.ContainerConditionComplete:
		if on.ended() {
			return verdict{holds: true}
		}
	case ecsapi.ContainerConditionSuccess:
		if on.ended() {
			if on.Seen.ExitCode == 0 {
				return verdict{holds: true}
			}
			return verdict{never: unresolved(on, target, "as dependency did not exit successfully.")}
		}
	case ecsapi.ContainerConditionHealthy:
		if on.ended() {
			// ECS's agent would wait for ever.
			return verdict{never: unresolved(on, target, "because dependency has stopped")}
		}
		if on.Healthy {
			return verdict{holds: true}
		}
	default:
		return verdict{holds: on.started()}
	}
	if on.StartTimeout == 0 || !on.running() {
		return verdict{}
	}
	if left := on.StartTimeout - now.Sub(on.Seen.Started); left > 0 {
		return verdict{after: left}
	}
	return verdict{never: timedOut(on, target)}
}
