package proxytest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"minato/dataplane/proxy"
)

// stream makes the listener and the group pass bytes.
func (e *env) stream() {
	e.lb.Listeners[0].Stream = true
	e.groups[0].Protocol = proxy.Stream
	e.groups[0].Check = proxy.Check{Kind: proxy.CheckTCP, Interval: time.Second, Timeout: patience, HealthyThreshold: 2, UnhealthyThreshold: 2}
}

// echoes is a target that sends back what it is sent, after its name.
func (e *env) echoes(name string) netip.AddrPort {
	l := e.listen()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, name)
				io.Copy(c, c)
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func streams(e *env) {
	e.stream()
	e.targets(e.echoes("a"))
	c := e.dial()
	c.send("\x00\xffnot HTTP\n")
	got := make([]byte, len("a\x00\xffnot HTTP\n"))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "a\x00\xffnot HTTP\n" {
		e.t.Fatalf("%q %v", got, err)
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	c.ended()
	// TLS ends at the load balancer.
	tlsConf := e.secure("a.example")
	tlsConf.ALPN = []string{"h2", "http/1.1"}
	e.set()
	s, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		e.t.Fatal(err)
	}
	defer s.Close()
	s.SetDeadline(time.Now().Add(patience))
	if p := s.ConnectionState().NegotiatedProtocol; p != "h2" {
		e.t.Errorf("the protocol is %q", p)
	}
	io.WriteString(s, "hello")
	if _, err := io.ReadFull(s, got[:6]); err != nil || string(got[:6]) != "ahello" {
		e.t.Errorf("%q %v", got[:6], err)
	}
	k := e.p.Account().TargetGroups["tg"][""]
	if k.NewConnections < 2 || k.BytesOut < 5 || k.BytesIn < 6 {
		e.t.Errorf("account %+v", k)
	}
}

func streamTargets(e *env) {
	e.stream()
	e.groups[0].Sticky = time.Hour
	a, b := e.echoes("a"), e.echoes("b")
	e.targets(a, b)
	seen := map[string]int{}
	ask := func() string {
		c, err := net.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String())
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		p := make([]byte, 1)
		if _, err := io.ReadFull(c, p); err != nil {
			return err.Error()
		}
		return string(p)
	}
	for range 10 {
		seen[ask()]++
	}
	if len(seen) != 1 {
		e.t.Errorf("one client at %v", seen)
	}
	e.groups[0].Sticky = 0
	e.set()
	for range 200 {
		seen[ask()]++
	}
	if seen["a"] < 20 || seen["b"] < 20 {
		e.t.Errorf("flows %v", seen)
	}
	// A connection lives while its target drains and, where it may linger, after.
	c := e.dial()
	p := make([]byte, 1)
	if _, err := io.ReadFull(c, p); err != nil {
		e.t.Fatal(err)
	}
	mine := map[string]int{"a": 0, "b": 1}[string(p)]
	e.groups[0].Targets[mine].Draining = true
	e.set()
	for range 10 {
		if got := ask(); got == string(p) {
			e.t.Errorf("a new connection to the draining %s", got)
		}
	}
	e.groups[0].Linger = true
	e.groups[0].Targets = []proxy.Target{e.groups[0].Targets[1-mine]}
	e.set()
	c.send("x")
	if _, err := io.ReadFull(c, p); err != nil || p[0] != 'x' {
		e.t.Errorf("%q %v", p, err)
	}
	// Nobody there: the connection is refused.
	e.groups[0].Targets = nil
	e.set()
	if got := ask(); got == "a" || got == "b" {
		e.t.Errorf("%q answers", got)
	}
}

func streamsToUnhealthy(e *env) {
	e.stream()
	checked := e.listen() // what the checks ask, apart from the echo
	e.groups[0].Check.Port = netip.MustParseAddrPort(checked.Addr().String()).Port()
	e.groups[0].Targets = []proxy.Target{{Address: e.echoes("a")}}
	a := e.groups[0].Targets[0].Address
	e.up()
	e.untilState(a, proxy.Healthy)
	p := make([]byte, 1)
	open := func() *conn {
		c := e.dial()
		if _, err := io.ReadFull(c, p); err != nil {
			e.t.Fatal(err)
		}
		return c
	}
	kept := open()
	checked.Close()
	e.untilState(a, proxy.Unhealthy)
	kept.send("x")
	if _, err := io.ReadFull(kept, p); err != nil || p[0] != 'x' {
		e.t.Errorf("a connection to the unhealthy: %q %v", p, err)
	}
	kept.Close()

	again, err := net.Listen("tcp", checked.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	defer again.Close()
	e.groups[0].CutUnhealthy = true
	e.set()
	e.untilState(a, proxy.Healthy)
	cut := open()
	again.Close()
	e.untilState(a, proxy.Unhealthy)
	if n, err := cut.Read(p); err == nil {
		e.t.Errorf("a connection to the unhealthy goes on: %q", p[:n])
	}
	open().Close() // all are unhealthy: new ones are still taken
}

func proxyProtocol(e *env) {
	e.stream()
	e.groups[0].ProxyProtocol = true
	heads := make(chan []byte, 10)
	l := e.listen()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				p := make([]byte, 28)
				if _, err := io.ReadFull(bufio.NewReader(c), p); err == nil {
					heads <- p
				}
			}()
		}
	}()
	e.targets(netip.MustParseAddrPort(l.Addr().String()))
	c := e.dial()
	c.send("x")
	from := netip.MustParseAddrPort(c.Conn.LocalAddr().String())
	head := <-heads
	want := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c")
	want = append(append(want, from.Addr().AsSlice()...), e.node.AsSlice()...)
	want = append(want, byte(from.Port()>>8), byte(from.Port()), byte(e.port>>8), byte(e.port))
	if !bytes.Equal(head, want) {
		e.t.Errorf("% x, want % x", head, want)
	}
}

func checksTCP(e *env) {
	e.stream()
	l := e.listen()
	a := netip.MustParseAddrPort(l.Addr().String())
	e.targets(a)
	l.Close()
	e.refusing(a.Port())
	e.untilState(a, proxy.Unhealthy)
	if h := e.health(a); h.Reason != proxy.Failed {
		e.t.Error(fmt.Sprint(h))
	}
}
