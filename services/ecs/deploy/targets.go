package deploy

// Place is where a task can be reached: a target of a target group.
type Place struct {
	Group string // ARN of the target group
	IP    string
	Port  int32
}

// TargetState is how a target stands, and why.
type TargetState struct {
	State  Target
	Reason string // AWS's description, of an unhealthy one
}

// Health is what the load balancer says of targets; one that is not there is
// Absent.
type Health map[Place]TargetState

// StateOf translates the words of DescribeTargetHealth.
func StateOf(state, reason, description string) TargetState {
	switch state {
	case "healthy":
		return TargetState{State: TargetHealthy}
	case "unhealthy":
		return TargetState{State: TargetUnhealthy, Reason: description}
	case "draining":
		return TargetState{State: Draining}
	case "unused":
		if reason == "Target.NotRegistered" {
			return TargetState{State: Absent}
		}
	}
	// initial; also unused and unavailable: registered, but nobody knows.
	return TargetState{State: Initial}
}

// Worst is how a task stands over all of its target groups: missing in one it
// is still to be registered; draining in one it is on its way out.
func (h Health) Worst(places []Place) TargetState {
	rank := map[Target]int{TargetHealthy: 0, Initial: 1, TargetUnhealthy: 2, Absent: 3, Draining: 4}
	out := TargetState{State: Absent}
	for i, p := range places {
		if x := h[p]; i == 0 || rank[x.State] > rank[out.State] {
			out = x
		}
	}
	return out
}

// Anywhere is how a retired task stands: it is registered as long as one group
// still has it.
func (h Health) Anywhere(places []Place) Target {
	out := Absent
	for _, p := range places {
		switch x := h[p].State; {
		case x == Absent:
		case x != Draining:
			return x
		default:
			out = x
		}
	}
	return out
}
