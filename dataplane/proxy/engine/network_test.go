package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/network"
	"minato/dataplane/network/linux"
	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
	"minato/internal/ids"
)

var (
	anywhere = netip.MustParsePrefix("0.0.0.0/0")
	lbAddr   = netip.MustParseAddr("10.0.0.10")
	webAddr  = netip.MustParseAddr("10.0.1.10")
)

// vpc is a load balancer that faces the internet and a target that only the
// load balancer's group may call, if open.
func vpc(public netip.Addr, open bool) *network.Config {
	port80 := network.Rule{Protocol: network.TCP, FromPort: 80, ToPort: 80}
	fromAnywhere, fromLB := port80, port80
	fromAnywhere.CIDR, fromLB.Group = anywhere, "sg-lb"
	out := []network.Rule{{Protocol: network.All, CIDR: anywhere}}
	web := network.Group{ID: "sg-web", Egress: out}
	if open {
		web.Ingress = []network.Rule{fromLB}
	}
	return &network.Config{VPCs: []network.VPC{{
		ID: "vpc", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, InternetGateway: true,
		Subnets: []network.Subnet{
			{ID: "public", CIDR: netip.MustParsePrefix("10.0.0.0/24"), RouteTable: "out"},
			{ID: "private", CIDR: netip.MustParsePrefix("10.0.1.0/24"), RouteTable: "local"},
		},
		RouteTables: []network.RouteTable{{ID: "out", Routes: []network.Route{{Destination: anywhere, Kind: network.ToInternet}}}, {ID: "local"}},
		Groups:      []network.Group{{ID: "sg-lb", Ingress: []network.Rule{fromAnywhere}, Egress: out}, web},
		Interfaces: []network.Interface{
			{ID: "eni-lb", Subnet: "public", Addr: lbAddr, Public: public, Groups: []string{"sg-lb"}, Inside: true},
			{ID: "eni-web", Subnet: "private", Addr: webAddr, Groups: []string{"sg-web"}},
		},
	}}}
}

// listenIn listens on port 80 in a network namespace.
func listenIn(t *testing.T, path string) net.Listener {
	t.Helper()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	ns, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", ":80")
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // this thread is lost
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// TestInAVPC has a load balancer stand in a real VPC: reached by its public
// address, dialling from its own interface, so that the target's group decides
// about requests and checks alike.
func TestInAVPC(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	o := linux.Options{
		ID: ids.Hex(6), Dir: filepath.Join(t.TempDir(), "netns"), Log: slog.New(slog.DiscardHandler),
		PublicCIDR: netip.MustParsePrefix(fmt.Sprintf("240.%d.%d.0/24", rand.IntN(256), rand.IntN(256))), // reserved, on no LAN
	}
	n, err := linux.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Purge(context.Background()); err != nil {
			t.Error(err)
		}
		if leaks, err := linux.Leaks(o.ID, o.Dir, o.PublicCIDR); err != nil || len(leaks) > 0 {
			t.Errorf("left on the host: %v %v", leaks, err)
		}
	})
	e := engine.New(n, clock.Real(proxytest.Pace), slog.New(slog.DiscardHandler))
	defer e.Close()

	// The load balancer is wanted before its network is there.
	check := proxytest.Check()
	check.Timeout = 300 * time.Millisecond
	web := netip.AddrPortFrom(webAddr, 80)
	err = e.Set(t.Context(), &proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Network: "vpc", Nodes: []proxy.Node{{Addr: lbAddr}}, Listeners: []proxy.Listener{{ID: "l", Port: 80, Default: proxytest.ForwardTo("tg")}}}},
		TargetGroups:  []proxy.TargetGroup{{ID: "tg", Check: check, Targets: []proxy.Target{{Address: web}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	public := network.FirstAssignable(o.PublicCIDR)
	set := func(open bool) {
		if err := n.Set(t.Context(), vpc(public, open)); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	until := func(s proxy.State, r proxy.Reason) {
		t.Helper()
		var h []proxy.TargetHealth
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if h, _ = e.Health("tg"); h[0].State == s && h[0].Reason == r {
				return
			}
		}
		t.Fatalf("the target is %+v, last check %+v", h[0], h[0].Last)
	}
	until(proxy.Unhealthy, proxy.Failed) // nobody listens there: refused
	l := listenIn(t, n.NetnsPath("eni-web"))
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "from %s for %s", host, r.Header.Get("X-Forwarded-For"))
	}))
	until(proxy.Healthy, proxy.NoReason)
	get := func() string {
		t.Helper()
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}).Get("http://" + public.String() + "/")
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	if got, want := get(), fmt.Sprintf("from %s for %s", lbAddr, network.HostAddress(o.PublicCIDR)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	set(false)
	until(proxy.Unhealthy, proxy.Timeout) // dropped in silence
	set(true)
	until(proxy.Healthy, proxy.NoReason)
}
