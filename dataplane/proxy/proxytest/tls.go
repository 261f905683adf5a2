package proxytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"minato/dataplane/proxy"
)

// Certificate makes a certificate for names, signed by itself.
func Certificate(t testing.TB, names ...string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// secure gives the listener TLS.
func (e *env) secure(names ...string) *proxy.TLS {
	t := &proxy.TLS{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}
	for _, n := range names {
		t.Certificates = append(t.Certificates, Certificate(e.t, n))
	}
	e.lb.Listeners[0].TLS = t
	return t
}

// client is an HTTP client of the listener's, over TLS; h2 makes it speak HTTP/2.
func (e *env) client(name string, h2 bool) *http.Client {
	addr := netip.AddrPortFrom(e.node, e.port).String()
	conf := &tls.Config{ServerName: name, InsecureSkipVerify: true}
	var tr http.RoundTripper
	if h2 {
		t := &http.Transport{TLSClientConfig: conf, DisableCompression: true, Protocols: new(http.Protocols), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}}
		t.Protocols.SetHTTP2(true)
		e.t.Cleanup(t.CloseIdleConnections)
		tr = t
	} else {
		t := &http.Transport{TLSClientConfig: conf, DisableCompression: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", addr)
		}}
		e.t.Cleanup(t.CloseIdleConnections)
		tr = t
	}
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: patience}
}

// fetch asks with a client.
func (e *env) fetch(c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	e.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, url, r)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
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

// echo answers with what the target saw.
func echo(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s host=%s proto=%s port=%s tls=%s body=%s", r.Proto, r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Port"), r.Header.Get("X-Amzn-Tls-Version"), b)
}

func tlsListener(e *env) {
	t := e.secure("default.example", "*.second.example")
	e.lb.Options.TLSHeaders = true
	e.lb.Listeners[0].Rules = []proxy.Rule{{ID: "r", Priority: 1, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/r"}}}, Action: proxy.Action{Redirect: &proxy.Redirect{Status: 302, Path: "/to"}}}}
	e.targets(e.serve(echo))
	c := e.client("www.second.example", false)
	resp, body := e.fetch(c, "POST", "https://www.second.example/a?b", "hello")
	if want := fmt.Sprintf("HTTP/1.1 POST /a?b host=www.second.example proto=https port=%d tls=TLSv1.3 body=hello", e.port); body != want {
		e.t.Errorf("%q, want %q", body, want)
	}
	for name, want := range map[string]string{"www.second.example": "*.second.example", "default.example": "default.example", "third.example": "default.example", "": "default.example"} {
		conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			e.t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].DNSNames[0]; got != want {
			e.t.Errorf("for %q the certificate of %s", name, got)
		}
		conn.Close()
	}
	if resp.TLS.PeerCertificates[0].DNSNames[0] != "*.second.example" {
		e.t.Error("the client got another certificate")
	}
	if resp, _ := e.fetch(c, "GET", "https://x.example/r", ""); resp.Header.Get("Location") != fmt.Sprintf("https://x.example:%d/to", e.port) {
		e.t.Errorf("redirect to %s", resp.Header.Get("Location"))
	}
	// Another policy counts from the next connection on; those there are live.
	t2 := *t
	t2.MinVersion = tls.VersionTLS13
	e.lb.Listeners[0].TLS = &t2
	e.set()
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
	if conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), old); err == nil {
		conn.Close()
		e.t.Error("TLS 1.2 is taken where 1.3 is the least")
	}
	if _, body := e.fetch(c, "GET", "https://www.second.example/again", ""); !strings.HasPrefix(body, "HTTP/1.1 GET /again") {
		e.t.Errorf("%q", body)
	}
	e.until("the failed handshake to be counted", func() bool { return e.p.Counters("lb").TLSErrors == 1 })
}

// tlsNames has the fields about the client's TLS come by names of the listener's own.
func tlsNames(e *env) {
	e.secure("a.example")
	e.lb.Options.TLSHeaders = true
	e.lb.Listeners[0].TLSVersion, e.lb.Listeners[0].TLSCipher = "X-Version", "X-Cipher"
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Version"), " ", r.Header.Get("X-Cipher"), r.Header.Get("X-Amzn-Tls-Version"), r.Header.Get("X-Amzn-Tls-Cipher-Suite"))
	}))
	for _, h2 := range []bool{false, true} {
		if _, body := e.fetch(e.client("a.example", h2), "GET", "https://a.example/", ""); !strings.HasPrefix(body, "TLSv1.3 TLS_") || strings.Count(body, "TLS") != 2 {
			e.t.Errorf("HTTP/2 %v: %q", h2, body)
		}
	}
}

func tlsClientLeaves(e *env) {
	left := make(chan bool, 1)
	e.secure("a.example")
	e.targets(e.serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			left <- true
		case <-time.After(patience):
			left <- false
		}
	}))
	conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		e.t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	e.until("the request to arrive", func() bool { return e.healths()[0].InFlight == 1 })
	conn.Close()
	if !<-left {
		e.t.Error("the target was not told")
	}
	e.until("the count of 460", func() bool { return e.p.Counters("lb").ClientClosed == 1 })
}

func tlsTargets(e *env) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", echo)
	s := httptest.NewUnstartedServer(mux)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	e.t.Cleanup(s.Close)
	a := netip.MustParseAddrPort(s.Listener.Addr().String())
	e.groups[0].TLS, e.groups[0].Check.TLS = true, true
	e.groups[0].Check.Path = "/"
	e.targets(a)
	for range 3 {
		if resp, body := e.do("POST", "/x", "hello"); resp.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/1.1 POST /x") || !strings.HasSuffix(body, "body=hello") {
			e.t.Errorf("%d %q", resp.StatusCode, body)
		}
	}
	e.secure("a.example")
	e.groups[0].Protocol, e.groups[0].Check.Kind = proxy.HTTP2, proxy.CheckHTTP2
	e.lb.ID = "lb"
	e.targets(a)
	if resp, body := e.fetch(e.client("a.example", true), "POST", "https://a.example/y", "hello"); resp.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/2.0 POST /y host=a.example proto=https") || !strings.HasSuffix(body, "body=hello") {
		e.t.Errorf("%d %q", resp.StatusCode, body)
	}
}

func http2Clients(e *env) {
	e.secure("a.example")
	gate := make(chan bool)
	e.lb.Listeners[0].Rules = []proxy.Rule{
		{ID: "1", Priority: 1, Conditions: []proxy.Condition{{Field: proxy.Header, Name: "X-Fixed", Values: []string{"y*s"}}}, Action: fixed("fixed")},
		{ID: "2", Priority: 2, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/r"}}}, Action: proxy.Action{Redirect: &proxy.Redirect{Status: 301, Path: "/to"}}},
	}
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			w.Header().Set("Trailer", "X-Sum")
			for i := range 3 {
				fmt.Fprintf(w, "%d", i)
				w.(http.Flusher).Flush()
				<-gate
			}
			w.Header().Set("X-Sum", "7")
		case "/none":
			w.WriteHeader(204)
		case "/half":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			echo(w, r)
		}
	}))
	c := e.client("a.example", true)
	resp, body := e.fetch(c, "POST", "https://a.example/a%2Fb?c=d", "hello")
	if want := fmt.Sprintf("HTTP/1.1 POST /a%%2Fb?c=d host=a.example proto=https port=%d tls= body=hello", e.port); body != want || resp.ProtoMajor != 2 {
		e.t.Errorf("%s %q, want %q", resp.Proto, body, want)
	}
	if _, body := e.fetch(c, "GET", "https://a.example/", "", "X-Fixed", "yes"); body != "fixed" {
		e.t.Errorf("%q", body)
	}
	if resp, _ := e.fetch(c, "GET", "https://a.example/r", ""); resp.StatusCode != 301 || resp.Header.Get("Server") != "awselb/2.0" {
		e.t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if resp, body := e.fetch(c, "HEAD", "https://a.example/", ""); resp.StatusCode != 200 || body != "" {
		e.t.Errorf("HEAD: %d %q", resp.StatusCode, body)
	}
	if resp, body := e.fetch(c, "GET", "https://a.example/none", ""); resp.StatusCode != 204 || body != "" {
		e.t.Errorf("%d %q", resp.StatusCode, body)
	}
	// A body whose length is not known, and an answer piece by piece with a trailer.
	reader, writer := io.Pipe()
	go func() {
		io.WriteString(writer, "some")
		io.WriteString(writer, "more")
		writer.Close()
	}()
	req, _ := http.NewRequest("POST", "https://a.example/", reader)
	resp, err := c.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	if b, _ := io.ReadAll(resp.Body); !strings.HasSuffix(string(b), "body=somemore") {
		e.t.Errorf("%q", b)
	}
	resp.Body.Close()
	resp, err = c.Get("https://a.example/stream")
	if err != nil {
		e.t.Fatal(err)
	}
	p := make([]byte, 1)
	for i := range 3 {
		if _, err := io.ReadFull(resp.Body, p); err != nil || p[0] != byte('0'+i) {
			e.t.Fatalf("%q %v", p, err)
		}
		gate <- true
	}
	io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.Trailer.Get("X-Sum") != "7" {
		e.t.Errorf("trailer %v", resp.Trailer)
	}
	resp, err = c.Get("https://a.example/half")
	if err == nil {
		if b, err := io.ReadAll(resp.Body); err == nil {
			e.t.Errorf("half an answer looks whole: %q", b)
		}
		resp.Body.Close()
	}
	// Many at once on one connection.
	before := e.p.Counters("lb").NewConnections
	done := make(chan string, 50)
	for i := range 50 {
		go func() {
			resp, err := c.Get(fmt.Sprintf("https://a.example/%d", i))
			if err != nil {
				done <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			if !strings.HasPrefix(string(b), fmt.Sprintf("HTTP/1.1 GET /%d ", i)) {
				done <- string(b)
				return
			}
			done <- ""
		}()
	}
	for range 50 {
		if msg := <-done; msg != "" {
			e.t.Error(msg)
		}
	}
	if n := e.p.Counters("lb").NewConnections; n != before {
		e.t.Errorf("%d connections were opened", n-before)
	}
	// Who may not have it is not offered it.
	e.lb.Options.NoHTTP2 = true
	e.set()
	conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		e.t.Fatal(err)
	}
	defer conn.Close()
	if p := conn.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
		e.t.Errorf("the protocol is %q", p)
	}
}

// http2Targets have HTTP/2 with prior knowledge, as ALB speaks it.
func http2Targets(e *env) {
	e.secure("a.example")
	mux := http.NewServeMux()
	mux.HandleFunc("/up", func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(500)
		}
	})
	mux.HandleFunc("/AWS.ALB/healthcheck", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "12")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Te") == "trailers" {
			w.Header().Set("Trailer", "Grpc-Status")
			w.Header().Set("Content-Type", "application/grpc")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			io.Copy(w, r.Body)
			w.Header().Set("Grpc-Status", "0")
			return
		}
		echo(w, r)
	})
	a := e.serveAll(mux)
	e.groups[0].Protocol, e.groups[0].Check.Kind = proxy.HTTP2, proxy.CheckHTTP2
	e.targets(a)
	c := e.client("a.example", true)
	if resp, body := e.fetch(c, "PUT", "https://a.example/a%2Fb?x", "hello"); resp.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/2.0 PUT /a%2Fb?x host=a.example proto=https") || !strings.HasSuffix(body, "body=hello") {
		e.t.Errorf("%d %q", resp.StatusCode, body)
	}
	if resp, _ := e.fetch(e.client("a.example", false), "GET", "https://a.example/", ""); resp.StatusCode != 464 {
		e.t.Errorf("HTTP/1.1 to HTTP/2: %d", resp.StatusCode)
	}
	e.groups[0].Protocol = proxy.GRPC
	e.groups[0].Check = proxy.Check{
		Kind: proxy.CheckGRPC, Path: "/AWS.ALB/healthcheck", Interval: time.Second, Timeout: patience, HealthyThreshold: 2, UnhealthyThreshold: 2,
		Codes: []proxy.CodeRange{{From: 12, To: 12}},
	}
	e.set()
	e.until("the check of gRPC", func() bool { h := e.health(a); return h.Last != nil && h.Last.Passed && h.Last.Status == 12 })
	resp, body := e.fetch(c, "POST", "https://a.example/svc/M", "abc", "Content-Type", "application/grpc", "Te", "trailers")
	if resp.StatusCode != 200 || body != "abc" || resp.Trailer.Get("Grpc-Status") != "0" || resp.Header.Get("Content-Type") != "application/grpc" {
		e.t.Errorf("%d %q %v %v", resp.StatusCode, body, resp.Header, resp.Trailer)
	}
	if resp, _ := e.fetch(c, "GET", "https://a.example/", ""); resp.StatusCode != 464 {
		e.t.Errorf("a GET to gRPC: %d", resp.StatusCode)
	}
	e.groups[0].Protocol, e.groups[0].Check = proxy.HTTP1, Check()
	e.targets(e.serve(echo))
	if resp, _ := e.fetch(c, "POST", "https://a.example/svc/M", "abc", "Content-Type", "application/grpc"); resp.StatusCode != 464 {
		e.t.Errorf("gRPC to HTTP/1.1: %d", resp.StatusCode)
	}
}

// http2Errors are the load balancer's own answers over HTTP/2.
func http2Errors(e *env) {
	e.secure("a.example")
	e.lb.Options.IdleTimeout = 2 * time.Second // shorter, a busy machine is late with what is to be in time
	e.up()
	mute, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		e.t.Fatal(err)
	}
	defer mute.Close()
	mute.SetReadDeadline(time.Now().Add(patience))
	var timeout net.Error
	if _, err := mute.Read(make([]byte, 1)); errors.As(err, &timeout) && timeout.Timeout() {
		e.t.Error("a client that chose HTTP/2 and says nothing is waited for without end")
	}
	c := e.client("a.example", true)
	status := func(want int) {
		e.t.Helper()
		if resp, body := e.fetch(c, "GET", "https://a.example/", ""); resp.StatusCode != want || !strings.Contains(body, fmt.Sprintf("<h1>%d ", want)) {
			e.t.Errorf("%d %q, want %d", resp.StatusCode, body, want)
		}
	}
	status(503)
	dead := e.refusing(0)
	e.groups[0].Check.Disabled = true
	e.targets(dead)
	status(502)
	silent := e.listen()
	e.targets(netip.MustParseAddrPort(silent.Addr().String()))
	status(504)
	e.groups[0].Protocol = proxy.HTTP2
	e.targets(dead)
	status(502)
	e.targets(netip.MustParseAddrPort(silent.Addr().String()))
	status(504)
	if k := e.p.Counters("lb"); k.Own.C502 != 2 || k.Own.C503 != 1 || k.Own.C504 != 2 {
		e.t.Errorf("counters %+v", k.Own)
	}
}
