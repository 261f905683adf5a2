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
}

// Real returns the system's clock with the given pace; a pace below 1 counts as 1.
func Real(pace float64) Clock {
	if pace < 1 {
		pace = 1
	}
	return realClock{pace}
}

type realClock struct{ pace float64 }

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (c realClock) Paced(d time.Duration) time.Duration {
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
