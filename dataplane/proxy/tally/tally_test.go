package tally

import (
	"testing"
	"time"
)

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 50 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 37 * time.Millisecond, time.Second, 90 * time.Second, time.Hour, 1000 * time.Hour} {
		i := bucket(d)
		if i < 0 || i >= buckets {
			t.Fatalf("%v is in bucket %d", d, i)
		}
		if m := middle(i); d >= 100*time.Microsecond && d <= time.Hour && (float64(m) < 0.93*float64(d) || float64(m) > 1.07*float64(d)) {
			t.Errorf("%v is taken for %v", d, m)
		}
	}
}
