package proxytest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"minato/dataplane/proxy"
)

// exchanges has every kind of request told of, and none when nobody wants it.
func exchanges(e *env) {
	told := make(chan *proxy.Exchange, 100)
	e.p.OnExchange(func(x *proxy.Exchange) { told <- x.Clone() })
	target := e.serve(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(100 * time.Millisecond) // far more than may pass until the proxy has noted that it asked
		w.Header().Set("X-Trace", r.Header.Get("X-Amzn-Trace-Id"))
		w.WriteHeader(201)
		fmt.Fprintf(w, "%d bytes", len(body))
	})
	e.lb.Listeners[0].Rules = []proxy.Rule{
		{ID: "r7", Priority: 7, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/fixed"}}}, Action: proxy.Action{Fixed: &proxy.FixedResponse{Status: 418, Body: "tea"}}},
		{ID: "r8", Priority: 8, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/away"}}}, Action: proxy.Action{Redirect: &proxy.Redirect{Status: 302, Host: "elsewhere"}}},
	}
	e.targets(target)
	next := func() *proxy.Exchange {
		e.t.Helper()
		select {
		case x := <-told:
			if x.LoadBalancer != "lb" || x.Listener != "l" || x.Port != e.port || x.Node != e.node || !x.Client.IsValid() || x.Ended.Before(x.Created) {
				e.t.Errorf("told of %+v", x)
			}
			return x
		case <-time.After(patience):
			e.t.Fatal("a request was not told of")
			return nil
		}
	}
	c := e.dial()
	ask := func(method, request string) (int, string) {
		e.t.Helper()
		c.send("%s", request)
		resp, _ := c.answer(method)
		return resp.StatusCode, resp.Header.Get("X-Trace")
	}
	ask("GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n") // before anybody wants to know
	e.lb.Options.Recorded = true
	e.set()

	get := "GET /x?y=z HTTP/1.1\r\nHost: a:1\r\nUser-Agent: test/1\r\n\r\n"
	_, trace := ask("GET", get)
	x := next()
	if string(x.Method) != "GET" || string(x.URI) != "/x?y=z" || string(x.Host) != "a:1" || x.Version != "HTTP/1.1" || string(x.UserAgent) != "test/1" || string(x.TraceID) != trace || trace == "" || x.Class != "" ||
		x.Status != 201 || x.TargetStatus != 201 || x.Target != target || x.TargetGroup != "tg" || x.Rule != 0 || x.Action != "forward" ||
		x.Request < 0 || x.Thinking < 2*time.Millisecond || x.Response < 0 || x.BytesIn != int64(len(get)) || x.BytesOut < 100 {
		e.t.Errorf("a GET is told of as %+v", x)
	}
	connection := x.Connection
	post := "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	ask("POST", post+"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n") // the second comes at once
	c.answer("GET")
	if x = next(); string(x.Method) != "POST" || x.BytesIn != int64(len(post)) || x.Connection != connection {
		e.t.Errorf("a POST of %d bytes is told of as %+v", len(post), x)
	}
	if x = next(); x.Status != 418 || x.TargetStatus != 0 || x.Target.IsValid() || x.Rule != 7 || x.Action != "fixed-response" || x.Request != -1 || len(x.TraceID) == 0 {
		e.t.Errorf("a fixed answer is told of as %+v", x)
	}
	ask("GET", "GET /away HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	if x = next(); x.Status != 302 || !strings.HasPrefix(x.Location, "http://elsewhere") || x.Rule != 8 || x.Class != "Acceptable" || x.Why != "GetHeadZeroContentLength" {
		e.t.Errorf("a redirect is told of as %+v", x)
	}
	ask("GET", "nonsense\r\n\r\n")
	if x = next(); x.Status != 400 || string(x.Method) != "" || x.Class != "Severe" || x.Rule != -1 {
		e.t.Errorf("nonsense is told of as %+v", x)
	}

	hears := make(chan struct{})
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		close(hears)
		r.ReadByte() // until the proxy hangs up
	}))
	c = e.dial()
	c.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
	<-hears
	c.Close()
	if x = next(); x.Status != 460 || x.TargetStatus != 0 || x.Thinking != -1 || x.Request < 0 {
		e.t.Errorf("a client that left is told of as %+v", x)
	}
	e.lb.Options.Recorded = false
	e.targets(target)
	c = e.dial()
	ask("GET", get)
	select {
	case x := <-told:
		e.t.Errorf("nobody wants to know, and is told of %+v", x)
	default:
	}
}

// exchangesHTTP2 has requests of HTTP/2 told of.
func exchangesHTTP2(e *env) {
	told := make(chan *proxy.Exchange, 100)
	e.p.OnExchange(func(x *proxy.Exchange) { told <- x.Clone() })
	e.lb.Listeners[0].TLS = e.secure("a.example")
	e.lb.Options.Recorded = true
	e.targets(e.serve(echo))
	client := e.client("a.example", true)
	for range 2 {
		e.fetch(client, "POST", "https://a.example/p", strings.Repeat("x", 1000))
		select {
		case x := <-told:
			if !x.HTTP2 || x.GRPC || x.Version != "HTTP/2.0" || x.TLS == nil || x.TLS.ServerName != "a.example" || x.Status != 200 || x.TargetStatus != 200 || x.BytesIn < 1000 || x.BytesIn > 1500 || x.BytesOut == 0 || x.Connection == "" {
				e.t.Errorf("told of %+v", x)
			}
		case <-time.After(patience):
			e.t.Fatal("a request was not told of")
		}
	}
}

// next waits for what is told.
func next[T any](e *env, what string, told <-chan T) T {
	e.t.Helper()
	select {
	case x := <-told:
		return x
	case <-time.After(patience):
		e.t.Fatalf("%s was not told of", what)
		panic("unreachable")
	}
}

// connections has each connection told of once, by the name that its requests have,
// and handshakes that fail.
func connections(e *env) {
	told, asked := make(chan *proxy.Connection, 100), make(chan *proxy.Exchange, 100)
	e.p.OnConnection(func(x *proxy.Connection) { told <- x })
	e.p.OnExchange(func(x *proxy.Exchange) { asked <- x.Clone() })
	target := e.serve(echo)
	e.targets(target)
	e.get("/") // before anybody wants to know
	e.lb.Options.Connections, e.lb.Options.Recorded = true, true
	e.set()
	c := e.dial()
	for range 2 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.answer("GET")
	}
	x := next(e, "a connection", told)
	if x.LoadBalancer != "lb" || x.Listener != "l" || x.Port != e.port || x.Node != e.node || x.Client.String() != c.LocalAddr().String() || x.Secure || x.Stream || x.TLS != nil || x.Alert != -1 || x.At.Before(x.Accepted) {
		e.t.Errorf("told of %+v", x)
	}
	for range 2 {
		if r := next(e, "a request", asked); r.Connection != x.Name || x.Name == "" {
			e.t.Errorf("a request of connection %q, which is %q", r.Connection, x.Name)
		}
	}
	e.secure("a.example")
	e.set()
	for _, h2 := range []bool{false, true} {
		client := e.client("a.example", h2)
		for range 2 {
			e.fetch(client, "GET", "https://a.example/", "")
		}
		x := next(e, "a connection over TLS", told)
		if !x.Secure || x.TLS == nil || x.TLS.ServerName != "a.example" || (x.TLS.NegotiatedProtocol == "h2") != h2 || x.Handshake <= 0 {
			e.t.Errorf("told of %+v", x)
		}
		for range 2 {
			if r := next(e, "a request", asked); r.Connection != x.Name || x.Name == "" {
				e.t.Errorf("HTTP/2 %v: a request of connection %q, which is %q", h2, r.Connection, x.Name)
			}
		}
	}
	addr := netip.AddrPortFrom(e.node, e.port).String()
	if conn, err := tls.Dial("tcp", addr, &tls.Config{ServerName: "other.example"}); err == nil { // it refuses the certificate
		conn.Close()
		e.t.Error("a certificate that nobody vouches for was taken")
	}
	if x := next(e, "a handshake that failed", told); !x.Secure || x.TLS != nil || x.Alert != 42 && x.Alert != 48 {
		e.t.Errorf("told of %+v", x)
	}
	if len(told) != 0 {
		e.t.Errorf("and of %+v", <-told)
	}
}

// connectionsOfStreams has streams told of when they have ended.
func connectionsOfStreams(e *env) {
	told := make(chan *proxy.Connection, 100)
	e.p.OnConnection(func(x *proxy.Connection) { told <- x })
	t := e.secure("a.example")
	t.ALPN = []string{"x/1"}
	target := e.raw(func(c net.Conn, r *bufio.Reader) {
		all, _ := io.ReadAll(r)
		fmt.Fprintf(c, "%d bytes", len(all))
	})
	e.lb.Listeners[0].Stream, e.lb.Options.Connections = true, true
	e.groups[0].Protocol, e.groups[0].Check.Kind = proxy.Stream, proxy.CheckTCP
	e.targets(target)
	conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: []string{"y/2", "x/1"}})
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hello")
	if len(told) != 0 {
		e.t.Error("told of before its end")
	}
	conn.CloseWrite()
	if got, err := io.ReadAll(conn); string(got) != "5 bytes" {
		e.t.Errorf("%q, %v", got, err)
	}
	x := next(e, "a stream", told)
	if !x.Stream || !x.Secure || x.Target != target || x.BytesIn != 5 || x.BytesOut != 7 || x.TLS == nil || x.TLS.NegotiatedProtocol != "x/1" || strings.Join(x.Offered, " ") != "y/2 x/1" || x.Handshake <= 0 || x.At.Sub(x.Accepted) < x.Handshake {
		e.t.Errorf("told of %+v", x)
	}
}

// checked has every check told of.
func checked(e *env) {
	told := make(chan *proxy.Checked, 1000)
	e.p.OnCheck(func(x *proxy.Checked) { told <- x })
	well := e.serve(echo)
	ill := e.serveAll(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }))
	e.groups[0].Targets = []proxy.Target{{Address: well}, {Address: ill}}
	e.set()
	seen := map[netip.AddrPort]*proxy.Checked{}
	for len(seen) < 2 {
		x := next(e, "a check", told)
		seen[x.Target] = x
	}
	if x := seen[well]; x == nil || x.TargetGroup != "tg" || x.Kind != proxy.CheckHTTP || !x.Result.Passed || x.Result.Status != 200 || x.Result.From != e.node {
		e.t.Errorf("told of %+v", x)
	}
	if x := seen[ill]; x == nil || x.Result.Passed || x.Result.Status != 503 || x.Result.Reason != proxy.Mismatch {
		e.t.Errorf("told of %+v", x)
	}
}
