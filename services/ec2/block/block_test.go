package block

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/16": "10.0.0.0/16", "10.0.3.7/16": "10.0.0.0/16", "0.0.0.0/0": "0.0.0.0/0",
		"": "", "10.0.0.0": "", "10.0.0.0/33": "", "::/0": "", "10.0.0.0/16 ": "",
	} {
		p, err := Parse(text)
		if want == "" {
			if !aws.IsCode(err, "InvalidParameterValue") {
				t.Errorf("%q: %v, %v", text, p, err)
			}
			continue
		}
		if err != nil || p.String() != want {
			t.Errorf("%q: %v, %v; want %s", text, p, err, want)
		}
	}
}

// TestNthAndOffset counts there and back again.
func TestNthAndOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(8, 28).Draw(t, "bits")
		b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte(b)), bits).Masked()
		n := rapid.IntRange(0, 1<<(32-bits)-1).Draw(t, "n")
		a := Nth(p, n)
		if !p.Contains(a) || Offset(p, a) != n {
			t.Fatalf("the %d-th of %v is %v, which is its %d-th", n, p, a, Offset(p, a))
		}
	})
}
