package engine

import (
	"sync/atomic"

	"minato/dataplane/proxy"
)

// counters is proxy.Counters while it counts.
type counters struct {
	requests, conns, in, out, clientClosed, connErrors, retries atomic.Uint64
	active                                                      atomic.Int64
	target, own                                                 codes
}

type codes struct {
	class            [6]atomic.Uint64
	c502, c503, c504 atomic.Uint64
}

func (c *codes) add(status int) {
	if class := status / 100; class < len(c.class) {
		c.class[class].Add(1)
	}
	switch status {
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
		C502: c.c502.Load(), C503: c.c503.Load(), C504: c.c504.Load(),
	}
}

func (c *counters) read() proxy.Counters {
	return proxy.Counters{
		Requests: c.requests.Load(), NewConnections: c.conns.Load(), ActiveConnections: c.active.Load(),
		BytesIn: c.in.Load(), BytesOut: c.out.Load(), Target: c.target.read(), Own: c.own.read(),
		ClientClosed: c.clientClosed.Load(), TargetConnErrors: c.connErrors.Load(), Retries: c.retries.Load(),
	}
}
