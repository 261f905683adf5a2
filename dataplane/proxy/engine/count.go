package engine

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
)

// counters is proxy.Counters while it counts, for the nodes of one zone.
type counters struct {
	requests, conns, in, out, clientClosed, connErrors, retries, nonCompliant, tlsErrors atomic.Uint64
	active                                                                               atomic.Int64
	target, own                                                                          codes
}

type codes struct {
	class                  [6]atomic.Uint64
	c500, c502, c503, c504 atomic.Uint64
	redirects, fixed       atomic.Uint64
}

func (c *codes) add(status int) {
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

func (c *codes) read() proxy.Codes {
	return proxy.Codes{
		C2xx: c.class[2].Load(), C3xx: c.class[3].Load(), C4xx: c.class[4].Load(), C5xx: c.class[5].Load(),
		C500: c.c500.Load(), C502: c.c502.Load(), C503: c.c503.Load(), C504: c.c504.Load(),
		Redirects: c.redirects.Load(), Fixed: c.fixed.Load(),
	}
}

func (c *counters) read() proxy.Counters {
	return proxy.Counters{
		Requests: c.requests.Load(), NewConnections: c.conns.Load(), ActiveConnections: c.active.Load(),
		BytesIn: c.in.Load(), BytesOut: c.out.Load(), Target: c.target.read(), Own: c.own.read(),
		ClientClosed: c.clientClosed.Load(), TargetConnErrors: c.connErrors.Load(), Retries: c.retries.Load(),
		NonCompliant: c.nonCompliant.Load(), TLSErrors: c.tlsErrors.Load(),
	}
}

// tally is proxy.GroupCounters while it counts, for the targets of one zone.
type tally struct {
	requests, connErrors, tlsErrors, newConns, in, out atomic.Uint64
	codes                                              codes
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

// answered counts an answer that a target gave after so long.
func (t *tally) answered(status int, after time.Duration) {
	t.requests.Add(1)
	t.codes.add(status)
	t.nanos.Add(uint64(after))
	t.times[bucket(after)].Add(1)
}

func (t *tally) read() proxy.GroupCounters {
	c := proxy.GroupCounters{
		Requests: t.requests.Load(), Codes: t.codes.read(), ConnErrors: t.connErrors.Load(), TLSErrors: t.tlsErrors.Load(),
		NewConnections: t.newConns.Load(), BytesIn: t.in.Load(), BytesOut: t.out.Load(), Time: time.Duration(t.nanos.Load()),
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
