package secure

import (
	"context"
	"crypto/tls"
	"net"

	"minato/dataplane/proxy"
)

// Config makes a listener's TLS ready; nil for a plain one. HTTP/2 is offered where it
// is allowed and can be spoken.
func Config(l *proxy.Listener, http2 bool) *tls.Config {
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
	case !http2:
		c.NextProtos = []string{"http/1.1"}
	default:
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// ToTarget begins TLS with a target. Its certificate is not verified: the
// network says who it is.
func ToTarget(ctx context.Context, conn net.Conn, alpn ...string) (net.Conn, error) {
	t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: alpn})
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}
