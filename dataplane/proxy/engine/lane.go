package engine

import (
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"time"

	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/multiplex"
	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/stream"
)

// Option changes how an Engine works.
type Option func(*Engine)

// Epoll has the event loops use epoll, even where there is io_uring.
func Epoll(e *Engine) { e.laneOptions.Epoll = true }

// Goroutines has every connection but those that speak HTTP/2 served by a goroutine
// of its own.
func Goroutines(e *Engine) { e.noLanes = true }

// lane is an event loop and what its thread has for itself.
type lane struct {
	e     *Engine
	n     int
	loop  *loop.Loop
	resp  http1.Response // of the answer whose head is being read
	plain []byte         // what is to be encrypted; empty between turns
	// At rest, to be used again.
	requests []*http1.Request
	opened   []byte // see scratch

	greeter secure.Greeter
}

// maxLanes is how many event loops there are at most.
const maxLanes = 16

// openLanes starts an event loop for each processor. Without any, goroutines serve
// all connections, and none that speak HTTP/2.
func (e *Engine) openLanes() {
	var all []*lane
	o := e.laneOptions
	o.Mended = func(err error) {
		e.log.Error("load balancer's event loop failed: its connections were ended, it goes on with epoll", "error", err)
	}
	for n := range min(runtime.GOMAXPROCS(0), maxLanes) {
		l, err := loop.New(o)
		if err != nil {
			e.log.Warn("load balancer has no event loop", "error", err)
			break
		}
		all = append(all, &lane{e: e, n: n, loop: l})
	}
	e.lanes = all
	if len(all) > 0 {
		e.log.Debug("load balancer's event loops", "number", len(all), "io_uring", all[0].loop.URing())
	}
}

// closeLanes ends the event loops and with them all their connections.
func (e *Engine) closeLanes() {
	for _, l := range e.lanes {
		l.loop.Do(l.greeter.Close)
		l.loop.Close()
	}
}

// lane is the one with the fewest connections.
func (e *Engine) lane() *lane {
	var best *lane
	for _, l := range e.lanes {
		if best == nil || l.loop.Len() < best.loop.Len() {
			best = l
		}
	}
	return best
}

// scratch is what records are decrypted into.
func (l *lane) scratch() []byte {
	if l.opened == nil {
		l.opened = make([]byte, stream.BufferSize)
	}
	return l.opened
}

// takeRequest is for a request to be read into; a connection at rest has none.
func (l *lane) takeRequest() *http1.Request {
	if n := len(l.requests); n > 0 {
		r := l.requests[n-1]
		l.requests = l.requests[:n-1]
		return r
	}
	r := &http1.Request{}
	r.Fields = make([]http1.Field, 0, 16)
	return r
}

// giveRequest takes one back, if it is one.
func (l *lane) giveRequest(r *http1.Request) {
	if r != nil && cap(r.Fields) <= 128 && len(l.requests) < 256 {
		fields := r.Fields[:0]
		*r = http1.Request{}
		r.Fields = fields
		l.requests = append(l.requests, r)
	}
}

// adopted is a connection that a goroutine takes over from a lane.
type adopted struct {
	fd      int
	since   time.Time
	fresh   bool   // nothing was done with it yet
	prefix  []byte // read already: it begins with a request
	verdict int    // what that request is answered, when it was tried in vain
	late    bool   // time for the head of that request is over
	// connection is its name in notes.
	connection string
	// Where the client speaks TLS.
	secure *tls.Conn
	tls    *tls.ConnectionState
}

// adopt has a goroutine serve the connection, which was counted.
func (s *socket) adopt(a adopted) {
	s.e.work.Go(func() {
		moved := false
		defer func() {
			if !moved {
				s.count.Active.Add(-1)
			}
		}()
		f := os.NewFile(uintptr(a.fd), "tcp")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return
		}
		c := newClient(s, conn)
		c.since, c.verdict, c.late, c.connection = a.since, a.verdict, a.late, a.connection
		if a.secure != nil {
			a.secure.NetConn().(*secure.Pipe).Conn = conn
			c.Conn, c.tls = a.secure, a.tls
		}
		if len(a.prefix) > 0 {
			c.Begin(a.prefix)
		}
		if !s.enter(c) {
			conn.Close()
			return
		}
		c.serve(a.fresh)
		s.leave(c)
		moved = c.moved
	})
}

// inLane is a client's connection that a lane serves.
type inLane interface {
	socket() *socket
	leave()
	close()
}

// eachInLane has f called with each of the socket's connections that lanes serve, on
// their lane's thread.
func (s *socket) eachInLane(f func(inLane)) {
	for _, l := range s.e.lanes {
		l.loop.Do(func() {
			l.loop.Each(func(h loop.Handler) {
				of := any(h)
				if m, ok := of.(*multiplex.Conn); ok {
					of = m.Owner
				}
				if c, ok := of.(inLane); ok && c.socket() == s {
					f(c)
				}
			})
		})
	}
}

// enter notes a client; it reports false when all ends.
func (s *socket) enter(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.e.ctx.Err() != nil {
		return false
	}
	s.clients[c] = struct{}{}
	if s.ctx.Err() != nil { // its first request is the last one
		c.leave()
		time.AfterFunc(finishWithin, func() { c.tcp.Close() })
	}
	return true
}

func (s *socket) leave(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}
