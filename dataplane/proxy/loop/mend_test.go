package loop

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fails has the kernel's interface of a loop fail: its descriptor is another file's.
func fails(t *testing.T, l *Loop) {
	t.Helper()
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	on(t, l, func() {
		fd := -1
		switch p := l.p.(type) {
		case *uring:
			fd = p.fd
		case *epoll:
			fd = p.fd
		}
		if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
			t.Error(err)
		}
	})
}

// TestMend has the kernel's interface fail while connections rest, wait for bytes,
// cannot send, connect and are accepted.
func TestMend(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		mended := make(chan error, 1)
		on(t, l, func() { l.mended = func(err error) { mended <- err } })
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		door, err := SocketOf(ln)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(door)
		on(t, l, func() {
			if _, err := l.Listen(door, greeter{t, l}); err != nil {
				t.Error(err)
			}
		})
		fd, waits := pair(t)
		first := start(t, l, fd)
		fd, flooded := pair(t)
		second := start(t, l, fd)
		on(t, l, func() {
			second.c.Out = make([]byte, 32<<20)
			second.c.Flush()
		})
		full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(full)
		if err := unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
			t.Fatal(err)
		}
		unix.Listen(full, 0)
		at, err := unix.Getsockname(full)
		if err != nil {
			t.Fatal(err)
		}
		told := make(chan error, 3)
		for range 3 { // the first ones may find room
			fd, err := Socket(netip.MustParseAddr("127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			on(t, l, func() {
				l.Connect(fd, AddrPort(at), time.Minute, &hearing{make(chan string, 1)}, func(_ *Conn, err error) { told <- err })
			})
		}

		fails(t, l)
		select {
		case err := <-mended:
			t.Log(err)
		case <-time.After(time.Minute):
			t.Fatal("the loop did not notice")
		}
		for _, e := range []*echo{first, second} {
			if err := <-e.ended; err == nil {
				t.Error("a connection ended as if its peer had ended it")
			}
		}
		failed := 0
		for range 3 {
			if <-told != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Error("a connection is still on its way")
		}
		for _, c := range []net.Conn{waits, flooded} {
			if _, err := io.Copy(io.Discard, c); err != nil && !bytes.Contains([]byte(err.Error()), []byte("reset")) {
				t.Error(err)
			}
		}
		on(t, l, func() {
			if l.Len() != 0 || l.URing() {
				t.Errorf("%d connections, io_uring: %v", l.Len(), l.URing())
			}
		})

		fd, c := pair(t)
		start(t, l, fd)
		c.Write([]byte("hello"))
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("after it: %q %v", b, err)
		}
		caller, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer caller.Close()
		caller.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.ReadFull(caller, b); err != nil || string(b) != "hello" {
			t.Errorf("who calls after it hears %q %v", b, err)
		}
	})
}

// greeter says hello to whom it accepts.
type greeter struct {
	t *testing.T
	l *Loop
}

func (g greeter) Accepted(fd int, _ netip.AddrPort) {
	c, err := g.l.Add(fd, &hearing{make(chan string, 1)})
	if err != nil {
		g.t.Error(err)
		return
	}
	c.Out = append(c.Writer(), "hello"...)
	c.Flush()
}
func (g greeter) Refused(err error) { g.t.Error(err) }
func (g greeter) Broken(err error)  { g.t.Error(err) }

// TestSpill asks for more in a turn than the queue has room for, while the kernel
// takes nothing.
func TestSpill(t *testing.T) {
	l, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !l.URing() {
		t.Skip("this kernel has no io_uring")
	}
	const many = 3 * sqEntries
	on(t, l, func() {
		u := l.p.(*uring)
		for i := range many {
			if i > sqEntries/2 { // as if the queue had filled up and enter said EBUSY
				u.spilled = append(u.spilled, sqe{op: 0, userData: kindNone})
				continue
			}
			u.next(0, -1, kindNone, 0)
		}
	})
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		left := 0
		on(t, l, func() { left = len(l.p.(*uring).spilled) })
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d are left", left)
		}
	}
}
