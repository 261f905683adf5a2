package loop

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hall is two loops that accept from one listener and echo.
type hall struct {
	addr    string
	loops   []*Loop
	stop    context.CancelFunc
	ended   chan error
	got     [2]atomic.Int64
	refused atomic.Int64
}

func openHall(t *testing.T, o Options) *hall {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{addr: ln.Addr().String(), ended: make(chan error, 1)}
	for range h.got {
		h.loops = append(h.loops, open(t, o))
	}
	shared := Shared{Loops: h.loops, Refused: func(error) { h.refused.Add(1) }, Admit: func(n, fd int, from netip.AddrPort) {
		if !from.Addr().IsLoopback() || from.Port() == 0 {
			t.Errorf("a connection from %v", from)
		}
		h.got[n].Add(1)
		e := &echo{ended: make(chan error, 2), expired: make(chan bool, 1)}
		c, err := h.loops[n].Add(fd, e)
		if err != nil {
			t.Error(err)
			return
		}
		e.c = c
		c.Read()
	}}
	ctx, stop := context.WithCancel(t.Context())
	h.stop = stop
	t.Cleanup(stop)
	go func() {
		_, err := shared.Accept(ctx, ln)
		h.ended <- err
	}()
	return h
}

// dial connects and says hello.
func (h *hall) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	c.Write([]byte("hello"))
	return c
}

func echoed(t *testing.T, c net.Conn) {
	t.Helper()
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Fatalf("%q %v", b, err)
	}
}

func eachHall(t *testing.T, test func(t *testing.T, h *hall)) {
	for name, o := range map[string]Options{"io_uring": {}, "epoll": {Epoll: true}} {
		t.Run(name, func(t *testing.T) { test(t, openHall(t, o)) })
	}
}

// TestAccept has two loops share what comes.
func TestAccept(t *testing.T) {
	eachHall(t, func(t *testing.T, h *hall) {
		const many = 200
		for range many / 20 {
			var all []net.Conn
			for range 20 {
				all = append(all, h.dial(t))
			}
			for _, c := range all {
				echoed(t, c)
			}
		}
		a, b := h.got[0].Load(), h.got[1].Load()
		if a+b != many || max(a, b)-min(a, b) > 4*slack {
			t.Errorf("the loops accepted %d and %d connections", a, b)
		}
		h.stop()
		if err := <-h.ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", h.addr); err == nil {
			c.Close()
			t.Error("it still listens")
		}
	})
}

// TestAcceptBacklog stops accepting while connections wait that no loop has seen
// yet: they are served.
func TestAcceptBacklog(t *testing.T) {
	eachHall(t, func(t *testing.T, h *hall) {
		echoed(t, h.dial(t)) // it listens
		gate := make(chan bool)
		busy := make(chan bool)
		for _, l := range h.loops {
			l.Do(func() { busy <- true; <-gate })
			<-busy
		}
		var all []net.Conn
		for range 50 {
			all = append(all, h.dial(t))
		}
		h.stop()
		close(gate)
		for _, c := range all {
			echoed(t, c)
		}
		<-h.ended
	})
}

// TestCloseBetweenTries closes a listener in the moment in which the kernel has seen
// a connection and not yet taken it, which somebody else then does.
func TestCloseBetweenTries(t *testing.T) {
	l := open(t, Options{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd, err := SocketOf(ln)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ended := make(chan bool, 1)
	on(t, l, func() {
		li, err := l.Listen(fd, greeter{t, l})
		if err != nil {
			t.Error(err)
			return
		}
		li.Close(func() { ended <- true })
		// The kernel sees the connection for the listener, which is to take it after
		// all that is submitted; nothing to cancel; and gives it to this one.
		u := l.p.(*uring)
		u.next(opAccept, fd, kindNone, 0).opFlags = unix.SOCK_CLOEXEC
	})
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the listener is still waiting for a connection")
	}
}

// TestAcceptWithoutRoom has no descriptors left for connections: they wait, the
// loops do not spin, and all are served when there is room.
func TestAcceptWithoutRoom(t *testing.T) {
	eachHall(t, func(t *testing.T, h *hall) {
		first := h.dial(t)
		echoed(t, first)
		var all []net.Conn
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		next := uint64(f.Fd())
		f.Close()
		low := limit
		low.Cur = next + 3
		gate, busy := make(chan bool), make(chan bool)
		for _, l := range h.loops {
			l.Do(func() { busy <- true; <-gate })
			<-busy
		}
		for range 10 {
			all = append(all, h.dial(t))
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
			t.Fatal(err)
		}
		restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) }
		defer restore()
		begun := time.Now()
		close(gate)
		for h.refused.Load() < 4 {
			if time.Since(begun) > time.Minute {
				t.Fatal("nothing was refused")
			}
			time.Sleep(respite)
		}
		// Those who were served before go on.
		first.Write([]byte("hello"))
		echoed(t, first)
		if n, most := h.refused.Load(), int64(2*(time.Since(begun)/respite+2)); n > most {
			t.Errorf("it was tried %d times, want %d at most", n, most)
		}
		restore()
		for _, c := range all {
			echoed(t, c)
		}
	})
}

// TestAcceptBroken has somebody shut the listening socket down.
func TestAcceptBroken(t *testing.T) {
	eachHall(t, func(t *testing.T, h *hall) {
		c := h.dial(t)
		echoed(t, c)
		// The descriptor is one of ours: the one that listens at the address.
		for fd := range 200 {
			sa, err := unix.Getsockname(fd)
			on, err2 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
			if err == nil && err2 == nil && on == 1 && AddrPort(sa).String() == h.addr {
				unix.Shutdown(fd, unix.SHUT_RD)
			}
		}
		if err := <-h.ended; err == nil || errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		c.Write([]byte("hello"))
		echoed(t, c)
	})
}
