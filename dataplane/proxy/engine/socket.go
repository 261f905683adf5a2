package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/tally"
)

const (
	retryListen  = 50 * time.Millisecond // grows to maxRetry
	maxRetry     = 2 * time.Second
	finishWithin = 5 * time.Second // what requests get when their listener is deleted
)

var errOpening = errors.New("opening")

// socket is one address that is listened on, and the clients that came by it.
type socket struct {
	e      *Engine
	b      *balancer
	at     netip.AddrPort
	table  atomic.Pointer[table]
	count  *tally.Counters // of the node's zone
	tls    *tls.Config     // of every connection, where the listener has TLS
	ctx    context.Context
	cancel context.CancelFunc
	told   atomic.Int64 // when it was last said that there is no room, in Unix seconds

	mu      sync.Mutex
	err     error
	clients map[*client]struct{}
}

func (e *Engine) open(b *balancer, at netip.AddrPort, t *table) *socket {
	s := &socket{e: e, b: b, at: at, count: b.zone(t.zones[at.Addr()]), err: errOpening, clients: map[*client]struct{}{}}
	s.table.Store(t)
	s.tls = s.baseTLS()
	s.ctx, s.cancel = context.WithCancel(e.ctx)
	e.work.Go(s.run)
	return s
}

// run listens until closed, and tries again when it cannot.
func (s *socket) run() {
	for wait := retryListen; s.ctx.Err() == nil; wait = min(2*wait, maxRetry) {
		l, err := s.e.sockets.Listen(s.ctx, s.b.network, s.at)
		if err == nil {
			s.report(nil)
			wait = retryListen
			stop := context.AfterFunc(s.ctx, func() { l.Close() })
			err = s.accept(l)
			stop()
			l.Close()
		}
		if s.ctx.Err() != nil {
			return
		}
		if s.report(err) {
			s.e.log.Warn("load balancer does not listen", "load balancer", s.b.id, "address", s.at, "error", err)
		}
		select {
		case <-s.ctx.Done():
		case <-s.e.clock.After(wait):
		}
	}
}

// report records what became of the socket; it returns whether that is new.
func (s *socket) report(err error) bool {
	s.mu.Lock()
	changed := (s.err == nil) != (err == nil) || s.err == errOpening
	s.err = err
	s.mu.Unlock()
	if changed {
		s.e.news.Add(proxy.Change{LoadBalancer: s.b.id})
	}
	return changed
}

func (s *socket) status() proxy.ListenerStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return proxy.ListenerStatus{Listener: s.table.Load().id, Address: s.at, Err: s.err}
}

func (s *socket) accept(l net.Listener) error {
	if did, err := s.acceptInLanes(l); did {
		return err
	}
	for failures := 0; ; {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || failures > 100 {
				return err
			}
			failures++ // out of descriptors, or the client was quicker: it passes
			select {
			case <-s.ctx.Done():
			case <-s.e.clock.After(10 * time.Millisecond):
			}
			continue
		}
		failures = 0
		c := newClient(s, conn)
		if !s.enter(c) {
			conn.Close()
			return net.ErrClosed
		}
		s.count.Conns.Add(1)
		s.count.Active.Add(1)
		s.e.work.Go(func() {
			c.serve(true)
			if !c.moved {
				s.count.Active.Add(-1)
			}
			s.leave(c)
		})
	}
}

// close stops listening, closes the connections at rest, and the others when
// their request is answered or finishWithin is over.
func (s *socket) close() {
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.ctx.Err() == nil { // else the loops end with all their connections
		s.eachInLane(inLane.leave)
		time.AfterFunc(finishWithin, func() { s.eachInLane(inLane.close) })
	}
	for c := range s.clients {
		// The connection below TLS: the client itself may be in its handshake.
		if s.e.ctx.Err() != nil {
			c.tcp.Close()
			continue
		}
		c.leave()
		time.AfterFunc(finishWithin, func() { c.tcp.Close() })
	}
}
