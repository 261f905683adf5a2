package engine

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/multiplex"
	"minato/dataplane/proxy/note"
)

// toLane gives a connection whose handshake is done to a lane. It reports false
// when there is none.
func (c *client) toLane() bool {
	l := c.s.e.lane()
	conn, ok := c.Conn.(*tls.Conn)
	if l == nil || !ok {
		return false
	}
	below := conn.NetConn().(*multiplex.Pipe)
	fd, err := loop.SocketOf(c.tcp)
	if err != nil {
		return false
	}
	v := visit{s: c.s, node: c.node, remote: c.remote, tls: c.tls, connection: c.connection}
	var begin func(fd int)
	if c.tls.NegotiatedProtocol == "h2" {
		v.connection = cmp.Or(c.connection, note.Connection())
		begin = func(fd int) { (&fastHTTP2{of: v, lane: l}).begin(fd, c.since, conn, below) }
	} else {
		begin = (&fastClient{lane: l, visit: v, since: c.since, secure: conn, below: below}).begin
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
	c.conn.Flush() // what TLS itself has to say
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
