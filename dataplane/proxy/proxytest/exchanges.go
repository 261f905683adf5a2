package proxytest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"minato/dataplane/proxy"
)

// exchanges has every kind of request told of, and none when nobody wants it.
func exchanges(e *env) {
	told := make(chan *proxy.Exchange, 100)
	e.p.OnExchange(func(x *proxy.Exchange) { told <- x })
	target := e.serve(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(2 * time.Millisecond)
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
		case <-time.After(20 * time.Second):
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
	if x.Method != "GET" || x.URI != "/x?y=z" || x.Host != "a:1" || x.Version != "HTTP/1.1" || x.UserAgent != "test/1" || x.TraceID != trace || trace == "" || x.Class != "" ||
		x.Status != 201 || x.TargetStatus != 201 || x.Target != target || x.TargetGroup != "tg" || x.Rule != 0 || x.Action != "forward" ||
		x.Request < 0 || x.Thinking < 2*time.Millisecond || x.Response < 0 || x.BytesIn != int64(len(get)) || x.BytesOut < 100 {
		e.t.Errorf("a GET is told of as %+v", x)
	}
	connection := x.Connection
	post := "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	ask("POST", post+"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n") // the second comes at once
	c.answer("GET")
	if x = next(); x.Method != "POST" || x.BytesIn != int64(len(post)) || x.Connection != connection {
		e.t.Errorf("a POST of %d bytes is told of as %+v", len(post), x)
	}
	if x = next(); x.Status != 418 || x.TargetStatus != 0 || x.Target.IsValid() || x.Rule != 7 || x.Action != "fixed-response" || x.Request != -1 || x.TraceID == "" {
		e.t.Errorf("a fixed answer is told of as %+v", x)
	}
	ask("GET", "GET /away HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
	if x = next(); x.Status != 302 || !strings.HasPrefix(x.Location, "http://elsewhere") || x.Rule != 8 || x.Class != "Acceptable" || x.Why != "GetHeadZeroContentLength" {
		e.t.Errorf("a redirect is told of as %+v", x)
	}
	ask("GET", "nonsense\r\n\r\n")
	if x = next(); x.Status != 400 || x.Method != "" || x.Class != "Severe" || x.Rule != -1 {
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
	e.p.OnExchange(func(x *proxy.Exchange) { told <- x })
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
		case <-time.After(20 * time.Second):
			e.t.Fatal("a request was not told of")
		}
	}
}
