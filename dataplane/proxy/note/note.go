// Package note is what is written down of a request while it is served: it becomes
// a proxy.Exchange. Requests of load balancers that nobody wants to know of have no
// note: all methods take nil.
package note

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"reflect"
	"strconv"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/trace"
)

// Note is the note of one request.
type Note struct {
	X           proxy.Exchange
	sent, heard time.Time
	// Counts of the connection when the request began.
	ReadFrom, WroteFrom int64
}

// New begins a note; x says where the request came in.
func New(x proxy.Exchange) *Note {
	x.Created, x.Request, x.Thinking, x.Response, x.Rule = time.Now(), -1, -1, -1, -1
	return &Note{X: x}
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
	x.Method, x.Host, x.URI = string(r.Method), string(r.Host), URI(r)
	x.Version = "HTTP/1." + strconv.Itoa(int(r.Minor))
	for i := range r.Fields {
		if f := &r.Fields[i]; len(f.Name) == len("user-agent") && http1.Is(f.Name, "user-agent") {
			x.UserAgent = string(f.Value)
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

// Trace notes the trace id of a head.
func (n *Note) Trace(head []byte) {
	if n == nil {
		return
	}
	const name = "X-Amzn-Trace-Id: "
	if i := bytes.Index(head, []byte(name)); i >= 0 {
		value, _, _ := bytes.Cut(head[i+len(name):], []byte("\r\n"))
		n.X.TraceID = string(value)
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

// End is what there is to tell in the end; nil of a request that never was.
func (n *Note) End(in, out int64) *proxy.Exchange {
	if n == nil || n.X.Status == 0 {
		return nil
	}
	n.X.Ended, n.X.BytesIn, n.X.BytesOut = time.Now(), in, out
	if !n.heard.IsZero() {
		n.X.Response = n.X.Ended.Sub(n.heard)
	}
	return &n.X
}
