package dns

import (
	"context"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// resolverAddr is the resolver's address in every VPC, besides base+2: errors
// name it, as they would to a program there.
const resolverAddr = "169.254.169.253:53"

// Lookup returns the addresses that a name has for a VPC, as net.Resolver would
// tell a program there: one at least, or a *net.DNSError.
func (s *Server) Lookup(ctx context.Context, vpc, name string) ([]netip.Addr, error) {
	failed := func(why string) error {
		return &net.DNSError{Err: why, Name: name, Server: resolverAddr, IsNotFound: why == noSuchHost, IsTimeout: ctx.Err() != nil}
	}
	m := new(dns.Msg)
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, failed(noSuchHost)
	}
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	answer := s.Answer(ctx, vpc, m)
	switch answer.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return nil, failed(noSuchHost)
	default:
		return nil, failed("server misbehaving")
	}
	var out []netip.Addr
	for _, rr := range answer.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A.To4()); ok {
				out = append(out, addr)
			}
		}
	}
	if len(out) == 0 {
		return nil, failed(noSuchHost)
	}
	return out, nil
}

const noSuchHost = "no such host"
