package engine

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/loop"
)

// fastUpstream is a connection of a lane to a target. It is only ever touched
// by the lane's thread.
type fastUpstream struct {
	lane   *lane
	pool   *pool
	node   netip.Addr
	conn   *loop.Conn
	c      *fastClient // whose request it has; nil: at rest
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

// take returns a connection at rest to the target, or nil.
func (l *lane) take(t *target, node netip.Addr) *fastUpstream {
	idle := &t.idle[l.n]
	for i := len(idle.at) - 1; i >= 0; i-- {
		if u := idle.at[i]; u.node == node {
			idle.at = slices.Delete(idle.at, i, i+1)
			u.reused = true
			u.begin()
			return u
		}
	}
	return nil
}

// begin makes ready for an answer.
func (u *fastUpstream) begin() {
	u.heard, u.body, u.last, u.seen = false, false, false, 0
	u.conn.SetDeadline(0)
}

// dial opens a connection to the client's target, in a goroutine.
func (c *fastClient) dial() {
	c.dials++
	t, l, number, node := c.target, c.lane, c.dials, c.node
	c.s.e.work.Go(func() {
		fd, err := t.pool.dialSocket(c.s.e.ctx, c.s.b.network, node)
		if l.loop.Do(func() { c.dialled(t, number, fd, err) }) != nil && err == nil {
			unix.Close(fd)
		}
	})
}

// dialled is called with what came of a dial.
func (c *fastClient) dialled(t *target, number uint32, fd int, err error) {
	waited := c.state == fastWaiting && c.dials == number
	if err != nil {
		c.s.count.connErrors.Add(1)
		t.tally.connErrors.Add(1)
		switch {
		case !waited:
		case isTimeout(err) || errors.Is(err, context.DeadlineExceeded):
			c.handOver(504, false)
		default:
			c.handOver(0, false) // there may be other targets
		}
		return
	}
	t.tally.newConns.Add(1)
	u := &fastUpstream{lane: c.lane, pool: &t.pool, node: c.node}
	if u.conn, err = c.lane.loop.Add(fd, u); err == nil {
		if !t.pool.join(u) {
			u.conn.Close()
			err = context.Canceled
		}
	}
	switch {
	case err != nil && waited:
		c.handOver(0, false)
	case err != nil:
	case waited:
		u.begin()
		c.touch()
		u.conn.Read()
		c.send(u)
	default:
		u.conn.Read()
		u.rest()
	}
}

// rest lays the connection to rest.
func (u *fastUpstream) rest() {
	idle := &u.pool.t.idle[u.lane.n]
	if u.pool.shut.Load() || len(idle.at) >= maxIdle {
		u.close()
		return
	}
	u.c = nil
	idle.at = append(idle.at, u)
	u.conn.SetDeadline(int64(u.lane.loop.Now() + maxRest))
}

// close closes the connection; it is at rest or nobody's.
func (u *fastUpstream) close() {
	if u.closed {
		return
	}
	u.closed = true
	idle := &u.pool.t.idle[u.lane.n]
	if i := slices.Index(idle.at, u); i >= 0 {
		idle.at = slices.Delete(idle.at, i, i+1)
	}
	u.lane.loop.Recycle(u.held)
	u.held = nil
	u.conn.Close()
	u.pool.part(u)
}

// cut closes the connection whatever it does: the target is gone.
func (u *fastUpstream) cut() {
	if u.c != nil {
		u.fail(context.Canceled)
	} else {
		u.close()
	}
}

// Sent implements loop.Handler.
func (u *fastUpstream) Sent() {}

// Expired implements loop.Handler: it rested for too long.
func (u *fastUpstream) Expired() {
	if u.c == nil {
		u.close()
	}
}

// Ended implements loop.Handler.
func (u *fastUpstream) Ended(err error) {
	switch {
	case u.closed:
	case u.c == nil:
		u.close()
	case err == nil && u.body && u.framing == http1.UntilClose:
		u.framing = http1.NoBody
		u.c.put(http1.AppendEnd(u.c.writer(), nil))
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
	if c.state == fastAnswer {
		// What is cut short must look so: the client's connection ends within the body.
		c.keep = false
		c.tellNote(int64(c.size), c.wrote)
		c.drop()
		c.flush()
		c.last()
		return
	}
	// As in exchange: the target's kernel refused the bytes, or they were never sent.
	refused := errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) || u.conn.Pending() > 0
	if err == nil && !refused {
		code, err := unix.GetsockoptInt(u.conn.FD(), unix.SOL_SOCKET, unix.SO_ERROR)
		refused = err == nil && code != 0
	}
	again := u.reused && !u.heard && !c.resent && (c.safe || refused)
	c.up, u.c = nil, nil
	u.close()
	if again {
		c.s.count.retries.Add(1)
		c.resent = true
		c.dial()
		return
	}
	c.handOver(502, false)
}

// Received implements loop.Handler.
func (u *fastUpstream) Received(p []byte) {
	c := u.c
	if u.closed {
		return
	}
	if c == nil {
		u.close() // nobody asked
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
		if err := r.Parse(p[:n], c.isHead); err != nil || r.Status == 101 {
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
		u.fail(errTooLong)
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
	c := u.c
	t := u.pool.t
	c.s.count.requests.Add(1)
	c.s.count.target.add(r.Status)
	t.tally.answered(r.Status, c.lane.loop.Now()-c.sentAt)
	c.note.answered(r.Status)
	u.body, u.framing, u.left, u.last = true, r.Framing, r.Length, r.Close
	u.dec.Reset()
	chunked := r.Framing == http1.UntilClose || r.Framing == http1.Chunked
	cookies := c.cookies(c.a, t, func(name string) bool { return setsCookie(r.Fields, name) })
	c.put(c.appendResponse(c.writer(), r, c.keep, chunked, cookies))
	c.state = fastAnswer
	u.pass(p)
}

// pass passes a piece of the body on.
func (u *fastUpstream) pass(p []byte) {
	c := u.c
	done := false
	switch u.framing {
	case http1.NoBody:
		done = true
		u.last = u.last || len(p) > 0
	case http1.Length:
		n := min(int64(len(p)), u.left)
		if c.secure == nil && c.conn.Pending() == 0 && u.conn.Take() {
			c.lane.loop.Recycle(c.conn.Out)
			c.conn.Out = nil
			c.put(p[:n]) // without copying
		} else {
			c.put(append(c.writer(), p[:n]...))
		}
		u.left -= n
		done = u.left == 0
		u.last = u.last || n < int64(len(p))
	case http1.Chunked:
		content, rest, err := u.dec.Decode(p)
		if err != nil {
			u.fail(err)
			return
		}
		c.put(http1.AppendChunk(c.writer(), content))
		if done = u.dec.Done(); done {
			trailers, err := u.dec.Trailers(nil)
			if err != nil {
				u.fail(err)
				return
			}
			c.put(http1.AppendEnd(c.writer(), trailers))
			u.last = u.last || len(rest) > 0
		}
	case http1.UntilClose:
		c.put(http1.AppendChunk(c.writer(), p))
	}
	if done {
		u.finish()
		return
	}
	n := c.conn.Pending()
	c.flush()
	if n < maxAhead {
		u.more()
	}
}

// more asks for the next piece of the body.
func (u *fastUpstream) more() {
	if u.framing == http1.Length && u.left > bufferSize && u.c.secure == nil {
		u.conn.ReadBig()
	} else {
		u.conn.Read()
	}
}

// finish is called when the whole answer is in the client's Out.
func (u *fastUpstream) finish() {
	c := u.c
	c.flush()
	c.up, u.c = nil, nil
	if u.last || u.conn.Pending() > 0 {
		u.close()
	} else {
		u.conn.Read() // it shows when the target closes it
		u.rest()
	}
	c.done()
}

// dialSocket opens a connection and returns its socket.
func (p *pool) dialSocket(ctx context.Context, network string, node netip.Addr) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := p.t.g.e.sockets.Dial(ctx, network, node, p.t.addr)
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	return socketOf(conn)
}
