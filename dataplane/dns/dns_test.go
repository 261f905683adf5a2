package dns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// serve starts a server for one VPC on loopback and returns its address.
func serve(t *testing.T, vpc string, c *Config) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := New(slog.New(slog.DiscardHandler))
	s.Set(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, vpc, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return udp.LocalAddr().String()
}

func ask(t *testing.T, network, server, name string, kind uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, kind)
	r, _, err := (&dns.Client{Net: network, Timeout: time.Minute}).Exchange(m, server)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

func TestAnswers(t *testing.T) {
	up := serve(t, "", &Config{Names: map[string][]netip.Addr{"example.org": addrs("192.0.2.7")}, Zones: []string{"org"}})
	server := serve(t, "vpc-a", &Config{
		Names: map[string][]netip.Addr{"lb.elb.amazonaws.com": addrs("198.19.0.20", "198.19.0.21"), "db.rds.amazonaws.com": addrs("198.19.0.30"), "*.s3.amazonaws.com": addrs("198.18.0.3"), "1.dkr.amazonaws.com": addrs("198.18.0.1")},
		Views: map[string]View{
			"vpc-a": {Names: map[string][]netip.Addr{"db.rds.amazonaws.com": addrs("10.0.2.9"), "*.dkr.amazonaws.com": addrs("10.0.2.8")}, PrivateZone: "ec2.internal"},
			"vpc-b": {Names: map[string][]netip.Addr{"only.b": addrs("10.9.9.9")}},
		},
		Zones: []string{"rds.amazonaws.com", "s3.amazonaws.com"}, Upstreams: []string{up},
	})
	for _, c := range []struct {
		name  string
		kind  uint16
		rcode int
		want  []string
	}{
		{"lb.elb.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{"198.19.0.20", "198.19.0.21"}},
		{"LB.elb.AmazonAWS.com.", dns.TypeA, dns.RcodeSuccess, []string{"198.19.0.20", "198.19.0.21"}},
		{"lb.elb.amazonaws.com.", dns.TypeAAAA, dns.RcodeSuccess, nil},
		{"db.rds.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{"10.0.2.9"}},
		{"other.rds.amazonaws.com.", dns.TypeA, dns.RcodeNameError, nil},
		{"a.s3.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{"198.18.0.3"}},
		{"a.b.s3.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{"198.18.0.3"}},
		{"s3.amazonaws.com.", dns.TypeA, dns.RcodeNameError, nil},
		{"1.dkr.amazonaws.com.", dns.TypeA, dns.RcodeSuccess, []string{"10.0.2.8"}}, // the view's first
		{"only.b.", dns.TypeA, dns.RcodeNameError, nil},
		{"ip-10-0-2-9.ec2.internal.", dns.TypeA, dns.RcodeSuccess, []string{"10.0.2.9"}},
		{"nothing.ec2.internal.", dns.TypeA, dns.RcodeNameError, nil},
		{"example.org.", dns.TypeA, dns.RcodeSuccess, []string{"192.0.2.7"}},
		{"missing.org.", dns.TypeA, dns.RcodeNameError, nil},
		{"9.2.0.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, []string{"ip-10-0-2-9.ec2.internal."}},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m := ask(t, network, server, c.name, c.kind)
			var got []string
			for _, rr := range m.Answer {
				switch rr := rr.(type) {
				case *dns.A:
					got = append(got, rr.A.String())
				case *dns.PTR:
					got = append(got, rr.Ptr)
				}
			}
			if m.Rcode != c.rcode || len(got) != len(c.want) {
				t.Errorf("%s %s: %s %v, want %s %v", network, c.name, dns.RcodeToString[m.Rcode], got, dns.RcodeToString[c.rcode], c.want)
				continue
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%s %s: %v, want %v", network, c.name, got, c.want)
				}
			}
		}
	}
}

func TestNoResolver(t *testing.T) {
	server := serve(t, "vpc-a", &Config{})
	if m := ask(t, "udp", server, "example.org.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("without a resolver: %s", dns.RcodeToString[m.Rcode])
	}
	dead := serve(t, "vpc-a", &Config{Upstreams: []string{"127.0.0.1:1"}})
	if m := ask(t, "udp", dead, "example.org.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("with a dead resolver: %s", dns.RcodeToString[m.Rcode])
	}
}

func TestOff(t *testing.T) {
	server := serve(t, "vpc-a", &Config{Names: map[string][]netip.Addr{"a.b": addrs("192.0.2.1")}, Views: map[string]View{"vpc-a": {Off: true}}})
	if m := ask(t, "udp", server, "a.b.", dns.TypeA); m.Rcode != dns.RcodeRefused {
		t.Errorf("with DNS off: %s", dns.RcodeToString[m.Rcode])
	}
}

// TestTruncated: an answer too large for UDP is cut and marked, and whole by TCP.
func TestTruncated(t *testing.T) {
	var many []netip.Addr
	for i := range 100 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	server := serve(t, "vpc-a", &Config{Names: map[string][]netip.Addr{"many.a": many}})
	if m := ask(t, "udp", server, "many.a.", dns.TypeA); !m.Truncated || len(m.Answer) >= 100 {
		t.Errorf("by UDP: truncated %v, %d answers", m.Truncated, len(m.Answer))
	}
	if m := ask(t, "tcp", server, "many.a.", dns.TypeA); m.Truncated || len(m.Answer) != 100 {
		t.Errorf("by TCP: truncated %v, %d answers", m.Truncated, len(m.Answer))
	}
}

func TestSystemUpstreams(t *testing.T) {
	name := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(name, []byte("search a.b\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := SystemUpstreams(name)
	if len(got) != 2 || got[0] != "192.0.2.53:53" || got[1] != "[2001:db8::53]:53" {
		t.Errorf("got %v", got)
	}
	if got := SystemUpstreams(name + ".missing"); got != nil {
		t.Errorf("a missing file gives %v", got)
	}
}
