package engine

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
)

// laneEnv is an engine with one target group, and where it listens plainly and
// with TLS.
type laneEnv struct {
	e             *Engine
	config        proxy.Config
	plain, secure string
}

func newLaneEnv(t *testing.T, h http.HandlerFunc, options ...Option) *laneEnv {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	node := netip.MustParseAddr("127.0.0.2")
	v := &laneEnv{e: New(&proxytest.Loopback{}, clock.Real(1), slog.New(slog.DiscardHandler), options...)}
	t.Cleanup(func() { v.e.Close() })
	ports := [2]uint16{proxytest.FreePort(t), proxytest.FreePort(t)}
	check := proxytest.Check()
	check.Disabled = true
	v.config = proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Nodes: []proxy.Node{{Addr: node}}, Listeners: []proxy.Listener{
			{ID: "plain", Port: ports[0], Default: proxytest.ForwardTo("tg")},
			{ID: "secure", Port: ports[1], Default: proxytest.ForwardTo("tg"), TLS: &proxy.TLS{Certificates: []*tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}},
		}}},
		TargetGroups: []proxy.TargetGroup{{ID: "tg", Check: check, Targets: []proxy.Target{{Address: netip.MustParseAddrPort(l.Addr().String())}}}},
	}
	v.plain, v.secure = netip.AddrPortFrom(node, ports[0]).String(), netip.AddrPortFrom(node, ports[1]).String()
	if err := v.e.Set(t.Context(), &v.config); err != nil {
		t.Fatal(err)
	}
	until(t, "the sockets to listen", func() bool {
		all := v.e.Listeners("lb")
		return len(all) == 2 && all[0].Err == nil && all[1].Err == nil
	})
	return v
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// dial connects a client.
func (v *laneEnv) dial(t *testing.T, secure bool) (net.Conn, *bufio.Reader) {
	t.Helper()
	addr := v.plain
	if secure {
		addr = v.secure
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c, bufio.NewReader(c)
}

func answerOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// inLanes counts the clients that lanes serve.
func (v *laneEnv) inLanes() int {
	n := 0
	for _, l := range v.e.lanes {
		done := make(chan bool)
		l.loop.Do(func() {
			l.loop.Each(func(h loop.Handler) {
				if _, client := h.(*fastClient); client {
					n++
				}
			})
			close(done)
		})
		<-done
	}
	return n
}

// eachLane runs a test with both ways of loops, and with and without TLS.
func eachLane(t *testing.T, h http.HandlerFunc, test func(t *testing.T, v *laneEnv, secure bool)) {
	for name, options := range map[string][]Option{"loops": nil, "epoll": {Epoll}} {
		for kind, secure := range map[string]bool{"plain": false, "TLS": true} {
			t.Run(name+" "+kind, func(t *testing.T) { test(t, newLaneEnv(t, h, options...), secure) })
		}
	}
}

func echoPath(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if n := r.URL.Query().Get("big"); n != "" {
		w.Header().Set("Content-Length", fmt.Sprint(4<<20))
		for range 4 << 10 {
			io.WriteString(w, strings.Repeat(n, 1<<10))
		}
		return
	}
	fmt.Fprintf(w, "%s %s", r.URL.Path, b)
}

// TestLaneServes has a lane serve what it is made for, and give away, in the
// middle of a connection, what it is not made for.
func TestLaneServes(t *testing.T) {
	eachLane(t, echoPath, func(t *testing.T, v *laneEnv, secure bool) {
		c, r := v.dial(t, secure)
		ask := func(request, want string, lanes int) {
			t.Helper()
			io.WriteString(c, request)
			if got := answerOf(t, r); got != want {
				t.Fatalf("%.60q, want %.60q", got, want)
			}
			if n := v.inLanes(); n != lanes {
				t.Fatalf("%d clients are in lanes after %.40q, want %d", n, request, lanes)
			}
		}
		ask("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", "/1 ", 1)
		ask("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", "/2 hi", 1)
		ask("GET /3?big=x HTTP/1.1\r\nHost: a\r\n\r\n", strings.Repeat("x", 4<<20), 1)
		io.WriteString(c, "GET /4 HTT")
		time.Sleep(5 * time.Millisecond)
		ask("P/1.1\r\nHost: a\r\n\r\n", "/4 ", 1)
		// Two at once, the second one in chunks: its bytes go along.
		io.WriteString(c, "GET /5 HTTP/1.1\r\nHost: a\r\n\r\nPOST /6 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /7 HTTP/1.1\r\nHost: a\r\n\r\n")
		for _, want := range []string{"/5 ", "/6 abc", "/7 "} {
			if got := answerOf(t, r); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
		ask("GET /8 HTTP/1.1\r\nHost: a\r\n\r\n", "/8 ", 0)
		if n := v.e.Counters("lb"); n.Requests != 8 || n.Target.C2xx != 8 || n.NewConnections != 1 || n.ActiveConnections != 1 {
			t.Errorf("counters %+v", n)
		}
		c.Close()
		until(t, "the connection to be forgotten", func() bool { return v.e.Counters("lb").ActiveConnections == 0 })
	})
}

// TestLaneLoad has many clients on one lane's way at once, with answers of all
// sizes, while the configuration is set again and again; nothing is mixed up and
// no descriptor is left.
func TestLaneLoad(t *testing.T) {
	eachLane(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscan(r.URL.Query().Get("n"), &n)
		io.WriteString(w, strings.Repeat(r.URL.Path[1:2], n))
	}, func(t *testing.T, v *laneEnv, secure bool) {
		var wg sync.WaitGroup
		for i := range 20 {
			c, r := v.dial(t, secure)
			wg.Go(func() {
				defer c.Close()
				letter := string(rune('a' + i%26))
				for k := range 30 {
					n := []int{0, 1, 1000, 40_000, 200_000}[(i+k)%5]
					fmt.Fprintf(c, "GET /%s?n=%d HTTP/1.1\r\nHost: a\r\n\r\n", letter, n)
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Error(err)
						return
					}
					b, err := io.ReadAll(resp.Body)
					if err != nil || string(b) != strings.Repeat(letter, n) {
						t.Errorf("%d bytes, want %d of %s; %v", len(b), n, letter, err)
						return
					}
				}
			})
		}
		for range 20 {
			again := v.config
			if err := v.e.Set(t.Context(), &again); err != nil {
				t.Error(err)
			}
			runtime.Gosched()
		}
		wg.Wait()
		until(t, "all to be forgotten", func() bool {
			h, _ := v.e.Health("tg")
			return v.e.Counters("lb").ActiveConnections == 0 && h[0].InFlight == 0
		})
		if n := v.e.Counters("lb"); n.Requests != 600 || n.Target.C2xx != 600 {
			t.Errorf("counters %+v", n)
		}
	})
}

// TestLaneHalfClosed has a client that says no more after two requests. It has
// not left before the second one is answered; then it may have, for all we know.
func TestLaneHalfClosed(t *testing.T) {
	eachLane(t, echoPath, func(t *testing.T, v *laneEnv, secure bool) {
		c, r := v.dial(t, secure)
		io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
		c.(interface{ CloseWrite() error }).CloseWrite()
		if got := answerOf(t, r); got != "/1 " {
			t.Fatalf("%q", got)
		}
		rest, err := io.ReadAll(r)
		if err != nil || len(rest) > 0 && !strings.HasSuffix(string(rest), "/2 ") {
			t.Errorf("then %q %v", rest, err)
		}
		until(t, "the connection to be forgotten", func() bool { return v.e.Counters("lb").ActiveConnections == 0 })
	})
}

// TestLaneHeadTime has a client that rests for most of its time and then takes
// most of it for a head: each has the whole time.
func TestLaneHeadTime(t *testing.T) {
	t.Parallel()
	v := newLaneEnv(t, echoPath)
	v.config.LoadBalancers[0].Options.IdleTimeout = 8 * time.Second
	if err := v.e.Set(t.Context(), &v.config); err != nil {
		t.Fatal(err)
	}
	c, r := v.dial(t, false)
	time.Sleep(5 * time.Second)
	io.WriteString(c, "GET /1 HTT")
	time.Sleep(4 * time.Second)
	io.WriteString(c, "P/1.1\r\nHost: a\r\n\r\n")
	if got := answerOf(t, r); got != "/1 " {
		t.Errorf("%q", got)
	}
}
