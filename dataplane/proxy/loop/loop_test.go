package loop

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// both runs a test with each way of asking the kernel.
func both(t *testing.T, test func(t *testing.T, l *Loop)) {
	for name, o := range map[string]Options{"io_uring": {}, "epoll": {Epoll: true}} {
		t.Run(name, func(t *testing.T) {
			test(t, open(t, o))
		})
	}
}

// open starts a loop; where the kernel cannot be asked so, the test is skipped.
func open(t *testing.T, o Options) *Loop {
	t.Helper()
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if l.URing() == o.Epoll {
		t.Skip("this kernel has no io_uring")
	}
	return l
}

// pair is a socket for the loop and the connection at its other end.
func pair(t *testing.T) (int, *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	raw, _ := s.(*net.TCPConn).SyscallConn()
	fd := -1
	raw.Control(func(f uintptr) { fd, err = unix.FcntlInt(f, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	return fd, c.(*net.TCPConn)
}

// on runs f on the loop's thread and waits for it.
func on(t *testing.T, l *Loop, f func()) {
	t.Helper()
	done := make(chan struct{})
	if err := l.Do(func() { f(); close(done) }); err != nil {
		t.Fatal(err)
	}
	<-done
}

// echo sends back what comes, and stops reading while too much waits.
type echo struct {
	c       *Conn
	ended   chan error
	expired chan bool
}

func (e *echo) Received(p []byte) {
	e.c.Out = append(e.c.Writer(), p...)
	e.c.Flush()
	if e.c.Pending() < 64<<10 {
		e.c.Read()
	}
}
func (e *echo) Sent()           { e.c.Read() }
func (e *echo) Ended(err error) { e.ended <- err }
func (e *echo) Expired()        { e.expired <- true }

func start(t *testing.T, l *Loop, fd int) *echo {
	t.Helper()
	e := &echo{ended: make(chan error, 2), expired: make(chan bool, 1)}
	on(t, l, func() {
		var err error
		if e.c, err = l.Add(fd, e); err != nil {
			t.Error(err)
			return
		}
		e.c.Read()
	})
	return e
}

func TestEcho(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		fd, c := pair(t)
		e := start(t, l, fd)
		sent := make([]byte, 8<<20)
		rand.Read(sent)
		go func() {
			c.Write(sent)
			c.CloseWrite()
		}()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("not what was sent: %v", err)
		}
		if err := <-e.ended; err != nil {
			t.Errorf("ended with %v", err)
		}
		on(t, l, func() { e.c.Close() })
		if _, err := c.Read(got); err != io.EOF {
			t.Errorf("after Close: %v", err)
		}
		if l.Len() != 0 {
			t.Errorf("%d connections are left", l.Len())
		}
	})
}

// TestClose closes a connection that waits for bytes and one that cannot send:
// the other side is told at once.
func TestClose(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		for _, flood := range []bool{false, true} {
			fd, c := pair(t)
			e := start(t, l, fd)
			if flood {
				on(t, l, func() {
					e.c.Out = make([]byte, 32<<20)
					e.c.Flush()
				})
			}
			on(t, l, func() { e.c.Close() })
			if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, unix.ECONNRESET) {
				t.Error(err)
			}
		}
	})
}

func TestReset(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		fd, c := pair(t)
		e := start(t, l, fd)
		c.SetLinger(0)
		c.Close()
		if err := <-e.ended; !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDetach(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		fd, c := pair(t)
		e := start(t, l, fd)
		big := make([]byte, 4<<20)
		taken := make(chan int)
		on(t, l, func() {
			e.c.Out = append(e.c.Out, big...)
			e.c.Detach(func(fd int, rest []byte, err error) {
				if err != nil || len(rest) > 0 {
					t.Errorf("%q %v", rest, err)
				}
				go func() { taken <- fd }()
			})
		})
		if n, err := io.ReadFull(c, big); err != nil {
			t.Fatal(n, err)
		}
		f := os.NewFile(uintptr(<-taken), "")
		defer f.Close()
		s, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		go s.Write([]byte("hello"))
		if _, err := io.ReadFull(c, big[:5]); err != nil || string(big[:5]) != "hello" {
			t.Errorf("%q %v", big[:5], err)
		}
	})
}

func TestDeadline(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		var all []*echo
		for range 20 {
			fd, _ := pair(t)
			all = append(all, start(t, l, fd))
		}
		on(t, l, func() {
			for i, e := range all {
				e.c.SetDeadline(int64(l.Now() + time.Hour))
				e.c.SetDeadline(int64(l.Now() + time.Duration(i%5)*time.Millisecond))
				if i%2 == 0 {
					e.c.SetDeadline(int64(l.Now() + 50*time.Millisecond))
				}
			}
		})
		begun := time.Now()
		for i, e := range all {
			<-e.expired
			if i%2 == 0 && time.Since(begun) < 45*time.Millisecond {
				t.Error("too early")
			}
		}
	})
}

// TestMany has more connections than there are buffers or queue entries.
func TestMany(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		var all []*net.TCPConn
		for range 600 {
			fd, c := pair(t)
			start(t, l, fd)
			all = append(all, c)
		}
		for range 5 {
			for _, c := range all {
				c.Write([]byte("hello"))
			}
			b := make([]byte, 5)
			for _, c := range all {
				if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
					t.Fatalf("%q %v", b, err)
				}
			}
		}
	})
}

// TestConnect connects to who listens, to who does not, and to nobody: a socket
// whose queue of connections is full answers nothing.
func TestConnect(t *testing.T) {
	both(t, func(t *testing.T, l *Loop) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					c.Write([]byte("hello"))
					io.Copy(c, c)
				}()
			}
		}()
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed.Close()
		connect := func(at net.Addr, within time.Duration) (*Conn, *hearing, error) {
			t.Helper()
			fd, err := Socket(netip.MustParseAddr("127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			h := &hearing{heard: make(chan string, 10)}
			type result struct {
				c   *Conn
				err error
			}
			done := make(chan result, 2)
			on(t, l, func() {
				l.Connect(fd, netip.MustParseAddrPort(at.String()), within, h, func(c *Conn, err error) {
					if c != nil {
						c.Read()
						c.Out = append(c.Writer(), "HELLO"...)
						c.Flush()
					}
					done <- result{c, err}
				})
			})
			r := <-done
			return r.c, h, r.err
		}
		c, h, err := connect(ln.Addr(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for got := ""; got != "helloHELLO"; on(t, l, c.Read) {
			more := <-h.heard
			if got += more; more == "" || len(got) > len("helloHELLO") {
				t.Fatalf("heard %q", got)
			}
		}
		on(t, l, c.Close)
		if _, _, err := connect(closed.Addr(), time.Minute); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("where nobody listens: %v", err)
		}
		full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(full)
		if err := errors.Join(unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(full, 0)); err != nil {
			t.Fatal(err)
		}
		sa, err := unix.Getsockname(full)
		if err != nil {
			t.Fatal(err)
		}
		at := net.TCPAddrFromAddrPort(AddrPort(sa))
		for range 3 {
			c, _, err := connect(at, 300*time.Millisecond)
			if err == nil {
				continue // it had room
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || c != nil {
				t.Errorf("where nobody answers: %v", err)
			}
			// One that will not be is on its way when the loop is closed.
			fd, err := Socket(netip.MustParseAddr("127.0.0.1"))
			if err != nil {
				t.Fatal(err)
			}
			on(t, l, func() {
				l.Connect(fd, AddrPort(sa), time.Minute, h, func(*Conn, error) { t.Error("it was told after Close") })
			})
			return
		}
		t.Error("a queue of none is never full")
	})
}

// hearing tells what it hears.
type hearing struct{ heard chan string }

func (h *hearing) Received(p []byte) { h.heard <- string(p) }
func (h *hearing) Ended(error)       { h.heard <- "" }
func (h *hearing) Sent()             {}
func (h *hearing) Expired()          {}
