package applicationautoscaling

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func steps(kind string, least int32, bounds ...*autoapi.StepAdjustment) *autoapi.StepScalingPolicyConfiguration {
	c := &autoapi.StepScalingPolicyConfiguration{AdjustmentType: &kind}
	if least > 0 {
		c.MinAdjustmentMagnitude = &least
	}
	for _, b := range bounds {
		c.StepAdjustments = append(c.StepAdjustments, *b)
	}
	return c
}

func between(low, high float64, n int32) *autoapi.StepAdjustment {
	a := &autoapi.StepAdjustment{ScalingAdjustment: &n}
	if low > -1000 {
		a.MetricIntervalLowerBound = &low
	}
	if high < 1000 {
		a.MetricIntervalUpperBound = &high
	}
	return a
}

func TestStep(t *testing.T) {
	percent := steps(autoapi.AdjustmentTypePercentChangeInCapacity, 0, between(0, 10, 10), between(10, 20, 20), between(20, 1000, 30), between(-10, 0, -10), between(-1000, -10, -30))
	for _, c := range []struct {
		config   *autoapi.StepScalingPolicyConfiguration
		by       float64
		capacity int
		want     int
	}{
		{percent, 0, 10, 11},
		{percent, 9.9, 10, 11},
		{percent, 10, 10, 12},
		{percent, 25, 10, 13},
		{percent, -5, 10, 9},
		{percent, -10, 10, 7},
		{percent, 0, 3, 4},    // 0.3 becomes 1
		{percent, -5, 3, 2},   // -0.3 becomes -1
		{percent, 25, 15, 19}, // 4.5 becomes 4
		{steps(autoapi.AdjustmentTypePercentChangeInCapacity, 5, between(0, 1000, 10)), 1, 10, 15},
		{steps(autoapi.AdjustmentTypeChangeInCapacity, 0, between(0, 1000, 2)), 1, 10, 12},
		{steps(autoapi.AdjustmentTypeChangeInCapacity, 0, between(-1000, 0, -20)), -1, 10, 0},
		{steps(autoapi.AdjustmentTypeExactCapacity, 0, between(0, 1000, 7)), 1, 10, 7},
	} {
		if got, ok := (triggered{by: c.by}).step(c.config, c.capacity); !ok || got != c.want {
			t.Errorf("by %v from %d: %d %v, want %d", c.by, c.capacity, got, ok, c.want)
		}
	}
	// Just at the threshold it depends on which side the alarm's is.
	down := &autoapi.StepScalingPolicyConfiguration{AdjustmentType: aws.Ptr(autoapi.AdjustmentTypeChangeInCapacity), StepAdjustments: []autoapi.StepAdjustment{{MetricIntervalUpperBound: aws.Ptr(0.0), ScalingAdjustment: aws.Ptr(int32(-1))}}}
	if got, ok := (triggered{below: true}).step(down, 4); !ok || got != 3 {
		t.Errorf("at the threshold of an alarm that calls below it: %d %v", got, ok)
	}
	if _, ok := (triggered{}).step(down, 4); ok {
		t.Error("a step below the threshold fits at it, above")
	}
	if _, ok := (triggered{by: 2}).step(steps(autoapi.AdjustmentTypeChangeInCapacity, 0, between(5, 10, 1)), 10); ok {
		t.Error("a step that does not fit was taken")
	}
}

func TestPlan(t *testing.T) {
	cpu := func(value float64, high, low bool) policyState {
		return policyState{name: "cpu", outCooldown: time.Minute, inCooldown: time.Minute, tracking: &tracking{target: 50, value: value, known: true, high: high, low: low, highName: "H", lowName: "L"}}
	}
	plan := func(current int, policies ...policyState) string {
		d := situation{now: now, current: current, min: 1, max: 10, policies: policies}.plan()
		if d == nil {
			return "nothing"
		}
		return d.policy + " " + d.alarm + " " + string(rune('0'+d.to))
	}
	lately := func(p policyState, from, to int) policyState {
		p.last = scaling{now.Add(-30 * time.Second), from, to}
		return p
	}
	for _, c := range []struct{ name, got, want string }{
		{"at the target", plan(2, cpu(50, false, false)), "nothing"},
		{"above", plan(2, cpu(80, true, false)), "cpu H 4"},
		{"far above, bounded", plan(8, cpu(95, true, false)), "cpu H :"},
		{"at the maximum", plan(10, cpu(95, true, false)), "nothing"},
		{"below", plan(8, cpu(20, false, true)), "cpu L 4"},
		{"nothing to do", plan(8, cpu(0, false, true)), "cpu L 1"},
		{"just scaled out: what was added counts", plan(4, lately(cpu(80, true, false), 2, 4)), "nothing"},
		{"just scaled out, and it grows", plan(4, lately(cpu(140, true, false), 2, 4)), "cpu H 6"},
		{"just scaled in", plan(4, lately(cpu(20, false, true), 8, 4)), "nothing"},
		{"just scaled in, and needed", plan(4, lately(cpu(80, true, false), 8, 4)), "cpu H 7"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	memory := cpu(40, false, false)
	memory.name = "memory"
	if got := plan(8, cpu(10, false, true), memory); got != "nothing" {
		t.Errorf("one of two is not ready to scale in: %s", got)
	}
	memory.tracking.noIn = true
	if got := plan(8, cpu(10, false, true), memory); got != "cpu L 2" {
		t.Errorf("the other never scales in: %s", got)
	}
}

// TestPlanProperties: never outside the bounds, never against what is
// suspended, never without an alarm; and the closed loop comes to rest at a
// capacity that carries the load.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := situation{now: now, min: rapid.IntRange(0, 5).Draw(t, "min"), noOut: rapid.Bool().Draw(t, "noOut"), noIn: rapid.Bool().Draw(t, "noIn")}
		s.max = s.min + rapid.IntRange(0, 20).Draw(t, "span")
		s.current = rapid.IntRange(s.min, s.max).Draw(t, "current")
		alarms := false
		for range rapid.IntRange(1, 3).Draw(t, "policies") {
			p := policyState{name: "p", outCooldown: time.Minute, inCooldown: time.Minute}
			if rapid.Bool().Draw(t, "tracking") {
				high := rapid.Bool().Draw(t, "high")
				p.tracking = &tracking{target: 50, value: rapid.Float64Range(0, 500).Draw(t, "value"), known: true, high: high, low: !high && rapid.Bool().Draw(t, "low")}
				alarms = alarms || p.tracking.high || p.tracking.low
			} else {
				p.config = steps(autoapi.AdjustmentTypeChangeInCapacity, 0, between(0, 1000, rapid.Int32Range(-5, 5).Draw(t, "n")))
				if rapid.Bool().Draw(t, "alarm") {
					p.steps = []triggered{{alarm: "a", by: rapid.Float64Range(0, 10).Draw(t, "by")}}
					alarms = true
				}
			}
			if rapid.Bool().Draw(t, "lately") {
				p.last = scaling{now.Add(-time.Duration(rapid.IntRange(1, 120).Draw(t, "ago")) * time.Second), rapid.IntRange(0, 20).Draw(t, "from"), rapid.IntRange(0, 20).Draw(t, "to")}
			}
			s.policies = append(s.policies, p)
		}
		d := s.plan()
		if d == nil {
			return
		}
		switch {
		case d.to < s.min || d.to > s.max || d.to == s.current:
			t.Fatalf("%d of %d to %d becomes %d", s.current, s.min, s.max, d.to)
		case d.to > s.current && s.noOut, d.to < s.current && s.noIn:
			t.Fatal("it was suspended")
		case !alarms:
			t.Fatal("no alarm called for it")
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		load := rapid.Float64Range(0, 2000).Draw(t, "load") // per cent of one task
		s := situation{now: now, min: 1, max: 100, current: rapid.IntRange(1, 100).Draw(t, "current")}
		last := scaling{}
		for range 60 {
			value := load / float64(s.current)
			s.policies = []policyState{{name: "p", outCooldown: 5 * time.Minute, inCooldown: 5 * time.Minute, last: last, tracking: &tracking{target: 50, value: value, known: true, high: value > 50, low: value < 45}}}
			if d := s.plan(); d != nil {
				last = scaling{s.now, s.current, d.to}
				s.current = d.to
			}
			s.now = s.now.Add(time.Minute)
		}
		value := load / float64(s.current)
		if value > 50+1e-9 || s.current > 1 && load/float64(s.current-1) < 45 {
			t.Fatalf("a load of %v is carried by %d at %v per cent", load, s.current, value)
		}
	})
}
