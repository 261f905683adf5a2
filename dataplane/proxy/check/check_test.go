package check

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"minato/dataplane/proxy"
)

var settings = proxy.Check{Path: "/up?x=1", Timeout: 100 * time.Millisecond, HealthyThreshold: 3, UnhealthyThreshold: 2, Codes: []proxy.CodeRange{{From: 200, To: 299}}}

func TestTracker(t *testing.T) {
	pass, fail, mismatch := proxy.CheckResult{Passed: true}, proxy.CheckResult{Reason: proxy.Timeout}, proxy.CheckResult{Reason: proxy.Mismatch}
	type step struct {
		in      proxy.CheckResult
		state   proxy.State
		reason  proxy.Reason
		changed bool
	}
	for name, c := range map[string]struct {
		last  *proxy.TargetHealth
		steps []step
	}{
		"one pass suffices at first": {nil, []step{{pass, proxy.Healthy, 0, true}}},
		"one pass suffices after a first failure": {nil, []step{
			{fail, proxy.Initial, proxy.Checking, true}, {pass, proxy.Healthy, 0, true},
		}},
		"fails, then comes back after three": {nil, []step{
			{fail, proxy.Initial, proxy.Checking, true},
			{fail, proxy.Unhealthy, proxy.Timeout, true},
			{mismatch, proxy.Unhealthy, proxy.Mismatch, true},
			{pass, proxy.Unhealthy, proxy.Mismatch, false},
			{pass, proxy.Unhealthy, proxy.Mismatch, false},
			{pass, proxy.Healthy, 0, true},
		}},
		"a pass in between starts the count anew": {nil, []step{
			{pass, proxy.Healthy, 0, true}, {fail, proxy.Healthy, 0, false}, {pass, proxy.Healthy, 0, false}, {fail, proxy.Healthy, 0, false}, {fail, proxy.Unhealthy, proxy.Timeout, true},
		}},
		"restored as healthy": {&proxy.TargetHealth{State: proxy.Healthy}, []step{
			{fail, proxy.Healthy, 0, false}, {fail, proxy.Unhealthy, proxy.Timeout, true},
		}},
		"restored as unhealthy": {&proxy.TargetHealth{State: proxy.Unhealthy, Reason: proxy.Mismatch}, []step{
			{pass, proxy.Unhealthy, proxy.Mismatch, false}, {fail, proxy.Unhealthy, proxy.Timeout, true},
		}},
		"restored as initial": {&proxy.TargetHealth{State: proxy.Initial, Reason: proxy.Checking}, []step{{pass, proxy.Healthy, 0, true}}},
	} {
		t.Run(name, func(t *testing.T) {
			var tr Tracker
			tr.Start(time.Unix(1, 0), c.last)
			for i, s := range c.steps {
				changed := tr.Observe(s.in, settings)
				if h := tr.Health(); h.State != s.state || h.Reason != s.reason || changed != s.changed {
					t.Fatalf("step %d: %v/%v changed %v, want %v/%v %v", i, h.State, h.Reason, changed, s.state, s.reason, s.changed)
				}
			}
		})
	}
}

type sockets struct{ err error }

func (sockets) Listen(context.Context, string, netip.AddrPort) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

func (s sockets) Dial(ctx context.Context, _ string, _ netip.Addr, to netip.AddrPort) (net.Conn, error) {
	if s.err != nil {
		return nil, s.err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
}

func (sockets) Socket(string, netip.Addr) (int, error) { return -1, errors.ErrUnsupported }

func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		reason proxy.Reason
		status int
		passed bool
	}{
		"ok":              {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 200, true},
		"after a 103":     {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 0, 204, true},
		"404":             {"HTTP/1.1 404 Not Found\r\n\r\n", proxy.Mismatch, 404, false},
		"silence":         {"", proxy.Timeout, 0, false},
		"half a head":     {"HTTP/1.1 200 OK\r\n", proxy.Timeout, 0, false},
		"another service": {"SSH-2.0-OpenSSH\r\n\r\n", proxy.Failed, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				buf := make([]byte, 4096)
				conn.Read(buf)
				io.WriteString(conn, c.answer)
				if c.status == 0 && c.reason == proxy.Timeout {
					conn.Read(buf) // until the check gives up
				}
			}()
			to := netip.MustParseAddrPort(l.Addr().String())
			with := settings
			if c.reason != proxy.Timeout {
				with.Timeout = time.Minute
			}
			r, err := Probe(t.Context(), sockets{}, "", netip.Addr{}, to, with)
			if err != nil || r.Passed != c.passed || r.Reason != c.reason || r.Status != c.status || r.Port != to.Port() {
				t.Fatalf("%+v %v", r, err)
			}
		})
	}
}

func TestProbeRefusedAndNotReady(t *testing.T) {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	to := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	if r, err := Probe(t.Context(), sockets{}, "", netip.Addr{}, to, settings); err != nil || r.Reason != proxy.Failed || r.Err == "" {
		t.Fatalf("%+v %v", r, err)
	}
	if _, err := Probe(t.Context(), sockets{proxy.ErrNotReady}, "", netip.Addr{}, to, settings); !errors.Is(err, proxy.ErrNotReady) {
		t.Fatal(err)
	}
}

// A target that keeps the connection open after its whole answer is known to be
// well at once, not when the check has waited for the end of the connection.
func TestProbeDoesNotWaitForTheConnectionsEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		conn.Read(buf)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		io.WriteString(conn, "llo")
		conn.Read(buf) // keeps the connection until the check closes it
	}()
	patient := settings
	patient.Timeout = time.Minute
	defer func(d time.Duration) { drainFor = d }(drainFor)
	drainFor = time.Hour // who waits for it waits for the timeout
	begin := time.Now()
	r, err := Probe(t.Context(), sockets{}, "", netip.Addr{}, netip.MustParseAddrPort(l.Addr().String()), patient)
	if took := time.Since(begin); err != nil || !r.Passed || took >= patient.Timeout {
		t.Fatalf("%+v %v after %v", r, err, took)
	}
}
