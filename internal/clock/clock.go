// Package clock is the time that is handed in: real in the product, stepped by
// hand in tests. Pace divides the waits in which nothing works (health-check
// intervals, grace periods, drain delays, cool-downs, back-off); it never
// touches timestamps, deadlines on real work, or retention.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits.
type Clock interface {
	// Now is the present time.
	Now() time.Time
	// After sends once when d has passed, unpaced.
	After(d time.Duration) <-chan time.Time
	// Paced is how long a wait of d in which nothing works really takes.
	Paced(d time.Duration) time.Duration
	// Steady is a time that goes on evenly when the clock is set: to be compared
	// with other readings of it in this process, and with nothing else.
	Steady() time.Time
	// At is where a moment that was written down, from Now, lies on the clock as it
	// is now: the clock may have been set since. Whoever measures how long ago
	// something was takes At of it; what AWS dates (expiry, retention) does not. It
	// knows of settings while this process ran; a moment that would lie in the
	// future is now.
	At(t time.Time) time.Time
}

// Real returns the system's clock with the given pace; a pace below 1 counts as 1.
func Real(pace float64) Clock {
	if pace < 1 {
		pace = 1
	}
	return &realClock{pace: pace, begun: time.Now()}
}

type realClock struct {
	pace  float64
	begun time.Time // with its monotonic reading
	steps steps
}

func (c *realClock) Now() time.Time {
	now := time.Now()
	c.steps.see(now.Round(0), c.steady(now))
	return now
}

func (*realClock) Steady() time.Time { return time.Now() } // it has a monotonic reading

func (c *realClock) At(t time.Time) time.Time {
	now := time.Now()
	return c.steps.at(t, now.Round(0), c.steady(now))
}

// steady is the time that it would be had the clock not been set since begun.
func (c *realClock) steady(now time.Time) time.Time { return c.begun.Round(0).Add(now.Sub(c.begun)) }

func (*realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (c *realClock) Paced(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.pace)
}

// Sleep waits d (not paced) or until ctx is done, and returns ctx's error then.
func Sleep(ctx context.Context, c Clock, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	select {
	case <-c.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
