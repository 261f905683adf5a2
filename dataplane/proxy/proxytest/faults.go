package proxytest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
)

func (e *env) wantOwn(status int, title string) {
	e.t.Helper()
	resp, body := e.get("/")
	want := "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
	if resp.StatusCode != status || body != want || resp.Header.Get("Server") != "awselb/2.0" || resp.Header.Get("Content-Type") != "text/html" {
		e.t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
}

func gatewayErrors(e *env) {
	e.lb.Options.IdleTimeout = 2 * time.Second // shorter, a busy machine is late with what is to be in time
	e.up()
	e.wantOwn(503, "503 Service Temporarily Unavailable")
	e.targets(e.raw(func(_ net.Conn, r *bufio.Reader) { http.ReadRequest(r) })) // and closes
	e.wantOwn(502, "502 Bad Gateway")
	e.targets(e.raw(func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })) // says nothing
	e.wantOwn(504, "504 Gateway Time-out")
	if c := e.p.Counters("lb"); c.Own.C502 != 1 || c.Own.C503 != 1 || c.Own.C504 != 1 || c.Own.C5xx != 3 || c.Target.C5xx != 0 {
		e.t.Errorf("counters %+v", c)
	}
}

func malformedAnswers(e *env) {
	var next atomic.Value
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, next.Load().(string))
	}))
	for _, answer := range []string{
		"hello\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 70<<10) + "\r\n\r\n",
	} {
		next.Store(answer)
		if resp, _ := e.get("/"); resp.StatusCode != 502 {
			e.t.Errorf("%.40q: %d", answer, resp.StatusCode)
		}
	}
}

// staleConnections has a target that closes its connection after each answer
// without saying so: the next request must not be the one to find out.
func staleConnections(e *env) {
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, req.Body)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}))
	c := e.dial()
	for i := range 200 {
		method := []string{"PUT", "POST"}[i%2]
		c.send("%s / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", method)
		if resp, _ := c.answer(method); resp.StatusCode != 200 {
			e.t.Fatalf("request %d, %s: %d", i, method, resp.StatusCode)
		}
	}
}

// unsafeOnce has a target that takes a request on a connection it has used
// before and closes without an answer: it may have acted on it.
func unsafeOnce(e *env) {
	var posts atomic.Int32
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		for i := 0; ; i++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if io.Copy(io.Discard, req.Body); i > 0 {
				if req.Method == "POST" {
					posts.Add(1)
				}
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}))
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.answer("GET")
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		e.t.Errorf("GET was not sent again: %d", resp.StatusCode)
	}
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
	if resp, _ := c.answer("POST"); resp.StatusCode != 502 || posts.Load() != 1 {
		e.t.Errorf("POST: %d, sent %d times", resp.StatusCode, posts.Load())
	}
	if n := e.p.Counters("lb").Retries; n != 1 {
		e.t.Errorf("%d retries counted", n)
	}
}

func truncated(e *env) {
	var next atomic.Value
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, next.Load().(string))
	}))
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	} {
		next.Store(answer)
		for _, version := range []string{"1.1", "1.0"} {
			c := e.dial()
			c.send("GET / HTTP/%s\r\nHost: a\r\n\r\n", version)
			resp, err := http.ReadResponse(c.Reader, nil)
			if err != nil {
				continue // reset before the head was read: an error too
			}
			if body, err := io.ReadAll(resp.Body); err == nil {
				e.t.Errorf("HTTP/%s: %.60q looks whole: %q", version, answer, body)
			}
		}
	}
}

func clientLeaves(e *env) {
	left := make(chan error, 200)
	e.targets(e.serve(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			left <- nil
		case <-time.After(patience):
			left <- errors.New("the target was not told")
		}
	}))
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	e.until("the request to arrive", func() bool { return e.healths()[0].InFlight == 1 })
	c.Conn.Close()
	if err := <-left; err != nil {
		e.t.Error(err)
	}
	e.until("the count of 460", func() bool { return e.p.Counters("lb").ClientClosed == 1 && e.healths()[0].InFlight == 0 })
	// Many at once, on connections of their own: each counts.
	const many = 100
	all := make([]*conn, many)
	for i := range all {
		all[i] = e.dial()
		all[i].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	}
	for _, c := range all {
		c.Conn.Close()
	}
	e.until("the count of all", func() bool { return e.p.Counters("lb").ClientClosed == 1+many && e.healths()[0].InFlight == 0 })
}

func refusedElsewhere(e *env) {
	dead := e.refusing(0)
	e.groups[0].Check.Disabled = true
	e.targets(dead, e.serve(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	for range 10 {
		if resp, body := e.do("POST", "/", "x"); resp.StatusCode != 200 || body != "ok" {
			e.t.Fatalf("%d %q", resp.StatusCode, body)
		}
	}
	if e.p.Counters("lb").TargetConnErrors == 0 {
		e.t.Error("failed connections are not counted")
	}
	e.groups[0].Targets = []proxy.Target{{Address: dead}}
	e.set()
	e.wantOwn(502, "502 Bad Gateway")
}
