package engine

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/note"
	"minato/dataplane/proxy/secure"
)

// toLane gives a connection whose handshake is done to a lane. It reports false
// when there is none.
func (c *client) toLane() bool {
	l := c.s.e.lane()
	conn, ok := c.Conn.(*tls.Conn)
	if l == nil || !ok {
		return false
	}
	below := conn.NetConn().(*secure.Pipe)
	fd, err := loop.SocketOf(c.tcp)
	if err != nil {
		return false
	}
	v := visit{s: c.s, remote: c.remote, tls: c.tls, connection: c.connection}
	var begin func(fd int)
	if c.tls.NegotiatedProtocol == "h2" {
		v.connection = cmp.Or(c.connection, note.Connection())
		begin = func(fd int) {
			if to, err := l.loop.Add(fd, nil); err == nil {
				below.To = to
				(&fastHTTP2{of: v, lane: l}).begin(to, loop.Since(c.since), conn, below)
			} else {
				v.s.count.Active.Add(-1)
			}
		}
	} else {
		f := &fastClient{lane: l, visit: v, since: loop.Since(c.since), secure: conn, below: below}
		begin = func(fd int) { f.begin(fd, nil) }
	}
	below.Conn = nil
	c.tcp.Close()
	if err := l.loop.Do(func() { begin(fd) }); err != nil {
		unix.Close(fd)
		below.Conn = c.tcp // closed, as all is
		return false
	}
	c.moved = true
	return true
}

// handshake begins with TLS.
func (c *fastClient) handshake(config *tls.Config) {
	c.state = fastHandshake
	c.below = &secure.Pipe{To: c.conn}
	c.hello = c.lane.greeter.New(config, c.below)
	c.conn.SetDeadline(int64(c.lane.loop.Now() + c.s.e.greetTime))
	c.conn.Read()
}

// shake goes on with the handshake, and then with what the client chose.
func (c *fastClient) shake(p []byte) {
	over, err := c.hello.Received(p)
	switch {
	case err != nil:
		c.s.count.TLSErrors.Add(1)
		c.greet(loop.Time(c.since), err)
		c.hello, c.state = nil, fastLast // an alert says why
		c.conn.SetDeadline(int64(c.lane.loop.Now() + flushTime))
		if c.conn.Flush(); c.conn.Pending() == 0 {
			c.Sent()
		}
		return
	case !over:
		c.conn.Flush()
		c.conn.Read()
		return
	}
	state := c.hello.Conn.ConnectionState()
	c.secure, c.tls, c.hello = c.hello.Conn, &state, nil
	c.greet(loop.Time(c.since), nil)
	if state.NegotiatedProtocol != "h2" {
		c.start() // tickets go with what is sent next
		return
	}
	h2 := &fastHTTP2{of: visit{s: c.s, remote: c.remote, tls: c.tls, connection: cmp.Or(c.connection, note.Connection())}, lane: c.lane}
	conn, since, secure, below := c.conn, c.since, c.secure, c.below
	c.forget()
	conn.SetDeadline(0)
	h2.begin(conn, since, secure, below)
}

// noHandshake ends a connection that did not get through its handshake.
func (c *fastClient) noHandshake(err error) {
	c.s.count.TLSErrors.Add(1)
	c.greet(loop.Time(c.since), err)
	c.close()
}

// decrypt takes from TLS what the bytes that came make.
func (c *fastClient) decrypt() {
	before := len(c.held)
	var err error
	for err == nil {
		c.room(minRead)
		var n int
		n, err = c.secure.Read(c.held[len(c.held):cap(c.held)])
		c.held = c.held[:len(c.held)+n]
	}
	n := len(c.held) - before
	c.s.count.In.Add(uint64(n))
	if len(c.held) == 0 {
		c.lane.loop.Recycle(c.held)
		c.held = nil
	}
	if n > 0 {
		c.came()
	}
	if c.state == fastReleased {
		return
	}
	if c.state != fastWaiting {
		c.conn.Flush() // what TLS itself has to say; else it goes with the answer
	}
	switch ne, temporary := err.(net.Error); {
	case temporary && ne.Timeout():
		if n == 0 {
			c.conn.Read() // a part of a record
		}
	case errors.Is(err, io.EOF): // it said goodbye
		c.Ended(nil)
	default:
		c.Ended(err)
	}
}

// minRead is the room that is made for what TLS may have.
const minRead = 4 << 10
