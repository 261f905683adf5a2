// Package tlsname has the names that ALB, as OpenSSL, gives versions and cipher suites.
package tlsname

import (
	"crypto/tls"
	"strings"
)

// Version is a version's name as ALB tells it to targets. OpenSSL has no minor
// number for the first.
func Version(v uint16) string {
	if v == tls.VersionTLS10 {
		return "TLSv1"
	}
	return strings.Replace(tls.VersionName(v), "TLS ", "TLSv", 1)
}

// Cipher is a cipher suite's name as OpenSSL, and so ALB, knows it.
func Cipher(id uint16) string {
	name := tls.CipherSuiteName(id)
	switch {
	case id>>8 == 0x13:
		return name
	case strings.Contains(name, "3DES_EDE_CBC"):
		return strings.TrimPrefix(strings.ReplaceAll(strings.TrimPrefix(strings.Replace(name, "_WITH_3DES_EDE_CBC_", "_DES_CBC3_", 1), "TLS_"), "_", "-"), "RSA-")
	}
	name = strings.TrimPrefix(name, "TLS_")
	name = strings.Replace(name, "_WITH_", "-", 1)
	name = strings.TrimPrefix(strings.ReplaceAll(name, "_", "-"), "RSA-")
	name = strings.ReplaceAll(strings.ReplaceAll(name, "AES-128", "AES128"), "AES-256", "AES256")
	name = strings.Replace(name, "-CBC-", "-", 1)
	return strings.Replace(name, "CHACHA20-POLY1305-SHA256", "CHACHA20-POLY1305", 1)
}
