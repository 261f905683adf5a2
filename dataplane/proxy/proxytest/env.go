// Package proxytest is the suite that every implementation of proxy.Proxy must
// pass: what a load balancer does, seen from its clients and its targets, over
// real sockets on loopback.
package proxytest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/loop"
	"minato/internal/clock"

	"golang.org/x/sys/unix"
)

// Pace is the pace of the clock that proxies under test are given: an interval
// of a second takes 50 ms.
const Pace = 20

// New makes the proxy under test; it is closed by the suite.
type New func(proxy.Sockets, clock.Clock) proxy.Proxy

// Loopback makes sockets on the host's loopback addresses, whatever the network.
type Loopback struct {
	mu sync.Mutex
	// Down makes Listen and Dial fail as if the node were not there.
	down bool
}

// SetDown takes the node away, or brings it back, for sockets made later.
func (l *Loopback) SetDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *Loopback) check() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return fmt.Errorf("loopback: %w", proxy.ErrNotReady)
	}
	return nil
}

// Listen implements proxy.Sockets.
func (l *Loopback) Listen(ctx context.Context, _ string, addr netip.AddrPort) (net.Listener, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr.String())
}

// Dial implements proxy.Sockets.
func (l *Loopback) Dial(ctx context.Context, _ string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}

// Socket implements proxy.Sockets.
func (l *Loopback) Socket(_ string, from netip.Addr) (int, error) {
	if err := l.check(); err != nil {
		return -1, err
	}
	return loop.Socket(from)
}

// env is one proxy with one load balancer, which the tests change.
type env struct {
	t       *testing.T
	p       proxy.Proxy
	sockets *Loopback
	node    netip.Addr
	port    uint16
	lb      proxy.LoadBalancer
	groups  []proxy.TargetGroup
	changes chan proxy.Change
}

// FreePort returns a port that nobody listens on right now.
func FreePort(t testing.TB) uint16 {
	for range ports {
		port := firstPort + nextPort.Add(1)%ports
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.2:%d", port)); err == nil {
			l.Close()
			return uint16(port)
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Ports that the kernel gives to nobody, each to one test: another test could get
// one that was free a moment ago. Processes begin anywhere.
const firstPort, ports = 10000, 12000

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// refusing is an address of which connections are refused, with a port of the
// caller's or, for 0, any. Nobody else gets it: a socket that does not listen has it.
func (e *env) refusing(port uint16) netip.AddrPort {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil { // for a port with connections
		e.t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: int(port)}); err != nil {
		e.t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		e.t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(at.(*unix.SockaddrInet4).Port))
}

func newEnv(t *testing.T, n New) *env {
	e := &env{t: t, sockets: &Loopback{}, node: netip.MustParseAddr("127.0.0.2"), port: FreePort(t), changes: make(chan proxy.Change, 1000)}
	e.p = n(e.sockets, clock.Real(Pace))
	t.Cleanup(func() { e.p.Close() })
	e.p.OnChange(func(c proxy.Change) { e.changes <- c })
	e.lb = proxy.LoadBalancer{ID: "lb", Network: "vpc", Nodes: []proxy.Node{{Addr: e.node}}, Listeners: []proxy.Listener{{ID: "l", Port: e.port, Default: ForwardTo("tg")}}}
	e.groups = []proxy.TargetGroup{{ID: "tg", Check: Check()}}
	return e
}

// ForwardTo is the action that forwards to one group.
func ForwardTo(group string) proxy.Action {
	return proxy.Action{Forward: &proxy.Forward{Groups: []proxy.WeightedGroup{{TargetGroup: group, Weight: 1}}}}
}

// patience is for how long what is to come is waited for: only a test that fails
// waits for as long, and a busy machine needs seconds for what takes milliseconds.
const patience = time.Minute

// Check is a quick health check of /up; a slow machine does not fail it.
func Check() proxy.Check {
	return proxy.Check{Path: "/up", Interval: time.Second, Timeout: patience, HealthyThreshold: 2, UnhealthyThreshold: 2, Codes: []proxy.CodeRange{{From: 200, To: 299}}}
}

func (e *env) set() {
	e.t.Helper()
	groups := make([]proxy.TargetGroup, len(e.groups))
	for i, g := range e.groups {
		g.Targets = append([]proxy.Target(nil), g.Targets...)
		groups[i] = g
	}
	lb := e.lb
	lb.Listeners = append([]proxy.Listener(nil), lb.Listeners...)
	if err := e.p.Set(e.t.Context(), &proxy.Config{LoadBalancers: []proxy.LoadBalancer{lb}, TargetGroups: groups}); err != nil {
		e.t.Fatal(err)
	}
}

// up sets and waits until every socket listens.
func (e *env) up() {
	e.t.Helper()
	e.set()
	e.until("the sockets to listen", func() bool {
		all := e.p.Listeners("lb")
		for _, s := range all {
			if s.Err != nil {
				return false
			}
		}
		return len(all) == len(e.lb.Listeners)*len(e.lb.Nodes)
	})
}

func (e *env) until(what string, ok func() bool) {
	e.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("waited in vain for %s; health %+v", what, e.healths())
		}
	}
}

func (e *env) healths() []proxy.TargetHealth { h, _ := e.p.Health("tg"); return h }

// health is that of the target's address in group tg.
func (e *env) health(a netip.AddrPort) proxy.TargetHealth {
	for _, h := range e.healths() {
		if h.Address == a {
			return h
		}
	}
	return proxy.TargetHealth{}
}

func (e *env) untilState(a netip.AddrPort, s proxy.State) {
	e.t.Helper()
	e.until(a.String()+" to be "+s.String(), func() bool { return e.health(a).State == s })
}

// serve starts a target with a handler; /up answers 200 unless the handler is
// asked to answer everything.
func (e *env) serve(h http.HandlerFunc) netip.AddrPort {
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", h)
	return e.serveAll(mux)
}

func (e *env) serveAll(h http.Handler) netip.AddrPort {
	l := e.listen()
	s := &http.Server{Handler: h, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(l)
	e.t.Cleanup(func() { s.Close() })
	return netip.MustParseAddrPort(l.Addr().String())
}

func (e *env) listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { l.Close() })
	return l
}

// raw starts a target that handles each connection by itself. Checks go to a
// port where everything is well.
func (e *env) raw(h func(net.Conn, *bufio.Reader)) netip.AddrPort {
	l := e.listen()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				h(c, bufio.NewReader(c))
			}()
		}
	}()
	e.groups[0].Check.Port = e.serve(func(http.ResponseWriter, *http.Request) {}).Port()
	return netip.MustParseAddrPort(l.Addr().String())
}

// targets makes these the targets of group tg, sets, and waits until they are
// healthy.
func (e *env) targets(all ...netip.AddrPort) {
	e.t.Helper()
	e.groups[0].Targets = nil
	for _, a := range all {
		e.groups[0].Targets = append(e.groups[0].Targets, proxy.Target{Address: a})
	}
	e.up()
	for _, a := range all {
		e.untilState(a, proxy.Healthy)
	}
}

func (e *env) url(path string) string {
	return "http://" + netip.AddrPortFrom(e.node, e.port).String() + path
}

// get asks with a connection of its own.
func (e *env) get(path string) (*http.Response, string) {
	e.t.Helper()
	return e.do("GET", path, "")
}

func (e *env) do(method, path, body string, headers ...string) (*http.Response, string) {
	e.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, e.url(path), r)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp, string(b)
}

// conn is a client connection for what http.Client would not do.
type conn struct {
	t *testing.T
	net.Conn
	*bufio.Reader
}

func (e *env) dial() *conn {
	e.t.Helper()
	c, err := net.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &conn{e.t, c, bufio.NewReader(c)}
}

// Read reads what was buffered first.
func (c *conn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c *conn) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.Conn, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer to a request with the method.
func (c *conn) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(b)
}

// ended fails when the other side sends more or keeps the connection open.
func (c *conn) ended() {
	c.t.Helper()
	if b, err := io.ReadAll(c.Reader); err != nil || len(b) > 0 {
		c.t.Fatalf("wanted the end of the connection, got %q %v", b, err)
	}
}
