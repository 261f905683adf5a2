package engine

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"net"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/proxyprotocol"
	"minato/dataplane/proxy/secure"
)

// passThrough gives the connection to one target and passes bytes both ways: a
// listener that knows nothing of HTTP.
func (c *client) passThrough() {
	defer c.Close()
	c.t = c.s.table.Load()
	defer c.told()
	g := c.t.fallback.pick()
	if g == nil {
		return
	}
	settings := g.settings.Load()
	c.idle, c.busy = c.t.opts.IdleTimeout, &c.active
	c.active.touch()
	var tried []*target
	for len(tried) < maxTargets {
		t := c.target(g, settings, tried)
		if t == nil {
			break
		}
		u, err := t.pool.dial(c.s.e.ctx, c.s.b.network, c.node())
		if err == nil {
			t.tally.Requests.Add(1)
			c.joined = t.addr
			c.join(u, settings)
			t.inflight.Add(-1)
			return
		}
		t.inflight.Add(-1)
		c.s.count.ConnErrors.Add(1)
		t.tally.ConnErrors.Add(1)
		tried = append(tried, t)
	}
	c.reset() // nobody took it: the client is refused, as by a target that does not listen
}

// told tells of the connection, which has ended.
func (c *client) told() {
	c.meet(c.t, c.since, c.handshook, nil, func(x *proxy.Connection) {
		x.Target, x.BytesIn, x.BytesOut = c.joined, c.nread, c.nwritten
		if t, ok := c.Conn.(*tls.Conn); ok {
			x.Offered = t.NetConn().(*secure.Pipe).Offered
		}
	})
}

// target chooses by the flow, or, where the group is sticky, by the client's
// address alone.
func (c *client) target(g *group, settings *proxy.TargetGroup, tried []*target) *target {
	if len(tried) > 0 {
		return g.choose(c.zone(), tried)
	}
	list := g.eligible.Load().of(c.zone()).targets
	if len(list) == 0 {
		return nil
	}
	from := c.remote.String()
	if settings.Sticky > 0 {
		from = c.remote.Addr().String()
	}
	// The target that fits best keeps its flows when others come and go.
	var best *target
	var most uint64
	for _, t := range list {
		sum := sha256.Sum256([]byte(t.token + from))
		if n := binary.BigEndian.Uint64(sum[:8]); best == nil || n > most {
			best, most = t, n
		}
	}
	best.inflight.Add(1)
	return best
}

// join passes bytes until both sides have ended or were silent for too long.
func (c *client) join(u *upstream, settings *proxy.TargetGroup) {
	defer u.close()
	u.idle, u.busy = c.idle, c.busy
	u.in, u.out = &u.pool.t.tally.In, &u.pool.t.tally.Out
	if settings.ProxyProtocol {
		at, _ := c.tcp.LocalAddr().(*net.TCPAddr)
		if at == nil || u.send(proxyprotocol.Header(c.remote, at.AddrPort())) != nil {
			return
		}
	}
	up := make(chan struct{})
	cut := func() {
		u.Conn.Close()
		c.Conn.Close()
	}
	go func() {
		defer close(up)
		if !pass(&c.stream, &u.stream) {
			cut()
		}
	}()
	if !pass(&u.stream, &c.stream) {
		cut()
	}
	<-up
}
