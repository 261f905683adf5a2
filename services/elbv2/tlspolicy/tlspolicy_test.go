package tlspolicy

import (
	"crypto/tls"
	"slices"
	"testing"

	"minato/dataplane/proxy/tlsname"
)

// TestNames: a suite has the same name in a policy and in what a target is told.
func TestNames(t *testing.T) {
	for _, s := range suites {
		if got := tlsname.Cipher(s.id); got != s.name {
			t.Errorf("%s is told as %s", s.name, got)
		}
	}
	told := map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1", tls.VersionTLS12: "TLSv1.2", tls.VersionTLS13: "TLSv1.3"}
	for _, p := range All() {
		for _, v := range p.Versions() {
			if !slices.ContainsFunc([]uint16{p.Min, p.Max, tls.VersionTLS11, tls.VersionTLS12}, func(id uint16) bool { return told[id] == v && tlsname.Version(id) == v }) {
				t.Errorf("%s: nothing is told as %s", p.Name, v)
			}
		}
	}
}

// TestPolicies: a policy is found by its name, and speaks something with each of
// its versions.
func TestPolicies(t *testing.T) {
	if _, ok := Find(Default); !ok {
		t.Errorf("there is no %s", Default)
	}
	if _, ok := Find("ELBSecurityPolicy-None"); ok {
		t.Error("a policy is found that is none")
	}
	for _, p := range All() {
		found, ok := Find(p.Name)
		if !ok || found.Min != p.Min || FIPS(p.Name) {
			t.Errorf("%s: %+v, %v", p.Name, found, ok)
		}
		old, ids := p.Min < tls.VersionTLS13, p.SuiteIDs()
		if ids == nil || old != (len(ids) > 0) || len(p.Suites)-len(ids) != map[bool]int{true: 3}[p.Max == tls.VersionTLS13] {
			t.Errorf("%s from %s to %s has %d suites, %d of them old", p.Name, tls.VersionName(p.Min), tls.VersionName(p.Max), len(p.Suites), len(ids))
		}
		if slices.Contains(p.Curves(), tls.X25519MLKEM768) != p.PQ {
			t.Errorf("%s: %v", p.Name, p.Curves())
		}
	}
}
