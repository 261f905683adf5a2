package applicationautoscaling

import (
	"math"
	"time"

	autoapi "minato/aws/api/applicationautoscaling"
)

// situation is all that a decision is made of.
type situation struct {
	now         time.Time
	current     int // desired count of the service
	min, max    int
	noOut, noIn bool // suspended; or no scale-in while a deployment is under way
	policies    []policyState
}

// policyState is a policy with the state of its alarms.
type policyState struct {
	name        string
	tracking    *tracking
	steps       []triggered // of step scaling: the alarms that call for it
	config      *autoapi.StepScalingPolicyConfiguration
	outCooldown time.Duration
	inCooldown  time.Duration
	last        scaling
}

// tracking is a policy of target tracking as it stands.
type tracking struct {
	target    float64
	value     float64 // of the metric, now
	known     bool
	high, low bool // whether its alarms are in ALARM
	highName  string
	lowName   string
	noIn      bool // scaling in is switched off
}

// triggered is an alarm that calls for a step.
type triggered struct {
	alarm string
	by    float64 // metric minus threshold
	below bool    // it calls when the metric is too low
}

// scaling is what a policy did last.
type scaling struct {
	At       time.Time `json:"at,omitzero"`
	From, To int
}

func (s scaling) out() bool { return s.To > s.From }

// decision is a change of the desired count.
type decision struct {
	policy, alarm string
	to            int
}

// plan decides whether the service is to have more tasks or fewer. Of several
// policies the one that asks for most counts; in goes only if every policy of
// target tracking that may scale in is ready to.
func (s situation) plan() *decision {
	var out, in *decision
	ready := true // to scale in, as far as target tracking is asked
	for _, p := range s.policies {
		if p.tracking != nil && !p.tracking.noIn && !p.tracking.low {
			ready = false
		}
	}
	for _, p := range s.policies {
		for _, d := range s.wants(p) {
			d.to = max(s.min, min(s.max, d.to))
			switch {
			case d.to > s.current:
				if out == nil || d.to > out.to {
					out = &d
				}
			case d.to < s.current && (p.tracking == nil || ready):
				if in == nil || d.to > in.to {
					in = &d
				}
			}
		}
	}
	switch {
	case out != nil && !s.noOut:
		return out
	case out == nil && in != nil && !s.noIn:
		return in
	}
	return nil
}

// wants are the capacities that a policy asks for.
func (s situation) wants(p policyState) []decision {
	var out []decision
	// While the cool-down of a scale-out lasts, what it added counts as part of
	// what is asked for next: everything is computed from before it.
	base := s.current
	if p.last.out() && s.now.Before(p.last.At.Add(p.outCooldown)) {
		base = p.last.From
	}
	cooling := !p.last.At.IsZero() && !p.last.out() && s.now.Before(p.last.At.Add(p.inCooldown))
	if t := p.tracking; t != nil && t.known {
		switch {
		case t.high:
			out = append(out, decision{p.name, t.highName, proportion(base, t.value/t.target)})
		case t.low && !t.noIn && !cooling:
			if to := proportion(s.current, t.value/t.target); to < s.current {
				out = append(out, decision{p.name, t.lowName, to})
			}
		}
	}
	for _, a := range p.steps {
		to, ok := a.step(p.config, base)
		if ok && to < base {
			if to, ok = a.step(p.config, s.current); cooling {
				continue
			}
		}
		if ok {
			out = append(out, decision{p.name, a.alarm, to})
		}
	}
	return out
}

// proportion is the capacity at which a load that is ratio times the target
// would be at the target.
func proportion(capacity int, ratio float64) int {
	f := math.Ceil(float64(capacity)*ratio - 1e-9)
	return int(max(0, min(f, 1e6)))
}

// step is the capacity after the step that fits how far the metric is beyond the
// alarm's threshold; false when none does.
func (t triggered) step(c *autoapi.StepScalingPolicyConfiguration, capacity int) (int, bool) {
	by, above := t.by, t.by > 0 || t.by == 0 && !t.below
	for _, a := range c.StepAdjustments {
		low, high := math.Inf(-1), math.Inf(1)
		if a.MetricIntervalLowerBound != nil {
			low = *a.MetricIntervalLowerBound
		}
		if a.MetricIntervalUpperBound != nil {
			high = *a.MetricIntervalUpperBound
		}
		// Below the threshold the upper bound belongs to the interval, above it
		// the lower one.
		if above && (by < low || by >= high) || !above && (by <= low || by > high) {
			continue
		}
		return adjust(c, int(*a.ScalingAdjustment), capacity), true
	}
	return 0, false
}

func adjust(c *autoapi.StepScalingPolicyConfiguration, n, capacity int) int {
	switch *c.AdjustmentType {
	case autoapi.AdjustmentTypeExactCapacity:
		return n
	case autoapi.AdjustmentTypeChangeInCapacity:
		return max(0, capacity+n)
	}
	change := float64(capacity) * float64(n) / 100
	switch {
	case change >= 1 || change <= -1:
		change = math.Trunc(change)
	case change > 0:
		change = 1
	case change < 0:
		change = -1
	}
	if m := c.MinAdjustmentMagnitude; m != nil {
		if least := float64(*m); change > 0 {
			change = max(change, least)
		} else if change < 0 {
			change = min(change, -least)
		}
	}
	return int(max(0, float64(capacity)+change))
}
