package engine

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/multiplex"
	"minato/dataplane/proxy/trace"
)

// note is what is written down of a request while it is served. Visits of load
// balancers that nobody wants to know of have none: its methods take nil.
type note struct {
	x             proxy.Exchange
	sent, heard   time.Time
	readFrom, out int64 // counts of the connection when the request began
}

// OnExchange implements proxy.Proxy.
func (e *Engine) OnExchange(f func(*proxy.Exchange)) { e.tell.Store(&f) }

// startNote begins the note of a request, if it is wanted.
func (v *visit) startNote() {
	v.note = nil
	if !v.t.opts.Recorded || v.s.e.tell.Load() == nil {
		return
	}
	if v.connection == "" {
		v.connection = connectionName()
	}
	v.note = &note{x: proxy.Exchange{
		LoadBalancer: v.t.b.id, Listener: v.t.id, Port: v.t.port, Node: v.node, Client: v.remote, Connection: v.connection, TLS: v.tls,
		Created: time.Now(), Request: -1, Thinking: -1, Response: -1, Rule: -1,
	}}
}

func connectionName() string {
	return string(trace.AppendHex(trace.AppendHex(nil, rand.Uint64(), 16), rand.Uint64(), 16))
}

// severe notes that the request could not be read.
func (n *note) severe() {
	if n != nil {
		n.x.Class = "Severe"
	}
}

// head notes what the head says.
func (n *note) head(v *visit, http2 bool) {
	if n == nil {
		return
	}
	r, x := &v.req, &n.x
	x.Method, x.Host, x.URI = string(r.Method), string(r.Host), string(r.Path)
	if r.HasQuery {
		x.URI += "?" + string(r.Query)
	}
	x.Version = "HTTP/1." + strconv.Itoa(int(r.Minor))
	if x.HTTP2 = http2; http2 {
		x.Version, x.GRPC = "HTTP/2.0", v.isGRPC()
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len("user-agent") && http1.Is(f.Name, "user-agent") {
			x.UserAgent = string(f.Value)
		}
	}
	if r.Class > http1.Compliant {
		x.Class, x.Why = [...]string{"", "Acceptable", "Ambiguous"}[r.Class], r.Why
	}
	n.trace(v.appendTraceID(nil))
}

// trace notes the trace id of a head.
func (n *note) trace(head []byte) {
	if n == nil {
		return
	}
	const name = "X-Amzn-Trace-Id: "
	if i := bytes.Index(head, []byte(name)); i >= 0 {
		value, _, _ := bytes.Cut(head[i+len(name):], []byte("\r\n"))
		n.x.TraceID = string(value)
	}
}

// routed notes what is done with the request.
func (n *note) routed(a *action) {
	switch {
	case n == nil || a == nil:
		return
	case a.fixed != nil:
		n.x.Action = "fixed-response"
	case a.redirect != nil:
		n.x.Action = "redirect"
	default:
		n.x.Action = "forward"
	}
	n.x.Rule = a.priority
}

// sending notes that the request goes to a target.
func (n *note) sending(t *target) {
	if n == nil {
		return
	}
	n.sent = time.Now()
	n.x.Target, n.x.TargetGroup, n.x.Request = t.addr, t.g.id, n.sent.Sub(n.x.Created)
}

// answered notes that a target's answer has begun.
func (n *note) answered(status int) {
	if n == nil {
		return
	}
	n.heard = time.Now()
	n.x.Status, n.x.TargetStatus, n.x.Thinking = status, status, n.heard.Sub(n.sent)
}

// own notes an answer of the load balancer's.
func (n *note) own(status int, location string) {
	if n != nil {
		n.x.Status, n.x.Location = status, location
	}
}

// left notes that the client left before the answer.
func (n *note) left() { n.own(460, "") }

// tellNote tells of the request; of one that never was nothing is told.
func (v *visit) tellNote(in, out int64) {
	n := v.note
	v.note = nil
	if n == nil || n.x.Status == 0 {
		return
	}
	n.x.Ended, n.x.BytesIn, n.x.BytesOut = time.Now(), in, out
	if !n.heard.IsZero() {
		n.x.Response = n.x.Ended.Sub(n.heard)
	}
	(*v.s.e.tell.Load())(&n.x)
}

// beginNote begins the note of a request of HTTP/1.1.
func (c *client) beginNote() {
	c.startNote()
	if c.note != nil {
		c.note.readFrom, c.note.out = c.nread-int64(len(c.unread())), c.nwritten
	}
}

// endNote tells of it: what was read of the connection and not left for the next
// request is its size.
func (c *client) endNote() {
	if c.note != nil {
		c.tellNote(c.nread-int64(len(c.unread()))-c.note.readFrom, c.nwritten-c.note.out)
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
