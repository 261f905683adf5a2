package engine

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// overHTTP2 sends the request to a target that speaks HTTP/2, gRPC among it.
func (x *stream2) overHTTP2(a *action, t *targets.Target) outcome {
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
	x.note.Sending(t.Addr, t.Group.ID)
	resp, err := t.HTTP2.Of(t, x.s.b.network, x.node()).RoundTrip(req)
	if err != nil {
		var d *targets.DialError
		switch {
		case errors.As(err, &d):
			o := x.noConnection(t, d.Err)
			o.next = o.next && !x.body
			return o
		case stream.IsTimeout(err) || context.Cause(ctx) == context.DeadlineExceeded:
			return outcome{status: 504}
		}
		return outcome{status: 502}
	}
	defer resp.Body.Close()
	t.Tally.Answered(resp.StatusCode, time.Since(begun))
	x.s.count.Target.Add(resp.StatusCode)
	x.note.Answered(resp.StatusCode)
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
	p := stream.GetBuffer()
	defer stream.PutBuffer(p)
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
func (x *stream2) request(ctx context.Context, t *targets.Target) (*http.Request, error) {
	x.out = x.appendRequest(x.out[:0], false)
	_, rest, _ := strings.Cut(string(x.out), "\r\n")
	fields, _, err := http1.ParseFields([]byte(rest), nil)
	if err != nil {
		return nil, err
	}
	host := string(x.req.Host)
	req, err := http.NewRequestWithContext(ctx, string(x.req.Method), "http://"+t.Addr.String()+"/", nil)
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
