package loop

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	epollEvents    = 512
	epollReadSpace = 64 << 10
)

// epoll asks the kernel by epoll, edge triggered. It behaves as uring does:
// nothing is received or sent at once, but in the turn that follows, so that a
// Handler is never called by what it calls.
type epoll struct {
	l      *Loop
	fd     int
	events []unix.EpollEvent
	space  []byte
	conns  []*Conn // by socket
	todo   []*Conn // to be looked at in the next turn
	spare  []*Conn
	doors  map[int32]*Listener // by socket
	deaf   []*Listener         // not to be waited for any more
	coarse bool                // the kernel counts in milliseconds only

	patience unix.Timespec // how long wait waits; not on a stack, which may move
}

func newEpoll(l *Loop) (*epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &epoll{l: l, fd: fd, events: make([]unix.EpollEvent, epollEvents), space: make([]byte, epollReadSpace), doors: map[int32]*Listener{}}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.wake)}); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return p, nil
}

func (p *epoll) add(c *Conn) error {
	const edge = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(c.fd), &unix.EpollEvent{Events: edge, Fd: c.fd}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	for int(c.fd) >= len(p.conns) {
		p.conns = append(p.conns, make([]*Conn, max(64, len(p.conns)))...)
	}
	p.conns[c.fd] = c
	c.readable, c.writable, c.hangup = true, true, false // until the kernel says no
	return nil
}

func (p *epoll) remove(c *Conn) {
	unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	p.conns[c.fd] = nil
}

func (p *epoll) each(f func(*Conn)) {
	for _, c := range p.conns {
		if c != nil {
			f(c)
		}
	}
}

func (p *epoll) look(c *Conn) {
	if !c.queued {
		c.queued = true
		p.todo = append(p.todo, c)
	}
}

func (p *epoll) connect(c *Conn) { c.readable, c.writable = false, false } // until the kernel says yes

func (p *epoll) receive(c *Conn) {
	if c.readable {
		p.look(c)
	}
}

func (p *epoll) send(c *Conn) {
	if c.writable {
		p.look(c)
	}
}

func (p *epoll) cancel(c *Conn) { p.look(c) }

func (p *epoll) listen(li *Listener) error {
	p.doors[int32(li.fd)] = li
	return nil
}

func (p *epoll) unlisten(li *Listener) { delete(p.doors, int32(li.fd)) }

func (p *epoll) accept(li *Listener) {
	// Loops that share the socket are not all woken for each connection.
	if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, li.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(li.fd)}); err != nil {
		li.armed = false
		li.pause(err.(syscall.Errno))
	}
}

func (p *epoll) deafen(li *Listener) { p.deaf = append(p.deaf, li) }

func (p *epoll) turn(wait time.Duration) error {
	for _, li := range p.deaf {
		if li.armed { // nothing came meanwhile
			unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, li.fd, nil)
			li.failed(unix.ECANCELED)
		}
	}
	if len(p.todo) > 0 || len(p.deaf) > 0 {
		wait = 0
		p.deaf = p.deaf[:0]
	} else {
		// Others first: what they send meanwhile is found in one go.
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
	n, err := p.wait(min(wait, brief))
	if n == 0 && err == nil && wait > brief {
		n, err = p.wait(wait)
	}
	if err != nil {
		return err
	}
	p.l.tick()
	for i := range n {
		e := &p.events[i]
		if int(e.Fd) == p.l.wake {
			p.l.woken()
			continue
		}
		if li := p.doors[e.Fd]; li != nil {
			unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, li.fd, nil)
			li.accepted(-1, true)
			continue
		}
		c := p.conns[e.Fd]
		if c == nil {
			continue
		}
		c.readable = c.readable || e.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		c.writable = c.writable || e.Events&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0
		c.hangup = c.hangup || e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
		if c.connecting && c.writable || c.receiving && c.readable || len(c.sending) > 0 && c.writable {
			p.look(c)
		}
	}
	todo := p.todo
	p.todo = p.spare[:0]
	for i, c := range todo {
		todo[i] = nil
		c.queued = false
		p.work(c)
	}
	p.spare = todo
	return nil
}

// wait waits for so long; the runtime is told if that is not brief.
func (p *epoll) wait(d time.Duration) (int, error) {
	if d > 0 && !p.coarse {
		call := unix.Syscall6
		if d <= brief {
			call = unix.RawSyscall6
		}
		p.patience = unix.NsecToTimespec(int64(d))
		n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), epollEvents, uintptr(unsafe.Pointer(&p.patience)), 0, 0)
		if errno != unix.ENOSYS {
			return p.came(int(n), errno)
		}
		p.coarse = true
	}
	call, ms := unix.Syscall6, int((d+time.Millisecond-1)/time.Millisecond)
	if d <= brief {
		call, ms = unix.RawSyscall6, 0
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), epollEvents, uintptr(ms), 0, 0)
	return p.came(int(n), errno)
}

func (p *epoll) came(n int, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("epoll_pwait", errno)
}

// work does what can be done for a connection without waiting.
func (p *epoll) work(c *Conn) {
	switch {
	case len(c.sending) == 0:
	case c.closed:
		c.sent(0, unix.ECANCELED)
	default:
		switch n, errno := raw(unix.SYS_SENDTO, c.fd, c.sending[c.taken:], unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); errno {
		case 0:
			c.sent(n, nil)
		case unix.EAGAIN:
			c.writable = false
		case unix.EINTR:
			p.look(c)
		default:
			c.sent(0, errno)
		}
	}
	if !c.receiving {
		return
	}
	if c.canceled {
		c.end(unix.ECANCELED)
		return
	}
	if c.connecting {
		if c.writable {
			c.connected(nil)
		}
		return
	}
	if !c.readable {
		return
	}
	space := p.space
	if c.into != nil {
		space = c.into[:]
	}
	switch n, errno := raw(unix.SYS_RECVFROM, c.fd, space, unix.MSG_DONTWAIT); {
	case errno == unix.EAGAIN:
		c.readable = false
	case errno == unix.EINTR:
		p.look(c)
	case errno != 0:
		c.end(os.NewSyscallError("recv", errno))
	case n == 0:
		c.end(nil)
	default:
		// Less than there was room for: it was all, unless the end is there too.
		c.readable = n == len(space) || c.hangup
		c.received(space[:n])
	}
}

func raw(call uintptr, fd int32, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags, 0, 0)
	return int(n), errno
}

func (p *epoll) close() { unix.Close(p.fd) }
