package shift

import (
	"slices"
	"testing"
	"time"

	ecsapi "minato/aws/api/ecs"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)

// order is every stage in its order.
var order = []string{
	"RECONCILE_SERVICE", "PRE_SCALE_UP", "SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_TEST_TRAFFIC_SHIFT",
	"PRODUCTION_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP",
}

// TestPromises: whatever is seen in between, stages never go back, traffic never
// does, none moves before green is ready, every wait is waited, and it ends.
func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{
			Strategy: rapid.SampledFrom([]string{"BLUE_GREEN", "LINEAR", "CANARY"}).Draw(t, "strategy"), Test: rapid.Bool().Draw(t, "test"),
			Bake: time.Duration(rapid.IntRange(0, 20).Draw(t, "bake")) * time.Second, StepBake: time.Duration(rapid.IntRange(0, 10).Draw(t, "step")) * time.Second,
			Percent: float64(rapid.IntRange(30, 1000).Draw(t, "tenths")) / 10,
		}
		s, now := Begin(t0), t0
		var ready bool
		var whole, moved time.Time // when all of the traffic was green's, and when some of it moved last
		seen := Seen{}
		for range 4000 {
			if s.Over() {
				break
			}
			if rapid.IntRange(0, 3).Draw(t, "luck") > 0 {
				seen = Seen{Leftovers: rapid.IntRange(0, 3).Draw(t, "left") == 0, Ready: rapid.Bool().Draw(t, "ready"), Shifted: rapid.Bool().Draw(t, "shifted")}
			} else {
				seen = Seen{Ready: true, Shifted: true}
			}
			ready = ready || seen.Ready && s.Stage == "SCALE_UP"
			next, wake := Next(p, s, seen, now)
			if again, _ := Next(p, s, seen, now); again != next {
				t.Fatal("the same state led elsewhere")
			}
			if slices.Index(order, next.Stage) < slices.Index(order, s.Stage) || next.Production < s.Production || next.Test < s.Test {
				t.Fatalf("back from %+v to %+v", s, next)
			}
			if next.Production+next.Test > 0 && !ready {
				t.Fatalf("traffic to tasks that are not ready: %+v", next)
			}
			if next.Production > s.Production {
				if !moved.IsZero() && now.Sub(moved) < max(p.StepBake, Settle) {
					t.Fatalf("a step after %v", now.Sub(moved))
				}
				moved = now
				if next.Production == 100 {
					whole = now
				}
			}
			if next.Over() && now.Sub(whole) < max(p.Bake, Settle) {
				t.Fatalf("clean up after %v", now.Sub(whole))
			}
			if !wake.IsZero() && wake.Before(now) {
				t.Fatalf("to be woken in the past: %+v", next)
			}
			s = next
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "passes")) * time.Millisecond)
		}
		if !s.Over() || s.Production != 100 || s.Test != map[bool]float64{true: 100}[p.Test] {
			t.Fatalf("it ends with %+v", s)
		}
	})
}

func TestWeights(t *testing.T) {
	for green, want := range map[float64][2]int32{0: {100, 0}, 100: {0, 100}, 10: {90, 10}, 0.1: {998, 1}, 99.9: {1, 998}, 33.3: {666, 333}} {
		if a, b := Weights(green); a != want[0] || b != want[1] {
			t.Errorf("%v: %d:%d", green, a, b)
		}
	}
}

// TestStages are AWS's names, all of them.
func TestStages(t *testing.T) {
	s, now := Begin(t0), t0
	var got []string
	for range 100 {
		if len(got) == 0 || got[len(got)-1] != s.Stage {
			got = append(got, s.Stage)
		}
		s, _ = Next(Plan{Strategy: ecsapi.DeploymentStrategyBlueGreen, Test: true}, s, Seen{Ready: true, Shifted: true}, now)
		now = now.Add(Settle)
	}
	if !slices.Equal(got, order) {
		t.Errorf("%v", got)
	}
}
