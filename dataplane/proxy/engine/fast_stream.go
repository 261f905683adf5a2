package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/http2"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/multiplex"
	"minato/dataplane/proxy/page"
	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// fastStream is a request over HTTP/2 that a lane serves.
type fastStream struct {
	visit
	c      *fastHTTP2
	st     *http2.Stream
	a      *action
	target *targets.Target
	up     *fastUpstream
	dials  uint32 // the dial that is waited for
	sentAt time.Duration
	isHead bool
	safe   bool
	resent bool
	begun  bool // the head of the answer was sent
	paused bool // the answer is not read on
}

// fastHTTP2 is a client's connection that speaks HTTP/2, in a lane. Requests without
// bodies for plain targets are served by the lane, all others by a goroutine each.
type fastHTTP2 struct {
	*multiplex.Conn
	of     visit // what all requests have in common
	lane   *lane
	fields []byte        // a block of fields, while it is made
	free   []*fastStream // to be used again
}

// begin is the first that the lane does.
func (c *fastHTTP2) begin(conn *loop.Conn, since time.Duration, secure *tls.Conn, below *secure.Pipe) {
	s := c.of.s
	opts := &s.table.Load().opts
	multiplex.Begin(conn, multiplex.Config{
		Loop: c.lane.loop, Secure: secure, Below: below, Scratch: c.lane.scratch(), In: &s.count.In, Out: &s.count.Out, Owner: c,
		Idle: opts.IdleTimeout, Life: opts.ClientKeepAlive - (c.lane.loop.Now() - since),
		Enter: func(m *multiplex.Conn) bool {
			c.Conn = m
			return s.e.ctx.Err() == nil
		},
		Ended: func() {
			s.count.Active.Add(-1)
		},
		Request: func(st *http2.Stream, h *http2.Head, end bool) { c.take(st).request(h, end) },
	})
	if s.ctx.Err() != nil {
		c.leave()
		time.AfterFunc(finishWithin, func() { c.lane.loop.Do(c.close) })
	}
}

// socket implements inLane.
func (c *fastHTTP2) socket() *socket { return c.of.s }

// leave ends the connection when its requests are answered.
func (c *fastHTTP2) leave() { c.Leave() }

// close ends the connection at once.
func (c *fastHTTP2) close() { c.Close() }

// take is one for a new request.
func (c *fastHTTP2) take(st *http2.Stream) *fastStream {
	var x *fastStream
	if n := len(c.free); n > 0 {
		x = c.free[n-1]
		c.free = c.free[:n-1]
	} else {
		x = &fastStream{c: c}
	}
	x.visit = c.of
	x.t = c.of.s.table.Load()
	x.req = c.lane.takeRequest()
	x.st, st.Owner = st, x
	return x
}

// give ends with the request.
func (x *fastStream) give() {
	c := x.c
	x.drop()
	x.st.Owner = nil
	c.lane.giveRequest(x.req)
	*x = fastStream{c: c, dials: x.dials}
	if len(c.free) < 16 {
		c.free = append(c.free, x)
	}
}

// drop ends what is going on with a target.
func (x *fastStream) drop() {
	x.dials++
	if u := x.up; u != nil {
		x.up, u.c = nil, nil
		u.Close()
	}
	if x.target != nil {
		x.target.InFlight.Add(-1)
		x.target = nil
	}
}

// request is called with the request's head.
func (x *fastStream) request(h *http2.Head, end bool) {
	x.isHead = h.Method == "HEAD"
	if err := x.adopt(h); err != nil {
		x.fail(badStatus(err))
		return
	}
	if x.t.opts.Recorded {
		x.handOver(h.Length) // its note is told by a goroutine
		return
	}
	a, status := x.route()
	switch {
	case a == nil:
		x.fail(status)
	case a.fixed != nil:
		x.s.count.Own.Fixed.Add(1)
		x.own(a.fixed.Status, fixedType(a.fixed), a.fixed.Body, "")
	case a.redirect != nil:
		x.s.count.Own.Redirects.Add(1)
		x.own(a.redirect.Status, "text/html", page.Of(a.redirect.Status), x.location(a.redirect))
	case !end || a.rewrite != nil:
		x.handOver(h.Length)
	default:
		x.a = a
		x.forward()
	}
}

// adopt reads the head into the form that rules and heads are made for.
func (x *fastStream) adopt(h *http2.Head) error {
	if h.TooLong {
		return &http1.Error{Status: 400, What: "the head is too long"}
	}
	if err := x.req.Adopt(h.Method, h.Path, h.Authority, h.Length); err != nil {
		return err
	}
	for i := range h.Fields {
		if err := x.req.Add(h.Fields[i].Name, h.Fields[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// forward has the request, which has no body, answered by a target.
func (x *fastStream) forward() {
	g := x.pick(x.a)
	if g == nil {
		x.fail(503)
		return
	}
	s := g.Settings.Load()
	switch {
	case !x.fits(s.Protocol, true):
		x.fail(464)
		return
	case s.Protocol != proxy.HTTP1 || s.TLS:
		x.handOver(0)
		return
	}
	if x.target = x.choose(g, nil); x.target == nil {
		x.fail(503)
		return
	}
	x.safe = x.req.Safe()
	if u := x.c.lane.take(x.target, x.node()); u != nil {
		x.send(u)
	} else {
		x.dial()
	}
}

// send sends the request.
func (x *fastStream) send(u *fastUpstream) {
	x.up, u.c = u, x
	u.conn.Out = x.appendRequest(u.conn.Writer(), false)
	u.conn.Flush()
	x.sentAt = x.c.lane.loop.Now()
	x.touch()
}

// dial opens a connection to the target.
func (x *fastStream) dial() {
	x.dials++
	number := x.dials
	x.c.lane.dial(x.s, x.target, x.node(), func(u *fastUpstream, err error) bool {
		waited := x.target != nil && x.dials == number
		switch {
		case !waited:
		case err == nil:
			x.send(u)
		case stream.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded):
			x.fail(504)
		default:
			x.handOver(0) // there may be other targets
		}
		return waited
	})
}

// handOver has a goroutine begin anew with the request; length is that of its body.
func (x *fastStream) handOver(length int64) {
	c, st := x.c, x.st
	h := http.Header{}
	for i := range x.req.Fields {
		f := &x.req.Fields[i]
		h.Add(string(f.Name), string(f.Value))
	}
	r := &http.Request{Method: string(x.req.Method), RequestURI: string(x.req.Target), Host: string(x.req.Host), Header: h, ContentLength: length}
	x.give()
	c.HandOver(c.of.s.e.ctx, st, r, c.of.s.e.work.Go, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveStream(c.of, w, r) }))
}

// fail answers with an error page.
func (x *fastStream) fail(status int) { x.own(status, "text/html", page.Of(status), "") }

// own answers without a target.
func (x *fastStream) own(status int, contentType, content, location string) {
	x.drop()
	x.s.count.Requests.Add(1)
	x.s.count.Own.Add(status)
	b := x.c.fields[:0]
	b = multiplex.AppendText(b, "server", page.Server)
	b = multiplex.AppendDate(b)
	b = multiplex.AppendText(b, "content-type", contentType)
	b = multiplex.AppendText(b, "content-length", strconv.Itoa(len(content)))
	if location != "" {
		b = multiplex.AppendText(b, "location", location)
	}
	for i := range x.t.set {
		b = multiplex.AppendText(b, x.t.set[i].Name, x.t.set[i].Value)
	}
	x.c.fields = b
	none := x.isHead || len(content) == 0
	x.st.Head(status, b, none)
	if !none {
		x.st.Write([]byte(content), true)
	}
	x.c.Later()
	x.give()
}

// touch implements asker.
func (x *fastStream) touch() {
	if x.up != nil {
		x.up.conn.SetDeadline(int64(x.c.lane.loop.Now() + x.t.opts.IdleTimeout))
	}
}

// headOnly implements asker.
func (x *fastStream) headOnly() bool { return x.isHead }

// answer implements asker.
func (x *fastStream) answer(_ *fastUpstream, r *http1.Response) {
	x.answered(x.target, r.Status, x.c.lane.loop.Now()-x.sentAt)
	b := x.c.fields[:0]
	dated := false
	for i := range r.Fields {
		f := &r.Fields[i]
		dated = dated || f.Known == http1.Date
		if x.t.passesHTTP2(f, r) {
			b = http2.AppendField(b, f.Name, f.Value)
		}
	}
	if !dated {
		b = multiplex.AppendDate(b)
	}
	for i := range x.t.set {
		b = multiplex.AppendText(b, x.t.set[i].Name, x.t.set[i].Value)
	}
	for _, v := range x.cookies(x.a, x.target, func(name string) bool { return cookie.Sets(r.Fields, name) }) {
		b = multiplex.AppendText(b, "set-cookie", v)
	}
	x.c.fields = b
	x.begun = true
	x.st.Head(r.Status, b, r.Framing == http1.NoBody || r.Framing == http1.Length && r.Length == 0)
}

// content implements asker.
func (x *fastStream) content(_ *fastUpstream, p []byte, end bool) { x.st.Write(p, end) }

// trailers implements asker.
func (x *fastStream) trailers(all []http1.Field) {
	b := x.c.fields[:0]
	for i := range all {
		if all[i].Known == http1.Other {
			b = http2.AppendField(b, all[i].Name, all[i].Value)
		}
	}
	x.c.fields = b
	x.st.Trailers(b)
}

// ready implements asker.
func (x *fastStream) ready() bool {
	x.c.Later()
	x.paused = x.st.Queued() > 0 || x.c.Full(x)
	return !x.paused
}

// Room implements multiplex.Stream.
func (x *fastStream) Room() {
	if x.paused && x.up != nil && x.ready() {
		x.touch()
		x.up.more()
	}
}

// done implements asker.
func (x *fastStream) done() {
	x.up = nil
	x.c.Later()
	x.give()
}

// cut implements asker: the client must not take half an answer for a whole one.
func (x *fastStream) cut() {
	x.up = nil
	x.st.Reset(http2.InternalError)
	x.c.Later()
	x.give()
}

// failed implements asker.
func (x *fastStream) failed(stale, refused bool) {
	x.up = nil
	if stale && !x.resent && (x.safe || refused) {
		x.s.count.Retries.Add(1)
		x.resent = true
		x.dial()
		return
	}
	x.fail(502)
}

// expired implements asker.
func (x *fastStream) expired() {
	if x.begun {
		x.drop()
		x.cut()
	} else {
		x.fail(504)
	}
}

// Data implements multiplex.Stream: the body of a request that has none.
func (x *fastStream) Data(p []byte, _ bool) { x.st.Consumed(len(p)) }

// Tail implements multiplex.Stream.
func (x *fastStream) Tail([]http2.Field) {}

// Gone implements multiplex.Stream.
func (x *fastStream) Gone() {
	if !x.begun {
		x.s.count.Requests.Add(1)
		x.s.count.ClientClosed.Add(1)
	}
	x.give()
}
