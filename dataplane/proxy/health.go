package proxy

import (
	"net/netip"
	"time"
)

// State is how a target counts.
type State uint8

// The states of a target; doc.go draws how they follow each other.
const (
	Unused State = iota
	Initial
	Healthy
	Unhealthy
	Draining
)

// String returns the state's name in lower case.
func (s State) String() string {
	return [...]string{"unused", "initial", "healthy", "unhealthy", "draining"}[s]
}

// Reason says why a target is not healthy.
type Reason uint8

// The reasons.
const (
	NoReason      Reason = iota // the target is healthy
	NotInUse                    // no rule forwards to its group
	Registering                 // no check was sent yet
	Checking                    // the first checks are not over yet
	Mismatch                    // answered with a code that is not wanted: Check.Status
	Timeout                     // did not answer in time
	Failed                      // the connection failed or the answer was none
	Deregistering               // marked as draining
)

// String returns the reason's name.
func (r Reason) String() string {
	return [...]string{"", "not in use", "registering", "checking", "code mismatch", "timeout", "failed", "deregistering"}[r]
}

// TargetHealth is what is known of one target.
type TargetHealth struct {
	Address  netip.AddrPort
	State    State
	Reason   Reason
	Since    time.Time    // when State or Reason last changed
	Last     *CheckResult // the latest check; nil before the first
	InFlight int          // requests at the target now
}

// CheckResult is one health check, as evidence.
type CheckResult struct {
	At      time.Time
	From    netip.Addr // the node that asked
	Port    uint16     // the port that was asked
	Passed  bool
	Reason  Reason // Mismatch, Timeout or Failed when not passed
	Status  int    // the code that was answered; 0 when none was
	Err     string // what went wrong on the connection
	Latency time.Duration
}
