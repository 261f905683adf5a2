package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// bare connects a client to the port of TLS that has yet to begin with it.
func (v *laneEnv) bare(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", v.secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// greeting counts the handshakes that have begun and are not over.
func (v *laneEnv) greeting() (n int) {
	for _, l := range v.e.lanes {
		done := make(chan int)
		l.loop.Do(func() { done <- l.greeter.Busy() })
		n += <-done
	}
	return n
}

func eachSecure(t *testing.T, test func(t *testing.T, v *laneEnv), options ...Option) {
	for name, way := range map[string]Option{"loops": func(*Engine) {}, "epoll": Epoll} {
		t.Run(name, func(t *testing.T) { test(t, newLaneEnv(t, echoPath, append(options, way)...)) })
	}
}

// dripping sends what it is given byte by byte.
type dripping struct{ net.Conn }

func (d dripping) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
		runtime.Gosched()
	}
	return len(p), nil
}

// TestHandshakes has clients of both versions that come at once, drop by drop, come
// back with their tickets, and say their request in the handshake's last breath.
func TestHandshakes(t *testing.T) {
	eachSecure(t, func(t *testing.T, v *laneEnv) {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			conf := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, ServerName: "a", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
			ask := func(below net.Conn, want bool) {
				t.Helper()
				c := tls.Client(below, conf)
				if _, err := io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				if got := answerOf(t, bufio.NewReader(c)); got != "/1 " {
					t.Errorf("%q", got)
				}
				if s := c.ConnectionState(); s.DidResume != want || s.Version != version {
					t.Errorf("resumed %v with %x, want %v with %x", s.DidResume, s.Version, want, version)
				}
				c.Close()
			}
			ask(v.bare(t), false)
			ask(v.bare(t), true)
			ask(dripping{v.bare(t)}, true)
			conf.ClientSessionCache = nil
			ask(dripping{v.bare(t)}, false)
			var all sync.WaitGroup
			for range 20 {
				c := v.bare(t)
				all.Go(func() {
					if _, err := io.WriteString(tls.Client(c, conf), "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
						t.Error(err)
					}
					c.Close()
				})
			}
			all.Wait()
		}
		until(t, "all to be forgotten", func() bool { return v.e.Counters("lb").ActiveConnections == 0 })
		if n := v.e.Counters("lb").TLSErrors; n != 0 || v.greeting() != 0 {
			t.Errorf("%d handshakes failed, %d are not over", n, v.greeting())
		}
	})
}

// TestNoHandshake has clients that speak no TLS: each is told so, and counted.
func TestNoHandshake(t *testing.T) {
	eachSecure(t, func(t *testing.T, v *laneEnv) {
		all := []string{
			"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
			"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
			"\x16\x03\x01\xff\xff" + string(bytes.Repeat([]byte{1}, 70_000)),
			"\x15\x03\x01\x00\x02\x02\x28",
			string(bytes.Repeat([]byte{0}, 100)),
		}
		for _, say := range all {
			c := v.bare(t)
			io.WriteString(c, say)
			if b, _ := io.ReadAll(c); len(b) > 0 && b[0] != 21 {
				t.Errorf("after %.20q it said %.20q, not an alert", say, b)
			}
			c.Close()
		}
		// One leaves at once, one within its first message.
		v.bare(t).Close()
		c := v.bare(t)
		io.WriteString(c, "\x16\x03\x01\x02\x00\x01")
		until(t, "the handshake to begin", func() bool { return v.greeting() == 1 })
		c.Close()
		until(t, "all to be counted and forgotten", func() bool {
			n := v.e.Counters("lb")
			return n.TLSErrors == uint64(len(all)+2) && n.ActiveConnections == 0 && v.greeting() == 0
		})
		if n := v.e.Counters("lb"); n.Requests != 0 {
			t.Errorf("counters %+v", n)
		}
	})
}

// TestHandshakeTime has handshakes that never end: their time does, however they
// drip, and others are served meanwhile.
func TestHandshakeTime(t *testing.T) {
	eachSecure(t, func(t *testing.T, v *laneEnv) {
		before := runtime.NumGoroutine()
		const many = 100
		var hung []net.Conn
		for i := range many {
			c := v.bare(t)
			if i%2 == 0 {
				io.WriteString(c, "\x16\x03\x01\x02\x00\x01\x00\x01")
			}
			hung = append(hung, c)
		}
		drip := hung[0]
		go func() {
			for {
				if _, err := drip.Write([]byte{0}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
		c, r := v.dial(t, true)
		io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
		if got := answerOf(t, r); got != "/1 " {
			t.Errorf("%q", got)
		}
		c.Close()
		for _, c := range hung {
			io.ReadAll(c) // until the load balancer ends it
		}
		until(t, "all to be counted and forgotten", func() bool {
			n := v.e.Counters("lb")
			return n.TLSErrors == many && n.ActiveConnections == 0 && v.greeting() == 0
		})
		// Coroutines are kept for the next ones, but not all.
		until(t, "coroutines to end", func() bool { return runtime.NumGoroutine() < before+many/2 })
	}, func(e *Engine) { e.greetTime = 5 * time.Second })
}

// TestHandshakesEnd closes an engine within handshakes: nothing is left of them.
func TestHandshakesEnd(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("", func(t *testing.T) {
		eachSecure(t, func(t *testing.T, v *laneEnv) {
			for range 20 {
				io.WriteString(v.bare(t), "\x16\x03\x01\x02\x00\x01")
			}
			until(t, "the handshakes to begin", func() bool { return v.greeting() == 20 })
			v.e.Close()
		})
	})
	until(t, "goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}
