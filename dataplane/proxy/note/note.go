// Package note is what is written down of a request while it is served: it becomes
// a proxy.Exchange. Requests of load balancers that nobody wants to know of have no
// note: all methods take nil. Notes, and the texts in them, are used again.
package note

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/trace"
)

// Note is the note of one request.
type Note struct {
	X           proxy.Exchange
	text        []byte // what X says in the client's words
	sent, heard time.Time
	// Counts of the connection when the request began.
	ReadFrom, WroteFrom int64
}

var notes = sync.Pool{New: func() any { return &Note{} }}

// maxKept is how much text a note that is used again has room for.
const maxKept = 4 << 10

// New begins a note, in which nothing is said yet.
func New() *Note {
	n := notes.Get().(*Note)
	n.X.Created, n.X.Request, n.X.Thinking, n.X.Response, n.X.Rule = time.Now(), -1, -1, -1, -1
	return n
}

// Tell ends the note and tells f of it, unless the request never was one.
func (n *Note) Tell(in, out int64, f func(*proxy.Exchange)) {
	if n == nil {
		return
	}
	if n.X.Status != 0 {
		n.X.Ended, n.X.BytesIn, n.X.BytesOut = time.Now(), in, out
		if !n.heard.IsZero() {
			n.X.Response = n.X.Ended.Sub(n.heard)
		}
		f(&n.X)
	}
	text := n.text[:0]
	if cap(text) > maxKept {
		text = nil
	}
	*n = Note{text: text}
	notes.Put(n)
}

// keep is a copy of a text.
func (n *Note) keep(text []byte) []byte {
	n.text = append(n.text, text...)
	return n.last(len(text))
}

// last are the last bytes of the text.
func (n *Note) last(size int) []byte {
	end := len(n.text)
	return n.text[end-size : end : end]
}

// Connection makes a name for a connection.
func Connection() string {
	return string(trace.AppendHex(trace.AppendHex(nil, rand.Uint64(), 16), rand.Uint64(), 16))
}

// Alert is the alert of TLS by which the other side ended a handshake; -1 when it ended
// otherwise.
func Alert(err error) int {
	var e *net.OpError
	if !errors.As(err, &e) || e.Op != "remote error" {
		return -1
	}
	if v := reflect.ValueOf(e.Err); v.Kind() == reflect.Uint8 { // crypto/tls does not export its type
		return int(v.Uint())
	}
	return -1
}

// Severe notes that the request could not be read.
func (n *Note) Severe() {
	if n != nil {
		n.X.Class = "Severe"
	}
}

// Head notes what the head of a request says.
func (n *Note) Head(r *http1.Request) {
	if n == nil {
		return
	}
	x := &n.X
	x.Method, x.Host, x.URI = n.keep(r.Method), n.keep(r.Host), n.keep(r.Path)
	if r.HasQuery {
		n.text = append(append(n.text, '?'), r.Query...)
		x.URI = n.last(len(r.Path) + 1 + len(r.Query))
	}
	x.Version = "HTTP/1.1"
	if r.Minor == 0 {
		x.Version = "HTTP/1.0"
	}
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len("user-agent") && http1.Is(f.Name, "user-agent") {
			x.UserAgent = n.keep(f.Value)
		}
	}
	if r.Class > http1.Compliant {
		x.Class, x.Why = [...]string{"", "Acceptable", "Ambiguous"}[r.Class], r.Why
	}
}

// URI is the path and the query of a request.
func URI(r *http1.Request) string {
	if r.HasQuery {
		return string(r.Path) + "?" + string(r.Query)
	}
	return string(r.Path)
}

// HTTP2 notes that the request came by HTTP/2, and whether it is a gRPC call.
func (n *Note) HTTP2(grpc bool) {
	if n != nil {
		n.X.HTTP2, n.X.Version, n.X.GRPC = true, "HTTP/2.0", grpc
	}
}

// Trace notes the trace id.
func (n *Note) Trace(id []byte) {
	if n != nil {
		n.X.TraceID = n.keep(id)
	}
}

// Routed notes what is done with the request, and the rule that says so.
func (n *Note) Routed(action string, rule int) {
	if n != nil {
		n.X.Action, n.X.Rule = action, rule
	}
}

// Rewritten notes what the transforms of a rule made of the request, which was for host
// and uri before.
func (n *Note) Rewritten(host, uri string, r *http1.Request, status string) {
	if n == nil {
		return
	}
	n.X.Transformed = status
	if to := string(r.Host); to != host {
		n.X.NewHost = to
	}
	if to := URI(r); to != uri {
		n.X.NewURI = to
	}
}

// Sending notes that the request goes to a target.
func (n *Note) Sending(to netip.AddrPort, group string) {
	if n == nil {
		return
	}
	n.sent = time.Now()
	n.X.Target, n.X.TargetGroup, n.X.Request = to, group, n.sent.Sub(n.X.Created)
}

// Answered notes that a target's answer has begun.
func (n *Note) Answered(status int) {
	if n == nil {
		return
	}
	n.heard = time.Now()
	n.X.Status, n.X.TargetStatus, n.X.Thinking = status, status, n.heard.Sub(n.sent)
}

// Own notes an answer of the load balancer's.
func (n *Note) Own(status int, location string) {
	if n != nil {
		n.X.Status, n.X.Location = status, location
	}
}

// Left notes that the client left before the answer.
func (n *Note) Left() { n.Own(460, "") }
