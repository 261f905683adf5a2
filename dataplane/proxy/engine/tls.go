package engine

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/secure"
)

const handshakeTime = 10 * time.Second

// tlsConfig makes a listener's TLS ready; nil for a plain one. Only lanes speak
// HTTP/2: without any it is not offered.
func tlsConfig(lb *proxy.LoadBalancer, l *proxy.Listener, lanes bool) *tls.Config {
	if l.TLS == nil {
		return nil
	}
	// Records of full size from the first on, as other proxies send them.
	c := &tls.Config{DynamicRecordSizingDisabled: true, MinVersion: l.TLS.MinVersion, MaxVersion: l.TLS.MaxVersion, CipherSuites: l.TLS.CipherSuites, CurvePreferences: l.TLS.Curves}
	for _, cert := range l.TLS.Certificates {
		c.Certificates = append(c.Certificates, *cert)
	}
	switch {
	case l.Stream:
		c.NextProtos = l.TLS.ALPN
	case lb.Options.NoHTTP2 || !lanes:
		c.NextProtos = []string{"http/1.1"}
	default:
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

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

// toTarget begins TLS with a target. Its certificate is not verified: the
// network says who it is.
func toTarget(ctx context.Context, conn net.Conn, alpn ...string) (net.Conn, error) {
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: alpn})
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}
