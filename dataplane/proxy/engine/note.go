package engine

import (
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/multiplex"
	"minato/dataplane/proxy/note"
)

// OnExchange implements proxy.Proxy.
func (e *Engine) OnExchange(f func(*proxy.Exchange)) { e.tell.Store(&f) }

// OnConnection implements proxy.Proxy.
func (e *Engine) OnConnection(f func(*proxy.Connection)) { e.meet.Store(&f) }

// OnCheck implements proxy.Proxy.
func (e *Engine) OnCheck(f func(*proxy.Checked)) { e.probed.Store(&f) }

// greet tells of a client's connection that was made, or, with an error, could not be.
// A stream's is told of in the end.
func (v *visit) greet(accepted time.Time, err error) {
	if t := v.s.table.Load(); !t.stream || err != nil {
		v.meet(t, accepted, time.Since(accepted), err, nil)
	}
}

// meet tells of a client's connection; fill, if any, adds to what is told.
func (v *visit) meet(t *table, accepted time.Time, handshake time.Duration, err error, fill func(*proxy.Connection)) {
	tell := v.s.e.meet.Load()
	if !t.opts.Connections || tell == nil {
		return
	}
	if v.connection == "" {
		v.connection = note.Connection()
	}
	c := &proxy.Connection{
		LoadBalancer: t.b.id, Listener: t.id, Port: t.port, Stream: t.stream, Node: v.node(), Client: v.remote, Name: v.connection,
		Accepted: accepted, At: time.Now(), Secure: t.tls != nil, TLS: v.tls, Handshake: handshake, Alert: note.Alert(err),
	}
	if fill != nil {
		fill(c)
	}
	(*tell)(c)
}

// checked tells of a check.
func (e *Engine) checked(c *proxy.Checked) {
	if tell := e.probed.Load(); tell != nil {
		(*tell)(c)
	}
}

// startNote begins the note of a request, if it is wanted.
func (v *visit) startNote() {
	v.note = nil
	if !v.t.opts.Recorded || v.s.e.tell.Load() == nil {
		return
	}
	if v.connection == "" {
		v.connection = note.Connection()
	}
	v.note = note.New()
	x := &v.note.X
	x.LoadBalancer, x.Listener, x.Port, x.Node, x.Client, x.Connection, x.TLS = v.t.b.id, v.t.id, v.t.port, v.node(), v.remote, v.connection, v.tls
}

// noteHead notes the head.
func (v *visit) noteHead(http2 bool) {
	if v.note == nil {
		return
	}
	v.note.Head(v.req)
	if http2 {
		v.note.HTTP2(v.isGRPC())
	}
	v.noteTrace()
}

// noteTrace notes a trace id for the request, which no target gets.
func (v *visit) noteTrace() {
	if v.note != nil {
		v.appendTraceID(nil)
	}
}

// noteRoute notes what is done with the request.
func (v *visit) noteRoute(a *action) {
	switch {
	case a == nil:
	case a.fixed != nil:
		v.note.Routed("fixed-response", a.priority)
	case a.redirect != nil:
		v.note.Routed("redirect", a.priority)
	default:
		v.note.Routed("forward", a.priority)
	}
}

// tellNote tells of the request.
func (v *visit) tellNote(in, out int64) {
	if n := v.note; n != nil {
		v.note = nil
		n.Tell(in, out, *v.s.e.tell.Load())
	}
}

// beginNote begins the note of a request of HTTP/1.1.
func (c *client) beginNote() {
	c.startNote()
	if c.note != nil {
		c.note.ReadFrom, c.note.WroteFrom = c.NRead-int64(len(c.Unread())), c.NWritten
	}
}

// endNote tells of it: what was read of the connection and not left for the next
// request is its size.
func (c *client) endNote() {
	if c.note != nil {
		c.tellNote(c.NRead-int64(len(c.Unread()))-c.note.ReadFrom, c.NWritten-c.note.WroteFrom)
	}
}

// beginNote begins the note of a request of HTTP/2.
func (x *stream2) beginNote() *multiplex.Tallied {
	x.startNote()
	if x.note == nil {
		return nil
	}
	w := &multiplex.Tallied{ResponseWriter: x.w, Body: x.r.Body}
	w.In.Add(multiplex.TextSize(x.r.Header) + int64(len(x.r.Method)+len(x.r.RequestURI)+len(x.r.Host)))
	x.w, x.r.Body = w, w
	return w
}

// endNote tells of it.
func (x *stream2) endNote(w *multiplex.Tallied) {
	if w != nil {
		x.tellNote(w.In.Load(), w.Out.Load())
	}
}
