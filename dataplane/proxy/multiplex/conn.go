package multiplex

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy/http2"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/secure"
)

const (
	bufferSize = 16 << 10
	// maxAhead is how much may wait for the client to take it.
	maxAhead = 4 * bufferSize
	// flushTime and flushBytes are how long, and how much, a client may still send
	// after our side has ended: closing at once would lose it what it was sent.
	flushTime  = time.Second
	flushBytes = 1 << 20
)

// Config is what a connection is begun with.
type Config struct {
	Loop    *loop.Loop
	Secure  *tls.Conn    // its handshake is done
	Below   *secure.Pipe // what lies below it
	Scratch []byte       // the thread's: records are decrypted into it
	Idle    time.Duration
	Life    time.Duration  // how long requests are taken
	In, Out *atomic.Uint64 // bytes
	Owner   any            // whose it is
	// Enter is called at the beginning; if it reports false the connection ends.
	Enter func(*Conn) bool
	// Ended is called when the connection is.
	Ended func()
	// Request is called with each request. Its stream's Owner may be a Stream.
	Request func(st *http2.Stream, h *http2.Head, end bool)
}

// Conn is a client's connection.
type Conn struct {
	Config
	conn    *loop.Conn
	srv     *http2.Server
	until   time.Duration // of its life, as the loop counts
	flushes func()        // flush; made once
	due     bool          // flush is, at the turn's end
	paused  bool          // nothing is read until something is sent
	over    bool          // nothing more is received
	said    bool          // the client was told
	lingers bool          // our side has ended
	closed  bool
	got     int      // while it lingers
	waiting []Stream // for what waits to be sent
	space   []Stream // waiting's, to be used again
}

// Stream is who serves a request; it is told on the loop's thread.
type Stream interface {
	// Data is called with a piece of the body, Tail with trailers at its end.
	Data(p []byte, end bool)
	Tail(fields []http2.Field)
	// Gone is called when the client is.
	Gone()
	// Room is called when more can be sent.
	Room()
}

// Begin begins with a connection of the loop, on its thread.
func Begin(conn *loop.Conn, config Config) {
	c := &Conn{Config: config, conn: conn}
	conn.Serve(c)
	c.flushes = c.flush
	c.until = c.Loop.Now() + c.Life
	c.srv = http2.NewServer((*events)(c))
	if !c.Enter(c) {
		c.Close()
		return
	}
	c.rearm()
	c.Later()
	c.Received(c.Below.In) // what came with the handshake
}

// Close ends the connection at once.
func (c *Conn) Close() {
	if c.closed {
		return
	}
	c.closed, c.over = true, true
	c.srv.End()
	c.waiting = nil
	c.Loop.Recycle(c.srv.Out)
	c.srv.Out = nil
	c.conn.Close()
	c.Config.Ended()
}

// Leave ends the connection when its requests are answered.
func (c *Conn) Leave() {
	if !c.closed {
		c.srv.Leave()
		c.Later()
	}
}

// Closed reports whether the connection is over.
func (c *Conn) Closed() bool { return c.closed }

// pending is how many bytes wait to be sent.
func (c *Conn) pending() int { return c.conn.Pending() + len(c.srv.Out) }

// Full reports whether the client has enough to take for now. Then x is told when
// there is room.
func (c *Conn) Full(x Stream) bool {
	if c.pending() < maxAhead {
		return false
	}
	c.waiting = append(c.waiting, x)
	return true
}

// Later has everything sent at the end of the turn.
func (c *Conn) Later() {
	if !c.due && !c.closed {
		c.due = true
		c.Loop.Later(c.flushes)
	}
}

// flush encrypts and sends what there is.
func (c *Conn) flush() {
	c.due = false
	if c.closed {
		return
	}
	if out := c.srv.Out; len(out) > 0 && !c.lingers {
		c.Out.Add(uint64(len(out)))
		if _, err := c.Secure.Write(out); err != nil {
			c.Close()
			return
		}
		if c.srv.Out = out[:0]; c.srv.Streams() == 0 || cap(out) > 2*maxAhead {
			c.Loop.Recycle(out)
			c.srv.Out = nil
		}
	}
	c.conn.Flush()
	if c.conn.Pending() == 0 {
		c.Sent()
	} else {
		c.rearm()
	}
}

// rearm sets the time at which the connection is looked at. A frame or a head that
// comes drop by drop does not put it off.
func (c *Conn) rearm() {
	if c.srv.Streams() == 0 && c.srv.Midway() || c.closed || c.lingers {
		return
	}
	at := c.Loop.Now() + c.Idle
	if !c.srv.Leaving() {
		at = max(min(at, c.until), c.Loop.Now()+time.Millisecond)
	}
	c.conn.SetDeadline(int64(at))
}

// Received implements loop.Handler.
func (c *Conn) Received(p []byte) {
	if c.lingers {
		if c.got += len(p); c.got < flushBytes {
			c.conn.Read()
		} else {
			c.Close()
		}
		return
	}
	if c.over {
		return
	}
	if c.srv.Out == nil {
		c.srv.Out = c.Loop.Buffer()
	}
	c.Below.In = p
	for err := error(nil); err == nil && !c.over; {
		var n int
		if n, err = c.Secure.Read(c.Scratch); n > 0 {
			c.decrypted(c.Scratch[:n])
		}
		if ne, ok := err.(net.Error); err != nil && !(ok && ne.Timeout()) && !c.over {
			c.Close() // the client says goodbye, or what is no TLS
		}
	}
	if c.closed {
		return
	}
	c.Later()
	if c.paused = c.pending() >= maxAhead; !c.paused && !c.over {
		c.conn.Read()
	}
}

// decrypted is given what the client says.
func (c *Conn) decrypted(p []byte) {
	c.In.Add(uint64(len(p)))
	if c.srv.Receive(p) != nil {
		c.over = true
		c.srv.End()
	}
}

// Sent implements loop.Handler.
func (c *Conn) Sent() {
	switch {
	case c.closed || c.lingers:
		return
	case c.over || c.srv.Leaving() && c.srv.Streams() == 0:
		if len(c.srv.Out) == 0 {
			c.last()
		}
		return
	}
	c.rearm()
	if c.paused {
		c.paused = false
		c.conn.Read()
	}
	if len(c.waiting) > 0 {
		all := c.waiting
		c.waiting = c.space[:0]
		for i, x := range all {
			all[i] = nil
			x.Room()
		}
		c.space = all
	}
}

// last ends the connection; everything is sent.
func (c *Conn) last() {
	if !c.said {
		c.over, c.said = true, true
		c.Secure.CloseWrite()
		c.conn.SetDeadline(int64(c.Loop.Now() + c.Idle))
		if c.conn.Flush(); c.conn.Pending() > 0 {
			return // Sent comes again
		}
	}
	c.lingers = true
	c.conn.CloseWrite()
	c.conn.SetDeadline(int64(c.Loop.Now() + flushTime))
	c.conn.Read()
}

// Ended implements loop.Handler.
func (c *Conn) Ended(error) { c.Close() }

// Expired implements loop.Handler.
func (c *Conn) Expired() {
	switch {
	case c.lingers || !c.srv.Begun() || c.over || c.conn.Pending() > 0 || c.srv.Streams() > 0 && !c.srv.Busy():
		c.Close() // what there is, is not taken
	default:
		if c.srv.Streams() == 0 || c.Loop.Now() >= c.until {
			c.srv.Leave()
			c.Later()
		}
		c.rearm()
	}
}

// events are what http2.Server tells a Conn.
type events Conn

// Request implements http2.Handler.
func (c *events) Request(st *http2.Stream, h *http2.Head, end bool) { c.Config.Request(st, h, end) }

// Data implements http2.Handler.
func (c *events) Data(st *http2.Stream, p []byte, end bool) {
	if x, ok := st.Owner.(Stream); ok {
		x.Data(p, end)
	} else {
		st.Consumed(len(p)) // it is answered
	}
}

// Trailers implements http2.Handler.
func (c *events) Trailers(st *http2.Stream, fields []http2.Field) {
	if x, ok := st.Owner.(Stream); ok {
		x.Tail(fields)
	}
}

// Reset implements http2.Handler.
func (c *events) Reset(st *http2.Stream) {
	if x, ok := st.Owner.(Stream); ok {
		x.Gone()
	}
}

// Room implements http2.Handler.
func (c *events) Room(st *http2.Stream) {
	if x, ok := st.Owner.(Stream); ok {
		x.Room()
	}
}
