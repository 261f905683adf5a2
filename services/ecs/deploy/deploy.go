// Package deploy decides what a service does next: a pure function from what is
// wanted (the service and its deployments) and what is seen (its tasks with
// their targets' health) to actions. It knows no store, no API and no clock but
// the time handed in, so that its promises can be tested over thousands of
// random rollouts:
//
//   - healthy tasks never fall below the minimum by an action of ours;
//   - tasks never exceed the maximum;
//   - it comes to an end, with every task of the primary deployment;
//   - a protected task goes for its health only;
//   - the same state gives the same actions.
//
// A service of the DAEMON strategy has a task on each of its instances; its
// zones are those instances.
//
// A task that has to go is retired first: marked, for good, so that a crash in
// between does not bring it back. A retired task's target is deregistered, which
// drains it; only when the target is gone is the task stopped:
//
//	starting ──> running ──> registered ──> healthy
//	                │             │            │
//	                └─────────────┴──── retire ┴──> deregister ──> draining ──> stop
//
// What counts as what:
//
//	healthy    runs, its container check passes, its targets are healthy; where
//	           nobody checks, it has run for a while: a program that ends at once
//	           must neither replace one that works nor complete a deployment
//	bad        failed a check after the grace period
//	starting   anything else that is not stopping
package deploy

import "time"

// Service is what is wanted.
type Service struct {
	Desired    int
	MinPercent int           // minimumHealthyPercent
	MaxPercent int           // maximumPercent
	Grace      time.Duration // healthCheckGracePeriod, as long as it really lasts
	Settle     time.Duration // how long a task that nobody checks must run to count as healthy
	Zones      []string      // zones of the service's subnets, in the service's order
	Daemon     bool          // one task in each of Zones, which are instances then
	Rebalance  bool          // zones are evened out, a new task before an old one goes
	Balanced   bool          // behind a load balancer
	Breaker    bool          // the circuit breaker is on
	Alarmed    bool          // an alarm that guards deployments is raised
	// Backoff is the wait before the next start after so many failures in a row.
	Backoff func(failures int) time.Duration
}

// Deployment is one of the service's deployments.
type Deployment struct {
	ID         string
	Primary    bool
	Failures   int       // tasks that failed in a row
	LastFailed time.Time // when the last of them did
	Complete   bool      // it was steady once: breaker and alarms watch no more
	Failed     bool      // given up: it starts no task
}

// Check is what a health check says.
type Check uint8

// The answers of a health check.
const (
	None      Check = iota // there is no check
	Unknown                // not known yet
	Healthy                // passed
	Unhealthy              // failed
)

// Target is how a task stands in its target groups; the worst counts.
type Target uint8

// The states of a target.
const (
	Absent          Target = iota // not registered, or gone after draining
	Initial                       // registered, not checked enough yet
	TargetHealthy                 // gets requests
	TargetUnhealthy               // failed its checks
	Draining                      // deregistered, requests in flight end
)

// Task is what is seen of a task.
type Task struct {
	ID         string
	Deployment string
	Zone       string
	Running    bool // lastStatus is RUNNING
	Stopping   bool // told to stop, or stopped
	Retired    bool // marked to go
	Created    time.Time
	Started    time.Time
	Container  Check // the task's own health status
	Target     Target
	// Protected is until when it may not be scaled in or replaced by a deployment.
	Protected time.Time
	Bare      bool // its deployment is not behind a load balancer, whatever later ones are
}

// Start is a task to start.
type Start struct{ Deployment, Zone string }

// Retirement is a task to mark, with the reason that it will be stopped for.
type Retirement struct {
	Task   string
	Reason Reason
}

// Reason is why a task has to go.
type Reason uint8

// The reasons.
const (
	Replaced        Reason = iota // by a newer deployment
	ScaledIn                      // the desired count is lower
	FailedTarget                  // of its target's health check
	FailedContainer               // of its container's health check
)

// Actions is what to do now; the lists are in a settled order.
type Actions struct {
	Start      []Start
	Register   []string // tasks whose targets are to be registered
	Retire     []Retirement
	Deregister []string // retired tasks whose targets are still registered
	Stop       []string // retired tasks whose targets are gone
	// Trip says that the primary deployment has failed too often.
	Trip bool
	// Alarm says that the primary deployment is to be given up for an alarm.
	Alarm bool
	// Rebalancing says that a zone has at least two tasks more than another.
	Rebalancing bool
	// Stuck says that the percentages leave no room to start and no task to
	// stop.
	Stuck bool
	// Protected are the tasks of each deployment that would go and are protected,
	// when nothing else is left to do.
	Protected map[string]int
	// Steady says that the primary deployment is all there is, complete and
	// healthy.
	Steady bool
	// Wake is when to plan again although nothing changed; zero for never.
	Wake time.Time
}

// Count is the number of tasks that there should be.
func (s *Service) Count() int {
	if s.Daemon {
		return len(s.Zones)
	}
	return s.Desired
}

// Minimum is the number of healthy tasks that must stay: rounded up.
func (s *Service) Minimum() int { return (s.Count()*s.MinPercent + 99) / 100 }

// Maximum is the number of tasks that may be there: rounded down.
func (s *Service) Maximum() int { return s.Count() * s.MaxPercent / 100 }

// Limits of the circuit breaker's threshold.
const (
	minThreshold = 3
	maxThreshold = 200
)

// Threshold is the number of failures in a row that trips the circuit breaker:
// half of the desired count, within 3 and 200.
func (s *Service) Threshold() int {
	return min(max((s.Count()+1)/2, minThreshold), maxThreshold)
}
