package ecs

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

// stoppedRetention is how long a stopped task is shown, as on AWS.
const stoppedRetention = time.Hour

// action is what a task's reconciler does next.
type action uint8

// The actions, each with the status the task is in.
const (
	doNothing       action = iota
	makeInterface          // PROVISIONING
	awaitInterface         // PROVISIONING: its interface was made
	prepare                // PENDING: images, log streams
	startContainers        // PENDING: those whose dependencies hold
	activate               // PENDING: all were started
	becomeRunning          // ACTIVATING
	endOfEssential         // PENDING to RUNNING: an essential container ended
	beginStop              // it is to end
	stopContainers         // STOPPING: signals; it goes on when they have ended
	deprovision            // STOPPING: all have ended, all logs are delivered
	release                // DEPROVISIONING: containers, interface
	forget                 // STOPPED: long enough
)

// step is an action with what it is about.
type step struct {
	action     action
	containers []string
	after      time.Duration // look again then, even if nothing changes
}

// observation is what is seen of a task's containers.
type observation struct {
	containers map[string]container.Status // by name; those that were made
	logging    bool                        // a log is not delivered yet
}

// planTask says what to do next about a task. It is pure.
func planTask(t *taskRecord, d *ecsapi.TaskDefinition, o *observation, now time.Time) step {
	switch aws.Val(t.LastStatus) {
	case taskProvisioning:
		switch {
		case t.Stop != nil:
			return step{action: beginStop}
		case t.ENI == "":
			return step{action: makeInterface}
		}
		return step{action: awaitInterface}
	case taskPending, taskActivating, taskRunning, taskDeactivating:
		return planLife(t, d, o)
	case taskStopping:
		if running := inState(o, container.Running); len(running) > 0 {
			return step{action: stopContainers, containers: running}
		}
		if o.logging {
			return step{}
		}
		return step{action: deprovision}
	case taskDeprovisioning:
		return step{action: release}
	case taskStopped:
		if age := now.Sub(aws.Val(t.StoppedAt)); age < stoppedRetention {
			return step{after: stoppedRetention - age}
		}
		return step{action: forget}
	}
	return step{}
}

// planLife is planTask between the interface and the stop.
func planLife(t *taskRecord, d *ecsapi.TaskDefinition, o *observation) step {
	if t.Stop != nil {
		return step{action: beginStop}
	}
	for i := range d.ContainerDefinitions {
		if c := &d.ContainerDefinitions[i]; aws.Val(c.Essential) && ended(t, o, *c.Name) {
			return step{action: endOfEssential, containers: []string{*c.Name}}
		}
	}
	switch aws.Val(t.LastStatus) {
	case taskPending:
		if !t.Ready {
			return step{action: prepare}
		}
		ready, waiting := startable(t, d, o)
		switch {
		case len(ready) > 0:
			return step{action: startContainers, containers: ready}
		case !waiting:
			return step{action: activate}
		}
	case taskActivating:
		return step{action: becomeRunning}
	}
	return step{}
}

// startable are the containers that were not started yet and whose dependencies
// hold, in the definition's order; waiting says that others must wait.
func startable(t *taskRecord, d *ecsapi.TaskDefinition, o *observation) (ready []string, waiting bool) {
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if started(t, o, *c.Name) {
			continue
		}
		if slices.ContainsFunc(c.DependsOn, func(dep ecsapi.ContainerDependency) bool { return !holds(t, o, dep) }) {
			waiting = true
			continue
		}
		ready = append(ready, *c.Name)
	}
	return ready, waiting
}

// holds tells whether what a container depends on has come about.
func holds(t *taskRecord, o *observation, dep ecsapi.ContainerDependency) bool {
	name := aws.Val(dep.ContainerName)
	switch aws.Val(dep.Condition) {
	case ecsapi.ContainerConditionComplete:
		return ended(t, o, name)
	case ecsapi.ContainerConditionSuccess:
		s, ok := o.containers[name]
		return ok && s.State == container.Ended && s.ExitCode == 0
	case ecsapi.ContainerConditionHealthy:
		c := t.containerOf(name)
		return c != nil && aws.Val(c.HealthStatus) == ecsapi.HealthStatusHealthy
	}
	return started(t, o, name)
}

func started(t *taskRecord, o *observation, name string) bool {
	s, ok := o.containers[name]
	return t.Failed[name] != "" || ok && s.State != container.Created
}

func ended(t *taskRecord, o *observation, name string) bool {
	s, ok := o.containers[name]
	return t.Failed[name] != "" || ok && s.State == container.Ended
}

func inState(o *observation, state container.State) []string {
	var out []string
	for name, s := range o.containers {
		if s.State == state {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
