package engine

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/note"
	"minato/dataplane/proxy/rewrite"
	"minato/dataplane/proxy/targets"
)

// visit is a request and where it came in, whatever protocol it came by.
type visit struct {
	s      *socket
	t      *table
	remote netip.AddrPort
	tls    *tls.ConnectionState // nil: plain
	req    *http1.Request
	picked *share // the group that was chosen for a sticky action

	note       *note.Note // of load balancers that are recorded
	connection string     // its name in them
}

// socket is where the request came in.
func (v *visit) socket() *socket { return v.s }

// node is the address that it came to.
func (v *visit) node() netip.Addr { return v.s.at.Addr() }

// route finds what is done with the request, or why nothing is: a status of the
// load balancer's own.
func (v *visit) route() (*action, int) {
	switch {
	case v.req.Class > http1.Compliant && v.t.opts.Desync == proxy.Strictest:
		return nil, 400
	case string(v.req.Method) == "TRACE":
		return nil, 405
	case v.tooManyForwarded():
		return nil, 463
	}
	return v.t.match(v.req, v.remote.Addr()), 0
}

// rewrite makes of the request what the rule wants targets to get; it reports false
// when that is no request.
func (v *visit) rewrite(a *action) bool {
	if a.rewrite == nil {
		return true
	}
	host, uri := string(v.req.Host), note.URI(v.req)
	status := a.rewrite.Do(v.req)
	v.note.Rewritten(host, uri, v.req, status)
	return status == "" || status == rewrite.Success
}

// tooManyForwarded is ALB's limit of 30 addresses in X-Forwarded-For.
func (v *visit) tooManyForwarded() bool {
	n := 0
	for i := range v.req.Fields {
		if f := &v.req.Fields[i]; f.Known == http1.XForwardedFor {
			n += 1 + bytes.Count(f.Value, []byte{','})
		}
	}
	return n > 30
}

// scheme is "http" or "https".
func (v *visit) scheme() string {
	if v.tls != nil {
		return "https"
	}
	return "http"
}

// isGRPC reports whether the request is a gRPC call.
func (v *visit) isGRPC() bool {
	for i := range v.req.Fields {
		f := &v.req.Fields[i]
		if len(f.Name) == len("content-type") && http1.Is(f.Name, "content-type") {
			return bytes.HasPrefix(f.Value, []byte("application/grpc"))
		}
	}
	return false
}

// fits reports whether the request can go to targets of a protocol; ALB's 464 is
// for one that cannot.
func (v *visit) fits(p proxy.Protocol, http2 bool) bool {
	switch p {
	case proxy.HTTP1:
		return !http2 || !v.isGRPC()
	case proxy.HTTP2:
		return http2
	}
	return http2 && string(v.req.Method) == "POST"
}

// zone is where the node stands that took the request.
func (v *visit) zone() string { return v.t.zones[v.node()] }

// answered counts a request that a target answered after so long.
func (v *visit) answered(t *targets.Target, status int, after time.Duration) {
	v.s.count.Requests.Add(1)
	v.s.count.Target.Add(status)
	t.Tally.Answered(status, after)
}
