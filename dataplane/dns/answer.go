package dns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// defaultTTL is how long an answer of ours may be kept.
const defaultTTL = time.Minute

// index is a Config ready for lookups.
type index struct {
	vpcs  map[string]VPC
	names map[string]Name // lower case, with the dot at the end
	zones []string        // likewise
}

func newIndex(c *Config) *index {
	x := &index{vpcs: map[string]VPC{}, names: map[string]Name{}}
	for _, v := range c.VPCs {
		x.vpcs[v.ID] = v
	}
	for _, n := range c.Names {
		x.names[dns.CanonicalName(n.Name)] = n
	}
	for _, z := range c.Zones {
		x.zones = append(x.zones, dns.CanonicalName(z))
	}
	return x
}

// answer resolves a question as the VPC sees it. It returns false when the
// question is not ours to answer.
func (x *index) answer(vpc string, q dns.Question) (records []dns.RR, code int, ours bool) {
	v := x.vpcs[vpc]
	name := dns.CanonicalName(q.Name)
	if n, ok := x.names[name]; ok {
		if addrs := n.in(vpc); len(addrs) > 0 {
			return address(q, addrs, n.ttl()), dns.RcodeSuccess, true
		}
	}
	if a, ok := v.addrOf(name); ok {
		return address(q, []netip.Addr{a}, defaultTTL), dns.RcodeSuccess, true
	}
	if a, ok := v.reverse(name); ok {
		if q.Qtype != dns.TypePTR && q.Qtype != dns.TypeANY {
			return nil, dns.RcodeSuccess, true
		}
		return []dns.RR{&dns.PTR{Hdr: header(q, dns.TypePTR, defaultTTL), Ptr: v.nameOf(a)}}, dns.RcodeSuccess, true
	}
	zones := x.zones
	if v.Domain != "" {
		zones = append([]string{dns.CanonicalName(v.Domain)}, zones...)
	}
	for _, z := range zones {
		if name == z {
			return nil, dns.RcodeSuccess, true
		}
		if dns.IsSubDomain(z, name) {
			return nil, dns.RcodeNameError, true
		}
	}
	return nil, dns.RcodeSuccess, false
}

func (n Name) in(vpc string) []netip.Addr {
	if a, ok := n.Inside[vpc]; ok {
		return a
	}
	return n.Addrs
}

func (n Name) ttl() time.Duration {
	if n.TTL > 0 {
		return n.TTL
	}
	return defaultTTL
}

func header(q dns.Question, typ uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Name: q.Name, Rrtype: typ, Class: dns.ClassINET, Ttl: uint32(ttl / time.Second)}
}

// address answers with all addresses, the first one by chance; a question for
// another type gets an answer without records: the name exists.
func address(q dns.Question, addrs []netip.Addr, ttl time.Duration) []dns.RR {
	if q.Qtype != dns.TypeA && q.Qtype != dns.TypeANY {
		return nil
	}
	out := make([]dns.RR, 0, len(addrs))
	first := rand.IntN(len(addrs))
	for i := range addrs {
		a := addrs[(first+i)%len(addrs)]
		out = append(out, &dns.A{Hdr: header(q, dns.TypeA, ttl), A: a.AsSlice()})
	}
	return out
}

func (v VPC) holds(a netip.Addr) bool {
	for _, c := range v.CIDRs {
		if c.Contains(a) {
			return true
		}
	}
	return false
}

// addrOf reads the address out of the name of an interface.
func (v VPC) addrOf(name string) (netip.Addr, bool) {
	host, domain, _ := strings.Cut(name, ".")
	digits, ok := strings.CutPrefix(host, "ip-")
	if !ok || v.Domain == "" || domain != dns.CanonicalName(v.Domain) {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(digits, "-", "."))
	return a, err == nil && a.Is4() && v.holds(a)
}

// nameOf is the name of an interface with the address.
func (v VPC) nameOf(a netip.Addr) string {
	return dns.Fqdn("ip-" + strings.ReplaceAll(a.String(), ".", "-") + "." + v.Domain)
}

// reverse reads the address out of a name below in-addr.arpa, if it is the VPC's.
func (v VPC) reverse(name string) (netip.Addr, bool) {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok || v.Domain == "" {
		return netip.Addr{}, false
	}
	p := strings.Split(digits, ".")
	if len(p) != 4 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(fmt.Sprintf("%s.%s.%s.%s", p[3], p[2], p[1], p[0]))
	return a, err == nil && v.holds(a)
}
