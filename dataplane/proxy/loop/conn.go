package loop

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Handler is told what happens to a connection, on the loop's thread.
type Handler interface {
	// Received is given what came, after Read asked for it. p is valid until it
	// returns.
	Received(p []byte)
	// Ended is called when the other side ended its half (nil) or the connection
	// failed. Nothing is received after it, and after an error nothing sent nor
	// called.
	Ended(err error)
	// Sent is called when all that was to be sent is in the kernel's hands.
	Sent()
	// Expired is called when the deadline has passed.
	Expired()
}

// Conn is a connection of a loop.
type Conn struct {
	// Out is what goes with the next Flush.
	Out []byte

	l *Loop
	h Handler

	sending []byte         // with the kernel; Out comes after it
	into    *[BigSize]byte // what is being received into; nil: one of the poller's
	from    *[BigSize]byte // what was received into, for Take
	detach  *detachment

	deadline, scheduled int64 // deadline 0: none

	fd    int32
	taken int32  // of sending, by the kernel
	index int32  // in the heap of timers, from 1; 0: not in it
	key   uint32 // of the poller

	receiving  bool // or connecting
	connecting bool
	ended      bool
	failed     bool
	closed     bool
	gone       bool // from the loop

	canceled bool
	readable bool // of epoll: a receive need not wait
	writable bool
	hangup   bool
	queued   bool
}

// detachment is what becomes of a connection that leaves its loop.
type detachment struct {
	to   func(fd int, rest []byte, err error)
	rest []byte // received meanwhile
	why  error  // how it ended meanwhile
}

// Add gives a connected non-blocking socket to the loop, which owns it then.
func (l *Loop) Add(fd int, h Handler) (*Conn, error) {
	c := &Conn{l: l, fd: int32(fd), h: h}
	if err := l.p.add(c); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l.count.Add(1)
	return c, nil
}

// Serve gives the connection another Handler.
func (c *Conn) Serve(h Handler) { c.h = h }

// FD is the socket.
func (c *Conn) FD() int { return int(c.fd) }

// Read asks for one Received, or Ended.
func (c *Conn) Read() {
	if !c.receiving && !c.ended && !c.over() {
		c.receiving = true
		c.l.p.receive(c)
	}
}

// ReadBig is Read for much at once, if there is a big buffer to be had.
func (c *Conn) ReadBig() {
	if !c.receiving && !c.ended && !c.over() {
		if big := c.l.takeBig(); big != nil {
			c.into = (*[BigSize]byte)(big)
		}
		c.Read()
	}
}

// Take makes what Received was given the caller's for good, where it can be: it
// may become somebody's Out then.
func (c *Conn) Take() bool {
	taken := c.from != nil
	c.from = nil
	return taken
}

func (c *Conn) over() bool { return c.closed || c.detach != nil }

// Writer is Out, with room.
func (c *Conn) Writer() []byte {
	if c.Out == nil {
		c.Out = c.l.buffer()
	}
	return c.Out
}

// Flush sends Out.
func (c *Conn) Flush() {
	if len(c.sending) == 0 && len(c.Out) > 0 && !c.closed && !c.failed {
		c.sending, c.taken, c.Out = c.Out, 0, nil
		c.l.p.send(c)
	}
}

// CloseWrite ends our side. What was not sent yet is lost.
func (c *Conn) CloseWrite() {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(c.fd), unix.SHUT_WR, 0)
}

// Pending is how many bytes wait to be sent.
func (c *Conn) Pending() int { return len(c.sending) - int(c.taken) + len(c.Out) }

// SetDeadline has Expired called at a time of the loop; zero is never.
func (c *Conn) SetDeadline(at int64) {
	c.deadline = at
	if at != 0 && (c.index == 0 || at < c.scheduled) {
		c.l.timers.schedule(c, at)
	}
}

// Close closes the connection. What was not sent yet is lost.
func (c *Conn) Close() {
	if !c.closed {
		c.closed, c.canceled = true, false
		c.finish()
	}
}

// Detach takes the connection away from the loop: f gets the socket, what was
// received meanwhile, and how it has ended if it has (io.EOF is nil there too:
// then the next read says so). What was given to send goes first.
func (c *Conn) Detach(f func(fd int, rest []byte, err error)) {
	if c.over() {
		return
	}
	c.Flush()
	c.detach = &detachment{to: f}
	c.finish()
}

// finish ends what is going on, and then the connection.
func (c *Conn) finish() {
	busy := len(c.sending) > 0
	if (c.receiving || busy && c.closed) && !c.canceled {
		c.canceled = true
		c.l.p.cancel(c)
	}
	if c.receiving || len(c.sending) > 0 {
		return
	}
	l := c.l
	if c.gone {
		return
	}
	c.gone = true
	l.count.Add(-1)
	l.timers.drop(c)
	l.p.remove(c)
	l.Recycle(c.Out)
	c.Out = nil
	if c.closed {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(c.fd), 0, 0) // never long: no SO_LINGER is set
		return
	}
	c.closed = true
	c.detach.to(int(c.fd), c.detach.rest, c.detach.why)
}

// received is called by the poller.
func (c *Conn) received(p []byte) {
	c.receiving, c.canceled = false, false
	c.from, c.into = c.into, nil
	defer c.spare()
	switch {
	case c.closed:
		c.finish()
	case c.detach != nil:
		c.detach.rest = append([]byte(nil), p...)
		c.finish()
	default:
		c.h.Received(p)
	}
}

// end is called by the poller when a receive ended the connection.
func (c *Conn) end(err error) {
	c.receiving, c.canceled = false, false
	c.from, c.into = c.into, nil
	c.spare()
	c.fail(err)
}

// spare takes back what was received into and not taken.
func (c *Conn) spare() {
	if c.from != nil {
		c.l.Recycle(c.from[:])
		c.from = nil
	}
}

func (c *Conn) fail(err error) {
	switch {
	case c.over():
		if c.detach != nil && !errors.Is(err, unix.ECANCELED) {
			c.detach.why = err
		}
		c.finish()
	case c.failed || c.ended && err == nil:
	default:
		c.ended, c.failed = true, err != nil
		c.h.Ended(err)
	}
}

// sent is called by the poller when n bytes were taken, or none.
func (c *Conn) sent(n int, err error) {
	if err != nil {
		c.took()
		c.Out = c.Out[:0]
		c.fail(os.NewSyscallError("send", err))
		return
	}
	if c.taken += int32(n); int(c.taken) < len(c.sending) && !c.closed {
		c.l.p.send(c)
		return
	}
	c.took()
	switch {
	case len(c.Out) > 0 && !c.closed:
		c.Flush()
	case c.over():
		c.finish()
	default:
		c.h.Sent()
	}
}

// took is called when nothing is being sent any more.
func (c *Conn) took() {
	c.l.Recycle(c.sending)
	c.sending, c.taken = nil, 0
}
