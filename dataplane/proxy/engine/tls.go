package engine

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"minato/dataplane/proxy/secure"
)

// handshakeTime is how long a client may take for its handshake.
const handshakeTime = 10 * time.Second

// baseTLS is a socket's: the keys of its session tickets are in it and outlive
// every Set, what else counts is the table's at the time.
func (s *socket) baseTLS() *tls.Config {
	return &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		if t := s.table.Load(); t.tls != nil {
			if p, ok := h.Conn.(*secure.Pipe); ok && t.stream {
				p.Offered = h.SupportedProtos
			}
			return t.tls, nil
		}
		return nil, net.ErrClosed
	}}
}

// handshake ends the client's TLS here; it reports whether that worked.
func (c *client) handshake() bool {
	ctx, cancel := context.WithTimeout(c.s.e.ctx, c.s.e.greetTime)
	defer cancel()
	conn := tls.Server(&secure.Pipe{Conn: c.tcp}, c.s.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.s.count.TLSErrors.Add(1)
		c.greet(c.since, err)
		return false
	}
	state := conn.ConnectionState()
	c.Conn, c.tls, c.handshook = conn, &state, time.Since(c.since)
	c.greet(c.since, nil)
	return true
}
