package loop

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Acceptor is told what becomes of a Listener, on the loop's thread.
type Acceptor interface {
	// Accepted is given a connection, which is the acceptor's to close; its socket
	// does not block. It may still be called between Close and its end.
	Accepted(fd int, from netip.AddrPort)
	// Refused is called when there is no room for a connection (descriptors,
	// memory). It waits in the kernel, and is accepted when there is room.
	Refused(err error)
	// Broken is called when the socket accepts no more.
	Broken(err error)
}

const (
	// burst is how many connections are accepted at once, if so many wait. The
	// rest is left for other loops, and for after what else there is to do.
	burst = 16
	// respite is how long nothing is accepted after there was no room.
	respite = 20 * time.Millisecond
)

// Listener accepts connections from a listening socket. That may be other loops'
// too: the kernel wakes one of those that wait, and whoever comes first has the
// connection. So no connection waits for a loop that is busy.
type Listener struct {
	l      *Loop
	fd     int
	a      Acceptor
	key    uint32 // of the poller
	armed  bool   // the poller waits for a connection
	paused bool
	closed bool
	over   bool // nothing is accepted any more
	ended  func()

	// Where the kernel puts who a connection is from.
	from unix.RawSockaddrAny
	size uint32
}

// Listen accepts connections from a listening non-blocking socket, which stays
// the caller's, until the Listener is closed.
func (l *Loop) Listen(fd int, a Acceptor) (*Listener, error) {
	li := &Listener{l: l, fd: fd, a: a}
	if err := l.p.listen(li); err != nil {
		return nil, err
	}
	l.listeners[li] = struct{}{}
	li.arm()
	return li, nil
}

// Close stops accepting. ended is called when nothing is accepted any more.
func (li *Listener) Close(ended func()) {
	if li.closed = true; li.over {
		ended()
		return
	}
	li.ended = ended
	if li.armed {
		li.l.p.deafen(li)
	} else {
		li.finish()
	}
}

func (li *Listener) finish() {
	li.over = true
	delete(li.l.listeners, li)
	li.l.p.unlisten(li)
	if li.ended != nil {
		li.ended()
	}
}

// arm has the poller wait for a connection.
func (li *Listener) arm() {
	if !li.armed && !li.paused && !li.closed {
		li.armed = true
		li.l.p.accept(li)
	}
}

// accepted is called by the poller, which does not wait any more, with a
// connection, or that there is one (fd is negative), and if more may wait.
func (li *Listener) accepted(fd int, more bool) {
	li.armed = false
	if fd >= 0 {
		li.a.Accepted(fd, li.peer())
	}
	for n := 0; more && n < burst && !li.closed && !li.paused; n++ {
		more = li.one()
	}
	li.again()
}

// failed is called by the poller, which does not wait any more.
func (li *Listener) failed(e syscall.Errno) {
	li.armed = false
	li.note(e)
	li.again()
}

func (li *Listener) again() {
	if li.closed {
		li.finish()
	} else {
		li.arm()
	}
}

// one accepts one connection, if one waits; it reports whether another one may.
func (li *Listener) one() bool {
	li.size = uint32(unsafe.Sizeof(li.from))
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(li.fd), uintptr(unsafe.Pointer(&li.from)), uintptr(unsafe.Pointer(&li.size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch errno {
	case 0:
		li.a.Accepted(int(fd), li.peer())
		return true
	case unix.EAGAIN:
		return false
	}
	li.note(errno)
	return true
}

// note deals with an error of accept. Most are of the connection that was to be
// accepted and went away.
func (li *Listener) note(e syscall.Errno) {
	switch e {
	case unix.ECANCELED:
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
		li.pause(e)
	case unix.EBADF, unix.EINVAL, unix.ENOTSOCK, unix.EOPNOTSUPP, unix.EFAULT:
		if !li.closed {
			li.closed = true
			li.a.Broken(e)
		}
	}
}

// pause accepts nothing for a while.
func (li *Listener) pause(e syscall.Errno) {
	li.paused = true
	time.AfterFunc(respite, func() {
		li.l.Do(func() {
			li.paused = false
			li.arm()
		})
	})
	li.a.Refused(e)
}

// peer is who the connection is from that was accepted last.
func (li *Listener) peer() netip.AddrPort {
	switch li.from.Addr.Family {
	case unix.AF_INET:
		a := (*unix.RawSockaddrInet4)(unsafe.Pointer(&li.from))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), port(&a.Port))
	case unix.AF_INET6:
		a := (*unix.RawSockaddrInet6)(unsafe.Pointer(&li.from))
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), port(&a.Port))
	}
	return netip.AddrPort{}
}

func port(p *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:]) }
