package multiplex

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"minato/dataplane/proxy/http2"
	"minato/dataplane/proxy/page"
)

// Handed is a request that a goroutine serves, as an http.Handler would, while the
// connection is a loop's. Between them lie two buffers: what the client sends
// waits in in until the goroutine reads it, which then opens the client's window;
// what the goroutine writes waits in out until the lane may send it.
type Handed struct {
	c    *Conn
	st   *http2.Stream
	req  *http.Request
	idle time.Duration
	stop context.CancelFunc

	header http.Header // of the answer; the goroutine's
	status int

	came, left chan struct{} // something came into in, or left out

	mu      sync.Mutex
	in      []byte
	inErr   error // after in
	eaten   int   // of in, and the window not opened for it yet
	shut    bool  // nobody reads in
	out     []byte
	head    []byte // to be sent before out; nil: it was
	ends    bool   // after out
	tailing []byte // the trailers then
	aborts  bool   // the answer is not whole
	told    bool   // the lane was told
	over    bool   // the client is gone
}

// HandOver has serve answer the request of a stream, in a goroutine that start
// begins: r is what is known of it, but for body and context, which are made here.
func (c *Conn) HandOver(ctx context.Context, st *http2.Stream, r *http.Request, start func(func()), serve http.Handler) {
	b := &Handed{
		c: c, st: st, idle: c.Idle, header: http.Header{},
		came: make(chan struct{}, 1), left: make(chan struct{}, 1),
	}
	ctx, b.stop = context.WithCancel(ctx)
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		r.Header.Del("Expect")
		st.Head(http.StatusContinue, nil, false)
		c.Later()
	}
	r.Body, r.Trailer = b, http.Header{}
	if r.ContentLength == 0 {
		b.inErr = io.EOF
	}
	b.req = r.WithContext(ctx)
	st.Owner = b
	start(func() { b.serve(serve) })
}

// serve has the request answered.
func (b *Handed) serve(h http.Handler) {
	defer b.stop()
	defer func() {
		err := recover()
		if err != nil && err != http.ErrAbortHandler {
			panic(err)
		}
		b.finish(err != nil)
	}()
	h.ServeHTTP(b, b.req)
}

// finish ends the answer.
func (b *Handed) finish(aborted bool) {
	b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.status == 0 && !aborted {
		b.begin(http.StatusOK)
	}
	b.ends, b.aborts = true, aborted
	for name, values := range b.header {
		if name, is := strings.CutPrefix(name, http.TrailerPrefix); is {
			for _, v := range values {
				b.tailing = AppendText(b.tailing, name, v)
			}
		}
	}
	b.tell()
}

// tell has the lane look. b.mu is held.
func (b *Handed) tell() {
	if !b.told && !b.over {
		b.told = true
		b.c.Loop.Do(b.pump)
	}
}

// Header implements http.ResponseWriter.
func (b *Handed) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *Handed) WriteHeader(status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(status)
}

// begin makes the head. b.mu is held.
func (b *Handed) begin(status int) {
	if b.status != 0 {
		return
	}
	b.status, b.head = status, []byte{}
	for name, values := range b.header {
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
			continue
		}
		if strings.HasPrefix(name, http.TrailerPrefix) {
			continue
		}
		for _, v := range values {
			b.head = AppendText(b.head, name, v)
		}
	}
	if len(b.header["Date"]) == 0 {
		b.head = AppendDate(b.head)
	}
}

// Write implements http.ResponseWriter. It waits while the client does not take
// what was written before.
func (b *Handed) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begin(http.StatusOK)
	for len(b.out) >= maxAhead && !b.over {
		b.tell()
		b.mu.Unlock()
		err := b.wait(b.left)
		b.mu.Lock()
		if err != nil {
			return 0, err
		}
	}
	if b.over {
		return 0, context.Canceled
	}
	b.out = append(b.out, p...)
	if len(b.out) >= bufferSize {
		b.tell()
	}
	return len(p), nil
}

var errStalled = errors.New("the client does not take the answer")

func (b *Handed) wait(c chan struct{}) error {
	t := time.NewTimer(b.idle)
	defer t.Stop()
	select {
	case <-c:
		return nil
	case <-b.req.Context().Done():
		return context.Canceled
	case <-t.C:
		return errStalled
	}
}

// Flush implements http.Flusher.
func (b *Handed) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tell()
}

// Read implements io.Reader: the request's body.
func (b *Handed) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.in) == 0 {
		if b.inErr != nil {
			return 0, b.inErr
		}
		if b.shut {
			return 0, http.ErrBodyReadAfterClose
		}
		b.mu.Unlock()
		select {
		case <-b.came:
		case <-b.req.Context().Done():
		}
		b.mu.Lock()
	}
	n := copy(p, b.in)
	b.in = b.in[n:]
	if b.eaten += n; b.eaten >= bufferSize {
		b.consume()
	}
	return n, nil
}

// consume opens the client's window for what was read. b.mu is held.
func (b *Handed) consume() {
	if n := b.eaten; n > 0 {
		b.eaten = 0
		b.c.Loop.Do(func() {
			if !b.c.closed {
				b.st.Consumed(n)
				b.c.Later()
			}
		})
	}
}

// Close implements io.Closer: the rest of the request's body is not wanted.
func (b *Handed) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.shut {
		b.shut = true
		b.eaten += len(b.in)
		b.in = nil
		b.consume()
	}
	signal(b.came)
	return nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// The rest is called on the lane's thread.

// pump sends what there is to send, as far as the client takes it.
func (b *Handed) pump() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = false
	if b.over || b.c.closed {
		return
	}
	defer b.c.Later()
	if b.aborts {
		b.st.Reset(http2.InternalError)
		b.st.Owner = nil
		return
	}
	if b.head != nil {
		none := b.ends && len(b.out) == 0 && len(b.tailing) == 0
		b.st.Head(b.status, b.head, none)
		if b.head = nil; none {
			b.st.Owner = nil
			return
		}
	}
	if b.status == 0 || b.st.Queued() > 0 {
		return
	}
	if len(b.out) > 0 {
		if b.c.Full(b) {
			return
		}
		b.st.Write(b.out, b.ends && len(b.tailing) == 0)
		b.out = b.out[:0]
		signal(b.left)
		if !b.ends {
			return
		}
	}
	if b.ends {
		b.st.Trailers(b.tailing) // after what is queued
		b.st.Owner = nil
	}
}

// Room implements Stream.
func (b *Handed) Room() { b.pump() }

// Data implements Stream.
func (b *Handed) Data(p []byte, end bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		b.st.Consumed(len(p))
	} else {
		b.in = append(b.in, p...)
	}
	if end {
		b.inErr = io.EOF
	}
	signal(b.came)
}

// Tail implements Stream.
func (b *Handed) Tail(fields []http2.Field) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range fields {
		b.req.Trailer.Add(f.Name, f.Value)
	}
	b.inErr = io.EOF
	signal(b.came)
}

// Gone implements Stream.
func (b *Handed) Gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	if b.inErr == nil {
		b.inErr = context.Canceled
	}
	n := b.eaten + len(b.in)
	b.eaten, b.in = 0, nil
	b.st.Consumed(n)
	b.stop()
	signal(b.came)
	signal(b.left)
}

// AppendText appends a field to a block of fields.
func AppendText(b []byte, name, value string) []byte {
	return http2.AppendField(b, []byte(name), []byte(value))
}

// AppendDate appends the date.
func AppendDate(b []byte) []byte {
	line := page.Date()
	return http2.AppendField(b, line[:len("Date")], line[len("Date: "):len(line)-2])
}
