package engine

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

// maxStreams is how many requests a client may have open at once, ALB's number.
const maxStreams = 128

var silent = log.New(io.Discard, "", 0)

// serveHTTP2 serves a connection whose client chose HTTP/2: net/http reads frames
// and calls serveStream, in a goroutine of its own, for each request. It is given
// what TLS has decrypted, as HTTP/2 with prior knowledge.
func (c *client) serveHTTP2() {
	defer c.Close()
	opts := &c.s.table.Load().opts
	ended := make(chan struct{})
	base := &http.Server{
		Handler: http.HandlerFunc(c.serveStream), ErrorLog: silent, MaxHeaderBytes: http1.MaxHead,
		Protocols: unencryptedHTTP2(), IdleTimeout: opts.IdleTimeout,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: opts.IdleTimeout},
		BaseContext: func(net.Listener) context.Context { return c.s.e.ctx },
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(ended)
			}
		},
	}
	c.mu.Lock()
	c.http2 = base
	leaving := c.leaving
	c.mu.Unlock()
	if leaving {
		return
	}
	old := time.AfterFunc(opts.ClientKeepAlive, func() { base.Shutdown(c.s.e.ctx) })
	defer old.Stop()
	conn := &counted{Conn: c.Conn, count: c.s.count, preface: len(clientPreface)}
	conn.SetReadDeadline(time.Now().Add(opts.IdleTimeout))
	once := &single{Conn: conn}
	base.Serve(once) // ends at once, with the list of connections
	if once.taken {
		<-ended
	}
}

// unencryptedHTTP2 is HTTP/2 with prior knowledge and nothing else.
func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// single is a listener of one connection.
type single struct {
	net.Conn
	taken bool
}

// Accept implements net.Listener.
func (l *single) Accept() (net.Conn, error) {
	if l.taken {
		return nil, net.ErrClosed
	}
	l.taken = true
	return l.Conn, nil
}

// Addr implements net.Listener.
func (l *single) Addr() net.Addr { return l.LocalAddr() }

// Close implements net.Listener; the connection is not the listener's.
func (l *single) Close() error { return nil }

// clientPreface is what every HTTP/2 connection begins with.
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// counted counts what passes over a connection. net/http waits for the preface
// without end: the deadline that serveHTTP2 set holds until it has come.
type counted struct {
	net.Conn
	count   *counters
	preface int // what is still to come of it
}

// Read implements net.Conn.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.count.in.Add(uint64(n))
	if c.preface > 0 && n > 0 {
		if c.preface -= n; c.preface <= 0 {
			c.Conn.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.count.out.Add(uint64(n))
	return n, err
}

// stream2 is one request of an HTTP/2 connection.
type stream2 struct {
	visit
	w      http.ResponseWriter
	r      *http.Request
	flush  func()
	active activity
	out    []byte
	resp   http1.Response
	body   bool // the request has one
	begun  bool // the answer's head was sent
}

var streams2 = sync.Pool{New: func() any { return new(stream2) }}

// serveStream has one request answered.
func (c *client) serveStream(w http.ResponseWriter, r *http.Request) {
	x := streams2.Get().(*stream2)
	fields := x.req.Fields
	x.visit = visit{s: c.s, t: c.s.table.Load(), remote: c.remote, node: c.node, tls: c.tls}
	x.req.Fields = fields
	x.w, x.r, x.begun, x.body = w, r, false, r.ContentLength != 0
	x.flush = w.(http.Flusher).Flush
	x.s.count.requests.Add(1)
	x.serve()
	x.w, x.r, x.flush, x.picked = nil, nil, nil, nil
	streams2.Put(x)
}

func (x *stream2) serve() {
	if err := x.adopt(); err != nil {
		x.fail(badStatus(err))
		return
	}
	a, status := x.route()
	switch {
	case a == nil:
		x.fail(status)
	case a.fixed != nil:
		x.s.count.own.fixed.Add(1)
		x.answer(a.fixed.Status, fixedType(a.fixed), a.fixed.Body, "")
	case a.redirect != nil:
		x.s.count.own.redirects.Add(1)
		x.answer(a.redirect.Status, "text/html", page(a.redirect.Status), x.location(a.redirect))
	default:
		x.forward(a)
	}
}

// adopt reads the request into the form that rules and heads are made for.
func (x *stream2) adopt() error {
	r := x.r
	switch {
	case r.Method == "CONNECT":
		return &http1.Error{Status: 400, What: "CONNECT"}
	case len(r.Header["Content-Length"]) > 1: // the library reads the first
		return &http1.Error{Status: 400, What: "Content-Length is given twice"}
	}
	if err := x.req.Adopt(r.Method, r.RequestURI, r.Host, r.ContentLength); err != nil {
		return err
	}
	for name, values := range r.Header {
		for _, v := range values {
			if err := x.req.Add(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// fail answers with an error page.
func (x *stream2) fail(status int) { x.answer(status, "text/html", page(status), "") }

// answer answers without a target.
func (x *stream2) answer(status int, contentType, content, location string) {
	x.s.count.own.add(status)
	h := x.w.Header()
	h.Set("Server", serverName)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if location != "" {
		h.Set("Location", location)
	}
	x.setHeaders(h)
	x.w.WriteHeader(status)
	if string(x.req.Method) != "HEAD" {
		io.WriteString(x.w, content)
	}
}

// setHeaders sets the fields of every answer.
func (x *stream2) setHeaders(h http.Header) {
	for i := range x.t.set {
		h.Set(x.t.set[i].Name, x.t.set[i].Value)
	}
}

// forward has the request answered by a target.
func (x *stream2) forward(a *action) {
	g := x.pick(a)
	if g == nil {
		x.fail(503)
		return
	}
	protocol := g.settings.Load().Protocol
	if !x.fits(protocol, true) {
		x.fail(464)
		return
	}
	x.active.touch()
	status := 503
	var tried []*target
	for len(tried) < maxTargets {
		t := x.choose(g, tried)
		if t == nil {
			break
		}
		var o outcome
		if protocol == proxy.HTTP1 {
			o = x.overHTTP1(a, t)
		} else {
			o = x.overHTTP2(a, t)
		}
		t.inflight.Add(-1)
		if o.answered {
			return
		}
		if x.r.Context().Err() != nil {
			x.s.count.clientClosed.Add(1)
			return
		}
		if status = o.status; !o.next {
			break
		}
		tried = append(tried, t)
	}
	x.fail(status)
}

// overHTTP1 sends the request to a target that speaks HTTP/1.1.
func (x *stream2) overHTTP1(a *action, t *target) outcome {
	safe := x.req.Safe()
	for fresh := x.body; ; fresh = true {
		var u *upstream
		if !fresh {
			u = t.pool.take(x.node)
		}
		if u == nil {
			var err error
			if u, err = t.pool.dial(x.s.e.ctx, x.s.b.network, x.node); err != nil {
				return x.noConnection(t, err)
			}
		}
		o, again := x.exchange(a, u, safe)
		if !again {
			return o
		}
		x.s.count.retries.Add(1)
	}
}

// noConnection is the outcome when a target was not reached.
func (x *stream2) noConnection(t *target, err error) outcome {
	x.s.count.connErrors.Add(1)
	t.tally.connErrors.Add(1)
	if isTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return outcome{status: 504}
	}
	return outcome{status: 502, next: true}
}

func (x *stream2) exchange(a *action, u *upstream, safe bool) (o outcome, again bool) {
	begun := time.Now()
	u.idle, u.busy = x.t.opts.IdleTimeout, &x.active
	x.out = x.appendRequest(x.out[:0], false)
	if n, err := u.write(x.out); err != nil && u.reused && (n == 0 || safe) {
		u.close()
		return outcome{status: 502}, true
	}
	left := context.AfterFunc(x.r.Context(), u.interrupt)
	var up *upload2
	if x.body {
		up = x.upload(u)
	}
	heard, err := x.await(u)
	if err != nil {
		left()
		refused := u.refused(err)
		u.close()
		up.stop(x)
		switch {
		case isTimeout(err):
			return outcome{status: 504}, false
		case u.reused && !heard && up == nil && (safe || refused):
			return outcome{status: 502}, true
		}
		return outcome{status: 502}, false
	}
	u.pool.t.tally.answered(x.resp.Status, time.Since(begun))
	x.s.count.target.add(x.resp.Status)
	err = x.respond(a, u)
	whole := up.over()
	if !left() || err != nil || !whole || x.resp.Close || u.r != u.w {
		u.close()
	} else {
		u.put()
	}
	up.stop(x)
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
	return outcome{answered: true}, false
}

// await reads the head of the answer into x.resp.
func (x *stream2) await(u *upstream) (heard bool, err error) {
	for {
		head, err := u.head()
		if err != nil {
			return heard || u.r < u.w, err
		}
		heard = true
		if err := x.resp.Parse(head, string(x.req.Method) == "HEAD"); err != nil {
			return true, err
		}
		if x.resp.Status == 101 {
			return true, errors.New("the target switches protocols, which nobody asked for")
		}
		if x.resp.Status >= 200 {
			return true, nil
		}
	}
}

// respond passes on the answer of a target that speaks HTTP/1.1.
func (x *stream2) respond(a *action, u *upstream) error {
	h := x.w.Header()
	h["Content-Type"] = nil // never guessed
	for i := range x.resp.Fields {
		f := &x.resp.Fields[i]
		switch f.Known {
		case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding, http1.Upgrade, http1.Suspicious:
			continue
		case http1.ContentLength:
			if x.resp.Framing == http1.Chunked {
				continue
			}
		case http1.Server:
			if x.t.hide {
				continue
			}
		}
		if !f.Dropped {
			name := http.CanonicalHeaderKey(string(f.Name))
			h[name] = append(h[name], string(f.Value))
		}
	}
	for _, c := range x.cookies(a, u.pool.t, func(name string) bool { return setsCookie(x.resp.Fields, name) }) {
		h.Add("Set-Cookie", c)
	}
	x.setHeaders(h)
	var b body
	b.start(&u.stream, x.resp.Framing, x.resp.Length)
	x.w.WriteHeader(x.resp.Status)
	scratch := getBuffer()
	defer putBuffer(scratch)
	for !b.done() {
		p, err := b.next(scratch)
		if err != nil {
			return err
		}
		if len(p) > 0 {
			if _, err := x.w.Write(p); err != nil {
				return err
			}
		}
		if !b.done() && !b.here() {
			x.flush()
		}
	}
	if x.resp.Framing == http1.Chunked {
		trailers, err := b.dec.Trailers(nil)
		if err != nil {
			return err
		}
		for _, f := range trailers {
			h.Add(http.TrailerPrefix+string(f.Name), string(f.Value))
		}
	}
	return nil
}

// upload2 passes the body of a request on to a target that speaks HTTP/1.1.
type upload2 struct {
	done chan struct{}
	err  error // after done
}

func (x *stream2) upload(u *upstream) *upload2 {
	up := &upload2{done: make(chan struct{})}
	chunked := x.req.Framing == http1.Chunked
	go func() {
		defer close(up.done)
		p := getBuffer()
		defer putBuffer(p)
		var out []byte
		for {
			n, err := x.r.Body.Read(p)
			x.active.touch()
			if err != nil && err != io.EOF {
				up.err = err
				u.interrupt() // nobody will answer half a request
				return
			}
			send := p[:n]
			if chunked {
				out = http1.AppendChunk(out[:0], send)
				if err == io.EOF {
					out = http1.AppendEnd(out, trailersOf(x.r.Trailer))
				}
				send = out
			}
			if len(send) > 0 {
				if up.err = u.send(send); up.err != nil {
					return
				}
			}
			if err == io.EOF {
				return
			}
		}
	}()
	return up
}

func trailersOf(h http.Header) (all []http1.Field) {
	for name, values := range h {
		for _, v := range values {
			all = append(all, http1.Field{Name: []byte(name), Value: []byte(v)})
		}
	}
	return all
}

// over reports whether the body was passed on whole.
func (up *upload2) over() bool {
	if up == nil {
		return true
	}
	select {
	case <-up.done:
		return up.err == nil
	case <-time.After(soonEnough):
		return false
	}
}

// stop ends the upload; the connection to the target is closed or done.
func (up *upload2) stop(x *stream2) {
	if up != nil {
		x.r.Body.Close()
		<-up.done
	}
}

// overHTTP2 sends the request to a target that speaks HTTP/2, gRPC among it.
func (x *stream2) overHTTP2(a *action, t *target) outcome {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	defer cancel(nil)
	idle := time.AfterFunc(x.t.opts.IdleTimeout, func() { cancel(context.DeadlineExceeded) })
	defer idle.Stop()
	req, err := x.request(ctx, t)
	if err != nil {
		return outcome{status: 400}
	}
	if x.body {
		req.Body = &watched{x.r.Body, func() { idle.Reset(x.t.opts.IdleTimeout) }}
	}
	begun := time.Now()
	resp, err := t.http2.of(t, x.s.b.network, x.node).RoundTrip(req)
	if err != nil {
		var d *dialError
		switch {
		case errors.As(err, &d):
			o := x.noConnection(t, d.err)
			o.next = o.next && !x.body
			return o
		case isTimeout(err) || context.Cause(ctx) == context.DeadlineExceeded:
			return outcome{status: 504}
		}
		return outcome{status: 502}
	}
	defer resp.Body.Close()
	t.tally.answered(resp.StatusCode, time.Since(begun))
	x.s.count.target.add(resp.StatusCode)
	h := x.w.Header()
	h["Content-Type"] = nil
	for name, values := range resp.Header {
		if name == "Server" && x.t.hide || name == "Connection" {
			continue
		}
		h[name] = values
	}
	own := func(name string) bool {
		for _, v := range resp.Header["Set-Cookie"] {
			if strings.HasPrefix(v, name+"=") {
				return true
			}
		}
		return false
	}
	for _, c := range x.cookies(a, t, own) {
		h.Add("Set-Cookie", c)
	}
	x.setHeaders(h)
	x.w.WriteHeader(resp.StatusCode)
	p := getBuffer()
	defer putBuffer(p)
	for {
		n, err := resp.Body.Read(p)
		idle.Reset(x.t.opts.IdleTimeout)
		if n > 0 {
			if _, err := x.w.Write(p[:n]); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		x.flush()
	}
	for name, values := range resp.Trailer {
		h[http.TrailerPrefix+name] = values
	}
	return outcome{answered: true}
}

// request makes the request for a target that speaks HTTP/2, of the same head
// that one of HTTP/1.1 gets.
func (x *stream2) request(ctx context.Context, t *target) (*http.Request, error) {
	x.out = x.appendRequest(x.out[:0], false)
	_, rest, _ := strings.Cut(string(x.out), "\r\n")
	fields, _, err := http1.ParseFields([]byte(rest), nil)
	if err != nil {
		return nil, err
	}
	host := string(x.req.Host)
	req, err := http.NewRequestWithContext(ctx, string(x.req.Method), "http://"+t.addr.String()+"/", nil)
	if err != nil {
		return nil, err
	}
	req.Host, req.ContentLength = host, x.r.ContentLength
	req.URL.Opaque = "//" + host + string(x.req.Target) // the path as it came
	req.Header = http.Header{"User-Agent": nil}
	for _, f := range fields {
		switch f.Known {
		case http1.Host, http1.ContentLength, http1.TransferEncoding, http1.Connection:
		default:
			name := http.CanonicalHeaderKey(string(f.Name))
			req.Header[name] = append(req.Header[name], string(f.Value))
		}
	}
	if x.r.Header.Get("Te") == "trailers" {
		req.Header.Set("Te", "trailers")
	}
	return req, nil
}

// watched tells of each read.
type watched struct {
	io.ReadCloser
	tell func()
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.tell()
	return n, err
}

// carriers are the HTTP/2 connections to one target, from each node.
type carriers struct {
	mu   sync.Mutex
	by   map[netip.Addr]*http.Transport
	open map[*carrier]struct{}
}

// carrier is one of them.
type carrier struct {
	net.Conn
	of *carriers
}

// Close implements net.Conn.
func (c *carrier) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// dialError is a connection that could not be made.
type dialError struct{ err error }

// Error implements error.
func (e *dialError) Error() string { return e.err.Error() }

// of returns what carries requests from a node to the target.
func (c *carriers) of(t *target, network string, node netip.Addr) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tr := c.by[node]; tr != nil {
		return tr
	}
	if c.by == nil {
		c.by, c.open = map[netip.Addr]*http.Transport{}, map[*carrier]struct{}{}
	}
	tr := &http.Transport{
		Protocols: unencryptedHTTP2(), DisableCompression: true, IdleConnTimeout: maxRest,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.dial(ctx, t, network, node)
		},
	}
	c.by[node] = tr
	return tr
}

func (c *carriers) dial(ctx context.Context, t *target, network string, node netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := t.g.e.sockets.Dial(ctx, network, node, t.addr)
	if err == nil && t.g.settings.Load().TLS {
		conn, err = toTarget(ctx, conn, "h2")
	}
	if err != nil {
		return nil, &dialError{err}
	}
	t.tally.newConns.Add(1)
	u := &carrier{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[u] = struct{}{}
	return u, nil
}

// close closes everything.
func (c *carriers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for u := range c.open {
		u.Conn.Close()
	}
}
