package proxytest

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

// http2Leaves has clients cancel requests, and a listener go, over HTTP/2.
func http2Leaves(e *env) {
	e.secure("a.example")
	arrived, left, gate := make(chan bool, 1), make(chan bool, 1), make(chan bool)
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/think":
			io.Copy(io.Discard, r.Body)
			arrived <- true
			select {
			case <-r.Context().Done():
				left <- true
			case <-time.After(patience):
				left <- false
			}
		case "/wait":
			arrived <- true
			<-gate
			io.WriteString(w, "late")
		default:
			echo(w, r)
		}
	}))
	c := e.client("a.example", true)
	for i, body := range []string{"", "hello"} {
		ctx, cancel := context.WithCancel(e.t.Context())
		req := must(http.NewRequestWithContext(ctx, "POST", "https://a.example/think", strings.NewReader(body)))
		failed := make(chan error)
		go func() {
			_, err := c.Do(req)
			failed <- err
		}()
		<-arrived
		cancel()
		if <-failed == nil || !<-left {
			e.t.Errorf("with the body %q the target was not told", body)
		}
		e.until("the count of 460", func() bool { return e.p.Counters("lb").ClientClosed == uint64(i+1) })
	}
	if _, body := e.fetch(c, "GET", "https://a.example/", ""); !strings.HasPrefix(body, "HTTP/1.1 GET /") || e.p.Counters("lb").NewConnections != 1 {
		e.t.Errorf("%q, over another connection", body)
	}
	late := make(chan string)
	go func() {
		resp, err := c.Get("https://a.example/wait")
		if err != nil {
			late <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		late <- string(b)
	}()
	<-arrived
	e.lb.Listeners = nil
	e.set()
	close(gate)
	if got := <-late; got != "late" {
		e.t.Errorf("the listener goes: %q", got)
	}
	e.until("the connection to end", func() bool { return e.p.Counters("lb").ActiveConnections == 0 })
}

// http2Slow has a client whose head comes drop by drop.
func http2Slow(e *env) {
	e.secure("a.example")
	e.lb.Options.IdleTimeout = 2 * time.Second // shorter, a busy machine is late with what is to be in time
	e.up()
	f := e.framer()
	f.conn.Write([]byte{0, 0x20, 0, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders), 0, 0, 0, 1})
	go func() {
		for _, err := f.conn.Write([]byte{0}); err == nil; _, err = f.conn.Write([]byte{0}) {
			time.Sleep(50 * time.Millisecond)
		}
	}()
	e.until("the connection to end", func() bool { return e.p.Counters("lb").ActiveConnections == 0 })
}
