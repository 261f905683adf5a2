package registry

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// ownOrRemote sends requests for our own registry to its handler, without a
// network between, but only after a connection to it was made by the pull's
// own route: a task that cannot reach ECR cannot pull from it.
type ownOrRemote struct {
	local  func(host string) bool
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	own    http.Handler
	remote http.RoundTripper

	mu      sync.Mutex
	reached map[string]bool
}

// RoundTrip implements http.RoundTripper.
func (o *ownOrRemote) RoundTrip(req *http.Request) (*http.Response, error) {
	if !o.local(req.URL.Hostname()) {
		return o.remote.RoundTrip(req)
	}
	if err := o.reach(req); err != nil {
		return nil, err
	}
	in := req.Clone(req.Context())
	in.Host = req.URL.Host
	in.RequestURI = req.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := &answerBuffer{header: http.Header{}}
	o.own.ServeHTTP(out, in)
	if err := in.Body.Close(); err != nil {
		return nil, err
	}
	return out.response(req), nil
}

func (o *ownOrRemote) reach(req *http.Request) error {
	address := net.JoinHostPort(req.URL.Hostname(), "443")
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reached[address] {
		return nil
	}
	conn, err := o.dial(req.Context(), "tcp", address)
	if err != nil {
		return err
	}
	conn.Close()
	if o.reached == nil {
		o.reached = map[string]bool{}
	}
	o.reached[address] = true
	return nil
}

// answerBuffer is a response kept in memory: a manifest's, since the content
// of our own registry needs no fetching.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answerBuffer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answerBuffer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answerBuffer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answerBuffer) response(req *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	length := int64(a.body.Len())
	if req.Method == http.MethodHead {
		if n, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64); err == nil {
			length = n
		}
	}
	return &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(&a.body), ContentLength: length, Request: req,
	}
}
