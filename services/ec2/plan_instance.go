package ec2

import (
	"time"

	"minato/dataplane/container"
)

// instanceAction is the next thing to do for an instance.
type instanceAction uint8

// The actions.
const (
	instanceFine    instanceAction = iota // nothing; Seen is what it is wanted to be
	instanceStart                         // make and start the container
	instanceRestart                       // its container ended by itself: begin a new generation
	instanceStop                          // stop and delete the container
	instanceRelease                       // it is gone: remove home and interface
	instanceForget                        // the record has been shown long enough
)

// terminatedFor is how long a terminated instance is still shown.
const terminatedFor = time.Hour

// planInstance decides by what is wanted and what the runtime says of the
// present generation's container; nil when there is none.
func planInstance(r *instanceRecord, c *container.Status, now time.Time) instanceAction {
	if r.Wanted == stateRunning {
		switch {
		case c == nil || c.State == container.Created:
			return instanceStart
		case c.State == container.Ended:
			return instanceRestart
		}
		return instanceFine
	}
	switch {
	case c != nil:
		return instanceStop
	case r.Wanted == stateTerminated && r.Seen != stateTerminated:
		return instanceRelease
	case r.Wanted == stateTerminated && r.Ended != nil && !now.Before(r.Ended.Add(terminatedFor)):
		return instanceForget
	}
	return instanceFine
}
