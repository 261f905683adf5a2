package engine

import (
	"context"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// fastUpstream is a connection of a lane to a target. It is only ever touched
// by the lane's thread.
type fastUpstream struct {
	lane   *lane
	target *targets.Target
	node   netip.Addr
	conn   *loop.Conn
	c      asker // whose request it has; nil: at rest
	reused bool
	heard  bool // something of the answer has come
	closed bool

	// Of the present answer.
	held    []byte // its head, while it is not whole
	seen    int
	body    bool // the head is through
	framing http1.Framing
	left    int64
	dec     http1.Decoder
	last    bool // nothing may follow the answer
}

// asker is who asked a target something over a lane's connection.
type asker interface {
	// touch is called when something moved.
	touch()
	// headOnly tells that the answer has no body, whatever its head says.
	headOnly() bool
	// answer is given the answer's head; then content pieces of the body. end: the
	// last one, unless trailers comes after it.
	answer(u *fastUpstream, r *http1.Response)
	content(u *fastUpstream, p []byte, end bool)
	// trailers end a body whose length was not known.
	trailers(all []http1.Field)
	// ready passes on what there is, and reports whether more may be read. If not,
	// the asker calls more when it may.
	ready() bool
	// done is called when the whole answer was given; u is somebody else's then.
	done()
	// cut is called when the body will not be whole; u is closed.
	cut()
	// failed is called when there will be no answer; u is closed. stale tells that
	// it was used before and said nothing, refused that the target's kernel threw
	// the request away.
	failed(stale, refused bool)
	// expired is called when the connection's deadline has passed.
	expired()
}

// take returns a connection at rest to the target, or nil.
func (l *lane) take(t *targets.Target, node netip.Addr) *fastUpstream {
	u, _ := t.AtRest[l.n].Take(node).(*fastUpstream)
	if u == nil {
		return nil
	}
	u.reused = true
	u.begin()
	return u
}

// begin makes ready for an answer.
func (u *fastUpstream) begin() {
	u.heard, u.body, u.last, u.seen = false, false, false, 0
	u.conn.SetDeadline(0)
}

// dial opens a connection to a target. f is called later with what came of it and
// reports whether it takes the connection; it is asleep.
func (l *lane) dial(s *socket, t *targets.Target, node netip.Addr, f func(u *fastUpstream, err error) bool) {
	u := &fastUpstream{lane: l, target: t, node: node}
	done := func(conn *loop.Conn, err error) {
		u.conn = conn
		l.dialled(s, t, u, err, f)
	}
	fd, err := s.e.sockets.Socket(s.b.network, node)
	if err != nil {
		l.loop.Later(func() { done(nil, err) })
		return
	}
	loop.Prepare(fd)
	l.loop.Connect(fd, t.Addr, targets.ConnectTimeout, u, done)
}

// dialled is called with what came of a dial.
func (l *lane) dialled(s *socket, t *targets.Target, u *fastUpstream, err error, f func(u *fastUpstream, err error) bool) {
	if err != nil {
		s.count.ConnErrors.Add(1)
		t.Tally.ConnErrors.Add(1)
		f(nil, err)
		return
	}
	t.Tally.NewConns.Add(1)
	if !t.Pool.Join(u) {
		u.conn.Close()
		f(nil, context.Canceled)
		return
	}
	u.begin()
	u.conn.Read()
	if !f(u, nil) {
		u.rest()
	}
}

// rest lays the connection to rest.
func (u *fastUpstream) rest() {
	u.c = nil
	if u.target.Pool.Shut() || !u.target.AtRest[u.lane.n].Put(u.node, u) {
		u.Close()
		return
	}
	u.conn.SetDeadline(int64(u.lane.loop.Now() + targets.MaxRest))
}

// Close implements targets.InLoop: it is at rest or nobody's.
func (u *fastUpstream) Close() {
	if u.closed {
		return
	}
	u.closed = true
	u.target.AtRest[u.lane.n].Remove(u.node, u)
	u.lane.loop.Recycle(u.held)
	u.held = nil
	u.conn.Close()
	u.target.Pool.Part(u)
}

// Sever implements targets.InLoop.
func (u *fastUpstream) Sever() { u.lane.loop.Do(u.cut) }

// cut closes the connection whatever it does: the target is gone.
func (u *fastUpstream) cut() {
	if u.c != nil {
		u.fail(context.Canceled)
	} else {
		u.Close()
	}
}

// Sent implements loop.Handler.
func (u *fastUpstream) Sent() {}

// Expired implements loop.Handler: it rested for too long.
func (u *fastUpstream) Expired() {
	if u.c == nil {
		u.Close()
	} else {
		u.c.expired()
	}
}

// Ended implements loop.Handler.
func (u *fastUpstream) Ended(err error) {
	switch {
	case u.closed:
	case u.c == nil:
		u.Close()
	case err == nil && u.body && u.framing == http1.UntilClose:
		u.framing = http1.NoBody
		u.c.trailers(nil)
		u.last = true
		u.finish()
	default:
		u.fail(err)
	}
}

// fail deals with a connection that ended before the answer did; err is nil when
// the target simply closed it.
func (u *fastUpstream) fail(err error) {
	c := u.c
	if u.body {
		u.c = nil
		u.Close()
		c.cut()
		return
	}
	// As in exchange: the target's kernel refused the bytes, or they were never sent.
	refused := errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || u.conn.Pending() > 0
	if err == nil && !refused {
		code, err := unix.GetsockoptInt(u.conn.FD(), unix.SOL_SOCKET, unix.SO_ERROR)
		refused = err == nil && code != 0
	}
	u.c = nil
	u.Close()
	c.failed(u.reused && !u.heard, refused)
}

// Received implements loop.Handler.
func (u *fastUpstream) Received(p []byte) {
	c := u.c
	if u.closed {
		return
	}
	if c == nil {
		u.Close() // nobody asked
		return
	}
	u.heard = true
	c.touch()
	if u.body {
		u.pass(p)
		return
	}
	if len(u.held) > 0 {
		u.held = append(u.held, p...)
		p = u.held
	}
	for {
		n := http1.HeadEnd(p, u.seen)
		if n == 0 {
			u.await(p)
			return
		}
		r := &u.lane.resp
		if err := r.Parse(p[:n], c.headOnly()); err != nil || r.Status == 101 {
			u.fail(errors.New("malformed answer"))
			return
		}
		p, u.seen = p[n:], 0
		if r.Status >= 200 {
			break
		}
	}
	u.answer(&u.lane.resp, p)
	if len(u.held) > 0 {
		u.lane.loop.Recycle(u.held)
		u.held = nil
	}
}

// await waits for the rest of a head.
func (u *fastUpstream) await(p []byte) {
	if len(p) >= http1.MaxHead {
		u.fail(stream.ErrTooLong)
		return
	}
	if len(u.held) == 0 {
		u.held = append(u.lane.loop.Buffer(), p...)
	} else if len(p) < len(u.held) {
		u.held = u.held[:copy(u.held, p)] // heads before it are done
	}
	u.seen = len(u.held)
	u.conn.Read()
}

// answer passes a head on, and what came of the body with it.
func (u *fastUpstream) answer(r *http1.Response, p []byte) {
	u.body, u.framing, u.left, u.last = true, r.Framing, r.Length, r.Close
	u.dec.Reset()
	u.c.answer(u, r)
	u.pass(p)
}

// pass passes a piece of the body on.
func (u *fastUpstream) pass(p []byte) {
	c := u.c
	if c == nil {
		return
	}
	done := false
	switch u.framing {
	case http1.NoBody:
		done = true
		u.last = u.last || len(p) > 0
	case http1.Length:
		n := min(int64(len(p)), u.left)
		u.left -= n
		done = u.left == 0
		u.last = u.last || n < int64(len(p))
		if n > 0 || done {
			c.content(u, p[:n], done)
		}
	case http1.Chunked:
		content, rest, err := u.dec.Decode(p)
		if err != nil {
			u.fail(err)
			return
		}
		if len(content) > 0 {
			c.content(u, content, false)
		}
		if done = u.dec.Done(); done {
			trailers, err := u.dec.Trailers(nil)
			if err != nil {
				u.fail(err)
				return
			}
			c.trailers(trailers)
			u.last = u.last || len(rest) > 0
		}
	case http1.UntilClose:
		if len(p) > 0 {
			c.content(u, p, false)
		}
	}
	switch {
	case done:
		u.finish()
	case c.ready() && u.c == c:
		u.more()
	}
}

// more asks for the next piece of the body.
func (u *fastUpstream) more() {
	if c, ok := u.c.(*fastClient); ok && c.secure == nil && u.framing == http1.Length && u.left > stream.BufferSize {
		u.conn.ReadBig()
	} else {
		u.conn.Read()
	}
}

// finish is called when the whole answer was given.
func (u *fastUpstream) finish() {
	c := u.c
	u.c = nil
	if u.last || u.conn.Pending() > 0 {
		u.Close()
	} else {
		u.conn.Read() // it shows when the target closes it
		u.rest()
	}
	c.done()
}
