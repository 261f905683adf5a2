// Package check is what a load balancer does to know whether a target is well:
// the single HTTP check (Probe) and what follows from a series of them (Tracker).
package check

import (
	"time"

	"minato/dataplane/proxy"
)

// Tracker follows one target's health. It is pure: time and results come in.
type Tracker struct {
	state  proxy.State
	reason proxy.Reason
	since  time.Time
	last   *proxy.CheckResult
	passes int // in a row
	fails  int // in a row
}

// Start makes the target as good as new: Initial/Registering, or what last says.
func (t *Tracker) Start(now time.Time, last *proxy.TargetHealth) {
	*t = Tracker{state: proxy.Initial, reason: proxy.Registering, since: now}
	if last == nil {
		return
	}
	switch last.State {
	case proxy.Healthy, proxy.Unhealthy:
		t.state, t.reason, t.since, t.last = last.State, last.Reason, last.Since, last.Last
	}
}

// Assume makes the target healthy without a check.
func (t *Tracker) Assume(now time.Time) { t.set(proxy.Healthy, proxy.NoReason, now) }

// Observe takes the result of a check. It reports whether state or reason changed.
func (t *Tracker) Observe(r proxy.CheckResult, c proxy.Check) bool {
	t.last = &r
	if r.Passed {
		t.passes, t.fails = t.passes+1, 0
	} else {
		t.passes, t.fails = 0, t.fails+1
	}
	switch {
	case r.Passed && t.state == proxy.Healthy:
		return false
	case r.Passed && (t.state != proxy.Unhealthy || t.passes >= c.HealthyThreshold):
		// One passed check is enough for a target that was never judged.
		return t.set(proxy.Healthy, proxy.NoReason, r.At)
	case r.Passed:
		return false
	case t.state == proxy.Unhealthy || t.fails >= c.UnhealthyThreshold:
		return t.set(proxy.Unhealthy, r.Reason, r.At)
	case t.state == proxy.Initial:
		return t.set(proxy.Initial, proxy.Checking, r.At)
	}
	return false
}

func (t *Tracker) set(s proxy.State, r proxy.Reason, now time.Time) bool {
	if t.state == s && t.reason == r {
		return false
	}
	t.state, t.reason, t.since = s, r, now
	return true
}

// State is the present state.
func (t *Tracker) State() proxy.State { return t.state }

// Health is what is known, without address and load.
func (t *Tracker) Health() proxy.TargetHealth {
	return proxy.TargetHealth{State: t.state, Reason: t.reason, Since: t.since, Last: t.last}
}
