package loop

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// Shared has several loops accept the connections of one socket.
type Shared struct {
	Loops []*Loop
	// Admit is given a connection on the thread of the loop that is to serve it,
	// which is named by its number.
	Admit func(n, fd int, from netip.AddrPort)
	// Refused is told, on any thread, that connections wait in the kernel because
	// there is no room for them.
	Refused func(error)
}

// slack is how many connections more a loop may have than another: handing one
// over costs a little.
const slack = 4

// Accept accepts connections from a listener, which it closes, until ctx is done:
// then it returns net.ErrClosed, and those that had connected by then were
// admitted. It reports false when the loops cannot have the listener's socket, and
// leaves it alone.
func (s *Shared) Accept(ctx context.Context, l net.Listener) (bool, error) {
	fd, err := SocketOf(l)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	l.Close()   // else Go's runtime would be woken for each connection, too
	Prepare(fd) // who is accepted has it from the listener
	broken := make(chan error, len(s.Loops))
	doors := make([]*door, len(s.Loops))
	for n, l := range s.Loops {
		d := &door{Shared: s, n: n, broken: broken}
		doors[n] = d
		l.Do(func() {
			var err error
			if d.li, err = l.Listen(fd, d); err != nil {
				broken <- err
			}
		})
	}
	select {
	case <-ctx.Done():
		err = net.ErrClosed
	case err = <-broken:
	}
	var open sync.WaitGroup
	for n, l := range s.Loops {
		open.Add(1)
		if l.Do(func() { doors[n].close(open.Done) }) != nil {
			open.Done()
		}
	}
	open.Wait()
	// Who has connected before has not connected in vain.
	for {
		conn, from, e := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch e {
		case nil:
			s.admit(s.least(), conn, AddrPort(from))
		case unix.ECONNABORTED, unix.EINTR:
		default:
			return true, err
		}
	}
}

// least is the loop with the fewest connections.
func (s *Shared) least() (n int) {
	for i, l := range s.Loops {
		if l.Len() < s.Loops[n].Len() {
			n = i
		}
	}
	return n
}

// admit hands a connection to a loop.
func (s *Shared) admit(n, fd int, from netip.AddrPort) {
	if s.Loops[n].Do(func() { s.Admit(n, fd, from) }) != nil {
		unix.Close(fd)
	}
}

// door is where one of the loops accepts.
type door struct {
	*Shared
	n      int
	li     *Listener
	broken chan<- error
}

func (d *door) close(closed func()) {
	if d.li == nil {
		closed()
	} else {
		d.li.Close(closed)
	}
}

// Accepted implements Acceptor.
func (d *door) Accepted(fd int, from netip.AddrPort) {
	if best := d.least(); d.Loops[d.n].Len() > d.Loops[best].Len()+slack {
		d.admit(best, fd, from)
	} else {
		d.Admit(d.n, fd, from)
	}
}

// Refused implements Acceptor.
func (d *door) Refused(err error) { d.Shared.Refused(err) }

// Broken implements Acceptor.
func (d *door) Broken(err error) { d.broken <- err }
