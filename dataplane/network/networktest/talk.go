package networktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/network"
)

// silence is how long a test waits before it believes that nothing answers.
const silence = 400 * time.Millisecond

// Heard dials as dial does, which gives up after some time of silence, and once more
// when this process was held up meanwhile: on a busy machine an answer may be there
// that nobody has looked at.
func Heard(dial func() (net.Conn, error)) (c net.Conn, err error) {
	for range 5 {
		var held atomic.Int64
		stop := make(chan struct{})
		var pulse sync.WaitGroup
		pulse.Go(func() {
			for last := time.Now(); ; {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				now := time.Now()
				held.Store(max(held.Load(), int64(now.Sub(last))))
				last = now
			}
		})
		c, err = dial()
		close(stop)
		pulse.Wait()
		if err == nil || time.Duration(held.Load()) < silence/10 {
			break
		}
	}
	return c, err
}

// greet answers every connection with who it is and whom it sees, and echoes the
// lines that follow.
func greet(l net.Listener, name string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			fmt.Fprintf(c, "%s saw %s\n", name, c.RemoteAddr().(*net.TCPAddr).IP)
			io.Copy(c, c)
		}()
	}
}

// hear returns the greeting and closes.
func hear(c net.Conn) string {
	defer c.Close()
	return readLine(c)
}

func readLine(c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, 256)
	n, err := c.Read(b)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[:n]))
}

// within runs f on a thread in the namespace of an interface, as a container would.
func within(n network.Network, eni string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		ns, err := os.Open(n.NetnsPath(eni))
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread() // else it ends with the goroutine
		}
		done <- err
	}()
	return <-done
}

// serve listens on a port in the namespace of an interface.
func serve(t *testing.T, n network.Network, eni string, port int) {
	t.Helper()
	var l net.Listener
	if err := within(n, eni, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	}); err != nil {
		t.Fatalf("listening in %s: %v", eni, err)
	}
	t.Cleanup(func() { l.Close() })
	go greet(l, eni)
}

// call dials from the namespace of an interface and returns the greeting, or the
// error's text.
func call(n network.Network, eni, to string) string {
	var out string
	err := within(n, eni, func() error {
		c, err := Heard(func() (net.Conn, error) { return net.DialTimeout("tcp4", to, silence) })
		if err == nil {
			out = hear(c)
		}
		return err
	})
	if err != nil {
		return err.Error()
	}
	return out
}

// callInside dials from an address inside the VPC.
func callInside(n network.Network, vpc, from, to string) string {
	c, err := Heard(func() (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), silence)
		defer cancel()
		return n.Dial(ctx, vpc, addr(from), netip.MustParseAddrPort(to))
	})
	if err != nil {
		return err.Error()
	}
	return hear(c)
}

// callHost dials from the machine itself.
func callHost(to string) string {
	c, err := Heard(func() (net.Conn, error) { return net.DialTimeout("tcp4", to, silence) })
	if err != nil {
		return err.Error()
	}
	return hear(c)
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// expectSilence wants a timeout: neither an answer nor a refusal.
func expectSilence(t *testing.T, what, got string) {
	t.Helper()
	if !strings.Contains(got, "timeout") && !strings.Contains(got, "deadline exceeded") {
		t.Errorf("%s: %q, want silence", what, got)
	}
}

// connectSocket connects what Socket gives, where there is one, and hears the greeter.
func connectSocket(t *testing.T, n network.Network, vpc string, from netip.Addr, to netip.AddrPort) {
	t.Helper()
	fd, err := n.Socket(vpc, from)
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(time.Minute.Milliseconds())); err != nil {
		t.Fatal(err)
	}
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hear(c), "alb saw "+from.String(); got != want {
		t.Errorf("answer to a socket %q, want %q", got, want)
	}
}
