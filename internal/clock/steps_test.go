package clock_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/internal/clock"
)

// TestAt: how long ago something was does not depend on how the clock was set
// meanwhile, as long as it was looked at between the settings.
func TestAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
		type mark struct{ shown, steady time.Time }
		var marks []mark
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "jump") {
				f.Jump(time.Duration(rapid.IntRange(-100, 100).Draw(t, "hours")) * time.Hour)
			}
			marks = append(marks, mark{f.Now(), f.Steady()})
			f.Advance(time.Duration(rapid.IntRange(0, 50).Draw(t, "minutes")) * time.Minute)
		}
		for i, m := range marks {
			ago := f.Now().Sub(f.At(m.shown))
			if ago < 0 {
				t.Fatalf("%v ago", ago)
			}
			twice := false // the clock has shown this hour again
			for _, later := range marks[i+1:] {
				if d := later.shown.Sub(m.shown); d < time.Hour && later.steady.Sub(m.steady) != d {
					twice = true
				}
			}
			if want := f.Steady().Sub(m.steady); !twice && ago != want {
				t.Fatalf("%v was %v ago, not %v", m.shown, ago, want)
			}
		}
	})
}

// TestAtOfAnotherLife: a moment that an earlier process wrote down, or one that
// the clock has never shown.
func TestAtOfAnotherLife(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := clock.NewFake(begin)
	f.Advance(time.Hour)
	if got := f.At(begin.Add(-24 * time.Hour)); !got.Equal(begin.Add(-24 * time.Hour)) {
		t.Errorf("a day before: %v", got)
	}
	if got := f.At(begin.Add(48 * time.Hour)); !got.Equal(f.Now()) {
		t.Errorf("of the future: %v", got)
	}
	f.Jump(-12 * time.Hour)
	if got := f.Now().Sub(f.At(begin)); got != time.Hour {
		t.Errorf("set back, the beginning was %v ago", got)
	}
}

func TestRealAt(t *testing.T) {
	c := clock.Real(1)
	now := c.Now()
	if d := c.At(now).Sub(now.Round(0)); d < -time.Second || d > time.Second {
		t.Errorf("now is %v from now", d)
	}
	if c.Steady().Before(now) {
		t.Error("it goes back")
	}
}
