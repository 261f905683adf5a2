package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"minato/daemon/control"
	"minato/daemon/instance"
)

func TestReached(t *testing.T) {
	for _, c := range []struct {
		ports string
		has   []uint16
		want  string
	}{
		{"8080", []uint16{80}, "198.18.0.20:80"},
		{"80", []uint16{443, 80}, "198.18.0.20:80"},
		{"8443:443", []uint16{443, 80}, "198.18.0.20:443"},
		{"8080", []uint16{443, 80}, "say which"},
		{"8080:81", []uint16{80}, "no listener on port 81"},
		{"8080", nil, "has no listener"},
		{"0", nil, "is no port"},
		{"80:x", nil, "is no port"},
		{"70000", nil, "is no port"},
	} {
		here, there, err := ports(c.ports)
		var at netip.AddrPort
		if err == nil {
			at, err = reached(control.Balancer{Name: "web", Address: "198.18.0.20", Ports: c.has}, here, there)
		}
		if got := fmt.Sprint(at, err); !strings.Contains(got, c.want) {
			t.Errorf("%s of %v: %s, not %s", c.ports, c.has, got, c.want)
		}
	}
}

// TestForward: connections pass, also when the target was away meanwhile.
func TestForward(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "heard %s", b)
	}))
	defer behind.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	at := netip.MustParseAddrPort(behind.Listener.Addr().String())
	var asked atomic.Bool // by the first connection
	done := make(chan error, 1)
	var log strings.Builder
	go func() {
		done <- forward(ctx, l, func(context.Context) (netip.AddrPort, error) {
			if !asked.Swap(true) {
				return at, instance.ErrNotRunning
			}
			return at, nil
		}, &log)
	}()
	ask := func() (string, error) {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post("http://"+l.Addr().String(), "text/plain", strings.NewReader("hello"))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if got, err := ask(); err == nil {
		t.Errorf("answered %q while nobody is there", got)
	}
	if got, err := ask(); err != nil || got != "heard hello" {
		t.Errorf("%q %v", got, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "not running") {
		t.Errorf("nothing is said of the connection that failed: %q", log.String())
	}
}
