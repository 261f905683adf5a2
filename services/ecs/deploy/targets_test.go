package deploy

import "testing"

func TestWorstTarget(t *testing.T) {
	a, b := Place{"a", "10.0.0.1", 80}, Place{"b", "10.0.0.1", 80}
	for _, c := range []struct{ a, b, worst, anywhere Target }{
		{TargetHealthy, TargetHealthy, TargetHealthy, TargetHealthy},
		{TargetHealthy, Absent, Absent, TargetHealthy},
		{Initial, TargetUnhealthy, TargetUnhealthy, Initial},
		{Draining, Absent, Draining, Draining},
		{Absent, Absent, Absent, Absent},
	} {
		h := Health{a: {State: c.a}, b: {State: c.b}}
		if got := h.Worst([]Place{a, b}).State; got != c.worst {
			t.Errorf("%+v: worst %v", c, got)
		}
		if got := h.Anywhere([]Place{a, b}); got != c.anywhere {
			t.Errorf("%+v: anywhere %v", c, got)
		}
	}
}

func TestStateOf(t *testing.T) {
	for _, c := range []struct {
		state, reason string
		want          Target
	}{
		{"healthy", "", TargetHealthy},
		{"unhealthy", "Target.Timeout", TargetUnhealthy},
		{"draining", "Target.DeregistrationInProgress", Draining},
		{"unused", "Target.NotRegistered", Absent},
		{"unused", "Target.NotInUse", Initial},
		{"initial", "Elb.RegistrationInProgress", Initial},
		{"unavailable", "", Initial},
	} {
		if got := StateOf(c.state, c.reason, "text"); got.State != c.want || (got.Reason == "text") != (c.want == TargetUnhealthy) {
			t.Errorf("%s %s: %+v", c.state, c.reason, got)
		}
	}
}
