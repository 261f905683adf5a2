package engine

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"minato/dataplane/proxy"
)

// handshakeTime is how long a client's handshake may take.
const handshakeTime = 10 * time.Second

// tlsConfig makes a listener's TLS ready; nil for a plain one.
func tlsConfig(lb *proxy.LoadBalancer, l *proxy.Listener) *tls.Config {
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
	case lb.Options.NoHTTP2:
		c.NextProtos = []string{"http/1.1"}
	default:
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// baseTLS is a socket's: the keys of its session tickets are in it and outlive
// every Set, what else counts is the table's at the time.
func (s *socket) baseTLS() *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		if t := s.table.Load(); t.tls != nil {
			return t.tls, nil
		}
		return nil, net.ErrClosed
	}}
}

// handshake ends the client's TLS here; it reports whether that worked.
func (c *client) handshake() bool {
	ctx, cancel := context.WithTimeout(c.s.e.ctx, handshakeTime)
	defer cancel()
	conn := tls.Server(&pipe{Conn: c.tcp}, c.s.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		c.s.count.tlsErrors.Add(1)
		return false
	}
	state := conn.ConnectionState()
	c.Conn, c.tls = conn, &state
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

// tlsVersion is a version's name as ALB tells it to targets.
func tlsVersion(v uint16) string { return strings.Replace(tls.VersionName(v), "TLS ", "TLSv", 1) }

// cipherName is a cipher suite's name as OpenSSL, and so ALB, knows it.
func cipherName(id uint16) string {
	name := tls.CipherSuiteName(id)
	if id>>8 == 0x13 {
		return name
	}
	name = strings.TrimPrefix(name, "TLS_")
	name = strings.Replace(name, "_WITH_", "-", 1)
	name = strings.TrimPrefix(strings.ReplaceAll(name, "_", "-"), "RSA-")
	name = strings.ReplaceAll(strings.ReplaceAll(name, "AES-128", "AES128"), "AES-256", "AES256")
	name = strings.Replace(name, "-CBC-", "-", 1)
	return strings.Replace(name, "CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305", 1)
}
