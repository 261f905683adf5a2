package dns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// loopback opens the VPCs' sockets on loopback and remembers where.
type loopback struct {
	udp, tcp map[string]string
	refuse   bool
}

func (l *loopback) Listen(_ context.Context, vpc string, addr netip.AddrPort) (net.Listener, error) {
	s, err := net.Listen("tcp4", "127.0.0.1:0")
	if err == nil {
		l.tcp[vpc+" "+addr.String()] = s.Addr().String()
	}
	return s, err
}

func (l *loopback) ListenPacket(_ context.Context, vpc string, addr netip.AddrPort) (net.PacketConn, error) {
	if l.refuse {
		return nil, fmt.Errorf("VPC %s is not there", vpc)
	}
	s, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err == nil {
		l.udp[vpc+" "+addr.String()] = s.LocalAddr().String()
	}
	return s, err
}

func addrs(s ...string) (out []netip.Addr) {
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func config() *Config {
	vpc := func(id string) VPC {
		return VPC{ID: id, CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, Listen: addrs("10.0.0.2"), Domain: "ec2.internal"}
	}
	return &Config{
		VPCs:  []VPC{vpc("a"), vpc("b")},
		Zones: []string{"rds.amazonaws.com"},
		Names: []Name{
			{Name: "chat-1.us-east-1.elb.amazonaws.com", Addrs: addrs("198.18.0.20", "198.18.0.21")},
			{Name: "chat-db.x.us-east-1.rds.amazonaws.com", Inside: map[string][]netip.Addr{"a": addrs("10.0.2.12")}, TTL: 5 * time.Second},
			{Name: "open-db.x.us-east-1.rds.amazonaws.com", Addrs: addrs("198.18.0.30"), Inside: map[string][]netip.Addr{"a": addrs("10.0.2.13")}},
		},
	}
}

func start(t *testing.T, resolvConf string) (*Server, *loopback) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte(resolvConf), 0o644); err != nil {
		t.Fatal(err)
	}
	l := &loopback{udp: map[string]string{}, tcp: map[string]string{}}
	s := New(Options{Sockets: l, ResolvConf: file})
	t.Cleanup(func() { s.Close() })
	if err := s.Set(t.Context(), config()); err != nil {
		t.Fatal(err)
	}
	return s, l
}

func ask(t *testing.T, network, server, name string, typ uint16) string {
	t.Helper()
	m := new(dns.Msg).SetQuestion(dns.Fqdn(name), typ)
	client := dns.Client{Net: network, Timeout: 2 * time.Second}
	answer, _, err := client.Exchange(m, server)
	if err != nil {
		return err.Error()
	}
	out := []string{dns.RcodeToString[answer.Rcode]}
	for _, rr := range answer.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			out = append(out, rr.A.String())
		case *dns.PTR:
			out = append(out, rr.Ptr)
		default:
			out = append(out, rr.String())
		}
	}
	slices.Sort(out[1:])
	return strings.Join(out, " ")
}

func TestAnswers(t *testing.T) {
	_, l := start(t, "")
	for _, c := range []struct {
		vpc, name string
		typ       uint16
		want      string
	}{
		{"a", "chat-1.us-east-1.elb.amazonaws.com", dns.TypeA, "NOERROR 198.18.0.20 198.18.0.21"},
		{"b", "CHAT-1.us-EAST-1.elb.amazonaws.com", dns.TypeA, "NOERROR 198.18.0.20 198.18.0.21"},
		{"a", "chat-1.us-east-1.elb.amazonaws.com", dns.TypeAAAA, "NOERROR"},
		{"a", "chat-db.x.us-east-1.rds.amazonaws.com", dns.TypeA, "NOERROR 10.0.2.12"},
		{"b", "chat-db.x.us-east-1.rds.amazonaws.com", dns.TypeA, "NXDOMAIN"},
		{"a", "open-db.x.us-east-1.rds.amazonaws.com", dns.TypeA, "NOERROR 10.0.2.13"},
		{"b", "open-db.x.us-east-1.rds.amazonaws.com", dns.TypeA, "NOERROR 198.18.0.30"},
		{"a", "no-db.x.us-east-1.rds.amazonaws.com", dns.TypeA, "NXDOMAIN"},
		{"a", "ip-10-0-2-11.ec2.internal", dns.TypeA, "NOERROR 10.0.2.11"},
		{"a", "ip-192-168-0-1.ec2.internal", dns.TypeA, "NXDOMAIN"},
		{"a", "11.2.0.10.in-addr.arpa", dns.TypePTR, "NOERROR ip-10-0-2-11.ec2.internal."},
		{"a", "example.com", dns.TypeA, "SERVFAIL"}, // nobody to ask
	} {
		for network, servers := range map[string]map[string]string{"udp": l.udp, "tcp": l.tcp} {
			if got := ask(t, network, servers[c.vpc+" 10.0.0.2:53"], c.name, c.typ); got != c.want {
				t.Errorf("%s in %s by %s: %s, want %s", c.name, c.vpc, network, got, c.want)
			}
		}
	}
}

func TestForwards(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(192, 0, 2, 1)}}
		w.WriteMsg(m)
	})}
	go srv.ActivateAndServe()
	defer srv.Shutdown()
	s, l := start(t, "nameserver 127.0.0.1\n")
	s.up.list()
	s.up.mu.Lock()
	s.up.servers = []string{pc.LocalAddr().String()} // resolv.conf knows no ports
	s.up.mu.Unlock()
	if got := ask(t, "udp", l.udp["a 10.0.0.2:53"], "example.com", dns.TypeA); got != "NOERROR 192.0.2.1" {
		t.Error(got)
	}
	if got := ask(t, "udp", l.udp["a 10.0.0.2:53"], "x.rds.amazonaws.com", dns.TypeA); got != "NXDOMAIN" {
		t.Errorf("a name of ours was asked elsewhere: %s", got)
	}
}

func TestSocketsComeAndGo(t *testing.T) {
	s, l := start(t, "")
	l.refuse = true
	c := config()
	c.VPCs[0].Listen = addrs("10.0.0.2", "169.254.169.253")
	c.VPCs = c.VPCs[:1]
	if err := s.Set(t.Context(), c); err == nil {
		t.Error("a socket that cannot be opened is no error")
	}
	if got := ask(t, "udp", l.udp["b 10.0.0.2:53"], "ip-10-0-2-11.ec2.internal", dns.TypeA); !strings.Contains(got, "refused") {
		t.Errorf("the resolver of a VPC that is gone answers: %s", got)
	}
	l.refuse = false
	if err := s.Set(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "udp", l.udp["a 169.254.169.253:53"], "ip-10-0-2-11.ec2.internal", dns.TypeA); got != "NOERROR 10.0.2.11" {
		t.Error(got)
	}
}
