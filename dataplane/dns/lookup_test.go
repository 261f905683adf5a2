package dns

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"
)

func TestLookup(t *testing.T) {
	s := New(slog.New(slog.DiscardHandler))
	s.Set(&Config{
		Names: map[string][]netip.Addr{"registry.example": addrs("192.0.2.7", "192.0.2.8"), "none.example": nil},
		Views: map[string]View{"vpc-a": {Names: map[string][]netip.Addr{"db.example": addrs("10.0.0.9")}}, "vpc-off": {Off: true}},
	})
	for _, c := range []struct {
		vpc, name string
		want      int
		text      string
	}{
		{"vpc-a", "registry.example", 2, ""},
		{"vpc-a", "Registry.Example.", 2, ""},
		{"vpc-a", "db.example", 1, ""},
		{"vpc-b", "db.example", 0, "lookup db.example on 169.254.169.253:53: no such host"},
		{"vpc-a", "none.example", 0, "lookup none.example on 169.254.169.253:53: no such host"},
		{"vpc-off", "registry.example", 0, "lookup registry.example on 169.254.169.253:53: server misbehaving"},
		{"vpc-a", "..", 0, "lookup .. on 169.254.169.253:53: no such host"},
	} {
		got, err := s.Lookup(t.Context(), c.vpc, c.name)
		var failed *net.DNSError
		if len(got) != c.want || c.text != "" && (!errors.As(err, &failed) || err.Error() != c.text) || c.text == "" && err != nil {
			t.Errorf("%s in %s: %v, %v; want %d addresses, %q", c.name, c.vpc, got, err, c.want, c.text)
		}
	}
}
