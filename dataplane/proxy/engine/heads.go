package engine

import (
	"bytes"
	"slices"
	"strconv"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/page"
	"minato/dataplane/proxy/tlsname"
	"minato/dataplane/proxy/trace"
)

// websocket reports whether the request asks to become a WebSocket. No other
// upgrade is passed on: h2c would hide requests from the rules.
func (c *client) websocket() bool {
	if !c.req.Upgrade || c.req.Minor == 0 || string(c.req.Method) != "GET" || c.req.Framing != http1.NoBody {
		return false
	}
	for i := range c.req.Fields {
		if f := &c.req.Fields[i]; f.Known == http1.Upgrade && http1.Is(f.Value, "websocket") {
			return true
		}
	}
	return false
}

// appendRequest writes the head for the target.
func (v *visit) appendRequest(out []byte, websocket bool) []byte {
	r, opts := v.req, &v.t.opts
	out = append(out, r.Method...)
	out = append(out, ' ')
	out = append(out, r.Path...)
	if r.HasQuery {
		out = append(out, '?')
		out = append(out, r.Query...)
	}
	out = append(out, " HTTP/1.1\r\n"...)
	out = v.appendForwardedFor(out)
	if v.tls != nil {
		out = append(out, "X-Forwarded-Proto: https\r\nX-Forwarded-Port: "...)
	} else {
		out = append(out, "X-Forwarded-Proto: http\r\nX-Forwarded-Port: "...)
	}
	out = strconv.AppendUint(out, uint64(v.t.port), 10)
	out = append(out, "\r\nHost: "...)
	if len(r.Host) > 0 {
		out = append(out, r.Host...)
	} else {
		out = v.node().AppendTo(out) // HTTP/1.0 knows no Host; targets need one
	}
	out = append(out, "\r\n"...)
	out = v.appendTraceID(out)
	if v.tls != nil && opts.TLSHeaders {
		out = appendText(out, v.t.version, tlsname.Version(v.tls.Version))
		out = appendText(out, v.t.cipher, tlsname.Cipher(v.tls.CipherSuite))
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		switch f.Known {
		case http1.Host, http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TE, http1.TransferEncoding, http1.ContentLength,
			http1.Upgrade, http1.XForwardedFor, http1.XForwardedPort, http1.XForwardedProto, http1.XAmznTraceID:
			continue
		case http1.Expect:
			if r.Expect {
				continue // answered here
			}
		}
		if f.Dropped || opts.DropInvalidHeaders && !f.Plain() {
			continue
		}
		out = http1.AppendField(out, f.Name, f.Value)
	}
	switch r.Framing {
	case http1.Length:
		out = append(out, "Content-Length: "...)
		out = strconv.AppendInt(out, r.Length, 10)
		out = append(out, "\r\n"...)
	case http1.Chunked:
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	if websocket {
		out = append(out, "Connection: upgrade\r\nUpgrade: websocket\r\n"...)
	}
	return append(out, "\r\n"...)
}

func (v *visit) appendForwardedFor(out []byte) []byte {
	mode := v.t.opts.XForwardedFor
	if mode == proxy.Remove {
		return out
	}
	start := len(out)
	out = append(out, "X-Forwarded-For: "...)
	any := false
	add := func() {
		if any {
			out = append(out, ", "...)
		}
		any = true
	}
	for i := range v.req.Fields {
		if f := &v.req.Fields[i]; f.Known == http1.XForwardedFor && len(f.Value) > 0 {
			add()
			out = append(out, f.Value...)
		}
	}
	if mode == proxy.Append {
		add()
		if v.t.opts.ClientPort {
			out = v.remote.AppendTo(out)
		} else {
			out = v.remote.Addr().AppendTo(out)
		}
	}
	if !any {
		return out[:start]
	}
	return append(out, "\r\n"...)
}

// appendTraceID makes, or adds to, the id that ALB gives each request, and notes it.
func (v *visit) appendTraceID(out []byte) []byte {
	out = append(out, "X-Amzn-Trace-Id: "...)
	id := len(out)
	for i := range v.req.Fields {
		f := &v.req.Fields[i]
		if f.Known != http1.XAmznTraceID || len(f.Value) == 0 {
			continue
		}
		key := "Root="
		if trace.HasRoot(f.Value) {
			key = "Self="
		}
		out = append(out, key...)
		out = append(trace.AppendID(out), ';')
		out = append(out, f.Value...)
		v.note.Trace(out[id:])
		return append(out, "\r\n"...)
	}
	out = trace.AppendID(append(out, "Root="...))
	v.note.Trace(out[id:])
	return append(out, "\r\n"...)
}

func appendText(out []byte, name, value string) []byte {
	out = append(append(out, name...), ": "...)
	return append(append(out, value...), "\r\n"...)
}

// sets reports whether a field of every answer has the name.
func (t *table) sets(name []byte) bool {
	return slices.ContainsFunc(t.set, func(f proxy.HeaderField) bool { return bytes.EqualFold(name, []byte(f.Name)) })
}

// passes reports whether a field of a target's answer goes on to the client. Those
// that are about the target's connection do not, nor the length of what is sent in
// chunks or not at all, nor what the listener's attributes hide or replace.
func (t *table) passes(f *http1.Field, r *http1.Response, chunked bool) bool {
	switch f.Known {
	case http1.Connection, http1.KeepAlive, http1.ProxyConnection, http1.TransferEncoding:
		return false
	case http1.ContentLength:
		if r.Status == 204 || chunked {
			return false
		}
	case http1.Upgrade:
		if r.Status == 101 {
			return false
		}
	case http1.Server:
		if t.hide {
			return false
		}
	}
	return !f.Dropped && (len(t.set) == 0 || !t.sets(f.Name))
}

// passesHTTP2 is passes for a client that speaks HTTP/2, where a connection is not
// switched to anything and nothing may look like a length.
func (t *table) passesHTTP2(f *http1.Field, r *http1.Response) bool {
	return f.Known != http1.Upgrade && f.Known != http1.Suspicious && t.passes(f, r, r.Framing == http1.Chunked)
}

// appendResponse writes the target's head for the client. keep tells whether the
// connection takes another request, chunked how the body is sent, cookies what
// stickiness adds.
func (v *visit) appendResponse(out []byte, r *http1.Response, keep, chunked bool, cookies []string) []byte {
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(r.Status), 10)
	out = append(out, ' ')
	out = append(out, r.Reason...)
	out = append(out, "\r\n"...)
	dated := false
	for i := range r.Fields {
		f := &r.Fields[i]
		dated = dated || f.Known == http1.Date
		if v.t.passes(f, r, chunked) {
			out = http1.AppendField(out, f.Name, f.Value)
		}
	}
	if !dated {
		out = page.AppendDate(out)
	}
	for i := range v.t.set {
		out = appendText(out, v.t.set[i].Name, v.t.set[i].Value)
	}
	for _, v := range cookies {
		out = append(out, "Set-Cookie: "...)
		out = append(out, v...)
		out = append(out, "\r\n"...)
	}
	if r.Status == 101 {
		return append(out, "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	}
	if chunked {
		out = append(out, "Transfer-Encoding: chunked\r\n"...)
	}
	out = appendConnection(out, keep)
	return append(out, "\r\n"...)
}
