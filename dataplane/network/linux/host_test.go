package linux

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"minato/dataplane/network"
	"minato/dataplane/network/networktest"
)

// task is a VPC with one interface that reaches the internet by an address of its own.
func task(pool netip.Prefix) *network.Config {
	anywhere := netip.MustParsePrefix("0.0.0.0/0")
	return &network.Config{VPCs: []network.VPC{{
		ID: "vpc", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, InternetGateway: true,
		Subnets:     []network.Subnet{{ID: "subnet", CIDR: netip.MustParsePrefix("10.0.0.0/24"), RouteTable: "rtb"}},
		RouteTables: []network.RouteTable{{ID: "rtb", Routes: []network.Route{{Destination: anywhere, Kind: network.ToInternet}}}},
		Groups:      []network.Group{{ID: "sg", Egress: []network.Rule{{Protocol: network.All, CIDR: anywhere}}}},
		Interfaces: []network.Interface{{
			ID: "eni", Subnet: "subnet", Addr: netip.MustParseAddr("10.0.0.10"), Groups: []string{"sg"}, Public: network.FirstAssignable(pool),
		}},
	}}}
}

// answer listens and tells every caller its address.
func answer(t *testing.T, listen func() (net.Listener, error)) {
	t.Helper()
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, c.RemoteAddr().(*net.TCPAddr).IP.String())
			c.Close()
		}
	}()
}

// dialFrom calls from an interface's namespace: the answer, or "silence", or an error.
func dialFrom(n *Network, eni, to string) (out string) {
	ns, err := os.Open(n.NetnsPath(eni))
	if err != nil {
		return err.Error()
	}
	defer ns.Close()
	err = inNS(ns, func() error {
		c, err := networktest.Heard(func() (net.Conn, error) { return net.DialTimeout("tcp4", to, 400*time.Millisecond) })
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(time.Minute))
		b, err := io.ReadAll(c)
		out = string(b)
		return err
	})
	switch {
	case err == nil:
		return out
	case strings.Contains(err.Error(), "timeout"):
		return "silence"
	}
	return err.Error()
}

func TestTheMachineFromAVPC(t *testing.T) {
	o := newOptions(t)
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Purge(context.Background()) })
	if err := n.Set(t.Context(), task(o.PublicCIDR)); err != nil {
		t.Fatal(err)
	}
	public := network.FirstAssignable(o.PublicCIDR).String()

	answer(t, func() (net.Listener, error) { return net.Listen("tcp4", o.service().String()+":4566") })
	answer(t, func() (net.Listener, error) { return net.Listen("tcp4", o.service().String()+":4567") })
	answer(t, func() (net.Listener, error) { return net.Listen("tcp4", o.host().String()+":4566") })

	// A neighbour on a network of the machine: a namespace behind a veth pair with
	// documentation addresses, which stand for the internet.
	pin := t.TempDir() + "/internet"
	if err := createNS(pin, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unpin(pin) })
	outside, err := os.Open(pin)
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	near := "mt" + o.ID
	attrs := netlink.NewLinkAttrs()
	attrs.Name = near
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerNamespace = "far", netlink.NsFd(outside.Fd())
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(veth) })
	third := o.PublicCIDR.Addr().As4()[2]
	internetNear, internetFar := fmt.Sprintf("192.0.2.%d", third&0xfe), fmt.Sprintf("192.0.2.%d", third|1)
	lanNear, lanFar := fmt.Sprintf("10.255.%d.2", third), fmt.Sprintf("10.255.%d.3", third)
	setUp := func(name string, with ...string) error {
		h, err := routeHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		l, err := h.LinkByName(name)
		if err != nil {
			return err
		}
		for _, a := range with {
			if err := h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix(a + "/31"))}); err != nil {
				return err
			}
		}
		return h.LinkSetUp(l)
	}
	if err := setUp(near, internetNear, lanNear); err != nil {
		t.Fatal(err)
	}
	if err := inNS(outside, func() error { return setUp("far", internetFar, lanFar) }); err != nil {
		t.Fatal(err)
	}
	answer(t, func() (l net.Listener, err error) {
		err = inNS(outside, func() error { l, err = net.Listen("tcp4", ":80"); return err })
		return l, err
	})
	answer(t, func() (net.Listener, error) { return net.Listen("tcp4", internetNear+":4566") })

	for _, c := range []struct{ what, to, want string }{
		{"the service address", o.service().String() + ":4566", public},
		{"another port of the service address", o.service().String() + ":4567", "silence"},
		{"the machine's own address in the pool", o.host().String() + ":4566", "silence"},
		{"the internet, masqueraded", internetFar + ":80", internetNear},
		{"an address of the machine elsewhere", internetNear + ":4566", "silence"},
		{"the LAN", lanFar + ":80", "silence"},
		{"link-local addresses", "169.254.100.1:80", "silence"},
	} {
		if got := dialFrom(n, "eni", c.to); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}

	t.Run("lan", func(t *testing.T) {
		n.Close()
		o.LAN = true
		open, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		n = open
		if got := dialFrom(n, "eni", lanFar+":80"); got != lanNear {
			t.Errorf("the LAN, allowed: %q, want %q", got, lanNear)
		}
	})
}

func TestOursIsToldFromOthers(t *testing.T) {
	o := newOptions(t)
	n, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Purge(context.Background()) })
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, r := range routes {
		ours := r.Dst != nil && o.PublicCIDR.Contains(toPrefix(r.Dst).Addr())
		if ours {
			found++
		}
		if got := Ours(o.ID, r); got != ours {
			t.Errorf("%s is ours: %t", r, got)
		}
		if Ours("000000", r) {
			t.Errorf("%s is taken for another's", r)
		}
	}
	if found != 2 {
		t.Errorf("%d routes to the pool, want the link's and the guard", found)
	}
}

func TestForwardingIsRestoredByTheLast(t *testing.T) {
	newOptions(t)
	read := func() string {
		b, _ := os.ReadFile(ipForward)
		return strings.TrimSpace(string(b))
	}
	before := read()
	for _, id := range []string{"first1", "secnd2"} {
		if err := enableForwarding(id); err != nil {
			t.Fatal(err)
		}
	}
	if read() != "1" {
		t.Error("forwarding is off")
	}
	if err := restoreForwarding("first1"); err != nil || read() != "1" {
		t.Errorf("forwarding went with the first: %v", err)
	}
	b, _ := os.ReadFile(forwardingFile)
	alone := strings.Count(string(b), `"`) == 8 // nobody else's instance runs on this machine
	if err := restoreForwarding("secnd2"); err != nil {
		t.Error(err)
	}
	if alone && read() != before {
		t.Errorf("forwarding is %s, was %s", read(), before)
	}
}
