package engine

import (
	"crypto/tls"
	"net"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/proxyprotocol"
	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
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
	settings := g.Settings.Load()
	c.Idle, c.Busy = c.t.opts.IdleTimeout, &c.active
	c.active.Touch()
	var tried []*targets.Target
	for len(tried) < maxTargets {
		t := c.target(g, settings, tried)
		if t == nil {
			break
		}
		u, err := t.Pool.Dial(c.s.e.ctx, c.s.b.network, c.node())
		if err == nil {
			t.Tally.Requests.Add(1)
			c.joined = t.Addr
			c.join(u, settings)
			t.InFlight.Add(-1)
			return
		}
		t.InFlight.Add(-1)
		c.s.count.ConnErrors.Add(1)
		t.Tally.ConnErrors.Add(1)
		tried = append(tried, t)
	}
	c.reset() // nobody took it: the client is refused, as by a target that does not listen
}

// told tells of the connection, which has ended.
func (c *client) told() {
	c.meet(c.t, c.since, c.handshook, nil, func(x *proxy.Connection) {
		x.Target, x.BytesIn, x.BytesOut = c.joined, c.NRead, c.NWritten
		if t, ok := c.Conn.(*tls.Conn); ok {
			x.Offered = t.NetConn().(*secure.Pipe).Offered
		}
	})
}

// target chooses by the flow, or, where the group is sticky, by the client's
// address alone.
func (c *client) target(g *targets.Group, settings *proxy.TargetGroup, tried []*targets.Target) *targets.Target {
	if len(tried) > 0 {
		return g.Choose(c.zone(), tried)
	}
	from := c.remote.String()
	if settings.Sticky > 0 {
		from = c.remote.Addr().String()
	}
	return g.Flow(c.zone(), from)
}

// join passes bytes until both sides have ended or were silent for too long.
func (c *client) join(u *targets.Upstream, settings *proxy.TargetGroup) {
	defer u.Close()
	u.Idle, u.Busy = c.Idle, c.Busy
	u.In, u.Out = &u.Target().Tally.In, &u.Target().Tally.Out
	if settings.ProxyProtocol {
		at, _ := c.tcp.LocalAddr().(*net.TCPAddr)
		if at == nil || u.Send(proxyprotocol.Header(c.remote, at.AddrPort())) != nil {
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
		if !stream.Pass(&c.Stream, &u.Stream) {
			cut()
		}
	}()
	if !stream.Pass(&u.Stream, &c.Stream) {
		cut()
	}
	<-up
}
