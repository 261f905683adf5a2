package multiplex

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Tallied counts the bytes of a request of HTTP/2: of heads what they are as
// text, since nobody can say what of a compressed one is whose.
type Tallied struct {
	http.ResponseWriter
	Body    io.ReadCloser
	In, Out atomic.Int64
}

// WriteHeader implements http.ResponseWriter.
func (w *Tallied) WriteHeader(status int) {
	w.Out.Add(TextSize(w.Header()) + int64(len(":status: 200\r\n")))
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *Tallied) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.Out.Add(int64(n))
	return n, err
}

// Read implements io.Reader: the request's body.
func (w *Tallied) Read(p []byte) (int, error) {
	n, err := w.Body.Read(p)
	w.In.Add(int64(n))
	return n, err
}

// Close implements io.Closer.
func (w *Tallied) Close() error { return w.Body.Close() }

// TextSize is how many bytes a head would be as text.
func TextSize(h http.Header) (n int64) {
	for name, values := range h {
		for _, v := range values {
			n += int64(len(name) + len(": ") + len(v) + len("\r\n"))
		}
	}
	return n
}
