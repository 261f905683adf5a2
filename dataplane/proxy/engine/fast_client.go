package engine

import (
	"cmp"
	"crypto/tls"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// fastState is what a client's connection in a lane is busy with.
type fastState uint8

const (
	fastResting   fastState = iota // between requests, or within a head
	fastHandshake                  // the handshake is not over
	fastBody                       // the head is here, the body not yet
	fastWaiting                    // for the target: to be dialled, or to answer
	fastAnswer                     // the answer is being passed on
	fastLast                       // what there is to send is sent, then it ends
	fastLingers                    // our side has ended; see client.flush
	fastReleased                   // closed, or a goroutine's
)

const (
	// bodyGrace is how long a body is waited for that came apart from its head.
	// One that takes longer is a stream, and goes to a goroutine.
	bodyGrace = 2 * time.Millisecond
	// maxHeld is how much of a client's bytes is held: a request that is longer
	// goes to a goroutine.
	maxHeld = stream.BufferSize
	// maxAhead is how much of an answer may wait for the client to take it.
	maxAhead = 4 * stream.BufferSize
)

// fastClient is a client's connection that a lane serves. It is only ever
// touched by the lane's thread.
type fastClient struct {
	visit // its request's slices lie in held
	lane  *lane
	conn  *loop.Conn
	// Where the client speaks TLS: TLS, and what lies below it.
	secure *tls.Conn
	below  *secure.Pipe
	hello  *secure.Handshake // while it lasts
	since  time.Duration     // as the loop counts
	held   []byte            // the present request, and what came after it
	seen   int               // of held, without finding a head's end
	size   int               // of the present request, in held

	a       *action
	target  *targets.Target // the request is in flight there
	up      *fastUpstream
	sentAt  time.Duration
	wrote   int64  // of the answer
	dials   uint32 // the dial that is waited for
	got     uint32 // bytes that came while lingering
	state   fastState
	resent  bool
	isHead  bool
	keep    bool
	leaving bool
	served  bool // a request
	quits   bool // the client has said that it sends no more
	eof     bool // the client sends no more
}

// begin is the first that the lane does. With a config the client is to begin with
// TLS.
func (c *fastClient) begin(fd int, config *tls.Config) {
	conn, err := c.lane.loop.Add(fd, c)
	if err != nil {
		c.s.count.Active.Add(-1)
		return
	}
	if c.conn = conn; c.below != nil {
		c.below.To = conn
	}
	if c.s.e.ctx.Err() != nil {
		c.close()
		return
	}
	if config != nil {
		c.handshake(config)
	} else {
		c.start()
	}
}

// start is the first before requests.
func (c *fastClient) start() {
	c.rest()
	if c.s.ctx.Err() != nil {
		c.leave() // after its first request
		time.AfterFunc(finishWithin, func() { c.lane.loop.Do(c.close) })
	}
	if c.secure != nil && c.state == fastResting {
		c.decrypt() // what came behind the handshake
	}
}

// forget takes the client off the socket's books.
func (c *fastClient) forget() {
	c.state = fastReleased
	c.tellNote(int64(c.size), c.wrote)
	c.drop()
	c.lane.giveRequest(c.req)
	c.lane.loop.Recycle(c.held)
	c.req, c.held = nil, nil
	if c.hello != nil {
		c.hello.Abort()
		c.hello = nil
	}
}

// close ends the connection at once.
func (c *fastClient) close() {
	if c.state != fastReleased {
		c.forget()
		c.s.count.Active.Add(-1)
		c.conn.Close()
	}
}

// drop ends what is going on with a target.
func (c *fastClient) drop() {
	c.dials++
	if u := c.up; u != nil {
		c.up, u.c = nil, nil
		u.Close()
	}
	if c.target != nil {
		c.target.InFlight.Add(-1)
		c.target = nil
	}
}

// handOver gives the connection and all that was read to a goroutine, which
// begins with the present request anew; verdict and late are those of adopted.
func (c *fastClient) handOver(verdict int, late bool) {
	c.note = nil // the goroutine's is told
	a := adopted{since: loop.Time(c.since), connection: c.connection, verdict: verdict, late: late, prefix: slices.Clone(c.held), secure: c.secure, tls: c.tls}
	c.forget()
	c.conn.SetDeadline(0)
	c.conn.Detach(func(fd int, rest []byte, err error) {
		a.fd = fd
		if c.below != nil {
			c.below.In, c.below.To = rest, nil
		} else {
			a.prefix = append(a.prefix, rest...)
			c.s.count.In.Add(uint64(len(rest)))
		}
		if err != nil {
			unix.Close(fd)
			c.s.count.Active.Add(-1)
			return
		}
		c.s.adopt(a)
	})
}

// leave ends the connection, at once when it rests, else after the request. One
// that is new has a request to come.
func (c *fastClient) leave() {
	c.leaving = true
	if c.state == fastResting && c.served {
		c.last()
	}
}

// last ends the connection when everything is sent.
func (c *fastClient) last() {
	c.state = fastLast
	if c.secure != nil {
		c.secure.CloseWrite()
		c.conn.Flush()
	}
	if c.conn.Pending() == 0 {
		c.Sent()
	}
}

// rest waits for a request, or goes on with the one that is here.
func (c *fastClient) rest() {
	opts := &c.s.table.Load().opts
	c.state, c.seen = fastResting, 0
	if c.leaving || c.eof && len(c.held) == 0 || c.lane.loop.Now()-c.since > opts.ClientKeepAlive {
		c.last()
		return
	}
	c.conn.SetDeadline(int64(c.lane.loop.Now() + opts.IdleTimeout))
	if len(c.held) == 0 {
		c.lane.loop.Recycle(c.held)
		c.held = nil
		c.conn.Read()
		return
	}
	if c.conn.Pending() < maxAhead {
		c.look()
	} // else Sent goes on
}

// Received implements loop.Handler.
func (c *fastClient) Received(p []byte) {
	switch c.state {
	case fastReleased, fastLast:
		return
	case fastHandshake:
		c.shake(p)
		return
	case fastLingers:
		if c.got += uint32(len(p)); c.got < flushBytes {
			c.conn.Read()
		} else {
			c.close()
		}
		return
	}
	if c.secure != nil {
		c.below.In = p
		c.decrypt()
		return
	}
	c.s.count.In.Add(uint64(len(p)))
	c.room(len(p))
	c.held = append(c.held, p...)
	c.came()
}

// room makes room in held for so many bytes.
func (c *fastClient) room(n int) {
	if c.held == nil {
		c.held = c.lane.loop.Buffer()
	}
	if len(c.held)+n > cap(c.held) { // a request whose slices lie there keeps the old one
		c.held = slices.Grow(c.held[:len(c.held):len(c.held)], n)
	}
}

// came goes on with what came.
func (c *fastClient) came() {
	switch c.state {
	case fastResting:
		c.look()
	case fastBody:
		if len(c.held) >= c.size {
			c.forward()
		} else {
			c.conn.Read()
		}
	}
	// Else it is what comes after the present request; its turn comes.
}

// look reads a request from held, when it is whole.
func (c *fastClient) look() {
	n := http1.HeadEnd(c.held, c.seen)
	if n == 0 {
		if len(c.held) > maxHeld {
			c.handOver(0, false)
			return
		}
		if c.eof {
			c.close()
			return
		}
		if c.seen == 0 { // from now on, drop by drop or not
			c.conn.SetDeadline(int64(c.lane.loop.Now() + c.s.table.Load().opts.IdleTimeout))
		}
		c.seen = len(c.held)
		c.conn.Read()
		return
	}
	c.t = c.s.table.Load()
	if c.req == nil {
		c.req = c.lane.takeRequest()
	}
	if !c.simple(n) {
		c.handOver(0, false)
		return
	}
	if c.startNote(); c.note != nil {
		c.note.Head(c.req) // the trace id comes when there is one
		c.noteRoute(c.a)
	}
	if len(c.held) < c.size {
		if c.eof {
			c.left()
			return
		}
		c.state = fastBody
		c.conn.SetDeadline(int64(c.lane.loop.Now() + bodyGrace))
		c.conn.Read()
		return
	}
	c.forward()
}

// simple reads the head, which is so long, and reports whether the request is one
// that a lane can serve.
func (c *fastClient) simple(head int) bool {
	r := c.req
	if r.Parse(c.held[:head]) != nil || r.Class != http1.Compliant || r.Minor != 1 || r.Expect || r.Upgrade {
		return false
	}
	c.size = head
	switch r.Framing {
	case http1.NoBody:
	case http1.Length:
		if r.Length > maxHeld-int64(min(head, maxHeld)) {
			return false
		}
		c.size += int(r.Length)
	default:
		return false
	}
	a, _ := c.route()
	if a == nil || a.fixed != nil || a.redirect != nil {
		return false
	}
	c.a = a
	return true
}

// forward has the request answered by a target.
func (c *fastClient) forward() {
	g := c.pick(c.a)
	if g == nil || !c.rewrite(c.a) {
		c.handOver(0, false)
		return
	}
	if s := g.Settings.Load(); s.Protocol != proxy.HTTP1 || s.TLS {
		c.handOver(0, false)
		return
	}
	if c.target = c.choose(g, nil); c.target == nil {
		c.handOver(0, false)
		return
	}
	c.isHead, c.keep, c.resent = string(c.req.Method) == "HEAD", !c.req.Close && !c.leaving, false
	c.state = fastWaiting
	c.touch()
	if len(c.held) < maxHeld {
		c.conn.Read() // so that it shows when the client leaves
	}
	if u := c.lane.take(c.target, c.node()); u != nil {
		c.send(u)
	} else {
		c.dial()
	}
}

// touch begins the idle time anew. Who says no more while a target thinks has
// most likely left, but may still be reading, and is given a moment; with a
// request behind the present one it has not left.
func (c *fastClient) touch() {
	wait := c.t.opts.IdleTimeout
	if c.eof && c.state == fastWaiting && len(c.held) == c.size {
		wait = watchAfter
	}
	c.conn.SetDeadline(int64(c.lane.loop.Now() + wait))
}

// send sends the request.
func (c *fastClient) send(u *fastUpstream) {
	c.up, u.c = u, c
	out := c.appendRequest(u.conn.Writer(), false)
	head := c.size - int(c.req.Length)
	if c.req.Framing == http1.Length {
		out = append(out, c.held[head:c.size]...)
	}
	u.conn.Out = out
	u.conn.Flush()
	c.note.Sending(c.target.Addr, c.target.Group.ID)
	c.sentAt = c.lane.loop.Now()
}

// Sent implements loop.Handler.
func (c *fastClient) Sent() {
	switch c.state {
	case fastAnswer:
		c.touch()
		if c.up != nil {
			c.up.more()
		}
	case fastResting:
		switch {
		case len(c.held) > 0 && c.seen == 0:
			c.look()
		case c.eof: // it left while the answer was being sent
			c.last()
		}
	case fastLast:
		if c.quits {
			c.close()
			return
		}
		c.state = fastLingers
		c.conn.CloseWrite()
		c.conn.SetDeadline(int64(c.lane.loop.Now() + flushTime))
		c.conn.Read()
	}
}

// Ended implements loop.Handler.
func (c *fastClient) Ended(err error) {
	c.eof = true
	switch {
	case c.state == fastHandshake:
		c.noHandshake(cmp.Or(err, io.EOF))
	case err == nil && c.state == fastWaiting:
		c.touch()
	case err == nil && (c.state == fastAnswer || c.state == fastLast || c.conn.Pending() > 0):
	case c.state == fastWaiting || c.state == fastBody:
		c.left()
	default:
		c.close()
	}
}

// left counts a client that left before the answer began.
func (c *fastClient) left() {
	c.s.count.Requests.Add(1)
	c.s.count.ClientClosed.Add(1)
	if c.up == nil {
		c.noteTrace()
	}
	c.note.Left()
	c.close()
}

// Expired implements loop.Handler.
func (c *fastClient) Expired() {
	switch c.state {
	case fastResting:
		if len(c.held) > 0 {
			c.handOver(0, true)
		} else {
			c.last()
		}
	case fastHandshake:
		c.noHandshake(os.ErrDeadlineExceeded)
	case fastBody:
		c.handOver(0, false)
	case fastWaiting:
		switch {
		case c.eof && len(c.held) == c.size:
			c.left()
		case c.up != nil: // a dial has a time of its own
			c.handOver(504, false)
		}
	default:
		c.close()
	}
}

// put makes out the client's Out, which it was appended to.
func (c *fastClient) put(out []byte) {
	at := c.pending()
	n := len(out) - len(*at)
	c.s.count.Out.Add(uint64(n))
	c.wrote += int64(n)
	*at = out
}

// pending is where bytes for the client lie until the next flush.
func (c *fastClient) pending() *[]byte {
	if c.secure != nil {
		return &c.lane.plain
	}
	return &c.conn.Out
}

// writer is what waits for the next flush, with room.
func (c *fastClient) writer() []byte {
	if c.secure != nil {
		return c.lane.plain
	}
	return c.conn.Writer()
}

// flush sends what was put. Each turn that puts something ends with it.
func (c *fastClient) flush() {
	if p := c.lane.plain; c.secure != nil && len(p) > 0 {
		c.secure.Write(p) // to memory: it cannot fail
		c.lane.plain = p[:0]
	}
	c.conn.Flush()
}

// done implements asker.
func (c *fastClient) done() {
	c.flush()
	c.up = nil
	c.tellNote(int64(c.size), c.wrote)
	c.target.InFlight.Add(-1)
	c.target, c.a, c.picked, c.wrote, c.served = nil, nil, nil, 0, true
	c.quits = (c.req.Close || c.eof) && len(c.held) == c.size
	c.lane.giveRequest(c.req)
	c.req = nil
	c.held = c.held[:copy(c.held, c.held[c.size:])]
	if !c.keep {
		c.last()
		return
	}
	c.rest()
}
