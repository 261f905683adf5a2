package engine

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/stream"
)

// client is a connection from a client and the request it is busy with.
type client struct {
	stream.Stream
	visit // the present request; its slices are valid until the body is read
	tcp   net.Conn
	since time.Time
	// handshook is how long the handshake took.
	handshook time.Duration
	joined    netip.AddrPort // the target of a stream
	active    stream.Activity
	watch     watcher

	// Of the present request.
	resp    http1.Response
	body    stream.Body
	out     []byte
	isHead  bool
	safe    bool // the method may be sent twice
	keep    bool // the connection may take another request
	suspect bool // the connection to the target must not take another one
	linger  bool // the client may still be sending when we close

	mu      sync.Mutex
	resting bool // between requests
	leaving bool // no further request

	// Of a connection that a lane began with: see adopted.
	verdict int
	late    bool
	moved   bool // it was given to a lane
}

func newClient(s *socket, conn net.Conn) *client {
	c := &client{visit: visit{s: s, req: &http1.Request{}}, tcp: conn, since: time.Now()}
	c.Conn = conn
	c.In, c.Stream.Out = &s.count.In, &s.count.Out
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		c.remote = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	c.watch.init(c)
	return c
}

// serve serves requests until the connection ends. One that is not fresh has
// begun with a request.
func (c *client) serve(fresh bool) {
	if !fresh {
		c.Idle = c.s.table.Load().opts.IdleTimeout
		if c.request() {
			c.requests()
		}
		c.finish()
		return
	}
	switch t := c.s.table.Load(); {
	case t.tls != nil && !c.handshake():
		c.Close()
		return
	case t.stream:
		c.passThrough()
		return
	case c.tls != nil && c.tls.NegotiatedProtocol == "h2":
		if !c.toLane() {
			c.Close()
		}
		return
	case c.tls != nil && !c.s.e.noLanes && c.toLane():
		return
	case c.tls == nil:
		c.greet(c.since, nil)
	}
	c.requests()
	c.finish()
}

func (c *client) requests() {
	for c.rest() && c.request() {
	}
}

// finish ends the connection.
func (c *client) finish() {
	if c.linger {
		c.flush()
	}
	c.Close()
	c.Release()
}

// leave ends the connection, at once when it rests, else after the request.
func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = true
	if c.resting {
		c.Interrupt()
	}
}

// rest waits for the first byte of a request.
func (c *client) rest() bool {
	opts := &c.s.table.Load().opts
	if time.Since(c.since) > opts.ClientKeepAlive {
		return false
	}
	c.mu.Lock()
	c.resting = true
	leaving := c.leaving
	c.mu.Unlock()
	if leaving {
		return false
	}
	c.Idle, c.Busy = opts.IdleTimeout, nil
	var err error
	if c.Empty() {
		err = c.Fill()
	}
	c.mu.Lock()
	c.resting = false
	c.Resume()
	c.mu.Unlock()
	return err == nil
}

// request reads a request and has it answered. It reports whether another one
// may follow.
func (c *client) request() bool {
	c.t = c.s.table.Load()
	if !c.t.opts.Recorded {
		return c.answerOne()
	}
	c.beginNote()
	keep := c.answerOne()
	c.endNote()
	return keep
}

func (c *client) answerOne() bool {
	c.isHead, c.keep, c.linger = false, false, true
	c.body.Start(&c.Stream, http1.NoBody, 0)
	c.End = time.Now().Add(c.Idle) // the whole head, drop by drop or not
	if c.late {
		c.End, c.late = time.Now(), false
	}
	head, err := c.Head()
	c.End = time.Time{}
	switch {
	case err == stream.ErrTooLong:
		c.s.count.Requests.Add(1)
		return c.fail(400)
	case err != nil && stream.IsTimeout(err):
		c.s.count.Requests.Add(1)
		return c.fail(408)
	case err != nil:
		return false
	}
	c.s.count.Requests.Add(1)
	if err := c.req.Parse(head); err != nil {
		c.note.Severe()
		return c.fail(badStatus(err))
	}
	c.body.Start(&c.Stream, c.req.Framing, c.req.Length)
	c.isHead, c.safe = string(c.req.Method) == "HEAD", c.req.Safe()
	c.mu.Lock()
	c.keep = !c.req.Close && !c.leaving
	c.mu.Unlock()
	if c.suspect = c.req.Class == http1.Ambiguous && c.t.opts.Desync != proxy.Monitor; c.suspect {
		c.keep = false
	}
	if c.req.Class > http1.Compliant {
		c.s.count.NonCompliant.Add(1)
	}
	c.noteHead(false)
	a, status := c.route()
	c.noteRoute(a)
	switch {
	case a == nil:
		c.keep = c.keep && status != 400
		return c.fail(status)
	case a.fixed != nil:
		return c.fixed(a.fixed)
	case a.redirect != nil:
		return c.redirect(a.redirect)
	}
	return c.forward(a)
}

func badStatus(err error) int {
	var e *http1.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 400
}

const (
	flushTime  = time.Second
	flushBytes = 1 << 20
)

// flush ends our side and takes what the client is still sending: closing with
// bytes unread would reset the connection, and the client lose the answer.
func (c *client) flush() {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.SetReadDeadline(time.Now().Add(flushTime))
	p := stream.GetBuffer()
	defer stream.PutBuffer(p)
	for n := 0; n < flushBytes; {
		k, err := c.Conn.Read(p)
		if err != nil {
			return
		}
		n += k
	}
}

// reset makes the close that follows an error for the client too. It is for
// answers that end with the connection, which a plain close would make whole.
func (c *client) reset() {
	if l, ok := c.tcp.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
}
