// Package dns is the resolver of the VPCs: the server at base+2 of each. It
// answers for the names it is handed, each VPC with its own view, knows the
// private names of addresses (ip-10-0-0-5.ec2.internal), and asks the machine's
// own resolvers for the rest, where there are any.
//
// Zones that it is told are its own are never asked for outside: a database
// that does not exist here must not become somebody else's that does.
package dns

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// Config is the whole wanted state. Whoever hands it over must not change it
// afterwards. Names are in lower case, without a dot at the end; one that begins
// with "*." stands for every name with something in that place that has no
// answer of its own.
type Config struct {
	// Names are what everybody is told.
	Names map[string][]netip.Addr
	// Views are what one VPC is told first, by the VPC's id.
	Views map[string]View
	// Zones are the suffixes that nobody else is asked about, such as
	// "us-east-1.rds.amazonaws.com".
	Zones []string
	// Upstreams are the resolvers for other names, addresses with port; none
	// means that other names do not exist.
	Upstreams []string
	// TTL of the answers; 0 means 5 s.
	TTL time.Duration
}

// View is what one VPC is told.
type View struct {
	Names map[string][]netip.Addr
	// PrivateZone is the suffix of the addresses' own names: "ec2.internal".
	PrivateZone string
	// Off answers nothing: DNS support of the VPC is switched off.
	Off bool
}

const (
	defaultTTL      = 5 * time.Second
	upstreamTimeout = 2 * time.Second
)

// Server answers for all VPCs of an instance.
type Server struct {
	log    *slog.Logger
	config atomic.Pointer[Config]
}

// New returns a server that knows no name yet.
func New(log *slog.Logger) *Server {
	s := &Server{log: log}
	s.config.Store(&Config{})
	return s
}

// Set makes c what is answered from now on.
func (s *Server) Set(c *Config) { s.config.Store(c) }

// Serve answers on a VPC's sockets until ctx ends or both are closed.
func (s *Server) Serve(ctx context.Context, vpc string, udp net.PacketConn, tcp net.Listener) error {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := s.Answer(ctx, vpc, r)
		if w.LocalAddr().Network() == "udp" {
			size := dns.MinMsgSize
			if o := r.IsEdns0(); o != nil {
				size = int(o.UDPSize())
			}
			m.Truncate(size)
		}
		if err := w.WriteMsg(m); err != nil {
			s.log.Debug("dns answer not sent", "vpc", vpc, "error", err)
		}
	})
	servers := []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}}
	done := make(chan error, len(servers))
	for _, srv := range servers {
		go func() { done <- srv.ActivateAndServe() }()
	}
	stop := context.AfterFunc(ctx, func() {
		udp.Close()
		tcp.Close()
	})
	defer stop()
	var errs []error
	for range servers {
		if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) && ctx.Err() == nil {
			errs = append(errs, err)
		}
		udp.Close()
		tcp.Close()
	}
	return errors.Join(errs...)
}

// Answer makes the answer to a question from a VPC.
func (s *Server) Answer(ctx context.Context, vpc string, r *dns.Msg) *dns.Msg {
	c := s.config.Load()
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery || r.Question[0].Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeNotImplemented
		return m
	}
	view := c.Views[vpc]
	if view.Off {
		m.Rcode = dns.RcodeRefused
		return m
	}
	q := r.Question[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name), ".")
	addrs, known := c.lookup(view, name)
	switch {
	case known:
		m.Authoritative = true
		for _, a := range addrs {
			if q.Qtype == dns.TypeA || q.Qtype == dns.TypeANY {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: c.ttl()}, A: a.AsSlice()})
			}
		}
	case q.Qtype == dns.TypePTR && reverse(view, c, name, q.Name, m):
		m.Authoritative = true
	case c.own(view, name):
		m.Authoritative, m.Rcode = true, dns.RcodeNameError
	default:
		return s.forward(ctx, c, r, m)
	}
	return m
}

// lookup finds the addresses of a name: the VPC's own view, everybody's, or an
// address's own name.
func (c *Config) lookup(view View, name string) ([]netip.Addr, bool) {
	for _, names := range []map[string][]netip.Addr{view.Names, c.Names} {
		if a, ok := find(names, name); ok {
			return a, true
		}
	}
	if label, zone, ok := strings.Cut(name, "."); ok && view.PrivateZone != "" && zone == view.PrivateZone {
		if a, err := netip.ParseAddr(strings.ReplaceAll(strings.TrimPrefix(label, "ip-"), "-", ".")); err == nil && strings.HasPrefix(label, "ip-") && a.Is4() {
			return []netip.Addr{a}, true
		}
	}
	return nil, false
}

// find looks for a name, and then for the nearest that stands for it.
func find(names map[string][]netip.Addr, name string) ([]netip.Addr, bool) {
	if a, ok := names[name]; ok {
		return a, true
	}
	for {
		_, parent, ok := strings.Cut(name, ".")
		if !ok {
			return nil, false
		}
		if a, ok := names["*."+parent]; ok {
			return a, true
		}
		name = parent
	}
}

// own tells whether a name is in a zone that nobody else is asked about.
func (c *Config) own(view View, name string) bool {
	if view.PrivateZone != "" && within(name, view.PrivateZone) {
		return true
	}
	for _, z := range c.Zones {
		if within(name, z) {
			return true
		}
	}
	return false
}

func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// reverse answers the name of a private address; false for any other.
func reverse(view View, c *Config, name, asked string, m *dns.Msg) bool {
	digits, ok := strings.CutSuffix(name, ".in-addr.arpa")
	if !ok || view.PrivateZone == "" {
		return false
	}
	parts := strings.Split(digits, ".")
	if len(parts) != 4 {
		return false
	}
	a, err := netip.ParseAddr(parts[3] + "." + parts[2] + "." + parts[1] + "." + parts[0])
	if err != nil || !a.IsPrivate() {
		return false
	}
	host := "ip-" + strings.ReplaceAll(a.String(), ".", "-") + "." + view.PrivateZone + "."
	m.Answer = append(m.Answer, &dns.PTR{Hdr: dns.RR_Header{Name: asked, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: c.ttl()}, Ptr: host})
	return true
}

func (c *Config) ttl() uint32 {
	if c.TTL == 0 {
		return uint32(defaultTTL / time.Second)
	}
	return uint32(c.TTL / time.Second)
}

// forward asks the machine's resolvers, one after the other.
func (s *Server) forward(ctx context.Context, c *Config, r, failed *dns.Msg) *dns.Msg {
	if len(c.Upstreams) == 0 {
		failed.Rcode = dns.RcodeNameError
		return failed
	}
	for _, up := range c.Upstreams {
		client := &dns.Client{Timeout: upstreamTimeout}
		m, _, err := client.ExchangeContext(ctx, r.Copy(), up)
		if err == nil && m.Truncated {
			client.Net = "tcp"
			m, _, err = client.ExchangeContext(ctx, r.Copy(), up)
		}
		if err == nil {
			m.Id = r.Id
			return m
		}
		s.log.Debug("resolver does not answer", "resolver", up, "error", err)
	}
	failed.Rcode = dns.RcodeServerFailure
	return failed
}

// SystemUpstreams returns the resolvers of a resolv.conf; a stub on loopback is
// left in, because the question is asked from the machine itself. A file that
// is not there names none.
func SystemUpstreams(resolvConf string) []string {
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil
	}
	var out []string
	for _, server := range conf.Servers {
		out = append(out, net.JoinHostPort(server, conf.Port))
	}
	return out
}
