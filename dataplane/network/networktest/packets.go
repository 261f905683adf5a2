package networktest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/network"
)

// world is one network with two VPCs that have the same addresses, and servers.
type world struct {
	n    network.Network
	a, b network.VPC
	pool netip.Prefix
}

func (w *world) set(t *testing.T, vpcs ...network.VPC) {
	t.Helper()
	if err := w.n.Set(context.Background(), &network.Config{VPCs: vpcs}); err != nil {
		t.Fatalf("Set: %v", err)
	}
}

// reset makes the world what it was.
func (w *world) reset(t *testing.T) {
	t.Helper()
	w.set(t, w.a, w.b)
}

// Packets is the part of the contract about what passes and what does not. It
// sends real packets between namespaces, and from the machine to the pool.
func Packets(t *testing.T, pool netip.Prefix, open Factory) {
	n, err := open(pool)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{n: n, a: vpc("a", pool, 0), b: vpc("b", pool, 10), pool: pool}
	t.Cleanup(func() {
		if err := w.n.Purge(context.Background()); err != nil {
			t.Errorf("Purge: %v", err)
		}
	})
	w.reset(t)
	for _, id := range []string{"a", "b"} {
		serve(t, n, id+"-web1", 80)
		serve(t, n, id+"-web2", 80)
		serve(t, n, id+"-db", 3306)
		serve(t, n, id+"-pub", 80)
		l, err := n.Listen(t.Context(), id, netip.MustParseAddrPort("10.0.0.20:80"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go greet(l, id+"-alb")
	}
	t.Run("groups", func(t *testing.T) { testGroups(t, w) })
	t.Run("routes", func(t *testing.T) { testRoutes(t, w) })
	t.Run("public addresses", func(t *testing.T) { testPublic(t, w) })
	t.Run("endpoints", func(t *testing.T) { testEndpoints(t, w) })
	t.Run("services", func(t *testing.T) { testServices(t, w) })
	t.Run("forged sources", func(t *testing.T) { testForged(t, w) })
	t.Run("acls", func(t *testing.T) { testACLs(t, w) })
	t.Run("drops", func(t *testing.T) { testDrops(t, w) })
	t.Run("listening sockets", func(t *testing.T) { testListening(t, w) })
	t.Run("a new process", func(t *testing.T) { testAdoption(t, w, open) })
}

func testGroups(t *testing.T, w *world) {
	n := w.n
	expect(t, "the load balancer's group reaches web", callInside(n, "a", "10.0.0.20", "10.0.2.11:80"), "a-web1 saw 10.0.0.20")
	expect(t, "a member of the load balancer's group, another subnet", call(n, "a-pub", "10.0.3.11:80"), "a-web2 saw 10.0.0.21")
	expect(t, "web reaches the database in its subnet", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
	expect(t, "web reaches the database from another subnet", call(n, "a-web2", "10.0.2.12:3306"), "a-db saw 10.0.3.11")
	expect(t, "the same addresses in the other VPC", call(n, "b-web1", "10.0.2.12:3306"), "b-db saw 10.0.2.11")
	expectSilence(t, "web to web, which no rule allows", call(n, "a-web1", "10.0.3.11:80"))
	expectSilence(t, "another port", call(n, "a-web1", "10.0.2.12:3307"))
	expectSilence(t, "the load balancer to the database", callInside(n, "a", "10.0.0.20", "10.0.2.12:3306"))
	expectSilence(t, "an address that nobody has", call(n, "a-web1", "10.0.2.77:80"))
	expectSilence(t, "an address that nobody has, from inside", callInside(n, "a", "10.0.0.20", "10.0.2.77:80"))
	expect(t, "a group's rule for ICMP", ping(n, "a-web1", "10.0.3.11"), "")
	expectSilence(t, "no rule for ICMP", ping(n, "a-web1", "10.0.2.12"))
	expect(t, "a load balancer inside obeys its own groups", call(n, "a-web1", "10.0.0.20:80"), "a-alb saw 10.0.2.11")

	t.Run("a revoked rule stops new connections, not old ones", func(t *testing.T) {
		defer w.reset(t)
		var c net.Conn
		if err := within(n, "a-web1", func() (err error) { c, err = net.DialTimeout("tcp4", "10.0.2.12:3306", time.Minute); return err }); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		readLine(c)
		v := clone(w.a)
		v.Groups[2].Ingress = nil
		w.set(t, v, w.b)
		expectSilence(t, "a new connection", call(n, "a-web1", "10.0.2.12:3306"))
		fmt.Fprintln(c, "still here")
		expect(t, "the old connection", readLine(c), "still here")
	})
	t.Run("egress", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.Groups[1].Egress = []network.Rule{fromGroup("a-db", 3306)}
		w.set(t, v, w.b)
		expect(t, "to the group", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
		expectSilence(t, "elsewhere", call(n, "a-web1", "10.0.0.20:80"))
	})
	t.Run("an unfiltered interface", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.Interfaces[0].Groups, v.Interfaces[0].Unfiltered = nil, true
		w.set(t, v, w.b)
		expect(t, "takes what comes", call(n, "a-web1", "10.0.0.20:80"), "a-alb saw 10.0.2.11")
		expectSilence(t, "is in no group", callInside(n, "a", "10.0.0.20", "10.0.2.11:80"))
		v = clone(v)
		v.Groups[1].Ingress = []network.Rule{from("10.0.0.0/24", 80)}
		w.set(t, v, w.b)
		expect(t, "is let in by its address", callInside(n, "a", "10.0.0.20", "10.0.2.11:80"), "a-web1 saw 10.0.0.20")
		v = clone(v)
		v.Interfaces[0].Unfiltered = false
		w.set(t, v, w.b)
		expectSilence(t, "without groups, filtered", call(n, "a-web1", "10.0.0.20:80"))
	})
	t.Run("an interface in two groups has the rights of both", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.Interfaces[3].Groups = []string{"a-web", "a-lb"}
		w.set(t, v, w.b)
		expect(t, "as one", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
		expect(t, "as the other", call(n, "a-web1", "10.0.3.11:80"), "a-web2 saw 10.0.2.11")
	})
}

func testRoutes(t *testing.T, w *world) {
	n, pub := w.n, func(i int) string { return public(w.pool, i).String() + ":80" }
	nat := public(w.pool, 0).String()
	expect(t, "by the NAT gateway to the other VPC", call(n, "a-web1", pub(11)), "b-alb saw "+nat)
	expect(t, "by the internet gateway with one's own address", call(n, "a-pub", pub(11)), "b-alb saw "+public(w.pool, 2).String())
	expectSilence(t, "by the internet gateway without an address", call(n, "a-nopub", pub(11)))
	t.Run("no route", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.RouteTables[1].Routes = nil
		w.set(t, v, w.b)
		expectSilence(t, "without a route", call(n, "a-web1", pub(11)))
		expect(t, "what is local", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
	})
	t.Run("a more specific blackhole", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.RouteTables[1].Routes = append([]network.Route{{Destination: netip.PrefixFrom(public(w.pool, 11), 32), Kind: network.Blackhole}}, v.RouteTables[1].Routes...)
		w.set(t, v, w.b)
		expectSilence(t, "into the hole", call(n, "a-web1", pub(11)))
		expect(t, "beside it", call(n, "a-web1", pub(12)), "b-pub saw "+nat)
	})
	t.Run("a NAT gateway in a subnet without a way out", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.RouteTables[0].Routes = nil
		w.set(t, v, w.b)
		expectSilence(t, "through it", call(n, "a-web1", pub(11)))
	})
	t.Run("the internet gateway is detached and attached", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.InternetGateway = false
		w.set(t, v, w.b)
		expectSilence(t, "out", call(n, "a-web1", pub(11)))
		expectSilence(t, "in", callHost(pub(1)))
		w.reset(t)
		expect(t, "out again", call(n, "a-web1", pub(11)), "b-alb saw "+nat)
		expect(t, "in again", callHost(pub(1)), "a-alb saw "+network.HostAddress(w.pool).String())
	})
}

func testPublic(t *testing.T, w *world) {
	n, pub := w.n, func(i int) string { return public(w.pool, i).String() + ":80" }
	host := network.HostAddress(w.pool).String()
	expect(t, "the machine to a load balancer", callHost(pub(1)), "a-alb saw "+host)
	expect(t, "the machine to an interface", callHost(pub(2)), "a-pub saw "+host)
	expect(t, "the machine to the other VPC", callHost(pub(11)), "b-alb saw "+host)
	expectSilence(t, "the machine to a port that no rule allows", callHost(public(w.pool, 1).String()+":81"))
	expectSilence(t, "the machine to a NAT gateway", callHost(pub(0)))
	expectSilence(t, "the machine to an address that nobody has", callHost(pub(50)))
	expect(t, "out and back into the own VPC through NAT", call(n, "a-web1", pub(1)), "a-alb saw "+public(w.pool, 0).String())
	expect(t, "out and back with one's own public address", call(n, "a-pub", pub(1)), "a-alb saw "+public(w.pool, 2).String())
	t.Run("a source group is not met by a public address", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.Groups[0].Ingress = []network.Rule{fromGroup("a-lb", 80)}
		w.set(t, v, w.b)
		expectSilence(t, "by the public address", call(n, "a-pub", pub(1)))
		expect(t, "by the private address", call(n, "a-pub", "10.0.0.20:80"), "a-alb saw 10.0.0.21")
		expectSilence(t, "the machine", callHost(pub(1)))
	})
	t.Run("an address moves to another interface", func(t *testing.T) {
		defer w.reset(t)
		v := clone(w.a)
		v.Interfaces[0].Public, v.Interfaces[1].Public = v.Interfaces[1].Public, netip.Addr{}
		w.set(t, v, w.b)
		expect(t, "where it went", callHost(pub(2)), "a-alb saw "+host)
		expectSilence(t, "where it was", callHost(pub(1)))
	})
}

func testServices(t *testing.T, w *world) {
	n := w.n
	l, err := n.Listen(t.Context(), "a", netip.MustParseAddrPort("169.254.170.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go greet(l, "metadata")
	pc, err := n.ListenPacket(t.Context(), "a", netip.MustParseAddrPort("10.0.0.2:53"))
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			fmt.Fprintf(packetWriter{pc, from}, "dns saw %s", from.(*net.UDPAddr).IP)
		}
	}()
	expect(t, "metadata", call(n, "a-db", "169.254.170.2:80"), "metadata saw 10.0.2.12")
	var got string
	if err := within(n, "a-web2", func() error {
		c, err := net.Dial("udp4", "10.0.0.2:53")
		if err == nil {
			c.Write([]byte("?"))
			got = hear(c)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	expect(t, "DNS", got, "dns saw 10.0.3.11")
	expectSilence(t, "another port of the router", call(n, "a-db", "10.0.2.1:80"))
	expectSilence(t, "metadata of a VPC that serves none", call(n, "b-db", "169.254.170.2:81"))
}

type packetWriter struct {
	c  net.PacketConn
	to net.Addr
}

func (w packetWriter) Write(b []byte) (int, error) { return w.c.WriteTo(b, w.to) }

// testForged sends a datagram with another interface's source address.
func testForged(t *testing.T, w *world) {
	defer w.reset(t)
	v := clone(w.a)
	v.Groups[2].Ingress = append([]network.Rule{{Protocol: network.UDP, FromPort: 99, ToPort: 99, Group: "a-web"}}, v.Groups[2].Ingress...)
	w.set(t, v, w.b)
	var pc net.PacketConn
	if err := within(w.n, "a-db", func() (err error) { pc, err = net.ListenPacket("udp4", ":99"); return err }); err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	send := func(eni string) error {
		return within(w.n, eni, func() error {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1); err != nil {
				return err
			}
			if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: addr("10.0.2.11").As4()}); err != nil {
				return err
			}
			return unix.Sendto(fd, []byte("forged"), 0, &unix.SockaddrInet4{Addr: addr("10.0.2.12").As4(), Port: 99})
		})
	}
	arrives := func(within time.Duration) bool {
		pc.SetReadDeadline(time.Now().Add(within))
		_, _, err := pc.ReadFrom(make([]byte, 10))
		return err == nil
	}
	if err := send("a-web1"); err != nil || !arrives(time.Minute) {
		t.Fatalf("its own address does not arrive (%v)", err)
	}
	if err := send("a-nopub"); err != nil {
		t.Fatal(err)
	}
	if arrives(silence) {
		t.Error("a forged source address arrives")
	}
}

func testACLs(t *testing.T, w *world) {
	defer w.reset(t)
	n := w.n
	v := clone(w.a)
	v.ACLs = []network.ACL{{
		ID:      "acl",
		Ingress: []network.ACLRule{{Number: 100, Protocol: network.All, CIDR: prefix("10.0.0.0/24"), Allow: false}, {Number: 200, Protocol: network.All, CIDR: anywhere, Allow: true}},
		Egress:  []network.ACLRule{{Number: 100, Protocol: network.TCP, FromPort: 1024, ToPort: 65535, CIDR: anywhere, Allow: true}},
	}}
	v.Subnets[1].ACL = "acl"
	w.set(t, v, w.b)
	expectSilence(t, "from the denied subnet", callInside(n, "a", "10.0.0.20", "10.0.2.11:80"))
	expect(t, "from another subnet, the answer by the high ports", call(n, "a-web2", "10.0.2.12:3306"), "a-db saw 10.0.3.11")
	expect(t, "within the subnet no ACL is asked", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
	expectSilence(t, "out by a low port", call(n, "a-web1", "10.0.0.20:80"))
	v = clone(v)
	v.ACLs = []network.ACL{v.ACLs[0]}
	v.ACLs[0].Egress = []network.ACLRule{{Number: 100, Protocol: network.TCP, FromPort: 0, ToPort: 1023, CIDR: anywhere, Allow: true}}
	w.set(t, v, w.b)
	expectSilence(t, "an answer that the stateless ACL does not let out", call(n, "a-web2", "10.0.2.12:3306"))
}

func testDrops(t *testing.T, w *world) {
	defer w.reset(t)
	n := w.n
	v := clone(w.a)
	v.Groups[1].Ingress = nil
	v.RouteTables[1].Routes = nil
	v.Groups[2].Egress = nil
	w.set(t, v, w.b)
	callInside(n, "a", "10.0.0.20", "10.0.2.11:80")
	call(n, "a-web1", public(w.pool, 11).String()+":443")
	call(n, "a-nopub", public(w.pool, 11).String()+":443")
	call(n, "a-db", "10.0.0.20:80")
	drops, err := n.Drops(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	find := func(reason network.DropReason, eni, to string) network.Drop {
		for _, d := range drops {
			if d.VPC == "a" && d.Reason == reason && d.Interface == eni && netip.AddrPortFrom(d.Destination, d.Port).String() == to {
				if d.Packets == 0 || time.Since(d.Last) > time.Minute || d.Protocol != network.TCP {
					t.Errorf("incomplete: %+v", d)
				}
				return d
			}
		}
		t.Errorf("no drop of %s at %s to %s in %+v", reason, eni, to, drops)
		return network.Drop{}
	}
	d := find(network.DropIngress, "a-web1", "10.0.2.11:80")
	expect(t, "the health check's source", d.Source.String(), "10.0.0.20")
	expect(t, "the group", fmt.Sprint(d.Groups), "[a-web]")
	d = find(network.DropNoRoute, "a-web1", public(w.pool, 11).String()+":443")
	expect(t, "the route table", d.RouteTable, "a-rtb-private")
	d = find(network.DropNoPublic, "a-nopub", public(w.pool, 11).String()+":443")
	expect(t, "the route table", d.RouteTable, "a-rtb-public")
	find(network.DropEgress, "a-db", "10.0.0.20:80")

	// The interface is removed, and its drops are still its own.
	v = clone(v)
	gone := v.Interfaces[slices.IndexFunc(v.Interfaces, func(e network.Interface) bool { return e.ID == "a-nopub" })]
	v.Interfaces = slices.DeleteFunc(v.Interfaces, func(e network.Interface) bool { return e.ID == "a-nopub" })
	w.set(t, v, w.b)
	if drops, err = n.Drops(t.Context()); err != nil {
		t.Fatal(err)
	}
	d = find(network.DropNoPublic, "a-nopub", public(w.pool, 11).String()+":443")
	expect(t, "the group of an interface that is gone", fmt.Sprint(d.SourceGroups), fmt.Sprint(gone.Groups))
}

func testListening(t *testing.T, w *world) {
	var l net.Listener
	if err := within(w.n, "a-web1", func() (err error) { l, err = net.Listen("tcp4", "127.0.0.1:8080"); return err }); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, err := w.n.Listening(t.Context(), "a-web1")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "what listens beside web", fmt.Sprint(got), "[0.0.0.0:80 127.0.0.1:8080]")
}

// testAdoption closes the network as a death of the process would, sees that all
// goes on, and opens it again.
func testAdoption(t *testing.T, w *world, open Factory) {
	var c net.Conn
	if err := within(w.n, "a-web1", func() (err error) { c, err = net.DialTimeout("tcp4", "10.0.2.12:3306", time.Minute); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	readLine(c)
	if err := w.n.Close(); err != nil {
		t.Fatal(err)
	}
	n := w.n // its paths still count
	expect(t, "without a process", call(n, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
	expect(t, "without a process, from outside", callHost(public(w.pool, 2).String()+":80"), "a-pub saw "+network.HostAddress(w.pool).String())

	again, err := open(w.pool)
	if err != nil {
		t.Fatal(err)
	}
	w.n = again
	v := clone(w.a)
	v.Interfaces = v.Interfaces[:len(v.Interfaces):len(v.Interfaces)]
	v.Interfaces = append(v.Interfaces[:4], v.Interfaces[5:]...) // web2 is gone meanwhile
	w.set(t, v)                                                  // and so is b
	expect(t, "after the restart", call(again, "a-web1", "10.0.2.12:3306"), "a-db saw 10.0.2.11")
	fmt.Fprintln(c, "still here")
	expect(t, "the connection of before", readLine(c), "still here")
	expectSilence(t, "the VPC that is gone", callHost(public(w.pool, 12).String()+":80"))
	expectSilence(t, "the interface that is gone", callInside(again, "a", "10.0.0.20", "10.0.3.11:80"))
	w.reset(t)
	expect(t, "made again", callInside(again, "b", "10.0.0.20", "10.0.2.11:80"), "dial tcp 10.0.0.20:0->10.0.2.11:80: connect: connection refused")
}
