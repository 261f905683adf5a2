package engine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
)

// secured is a load balancer with TLS before a target that sends back what it is
// sent, or as many bytes as its path says.
func secured(t *testing.T, idle time.Duration) (*engine.Engine, netip.AddrPort) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		if fmt.Sscanf(r.URL.Path, "/bytes/%d", &n); n > 0 {
			w.Write(bytes.Repeat([]byte{'x'}, n))
			return
		}
		io.Copy(w, r.Body)
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.Path)
	})}
	go target.Serve(l)
	t.Cleanup(func() { target.Close() })
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), proxytest.FreePort(t))
	e := engine.New(&proxytest.Loopback{}, clock.Real(1), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { e.Close() })
	check := proxytest.Check()
	check.Disabled = true
	err = e.Set(t.Context(), &proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Options: proxy.Options{IdleTimeout: idle}, Nodes: []proxy.Node{{Addr: at.Addr()}}, Listeners: []proxy.Listener{{
			ID: "l", Port: at.Port(), Default: proxytest.ForwardTo("tg"),
			TLS: &proxy.TLS{Certificates: []*tls.Certificate{proxytest.Certificate(t, "a.example")}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
		}}}},
		TargetGroups: []proxy.TargetGroup{{ID: "tg", Check: check, Targets: []proxy.Target{{Address: netip.MustParseAddrPort(l.Addr().String())}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for e.Listeners("lb")[0].Err != nil {
		time.Sleep(time.Millisecond)
	}
	return e, at
}

// run runs a program that is not everywhere.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(name + " is not here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestHTTP2Programs has programs that others wrote speak HTTP/2 with the lanes.
func TestHTTP2Programs(t *testing.T) {
	e, at := secured(t, time.Minute)
	url := "https://" + at.String()
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, bytes.Repeat([]byte("0123456789abcdef"), 200_000), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("curl", func(t *testing.T) {
		if out := run(t, "curl", "-sk", "--http2", "-w", " %{http_version} %{size_download}", url+"/a"); out != "GET /a 2 6" {
			t.Errorf("%q", out)
		}
		if out := run(t, "curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{size_download}", url+"/bytes/5000000"); out != "2 5000000" {
			t.Errorf("%q", out)
		}
		if out := run(t, "curl", "-sk", "--http2", "-o", "/dev/null", "-w", "%{http_version} %{size_download}", "-T", big, url+"/b"); out != "2 3200006" {
			t.Errorf("%q", out)
		}
	})
	t.Run("nghttp", func(t *testing.T) {
		if out := run(t, "nghttp", "-ans", "-y", url+"/a", url+"/b"); strings.Count(out, " 200 ") != 2 {
			t.Error(out)
		}
		if out := run(t, "nghttp", "-y", "-d", big, url+"/c"); len(out) != 3200007 {
			t.Errorf("%d bytes: %.100s", len(out), out)
		}
	})
	t.Run("h2load", func(t *testing.T) {
		for _, args := range [][]string{{"-n2000", "-c8", "-m32", url + "/bytes/1000"}, {"-n200", "-c4", "-m8", url + "/bytes/200000"}, {"-n20", "-c2", "-m4", "-w10", "-W11", url + "/bytes/300000"}, {"-n20", "-c2", "-m4", "-d", big, url + "/d"}} {
			out := run(t, "h2load", args...)
			n := strings.TrimPrefix(args[0], "-n")
			if !strings.Contains(out, n+" succeeded, 0 failed, 0 errored") || !strings.Contains(out, "status codes: "+n+" 2xx") {
				t.Errorf("%q:\n%s", args, out)
			}
		}
	})
	t.Run("h2spec", func(t *testing.T) {
		host, port, _ := net.SplitHostPort(at.String())
		if out := run(t, "h2spec", "-h", host, "-p", port, "-t", "-k", "-o", "5"); !strings.Contains(out, ", 0 failed") {
			t.Error(out)
		}
	})
	settled(t, e, 0)
}

// settled waits until no request is open, and so many connections are.
func settled(t *testing.T, e *engine.Engine, connections int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		k := e.Counters("lb")
		h, _ := e.Health("tg")
		if k.ActiveConnections == connections && h[0].InFlight == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections and %d requests stay behind", k.ActiveConnections, h[0].InFlight)
		}
	}
}

// TestStalledHTTP2 has clients that ask, with and without a body, for more than
// they take, and that take nothing at all.
func TestStalledHTTP2(t *testing.T) {
	e, at := secured(t, 2*time.Second)
	for _, method := range []string{"GET", "POST"} {
		for _, window := range []uint32{1 << 30, 65535, 0} {
			c, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, http2.ClientPreface)
			f := http2.NewFramer(c, nil)
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
			if window > 65535 {
				f.WriteWindowUpdate(0, window)
			}
			var head bytes.Buffer
			enc := hpack.NewEncoder(&head)
			for _, v := range [][2]string{{":method", method}, {":scheme", "https"}, {":authority", "a"}, {":path", "/bytes/30000000"}} {
				enc.WriteField(hpack.HeaderField{Name: v[0], Value: v[1]})
			}
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndStream: method == "GET", EndHeaders: true})
			if method == "POST" {
				f.WriteData(1, true, []byte("x"))
			}
		}
	}
	for end := time.Now().Add(time.Minute); e.Counters("lb").Requests < 6; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%+v", e.Counters("lb"))
		}
	}
	settled(t, e, 0)
}
