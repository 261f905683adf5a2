package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/page"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// stream2 is one request of an HTTP/2 connection.
type stream2 struct {
	visit
	w      http.ResponseWriter
	r      *http.Request
	flush  func()
	active stream.Activity
	out    []byte
	resp   http1.Response
	body   bool // the request has one
	begun  bool // the answer's head was sent
}

var streams2 = sync.Pool{New: func() any { return &stream2{visit: visit{req: &http1.Request{}}} }}

// serveStream has one request answered; v is what is known before it is read.
func serveStream(v visit, w http.ResponseWriter, r *http.Request) {
	x := streams2.Get().(*stream2)
	req, fields := x.req, x.req.Fields[:0]
	*req = http1.Request{}
	req.Fields = fields
	x.visit, x.req = v, req
	x.t = v.s.table.Load()
	x.w, x.r, x.begun, x.body = w, r, false, r.ContentLength != 0
	x.flush = w.(http.Flusher).Flush
	x.s.count.Requests.Add(1)
	tally := x.beginNote()
	if tally != nil {
		defer func() { x.endNote(tally) }() // also when the answer is cut short
	}
	x.serve()
	if tally != nil {
		return // the note is told of after this
	}
	x.w, x.r, x.flush, x.picked = nil, nil, nil, nil
	streams2.Put(x)
}

func (x *stream2) serve() {
	if err := x.adopt(); err != nil {
		x.fail(badStatus(err))
		return
	}
	x.noteHead(true)
	a, status := x.route()
	x.noteRoute(a)
	switch {
	case a == nil:
		x.fail(status)
	case a.fixed != nil:
		x.s.count.Own.Fixed.Add(1)
		x.answer(a.fixed.Status, fixedType(a.fixed), a.fixed.Body, "")
	case a.redirect != nil:
		x.s.count.Own.Redirects.Add(1)
		x.answer(a.redirect.Status, "text/html", page.Of(a.redirect.Status), x.location(a.redirect))
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
func (x *stream2) fail(status int) { x.answer(status, "text/html", page.Of(status), "") }

// answer answers without a target.
func (x *stream2) answer(status int, contentType, content, location string) {
	x.s.count.Own.Add(status)
	x.note.Own(status, location)
	h := x.w.Header()
	h.Set("Server", page.Server)
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
	if !x.rewrite(a) {
		x.fail(500)
		return
	}
	g := x.pick(a)
	if g == nil {
		x.fail(503)
		return
	}
	protocol := g.Settings.Load().Protocol
	if !x.fits(protocol, true) {
		x.fail(464)
		return
	}
	x.active.Touch()
	status := 503
	var tried []*targets.Target
	for len(tried) < maxTargets {
		t := x.choose(g, tried)
		if t == nil {
			break
		}
		o := x.try(a, t, protocol)
		if o.answered {
			return
		}
		if x.r.Context().Err() != nil {
			x.s.count.ClientClosed.Add(1)
			x.note.Left()
			return
		}
		if status = o.status; !o.next {
			break
		}
		tried = append(tried, t)
	}
	x.fail(status)
}

// try sends the request to one target. It may end in a panic: see exchange.
func (x *stream2) try(a *action, t *targets.Target, p proxy.Protocol) outcome {
	defer t.InFlight.Add(-1)
	if p == proxy.HTTP1 {
		return x.overHTTP1(a, t)
	}
	return x.overHTTP2(a, t)
}

// overHTTP1 sends the request to a target that speaks HTTP/1.1.
func (x *stream2) overHTTP1(a *action, t *targets.Target) outcome {
	safe := x.req.Safe()
	for fresh := x.body; ; fresh = true {
		var u *targets.Upstream
		if !fresh {
			u = t.Pool.Take(x.node())
		}
		if u == nil {
			var err error
			if u, err = t.Pool.Dial(x.s.e.ctx, x.s.b.network, x.node()); err != nil {
				return x.noConnection(t, err)
			}
		}
		o, again := x.exchange(a, u, safe)
		if !again {
			return o
		}
		x.s.count.Retries.Add(1)
	}
}

// noConnection is the outcome when a target was not reached.
func (x *stream2) noConnection(t *targets.Target, err error) outcome {
	x.s.count.ConnErrors.Add(1)
	t.Tally.ConnErrors.Add(1)
	if stream.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
		return outcome{status: 504}
	}
	return outcome{status: 502, next: true}
}

func (x *stream2) exchange(a *action, u *targets.Upstream, safe bool) (o outcome, again bool) {
	begun := time.Now()
	u.Idle, u.Busy = x.t.opts.IdleTimeout, &x.active
	x.out = x.appendRequest(x.out[:0], false)
	x.note.Sending(u.Target().Addr, u.Target().Group.ID)
	if n, err := u.SendSome(x.out); err != nil && u.Reused && (n == 0 || safe) {
		u.Close()
		return outcome{status: 502}, true
	}
	left := context.AfterFunc(x.r.Context(), u.Interrupt)
	var up *upload2
	if x.body {
		up = x.upload(u)
	}
	heard, err := x.await(u)
	if err != nil {
		left()
		refused := u.Refused(err)
		u.Close()
		up.stop(x)
		switch {
		case stream.IsTimeout(err):
			return outcome{status: 504}, false
		case u.Reused && !heard && up == nil && (safe || refused):
			return outcome{status: 502}, true
		}
		return outcome{status: 502}, false
	}
	u.Target().Tally.Answered(x.resp.Status, time.Since(begun))
	x.s.count.Target.Add(x.resp.Status)
	x.note.Answered(x.resp.Status)
	err = x.respond(a, u)
	whole := up.over()
	if !left() || err != nil || !whole || x.resp.Close || !u.Empty() {
		u.Close()
	} else {
		u.Put()
	}
	up.stop(x)
	if err != nil {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
	return outcome{answered: true}, false
}

// await reads the head of the answer into x.resp.
func (x *stream2) await(u *targets.Upstream) (heard bool, err error) {
	for {
		head, err := u.Head()
		if err != nil {
			return heard || !u.Empty(), err
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
func (x *stream2) respond(a *action, u *targets.Upstream) error {
	h := x.w.Header()
	h["Content-Type"] = nil // never guessed
	for i := range x.resp.Fields {
		f := &x.resp.Fields[i]
		if x.t.passesHTTP2(f, &x.resp) {
			name := http.CanonicalHeaderKey(string(f.Name))
			h[name] = append(h[name], string(f.Value))
		}
	}
	for _, c := range x.cookies(a, u.Target(), func(name string) bool { return cookie.Sets(x.resp.Fields, name) }) {
		h.Add("Set-Cookie", c)
	}
	x.setHeaders(h)
	var b stream.Body
	b.Start(&u.Stream, x.resp.Framing, x.resp.Length)
	x.w.WriteHeader(x.resp.Status)
	scratch := stream.GetBuffer()
	defer stream.PutBuffer(scratch)
	for !b.Done() {
		p, err := b.Next(scratch)
		if err != nil {
			return err
		}
		if len(p) > 0 {
			if _, err := x.w.Write(p); err != nil {
				return err
			}
		}
		if !b.Done() && !b.Here() {
			x.flush()
		}
	}
	if x.resp.Framing == http1.Chunked {
		trailers, err := b.Decoder.Trailers(nil)
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

func (x *stream2) upload(u *targets.Upstream) *upload2 {
	up := &upload2{done: make(chan struct{})}
	chunked := x.req.Framing == http1.Chunked
	go func() {
		defer close(up.done)
		p := stream.GetBuffer()
		defer stream.PutBuffer(p)
		var out []byte
		for {
			n, err := x.r.Body.Read(p)
			x.active.Touch()
			if err != nil && err != io.EOF {
				up.err = err
				u.Interrupt() // nobody will answer half a request
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
				if up.err = u.Send(send); up.err != nil {
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
