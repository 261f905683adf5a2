package proxytest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"minato/dataplane/proxy"
)

// witness is a target that remembers what reached it.
type witness struct {
	mu   sync.Mutex
	seen []string
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	w.mu.Lock()
	w.seen = append(w.seen, r.Method+" "+r.URL.Path+" "+string(b))
	w.mu.Unlock()
	io.WriteString(rw, r.URL.Path)
}

func (w *witness) saw(what string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.seen, func(s string) bool { return strings.HasPrefix(s, what) })
}

// corpus are requests that hide another one from a careless proxy or target.
// Each is sent as it stands; what is refused must end the connection, and what
// is hidden must reach nobody.
var corpus = []struct {
	name, request string
	status        int // of the first answer
	hidden        string
}{
	{"CL.TE", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /smuggled"},
	{"TE.CL", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2a\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nX: 123456\r\n0\r\n\r\n", 200, "GET /smuggled"},
	{"TE.TE", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"TE with a tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /smuggled"},
	{"TE in quotes", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 501, "GET /smuggled"},
	{"TE as a list", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 501, "GET /smuggled"},
	{"TE after a vertical tab", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"TE with an underscore", "POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"TE with a space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400, ""},
	{"TE folded", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400, ""},
	{"TE behind a bare CR", "POST / HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, ""},
	{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"a length as a list", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0, 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"a length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 400, ""},
	{"a length in hex", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x23\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"a length too large", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400, ""},
	{"a length with an underscore", "POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"a length with a NUL", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\x00\r\n\r\n", 400, ""},
	{"GET with a body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /smuggled"},
	{"Connection takes the length out", "POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 200, "GET /smuggled"},
	{"a chunk longer than its size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"a chunk's size too large", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n", 400, ""},
	{"a chunk's size with a bare LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\n\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"an extension with a bare LF", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;\nxx\r\n45\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\n", 400, "GET /smuggled"},
	{"a request behind bare LFs", "GET / HTTP/1.1\nHost: a\n\n", 200, ""},
	{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ""},
	{"no host", "GET / HTTP/1.1\r\n\r\n", 400, ""},
	{"a host with a path", "GET / HTTP/1.1\r\nHost: a/smuggled\r\n\r\n", 400, "GET /smuggled"},
	{"a target with a space", "GET / /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 400, "GET /smuggled"},
	{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, ""},
	{"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, ""},
	{"HTTP/0.9", "GET /\r\n\r\n", 400, ""},
	{"a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, ""},
	{"no request at all", "\x00\x00\x00\r\n\r\n", 400, ""},
}

func smugglingCorpus(e *env) {
	w := &witness{}
	mux := http.NewServeMux()
	mux.Handle("/", w)
	e.groups[0].Check.Path = "/"
	e.targets(e.serveAll(mux))
	for _, c := range corpus {
		conn := e.dial()
		conn.send("%s", c.request)
		resp, err := http.ReadResponse(conn.Reader, nil)
		if err != nil {
			e.t.Errorf("%s: %v", c.name, err)
			continue
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != c.status && !(c.status == 400 && resp.StatusCode == 505) {
			e.t.Errorf("%s: %d, want %d", c.name, resp.StatusCode, c.status)
		}
		if c.status >= 400 {
			if resp.Header.Get("Server") != "awselb/2.0" || !resp.Close {
				e.t.Errorf("%s: %v", c.name, resp.Header)
			}
			conn.ended()
		}
		conn.Conn.Close()
		if c.hidden != "" && w.saw(c.hidden) {
			e.t.Errorf("%s: the hidden request reached the target: %q", c.name, w.seen)
		}
	}
	// The authority of an absolute target is the one that counts.
	e.lb.Listeners[0].Rules = []proxy.Rule{{ID: "1", Priority: 1, Conditions: []proxy.Condition{{Field: proxy.Host, Values: []string{"secret.example"}}}, Action: fixed("secret")}}
	e.set()
	for request, want := range map[string]string{
		"GET http://secret.example/ HTTP/1.1\r\nHost: a\r\n\r\n":         "secret",
		"GET http://a/x HTTP/1.1\r\nHost: secret.example\r\n\r\n":        "/x",
		"GET HTTP://SECRET.example:80/ HTTP/1.1\r\nHost: a\r\n\r\n":      "secret",
		"GET http://u@secret.example/ HTTP/1.1\r\nHost: a\r\n\r\n":       "400",
		"GET ftp://secret.example/ HTTP/1.1\r\nHost: a\r\n\r\n":          "400",
		"OPTIONS * HTTP/1.1\r\nHost: secret.example\r\n\r\n":             "secret",
		"GET / HTTP/1.1\r\nHost: secret.example:8080\r\n\r\n":            "secret",
		"GET / HTTP/1.1\r\nhost:secret.example\r\nX-Host: other\r\n\r\n": "secret",
	} {
		conn := e.dial()
		conn.send("%s", request)
		resp, body := conn.answer("GET")
		if resp.StatusCode >= 400 {
			body = fmt.Sprint(resp.StatusCode)
		}
		if body != want {
			e.t.Errorf("%.50q: %s, want %s", request, body, want)
		}
	}
}

// framer is a client that writes HTTP/2 as it likes.
type framer struct {
	e    *env
	conn *tls.Conn
	*http2.Framer
	buf bytes.Buffer
	enc *hpack.Encoder
}

func (e *env) framer() *framer {
	conn, err := tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, http2.ClientPreface)
	f := &framer{e: e, conn: conn, Framer: http2.NewFramer(conn, conn)}
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.enc = hpack.NewEncoder(&f.buf)
	f.WriteSettings()
	return f
}

// request sends a request and returns the status, or why there is none.
func (f *framer) request(body string, fields ...string) string {
	f.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		f.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: f.buf.Bytes(), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		f.WriteData(1, true, []byte(body))
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return "reset"
		case *http2.GoAwayFrame:
			return "go away"
		}
	}
}

func http2Downgrade(e *env) {
	e.secure("a.example")
	w := &witness{}
	e.groups[0].Check.Path = "/"
	e.targets(e.serveAll(w))
	start := []string{":method", "POST", ":scheme", "https", ":authority", "a.example", ":path", "/"}
	with := func(fields ...string) []string { return append(slices.Clone(start), fields...) }
	if got := e.framer().request("hello", with("content-length", "5")...); got != "200" {
		e.t.Fatalf("a good request: %s", got)
	}
	const hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		body   string
		fields []string
	}{
		"a length that is less than the body": {hidden, with("content-length", "0")},
		"a length that is more":               {"x", with("content-length", "100")},
		"two lengths":                         {"x", with("content-length", "1", "content-length", "0")},
		"a coding":                            {"0\r\n\r\n" + hidden, with("transfer-encoding", "chunked")},
		"a coding with an underscore":         {"0\r\n\r\n" + hidden, with("transfer_encoding", "chunked")},
		"a line break in a value":             {"x", with("x-y", "z\r\n\r\n"+hidden)},
		"a line break in a name":              {"x", with("x\r\n\r\n"+hidden, "z")},
		"a space in a name":                   {"x", with("x y", "z")},
		"a capital in a name":                 {"x", with("X-Y", "z")},
		"a NUL":                               {"x", with("x-y", "\x00")},
		"connection":                          {"x", with("connection", "keep-alive")},
		"upgrade":                             {"x", with("upgrade", "h2c")},
		"te":                                  {"x", with("te", "gzip")},
		"a line break in the path":            {"", []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/ HTTP/1.1\r\n\r\n" + hidden}},
		"a space in the path":                 {"", []string{":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/ /smuggled"}},
		"a space in the method":               {"", []string{":method", "GET /smuggled HTTP/1.1", ":scheme", "https", ":authority", "a.example", ":path", "/"}},
		"a line break in the authority":       {"", []string{":method", "GET", ":scheme", "https", ":authority", "a\r\n\r\n" + hidden, ":path", "/"}},
		"no path":                             {"", []string{":method", "GET", ":scheme", "https", ":authority", "a.example"}},
		"an unknown pseudo field":             {"", with(":smuggled", "x")},
		"a pseudo field at the end":           {"", []string{":method", "GET", ":scheme", "https", ":authority", "a.example", "x-y", "z", ":path", "/smuggled"}},
		"CONNECT":                             {"", []string{":method", "CONNECT", ":authority", "a.example:443"}},
	} {
		// The length may be all that was read when the request, without the
		// rest, is answered; what follows resets the stream.
		if got := e.framer().request(c.body, c.fields...); got == "200" && name != "a length that is less than the body" {
			e.t.Errorf("%s is taken", name)
		}
		if w.saw("GET /smuggled") {
			e.t.Fatalf("%s: the hidden request reached the target: %q", name, w.seen)
		}
	}
}

// slowHeads has clients that never end their heads, drop by drop.
func slowHeads(e *env) {
	e.lb.Options.IdleTimeout = 2 * time.Second // shorter, a busy machine is late with what is to be in time
	e.lb.Listeners[0].Default = fixed("ok")
	e.up()
	for _, first := range []string{"GET / HTTP/1.1\r\n", "G"} {
		c := e.dial()
		stop := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			io.WriteString(c.Conn, first)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					io.WriteString(c.Conn, "X")
				}
			}
		})
		resp, err := http.ReadResponse(c.Reader, nil)
		close(stop)
		wg.Wait()
		if err != nil || resp.StatusCode != 408 {
			e.t.Errorf("%q…: %v %v", first, resp, err)
		}
	}
	e.until("the connections to end", func() bool { return e.p.Counters("lb").ActiveConnections == 0 })
	huge := e.dial()
	go io.Copy(huge.Conn, io.MultiReader(strings.NewReader("GET / HTTP/1.1\r\nHost: a\r\n"), strings.NewReader(strings.Repeat("X-Long: "+strings.Repeat("a", 1000)+"\r\n", 200))))
	if resp, _ := huge.answer("GET"); resp.StatusCode != 400 {
		e.t.Errorf("200 KB of head: %d", resp.StatusCode)
	}
}

// resets has clients and targets that reset their connections in every phase;
// nothing may stay behind.
func resets(e *env) {
	reset := func(c net.Conn) {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/think":
			<-r.Context().Done()
		case "/stream":
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		default:
			io.Copy(io.Discard, r.Body)
		}
	}))
	settled := func(what string) {
		e.t.Helper()
		e.until(what+" to leave nothing behind", func() bool { return e.p.Counters("lb").ActiveConnections == 0 && e.healths()[0].InFlight == 0 })
	}
	for what, act := range map[string]func(c *conn){
		"a reset before the head":    func(*conn) {},
		"a reset within the head":    func(c *conn) { c.send("GET / HT") },
		"a reset within the body":    func(c *conn) { c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome") },
		"a reset within a chunk":     func(c *conn) { c.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nsome") },
		"a reset while it thinks":    func(c *conn) { c.send("GET /think HTTP/1.1\r\nHost: a\r\n\r\n"); time.Sleep(20 * time.Millisecond) },
		"a reset within the answer":  func(c *conn) { c.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"); c.Reader.ReadByte() },
		"a reset between requests":   func(c *conn) { c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n"); c.answer("GET") },
		"a reset among the pipeline": func(c *conn) { c.send("%s", strings.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 20)); c.answer("GET") },
	} {
		c := e.dial()
		act(c)
		reset(c.Conn)
		settled(what)
	}
	// A client that has said all it will say still hears the answer.
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	c.Conn.(*net.TCPConn).CloseWrite()
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		e.t.Errorf("half closed: %d", resp.StatusCode)
	}
	settled("a half-closed connection")
	var phase string
	var mu sync.Mutex
	e.targets(e.raw(func(c net.Conn, r *bufio.Reader) {
		mu.Lock()
		p := phase
		mu.Unlock()
		if p != "at once" {
			http.ReadRequest(r)
		}
		io.WriteString(c, map[string]string{"in the head": "HTTP/1.1 200 O", "in the body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}[p])
		time.Sleep(10 * time.Millisecond)
		reset(c)
	}))
	for p, want := range map[string]int{"at once": 502, "after the request": 502, "in the head": 502, "in the body": 200} {
		mu.Lock()
		phase = p
		mu.Unlock()
		c := e.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
		resp, err := http.ReadResponse(c.Reader, nil)
		if err != nil {
			if want != 200 {
				e.t.Errorf("a target resets %s: %v", p, err)
			}
		} else if body, err := io.ReadAll(resp.Body); resp.StatusCode != want || want == 200 && err == nil {
			e.t.Errorf("a target resets %s: %d %q", p, resp.StatusCode, body)
		}
		c.Conn.Close()
		settled("a target's reset " + p)
	}
}

// tunnelsDrain: a WebSocket lives while its target drains, and ends when the time
// for that is over.
func tunnelsDrain(e *env) {
	a := e.raw(func(c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		io.Copy(c, r)
	})
	e.targets(a)
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	if resp, err := http.ReadResponse(c.Reader, nil); err != nil || resp.StatusCode != 101 {
		e.t.Fatal(resp, err)
	}
	says := func() error {
		c.send("ping")
		_, err := io.ReadFull(c.Reader, make([]byte, 4))
		return err
	}
	e.groups[0].Targets[0].Draining = true
	e.set()
	for range 3 {
		if err := says(); err != nil {
			e.t.Fatalf("while it drains: %v", err)
		}
	}
	e.groups[0].Targets = nil
	e.set()
	if _, err := c.Reader.ReadByte(); err == nil {
		e.t.Error("it lives on when the time is over")
	}
}

// changes has clients at work while everything that can be changed is changed:
// no request fails and no connection ends.
func changes(e *env) {
	e.lb.Listeners = append(e.lb.Listeners, e.lb.Listeners[0])
	tlsConf := e.secure("a.example")
	e.lb.Listeners[1].ID, e.lb.Listeners[1].Port = "plain", FreePort(e.t)
	a := e.serve(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	e.groups = append(e.groups, proxy.TargetGroup{ID: "other", Check: Check(), Targets: []proxy.Target{{Address: a}}})
	e.targets(a)
	plain := netip.AddrPortFrom(e.node, e.lb.Listeners[1].Port).String()
	done := make(chan bool)
	failed := make(chan error, 100)
	var wg sync.WaitGroup
	var asked [3]atomic.Int32
	work := func(i int, ask func() error) {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := ask(); err != nil {
					failed <- err
					return
				}
				asked[i].Add(1)
			}
		})
	}
	keeper := func(c net.Conn) func() error {
		r := bufio.NewReader(c)
		return func() error {
			fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				return err
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hi" {
				return fmt.Errorf("%d %q %v", resp.StatusCode, b, err)
			}
			return nil
		}
	}
	c1 := must(net.Dial("tcp", plain))
	defer c1.Close()
	work(0, keeper(c1))
	c2 := must(tls.Dial("tcp", netip.AddrPortFrom(e.node, e.port).String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}))
	defer c2.Close()
	work(1, keeper(c2))
	h2 := e.client("a.example", true)
	work(2, func() error {
		resp, err := h2.Post("https://a.example/", "", strings.NewReader("hi"))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "hi" {
			return fmt.Errorf("HTTP/2: %d %q %v", resp.StatusCode, b, err)
		}
		return nil
	})
	all := func() bool { return asked[0].Load() > 0 && asked[1].Load() > 0 && asked[2].Load() > 0 }
	e.until("every client's first answer", func() bool { return all() || len(failed) > 0 })
	before := e.p.Counters("lb").NewConnections
	for i := range 40 {
		l := &e.lb.Listeners[0]
		switch i % 8 {
		case 0:
			l.Rules = []proxy.Rule{{ID: "r", Priority: 1 + i, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/none"}}}, Action: fixed("x")}}
		case 1:
			next := *tlsConf
			next.Certificates = append(slices.Clone(next.Certificates), Certificate(e.t, fmt.Sprintf("n%d.example", i)))
			l.TLS = &next
		case 2:
			e.lb.Options.XForwardedFor = proxy.ForwardedMode(i % 3)
		case 3:
			e.groups[0].Sticky = time.Duration(i%16) * time.Hour
		case 4:
			l.Default = ForwardTo([]string{"tg", "other"}[i/8%2])
		case 5:
			e.groups[0].Algorithm = proxy.Algorithm(i / 8 % 2)
		case 6:
			e.groups[0].Check.Interval = time.Duration(1+i) * time.Second
		case 7:
			e.lb.Options.IdleTimeout = time.Duration(30+i) * time.Second
		}
		e.set()
		time.Sleep(5 * time.Millisecond)
	}
	close(done)
	wg.Wait()
	select {
	case err := <-failed:
		e.t.Error(err)
	default:
	}
	if n := e.p.Counters("lb").NewConnections; n != before || !all() {
		e.t.Errorf("%d connections more", n-before)
	}
}
