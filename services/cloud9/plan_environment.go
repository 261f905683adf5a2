package cloud9

import (
	"time"

	cloud9api "minato/aws/api/cloud9"
)

// state is an instance's state in EC2's words, and why.
type state struct{ name, reason string }

// usage is how an environment is used: open terminals, and when the last one was.
type usage struct {
	open int
	last time.Time
}

// plan is what an environment is, and what is to be done about it.
type plan struct {
	status, message string
	created         bool          // the environment is there
	stop            bool          // its instance has been idle long enough
	after           time.Duration // look again then
}

// planEnvironment decides by the state of the instance.
func planEnvironment(e *environment, in state, u usage, now time.Time) plan {
	switch in.name {
	case "pending":
		p := plan{status: cloud9api.EnvironmentStatusCreating, message: in.reason, after: poll}
		if *e.Lifecycle.Status == cloud9api.EnvironmentLifecycleStatusCreated {
			p.status = cloud9api.EnvironmentStatusConnecting
		}
		return p
	case "running":
		p := plan{status: cloud9api.EnvironmentStatusReady, message: "Environment is ready to use", created: true}
		if e.StopAfter == 0 || u.open > 0 {
			return p
		}
		last := u.last
		if last.Before(e.Created) {
			last = e.Created
		}
		if left := last.Add(e.StopAfter).Sub(now); left > 0 {
			p.after = left
		} else {
			p.stop = true
		}
		return p
	case "stopping":
		return plan{status: cloud9api.EnvironmentStatusStopping, created: true, after: poll}
	case "stopped":
		return plan{status: cloud9api.EnvironmentStatusStopped, created: true}
	default:
		return plan{status: cloud9api.EnvironmentStatusError, message: "The environment's instance was terminated.", created: true}
	}
}
