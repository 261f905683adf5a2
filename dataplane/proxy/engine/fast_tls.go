package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// pipe is what lies below a client's TLS: the socket while a goroutine serves the
// client (it does all handshakes), memory in a lane, where the loop receives and
// sends. A read that finds nothing there fails for now only: crypto/tls keeps
// what it has of a record and goes on the next time.
type pipe struct {
	net.Conn             // nil in a lane
	c        *fastClient // in a lane
	in       []byte      // received, and not read yet
}

// notYet is the error of a read that finds nothing.
type notYet struct{}

// Error implements error.
func (notYet) Error() string { return "nothing received yet" }

// Timeout implements net.Error.
func (notYet) Timeout() bool { return true }

// Temporary implements net.Error: crypto/tls asks.
func (notYet) Temporary() bool { return true }

// Read implements net.Conn.
func (p *pipe) Read(b []byte) (int, error) {
	switch {
	case len(p.in) > 0:
		n := copy(b, p.in)
		p.in = p.in[n:]
		return n, nil
	case p.Conn != nil:
		return p.Conn.Read(b)
	}
	return 0, notYet{}
}

// Write implements net.Conn.
func (p *pipe) Write(b []byte) (int, error) {
	if p.Conn != nil {
		return p.Conn.Write(b)
	}
	p.c.conn.Out = append(p.c.conn.Writer(), b...)
	return len(b), nil
}

// Close implements net.Conn. A lane closes by itself.
func (p *pipe) Close() error {
	if p.Conn != nil {
		return p.Conn.Close()
	}
	return nil
}

// SetDeadline implements net.Conn. Times in a lane are the loop's.
func (p *pipe) SetDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (p *pipe) SetReadDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (p *pipe) SetWriteDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetWriteDeadline(t)
	}
	return nil
}

// toLane gives a connection whose handshake is done to a lane. It reports false
// when there is none.
func (c *client) toLane() bool {
	l := c.s.e.lane()
	conn, ok := c.Conn.(*tls.Conn)
	if l == nil || !ok {
		return false
	}
	below := conn.NetConn().(*pipe)
	fd, err := socketOf(c.tcp)
	if err != nil {
		return false
	}
	f := &fastClient{lane: l, visit: visit{s: c.s, node: c.node, remote: c.remote, tls: c.tls}, since: c.since, secure: conn, below: below}
	below.Conn, below.c = nil, f
	c.tcp.Close()
	if err := l.loop.Do(func() { f.begin(fd) }); err != nil {
		unix.Close(fd)
		below.Conn, below.c = c.tcp, nil // closed, as all is
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
	c.s.count.in.Add(uint64(n))
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
