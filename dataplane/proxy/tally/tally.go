// Package tally counts what load balancers and targets do, for package proxy's Counters
// and GroupCounters.
package tally

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
)

// Counters is proxy.Counters while it counts, for the nodes of one zone.
type Counters struct {
	Requests, Conns, In, Out, ClientClosed, ConnErrors, Retries, NonCompliant, TLSErrors atomic.Uint64
	Active                                                                               atomic.Int64
	Target, Own                                                                          Codes
}

// Codes counts answers by class.
type Codes struct {
	class                  [6]atomic.Uint64
	c500, c502, c503, c504 atomic.Uint64
	Redirects, Fixed       atomic.Uint64
}

// Add counts an answer.
func (c *Codes) Add(status int) {
	if class := status / 100; class < len(c.class) {
		c.class[class].Add(1)
	}
	switch status {
	case 500:
		c.c500.Add(1)
	case 502:
		c.c502.Add(1)
	case 503:
		c.c503.Add(1)
	case 504:
		c.c504.Add(1)
	}
}

// Read is the account so far.
func (c *Codes) Read() proxy.Codes {
	return proxy.Codes{
		C2xx: c.class[2].Load(), C3xx: c.class[3].Load(), C4xx: c.class[4].Load(), C5xx: c.class[5].Load(),
		C500: c.c500.Load(), C502: c.c502.Load(), C503: c.c503.Load(), C504: c.c504.Load(),
		Redirects: c.Redirects.Load(), Fixed: c.Fixed.Load(),
	}
}

// Read is the account so far.
func (c *Counters) Read() proxy.Counters {
	return proxy.Counters{
		Requests: c.Requests.Load(), NewConnections: c.Conns.Load(), ActiveConnections: c.Active.Load(),
		BytesIn: c.In.Load(), BytesOut: c.Out.Load(), Target: c.Target.Read(), Own: c.Own.Read(),
		ClientClosed: c.ClientClosed.Load(), TargetConnErrors: c.ConnErrors.Load(), Retries: c.Retries.Load(),
		NonCompliant: c.NonCompliant.Load(), TLSErrors: c.TLSErrors.Load(),
	}
}

// Tally is proxy.GroupCounters while it counts, for the targets of one zone.
type Tally struct {
	Requests, ConnErrors, TLSErrors, NewConns, In, Out atomic.Uint64
	codes                                              Codes
	nanos                                              atomic.Uint64
	times                                              [buckets]atomic.Uint64
}

// Times are kept in buckets, eight to each doubling, from a tenth of a millisecond on.
const (
	buckets     = 216
	firstBucket = 100 * time.Microsecond
)

func bucket(d time.Duration) int {
	x := uint64(d/time.Microsecond) / 100
	if x == 0 {
		return 0
	}
	octave := bits.Len64(x) - 1
	part := (uint64(d/time.Microsecond) * 8 / 100 >> octave) & 7
	return min(1+octave*8+int(part), buckets-1)
}

// middle is the time that stands for a bucket.
func middle(i int) time.Duration {
	if i == 0 {
		return firstBucket / 2
	}
	i--
	low := float64(firstBucket) * math.Exp2(float64(i/8))
	return time.Duration(low * (1 + (float64(i%8)+0.5)/8))
}

// Answered counts an answer that a target gave after so long.
func (t *Tally) Answered(status int, after time.Duration) {
	t.Requests.Add(1)
	t.codes.Add(status)
	t.nanos.Add(uint64(after))
	t.times[bucket(after)].Add(1)
}

// Read is the account so far.
func (t *Tally) Read() proxy.GroupCounters {
	c := proxy.GroupCounters{
		Requests: t.Requests.Load(), Codes: t.codes.Read(), ConnErrors: t.ConnErrors.Load(), TLSErrors: t.TLSErrors.Load(),
		NewConnections: t.NewConns.Load(), BytesIn: t.In.Load(), BytesOut: t.Out.Load(), Time: time.Duration(t.nanos.Load()),
	}
	for i := range t.times {
		if n := t.times[i].Load(); n > 0 {
			if c.Times == nil {
				c.Times = map[time.Duration]uint64{}
			}
			c.Times[middle(i)] = n
		}
	}
	return c
}
