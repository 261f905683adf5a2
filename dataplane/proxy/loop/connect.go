package loop

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Connect connects a non-blocking socket, which the loop owns then. f is told
// once, later, what came of it: the connection, whose Handler is h, or why there
// is none; os.ErrDeadlineExceeded when it took too long. After Close it is not told.
func (l *Loop) Connect(fd int, to netip.AddrPort, within time.Duration, h Handler, f func(*Conn, error)) {
	fail := func(err error) {
		unix.Close(fd)
		l.Later(func() { f(nil, err) })
	}
	if err := unix.Connect(fd, Sockaddr(to)); err != nil && err != unix.EINPROGRESS {
		fail(os.NewSyscallError("connect", err))
		return
	}
	c := &Conn{l: l, fd: int32(fd), connecting: true, receiving: true}
	c.h = &connecting{c: c, h: h, f: f}
	if err := l.p.add(c); err != nil {
		fail(err)
		return
	}
	l.count.Add(1)
	c.SetDeadline(int64(l.Now() + within))
	l.p.connect(c)
}

// connecting is a connection's Handler until it is one.
type connecting struct {
	c *Conn
	h Handler
	f func(*Conn, error)
}

// connected is called by the poller when the connection is there, or will not be.
func (c *Conn) connected(err error) {
	c.receiving, c.connecting, c.canceled = false, false, false
	d, ok := c.h.(*connecting)
	if !ok || c.over() {
		c.finish()
		return
	}
	if err == nil {
		var code int
		if code, err = unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			err = unix.Errno(code)
		}
	}
	if err != nil {
		d.Ended(os.NewSyscallError("connect", err))
		return
	}
	c.h = d.h
	c.SetDeadline(0)
	d.f(c, nil)
}

func (d *connecting) Ended(err error) {
	d.c.Close()
	d.f(nil, err)
}

func (d *connecting) Expired()        { d.Ended(os.ErrDeadlineExceeded) }
func (d *connecting) Received([]byte) {}
func (d *connecting) Sent()           {}
