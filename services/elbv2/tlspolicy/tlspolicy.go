// Package tlspolicy holds Elastic Load Balancing's security policies: which
// versions of TLS and which cipher suites a listener speaks.
//
// A suite that Go's crypto/tls does not have is not listed, since it would not be
// spoken: those of CBC with SHA-384, and of CBC with SHA-256 without forward
// secrecy. A client that knows no other suite than those is older than every
// policy here.
package tlspolicy

import (
	"crypto/tls"
	"strings"
)

// Policy is a security policy.
type Policy struct {
	Name     string
	Min, Max uint16   // versions
	Suites   []string // OpenSSL's names, in ALB's order; those of TLS 1.3 too
	PQ       bool     // post-quantum key exchange is offered
}

// suites are the ones that are spoken, in ALB's order.
var suites = []struct {
	name string
	id   uint16
	kind kind
}{
	{"TLS_AES_128_GCM_SHA256", tls.TLS_AES_128_GCM_SHA256, v13},
	{"TLS_AES_256_GCM_SHA384", tls.TLS_AES_256_GCM_SHA384, v13},
	{"TLS_CHACHA20_POLY1305_SHA256", tls.TLS_CHACHA20_POLY1305_SHA256, v13},
	{"ECDHE-ECDSA-AES128-GCM-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, forward},
	{"ECDHE-RSA-AES128-GCM-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, forward},
	{"ECDHE-ECDSA-AES128-SHA256", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, forwardCBC},
	{"ECDHE-RSA-AES128-SHA256", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, forwardCBC},
	{"ECDHE-ECDSA-AES128-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, forwardSHA1},
	{"ECDHE-RSA-AES128-SHA", tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, forwardSHA1},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, forward},
	{"ECDHE-RSA-AES256-GCM-SHA384", tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, forward},
	{"ECDHE-RSA-AES256-SHA", tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, forwardSHA1},
	{"ECDHE-ECDSA-AES256-SHA", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, forwardSHA1},
	{"AES128-GCM-SHA256", tls.TLS_RSA_WITH_AES_128_GCM_SHA256, static},
	{"AES128-SHA256", tls.TLS_RSA_WITH_AES_128_CBC_SHA256, static},
	{"AES128-SHA", tls.TLS_RSA_WITH_AES_128_CBC_SHA, staticSHA1},
	{"AES256-GCM-SHA384", tls.TLS_RSA_WITH_AES_256_GCM_SHA384, static},
	{"AES256-SHA", tls.TLS_RSA_WITH_AES_256_CBC_SHA, staticSHA1},
	{"DES-CBC3-SHA", tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, tripleDES},
}

// kind is a family of suites; policies are made of families.
type kind uint8

const (
	v13 kind = 1 << iota
	forward
	forwardCBC
	forwardSHA1
	static
	staticSHA1
	tripleDES
)

const (
	v10, v11, v12, v13v = tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13

	restricted = forward
	usual      = forward | forwardCBC
	ext1       = usual | static
	forwards   = usual | forwardSHA1
	ext2       = ext1 | forwardSHA1 | staticSHA1
)

var policies = []Policy{
	policy("ELBSecurityPolicy-2016-08", v10, v12, ext2),
	policy("ELBSecurityPolicy-TLS-1-2-2017-01", v12, v12, ext1),
	policy("ELBSecurityPolicy-TLS-1-1-2017-01", v11, v12, ext2),
	policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", v12, v12, ext2),
	policy("ELBSecurityPolicy-FS-2018-06", v10, v12, forwards),
	policy("ELBSecurityPolicy-2015-05", v10, v12, ext2),
	policy("ELBSecurityPolicy-TLS-1-0-2015-04", v10, v12, ext2|tripleDES),
	policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", v12, v12, usual),
	policy("ELBSecurityPolicy-FS-1-1-2019-08", v11, v12, forwards),
	policy("ELBSecurityPolicy-FS-1-2-2019-08", v12, v12, forwards),
	policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", v12, v12, restricted),
	policy("ELBSecurityPolicy-TLS13-1-2-2021-06", v12, v13v, v13|usual),
	policy("ELBSecurityPolicy-TLS13-1-2-Res-2021-06", v12, v13v, v13|restricted),
	policy("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", v12, v13v, v13|ext1),
	policy("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", v12, v13v, v13|ext2),
	policy("ELBSecurityPolicy-TLS13-1-1-2021-06", v11, v13v, v13|ext2),
	policy("ELBSecurityPolicy-TLS13-1-0-2021-06", v10, v13v, v13|ext2),
	policy("ELBSecurityPolicy-TLS13-1-3-2021-06", v13v, v13v, v13),
	policy("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09", v13v, v13v, v13),
	policy("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", v12, v13v, v13|usual),
	policy("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", v12, v13v, v13|restricted),
	policy("ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09", v12, v13v, v13|ext1),
	policy("ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09", v12, v13v, v13|ext2),
	policy("ELBSecurityPolicy-TLS13-1-0-PQ-2025-09", v10, v13v, v13|ext2),
}

// Default is the policy of a listener for which none is given.
const Default = "ELBSecurityPolicy-2016-08"

func policy(name string, from, to uint16, kinds kind) Policy {
	p := Policy{Name: name, Min: from, Max: to, PQ: strings.Contains(name, "-PQ-")}
	for _, s := range suites {
		if s.kind&kinds != 0 {
			p.Suites = append(p.Suites, s.name)
		}
	}
	return p
}

// All lists the policies.
func All() []Policy { return policies }

// Find finds a policy by its name.
func Find(name string) (Policy, bool) {
	for _, p := range policies {
		if p.Name == name {
			return p, true
		}
	}
	return Policy{}, false
}

// FIPS tells whether a name is that of a policy whose cryptography is validated
// after FIPS 140, which minato's is not.
func FIPS(name string) bool {
	return strings.HasPrefix(name, "ELBSecurityPolicy-") && strings.Contains(name, "-FIPS-")
}

// Versions are the names of the versions of TLS, the newest first.
func (p Policy) Versions() (names []string) {
	for _, v := range []struct {
		id   uint16
		name string
	}{{v13v, "TLSv1.3"}, {v12, "TLSv1.2"}, {v11, "TLSv1.1"}, {v10, "TLSv1"}} {
		if p.Min <= v.id && v.id <= p.Max {
			names = append(names, v.name)
		}
	}
	return names
}

// SuiteIDs are the suites up to TLS 1.2, as crypto/tls wants them.
func (p Policy) SuiteIDs() []uint16 {
	ids := []uint16{} // not nil, which would stand for Go's own choice
	for _, name := range p.Suites {
		for _, s := range suites {
			if s.name == name && s.kind != v13 {
				ids = append(ids, s.id)
			}
		}
	}
	return ids
}

// Curves are the key exchanges.
func (p Policy) Curves() []tls.CurveID {
	classic := []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	if p.PQ {
		return append([]tls.CurveID{tls.X25519MLKEM768}, classic...)
	}
	return classic
}
