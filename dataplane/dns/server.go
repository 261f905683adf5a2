package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/miekg/dns"
)

// Options is what a Server needs.
type Options struct {
	Sockets Sockets
	Log     *slog.Logger
	// ResolvConf names the file that lists the machine's own resolvers; "" means
	// /etc/resolv.conf.
	ResolvConf string
}

// Server is the resolver of all VPCs.
type Server struct {
	sockets Sockets
	log     *slog.Logger
	up      *upstream
	index   atomic.Pointer[index]

	mu   sync.Mutex
	open map[place][]*dns.Server
}

// place is where a socket pair is.
type place struct {
	vpc  string
	addr netip.Addr
}

// New makes a resolver that serves nothing yet.
func New(o Options) *Server {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	s := &Server{sockets: o.Sockets, log: o.Log, up: &upstream{file: o.ResolvConf}, open: map[place][]*dns.Server{}}
	s.index.Store(newIndex(&Config{}))
	return s
}

// Set makes c the wanted state. Names count at once. A socket that cannot be
// opened is in the error and tried again by the next Set; the VPC must have been
// Set in the network before.
func (s *Server) Set(ctx context.Context, c *Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.Store(newIndex(c))
	var errs []error
	wanted := map[place]bool{}
	for _, v := range c.VPCs {
		for _, a := range v.Listen {
			p := place{v.ID, a}
			wanted[p] = true
			if s.open[p] != nil {
				continue
			}
			if err := s.listen(ctx, p); err != nil {
				errs = append(errs, fmt.Errorf("resolver %s: %w", a, err))
			}
		}
	}
	for p := range s.open {
		if !wanted[p] {
			s.close(p)
		}
	}
	return errors.Join(errs...)
}

// Close closes every socket.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.open {
		s.close(p)
	}
	return nil
}

func (s *Server) close(p place) {
	for _, srv := range s.open[p] {
		srv.Shutdown()
	}
	delete(s.open, p)
}

func (s *Server) listen(ctx context.Context, p place) error {
	at := netip.AddrPortFrom(p.addr, 53)
	pc, err := s.sockets.ListenPacket(ctx, p.vpc, at)
	if err != nil {
		return err
	}
	l, err := s.sockets.Listen(ctx, p.vpc, at)
	if err != nil {
		pc.Close()
		return err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { s.serve(p.vpc, w, q) })
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: handler}, {Listener: l, Handler: handler}} {
		ready := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(ready) }
		go func() {
			if err := srv.ActivateAndServe(); err != nil {
				s.log.Warn("resolver stopped", "vpc", p.vpc, "address", p.addr, "error", err)
			}
		}()
		<-ready
		s.open[p] = append(s.open[p], srv)
	}
	return nil
}

// serve answers one question.
func (s *Server) serve(vpc string, w dns.ResponseWriter, q *dns.Msg) {
	udp := w.RemoteAddr().Network() == "udp"
	m := s.resolve(vpc, q, udp)
	if udp {
		size := dns.MinMsgSize
		if o := q.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	if err := w.WriteMsg(m); err != nil {
		s.log.Debug("resolver: answer not sent", "vpc", vpc, "error", err)
	}
}

func (s *Server) resolve(vpc string, q *dns.Msg, udp bool) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	if o := q.IsEdns0(); o != nil {
		m.SetEdns0(o.UDPSize(), false)
	}
	switch {
	case q.Opcode != dns.OpcodeQuery:
		m.Rcode = dns.RcodeNotImplemented
		return m
	case len(q.Question) != 1:
		m.Rcode = dns.RcodeFormatError
		return m
	}
	records, code, ours := s.index.Load().answer(vpc, q.Question[0])
	if !ours {
		answer, err := s.up.ask(q, udp)
		if err != nil {
			s.log.Debug("resolver: the machine's resolvers do not answer", "question", q.Question[0].Name, "error", err)
			m.Rcode = dns.RcodeServerFailure
			return m
		}
		return answer
	}
	m.Answer, m.Rcode = records, code
	if len(records) == 0 {
		m.Ns = []dns.RR{soa(q.Question[0].Name)}
	}
	return m
}

// soa says how long the absence of a name may be remembered.
func soa(name string) dns.RR {
	const keep = 5 // seconds: a name may come into being soon
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: keep},
		Ns:  "ns.minato.", Mbox: "root.minato.", Serial: 1, Refresh: 900, Retry: 900, Expire: 1800, Minttl: keep,
	}
}
