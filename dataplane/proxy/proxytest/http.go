package proxytest

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"minato/dataplane/proxy"
)

func keepsConnections(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }))
	c := e.dial()
	seen := map[string]bool{}
	for range 5 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, addr := c.answer("GET")
		if resp.Header.Get("Connection") != "keep-alive" {
			e.t.Errorf("Connection: %q", resp.Header.Get("Connection"))
		}
		seen[addr] = true
	}
	if len(seen) != 1 {
		e.t.Errorf("the target saw %d connections", len(seen))
	}
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if resp, _ := c.answer("GET"); !resp.Close {
		e.t.Error("no Connection: close")
	}
	c.ended()
}

func bodiless(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		}
	}))
	c := e.dial() // all on one connection: a body too much or too little would show
	for _, r := range []struct {
		method, path string
		status       int
		length       int64
		body         string
	}{{"HEAD", "/", 200, 5, ""}, {"GET", "/204", 204, 0, ""}, {"GET", "/304", 304, 0, ""}, {"GET", "/", 200, 5, "hello"}, {"HEAD", "/", 200, 5, ""}} {
		c.send("%s %s HTTP/1.1\r\nHost: a\r\n\r\n", r.method, r.path)
		resp, body := c.answer(r.method)
		if resp.StatusCode != r.status || r.status == 200 && resp.ContentLength != r.length || body != r.body {
			e.t.Errorf("%s %s: %d, %d bytes announced, %q", r.method, r.path, resp.StatusCode, resp.ContentLength, body)
		}
	}
}

// lengths has answers come whole whatever their length, and what a target sends beyond
// one does not become another's.
func lengths(e *env) {
	sizes := []int{1, 16<<10 - 1, 16 << 10, 20 << 10, 100 << 10, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1 << 20}
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			var n, beyond int
			fmt.Sscanf(req.URL.Path, "/%d/%d", &n, &beyond)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", n, strings.Repeat(string(rune('a'+n%26)), n), strings.Repeat("!", beyond))
		}
	}))
	c := e.dial()
	for _, beyond := range []int{0, 1, 1000} {
		for _, n := range sizes {
			c.send("GET /%d/%d HTTP/1.1\r\nHost: a\r\n\r\n", n, beyond)
			if resp, body := c.answer("GET"); resp.StatusCode != 200 || len(body) != n || strings.Trim(body, string(rune('a'+n%26))) != "" {
				e.t.Fatalf("%d bytes and %d beyond: %d, %d bytes", n, beyond, resp.StatusCode, len(body))
			}
		}
	}
}

func untilClose(e *env) {
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nfirst ")
		time.Sleep(20 * time.Millisecond)
		io.WriteString(c, "second")
	}))
	c := e.dial()
	for range 2 { // to the client the length is clear, so its connection lives on
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp, body := c.answer("GET"); body != "first second" || len(resp.TransferEncoding) != 1 {
			e.t.Errorf("%q %v", body, resp.TransferEncoding)
		}
	}
}

func http10(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Proto != "HTTP/1.1" || r.Host == "" {
			e.t.Errorf("target saw %s for %q", r.Proto, r.Host)
		}
		if r.URL.Path == "/long" {
			w.(http.Flusher).Flush() // chunked
		}
		io.WriteString(w, "hello")
	}))
	c := e.dial()
	c.send("GET / HTTP/1.0\r\n\r\n")
	if _, body := c.answer("GET"); body != "hello" {
		e.t.Errorf("%q", body)
	}
	c.ended()
	c = e.dial()
	c.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	c.answer("GET")
	c.send("GET /long HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	resp, body := c.answer("GET")
	if body != "hello" || len(resp.TransferEncoding) != 0 {
		e.t.Errorf("chunks to HTTP/1.0: %q %v", body, resp.TransferEncoding)
	}
	c.ended()
}

func streamsDown(e *env) {
	next := make(chan bool)
	e.targets(e.serve(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			<-next // the next event only after this one has arrived
		}
	}))
	resp, err := http.Get(e.url("/"))
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			e.t.Fatalf("%q %v", line, err)
		}
		lines.ReadString('\n')
		next <- true
	}
	if _, err := lines.ReadByte(); err != io.EOF {
		e.t.Errorf("after the last event: %v", err)
	}
}

func streamsUp(e *env) {
	pieces := make(chan string)
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 100)
		for {
			n, err := r.Body.Read(p)
			if n > 0 {
				pieces <- string(p[:n])
			}
			if err != nil {
				break
			}
		}
		io.WriteString(w, "all")
	}))
	for _, framing := range []string{"Transfer-Encoding: chunked", "Content-Length: 6"} {
		c := e.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", framing)
		for _, piece := range []string{"one", "two"} {
			if strings.HasPrefix(framing, "T") {
				c.send("3\r\n%s\r\n", piece)
			} else {
				c.send("%s", piece)
			}
			if got := <-pieces; got != piece {
				e.t.Fatalf("%q arrived", got)
			}
		}
		if strings.HasPrefix(framing, "T") {
			c.send("0\r\n\r\n")
		}
		if _, body := c.answer("POST"); body != "all" {
			e.t.Errorf("%q", body)
		}
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
		if _, body := c.answer("POST"); body != "all" {
			e.t.Errorf("next request: %q", body)
		}
	}
}

func largeUploads(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	}))
	body := make([]byte, 5<<20)
	for i := range body {
		body[i] = byte(rand.Uint32())
	}
	sum := sha256.Sum256(body)
	want := fmt.Sprintf("%d %s <nil>", len(body), hex.EncodeToString(sum[:]))
	if _, got := e.do("PUT", "/", string(body)); got != want {
		e.t.Errorf("with length: %.80s", got)
	}
	req, _ := http.NewRequest("PUT", e.url("/"), io.MultiReader(strings.NewReader(string(body)))) // chunked
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, _ := io.ReadAll(resp.Body); string(got) != want {
		e.t.Errorf("chunked: %.80s", got)
	}
}

func expects(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Expect") != "" {
			e.t.Error("Expect reached the target")
		}
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	c := e.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != 100 {
		e.t.Fatalf("status %d", resp.StatusCode)
	}
	c.send("hello")
	if _, body := c.answer("POST"); body != "hello" {
		e.t.Errorf("%q", body)
	}
	// Who does not get to send the body must not be asked for it.
	e.lb.Listeners[0].Default = fixed("no")
	e.set()
	c = e.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != 200 || !resp.Close {
		e.t.Errorf("status %d, close %v", resp.StatusCode, resp.Close)
	}
	c.ended()
}

func trailers(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "hello")
		w.Header().Set("X-Sum", r.Trailer.Get("X-In")+"!")
	}))
	c := e.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-In\r\n\r\n2\r\nab\r\n0\r\nX-In: 7\r\nContent-Length: 9\r\n\r\n")
	resp, body := c.answer("POST")
	if body != "hello" || resp.Trailer.Get("X-Sum") != "7!" {
		e.t.Errorf("%q, trailer %v", body, resp.Trailer)
	}
}

func earlyAnswers(e *env) {
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
		io.Copy(io.Discard, r)
	}))
	c := e.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome of it")
	resp, body := c.answer("POST")
	if resp.StatusCode != 413 || body != "big" || !resp.Close {
		e.t.Errorf("%d %q close %v", resp.StatusCode, body, resp.Close)
	}
	c.ended()
}

func pipelining(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	}))
	c := e.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\ntwoPOST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, want := range []string{"/1 ", "/2 two", "/3 three", "/4 "} {
		if _, body := c.answer("GET"); body != want {
			e.t.Errorf("%q, want %q", body, want)
		}
	}
}

func webSocket(e *env) {
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Header.Get("Upgrade") != "websocket" {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nwelcome")
		io.Copy(c, r)
	}))
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n")
	resp, err := http.ReadResponse(c.Reader, nil)
	if err != nil || resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("Sec-Websocket-Accept") != "x" {
		e.t.Fatalf("%+v %v", resp, err)
	}
	c.send("ping")
	got := make([]byte, len("welcomeping"))
	if _, err := io.ReadFull(c.Reader, got); err != nil || string(got) != "welcomeping" {
		e.t.Fatalf("%q %v", got, err)
	}
	c.Conn.(*net.TCPConn).CloseWrite()
	c.ended()
	// h2c would carry requests past the rules.
	if _, body := e.do("GET", "/", "", "Connection", "Upgrade", "Upgrade", "h2c"); body != "plain" {
		e.t.Errorf("%q", body)
	}
}

func smuggling(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	for name, req := range map[string]string{
		"two lengths":        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
		"odd coding":         "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"space before colon": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
		"folded":             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
		"no request at all":  "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
		"bad chunk":          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
	} {
		c := e.dial()
		c.send("%s", req)
		resp, body := c.answer("POST")
		if resp.StatusCode != 400 && resp.StatusCode != 501 || !resp.Close || resp.Header.Get("Server") != "awselb/2.0" {
			e.t.Errorf("%s: %d %v", name, resp.StatusCode, resp.Header)
		}
		if want := fmt.Sprintf("<html>\r\n<head><title>%d ", resp.StatusCode); !strings.HasPrefix(body, want) {
			e.t.Errorf("%s: body %q", name, body)
		}
		c.ended()
	}
}

func forwardedModes(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", strings.Join(r.Header["X-Forwarded-For"], "|"), r.Header.Get("X_odd"))
	}))
	for _, c := range []struct {
		opts proxy.Options
		want string
	}{
		{proxy.Options{}, "1.2.3.4, 127.0.0.1 yes"},
		{proxy.Options{XForwardedFor: proxy.Preserve}, "1.2.3.4 yes"},
		{proxy.Options{XForwardedFor: proxy.Remove, DropInvalidHeaders: true}, " "},
	} {
		e.lb.Options = c.opts
		e.set()
		if _, got := e.do("GET", "/", "", "X-Forwarded-For", "1.2.3.4", "X_odd", "yes"); got != c.want {
			e.t.Errorf("%+v: %q, want %q", c.opts, got, c.want)
		}
	}
	if resp, _ := e.do("GET", "/", "", "X-Forwarded-For", strings.Repeat("1.2.3.4,", 30)+"1.2.3.4"); resp.StatusCode != 463 {
		e.t.Errorf("more than 30 addresses: %d", resp.StatusCode)
	}
}

func hopByHop(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		for _, h := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "X-Secret"} {
			if v := r.Header.Get(h); v != "" {
				e.t.Errorf("%s: %s reached the target", h, v)
			}
		}
		w.Header().Set("Connection", "X-Inner")
		w.Header().Set("X-Inner", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("Server", "app")
		w.Header().Set("X-Inner-Two", "target")
	}))
	resp, _ := e.do("GET", "/", "", "Connection", "X-Secret", "X-Secret", "1", "Keep-Alive", "x", "Proxy-Connection", "x", "Te", "gzip")
	if resp.Header.Get("X-Inner") != "" || resp.Header.Get("Keep-Alive") != "" || resp.Header.Get("Server") != "app" {
		e.t.Errorf("%v", resp.Header)
	}
	e.lb.Listeners[0].HideServer = true
	e.set()
	if resp, _ := e.get("/"); resp.Header.Get("Server") != "" {
		e.t.Errorf("Server: %s", resp.Header.Get("Server"))
	}
	e.lb.Listeners[0].SetHeaders = []proxy.HeaderField{{Name: "x-inner-two", Value: "lb"}, {Name: "Strict-Transport-Security", Value: "max-age=1"}}
	e.set()
	if resp, _ := e.get("/"); resp.Header.Get("Strict-Transport-Security") != "max-age=1" || strings.Join(resp.Header.Values("X-Inner-Two"), "|") != "lb" {
		e.t.Errorf("%v", resp.Header)
	}
	if resp, _ := e.do("TRACE", "/", ""); resp.StatusCode != 405 {
		e.t.Errorf("TRACE: %d", resp.StatusCode)
	}
}
