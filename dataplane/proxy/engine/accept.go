package engine

import (
	"net"
	"net/netip"
	"time"

	"minato/dataplane/proxy/loop"
)

// acceptInLanes has the lanes accept connections until the socket is closed, all
// from one listening socket: whoever has time takes the next one. It reports false
// when they cannot, and goroutines have to.
func (s *socket) acceptInLanes(l net.Listener) (bool, error) {
	if len(s.e.lanes) == 0 || s.e.noLanes {
		return false, nil
	}
	all := loop.Shared{
		Admit:   func(n, fd int, from netip.AddrPort) { s.admit(s.e.lanes[n], fd, from) },
		Refused: s.crowded,
	}
	for _, l := range s.e.lanes {
		all.Loops = append(all.Loops, l.loop)
	}
	return all.Accept(s.ctx, l)
}

// crowded tells, once in a while, that connections have to wait.
func (s *socket) crowded(err error) {
	now := time.Now().Unix()
	if last := s.told.Load(); now-last >= 10 && s.told.CompareAndSwap(last, now) {
		s.e.log.Warn("load balancer has no room for connections; they wait", "load balancer", s.b.id, "address", s.at, "error", err)
	}
}

// admit begins with a connection that was accepted, on the lane's thread.
func (s *socket) admit(l *lane, fd int, remote netip.AddrPort) {
	s.count.Conns.Add(1)
	s.count.Active.Add(1)
	t := s.table.Load()
	if t.stream {
		s.adopt(adopted{fd: fd, since: time.Now(), fresh: true})
		return
	}
	config := s.tls
	if t.tls == nil {
		config = nil
	}
	c := &fastClient{lane: l, visit: visit{s: s, remote: remote}, since: l.loop.Now()}
	if config == nil {
		c.greet(loop.Time(c.since), nil)
	}
	c.begin(fd, config)
}
