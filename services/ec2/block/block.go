// Package block is IPv4 blocks as EC2 reads them, and counting in them.
package block

import (
	"net/netip"

	"minato/aws"
)

// Parse parses a CIDR and gives it its canonical form, as EC2 does.
func Parse(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return p, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", text)
	}
	return p.Masked(), nil
}

// Nth is the n-th address of a block.
func Nth(cidr netip.Prefix, n int) netip.Addr {
	b := cidr.Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// Offset is the place of an address in its block.
func Offset(cidr netip.Prefix, a netip.Addr) int {
	x, y := cidr.Addr().As4(), a.As4()
	n := 0
	for i := range x {
		n = n<<8 + int(y[i]) - int(x[i])
	}
	return n
}
