package engine

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"minato/dataplane/proxy/http1"
)

// maxStreams is how many requests a client may have open at once, ALB's number.
const maxStreams = 128

var silent = log.New(io.Discard, "", 0)

// serveHTTP2 serves a connection whose client chose HTTP/2: net/http reads frames
// and calls serveStream, in a goroutine of its own, for each request. It is given
// what TLS has decrypted, as HTTP/2 with prior knowledge.
func (c *client) serveHTTP2() {
	defer c.Close()
	opts := &c.s.table.Load().opts
	c.connection = connectionName()
	ended := make(chan struct{})
	base := &http.Server{
		Handler: http.HandlerFunc(c.serveStream), ErrorLog: silent, MaxHeaderBytes: http1.MaxHead,
		Protocols: unencryptedHTTP2(), IdleTimeout: opts.IdleTimeout,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: opts.IdleTimeout},
		BaseContext: func(net.Listener) context.Context { return c.s.e.ctx },
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed {
				close(ended)
			}
		},
	}
	c.mu.Lock()
	c.http2 = base
	leaving := c.leaving
	c.mu.Unlock()
	if leaving {
		return
	}
	old := time.AfterFunc(opts.ClientKeepAlive, func() { base.Shutdown(c.s.e.ctx) })
	defer old.Stop()
	conn := &counted{Conn: c.Conn, count: c.s.count, preface: len(clientPreface)}
	conn.SetReadDeadline(time.Now().Add(opts.IdleTimeout))
	once := &single{Conn: conn}
	base.Serve(once) // ends at once, with the list of connections
	if once.taken {
		<-ended
	}
}

// unencryptedHTTP2 is HTTP/2 with prior knowledge and nothing else.
func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// single is a listener of one connection.
type single struct {
	net.Conn
	taken bool
}

// Accept implements net.Listener.
func (l *single) Accept() (net.Conn, error) {
	if l.taken {
		return nil, net.ErrClosed
	}
	l.taken = true
	return l.Conn, nil
}

// Addr implements net.Listener.
func (l *single) Addr() net.Addr { return l.LocalAddr() }

// Close implements net.Listener; the connection is not the listener's.
func (l *single) Close() error { return nil }

// clientPreface is what every HTTP/2 connection begins with.
const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// counted counts what passes over a connection. net/http waits for the preface
// without end: the deadline that serveHTTP2 set holds until it has come.
type counted struct {
	net.Conn
	count   *counters
	preface int // what is still to come of it
}

// Read implements net.Conn.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.count.in.Add(uint64(n))
	if c.preface > 0 && n > 0 {
		if c.preface -= n; c.preface <= 0 {
			c.Conn.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.count.out.Add(uint64(n))
	return n, err
}
