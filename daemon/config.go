// Package daemon builds minato from its rooms, in an order whose reasons are
// written where it happens, and takes it down again. It is the only package
// that imports the world.
package daemon

import (
	"fmt"
	"net/netip"
	"regexp"
)

// Config is what `minato up` was told.
type Config struct {
	DataDir         string
	Listen          string       // address of the API, such as 127.0.0.1:4566
	Region          string       // the one region that runs here
	Account         string       // 12 digits
	PublicCIDR      netip.Prefix // pool of public addresses; invalid is what the instance has, or the default
	Pace            float64      // divides waits in which nothing works
	HostNames       bool         // put AWS's names into /etc/hosts and our CA into /etc/docker/certs.d
	LAN             bool         // let tasks reach private ranges of the machine's LAN
	DevCredentials  bool         // any key, signature unchecked
	RetiredVersions string       // "refuse" or "accept"
	Record          string       // file that every HTTP operation is written to, for docs/coverage.md
}

// DefaultPublicCIDR is the pool of public addresses of an instance that was told
// no other: half of the benchmarking range of RFC 2544, which is on no LAN.
var DefaultPublicCIDR = netip.MustParsePrefix("198.18.0.0/16")

// Defaults are the flags' defaults.
func Defaults() Config {
	return Config{
		Listen: "127.0.0.1:4566", Region: "us-east-1", Account: "000000000000",
		Pace: 1, HostNames: true, RetiredVersions: "refuse",
	}
}

var (
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
)

// Check returns what is wrong with the configuration, as the user gave it.
func (c Config) Check() error {
	switch {
	case !accountPattern.MatchString(c.Account):
		return fmt.Errorf("--account %q: an account has 12 digits", c.Account)
	case !regionPattern.MatchString(c.Region):
		return fmt.Errorf("--region %q: not a region's name, such as us-east-1", c.Region)
	case c.Pace < 1:
		return fmt.Errorf("--pace %v: 1 is AWS's own pace, more is faster; less is not possible", c.Pace)
	case c.RetiredVersions != "refuse" && c.RetiredVersions != "accept":
		return fmt.Errorf("--retired-versions %q: refuse or accept", c.RetiredVersions)
	case c.PublicCIDR.IsValid() && (!c.PublicCIDR.Addr().Is4() || c.PublicCIDR.Bits() > 24 || c.PublicCIDR.Bits() < 12):
		return fmt.Errorf("--public-cidr %v: an IPv4 range from /12 to /24, such as 198.18.0.0/16", c.PublicCIDR)
	}
	addr, err := netip.ParseAddrPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: an address and a port, such as 127.0.0.1:4566", c.Listen)
	}
	if !addr.Addr().IsLoopback() {
		return fmt.Errorf("--listen %s: off loopback the API needs TLS, which is not built yet; use 127.0.0.1 and a tunnel", c.Listen)
	}
	return nil
}
