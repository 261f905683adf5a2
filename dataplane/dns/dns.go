// Package dns is the resolver of the VPCs: the one that answers at the second
// address after a VPC's base and at 169.254.169.253.
//
// It is handed the names of ours and knows no AWS. A name may mean one address in
// the VPC it lives in and another everywhere else (a database is private at home,
// a public one has its public address elsewhere). Names below a zone of ours that
// nobody has do not exist; everything else is asked of the machine's own
// resolvers, if it has any.
//
// Each VPC's view is separate: the name of a private interface (ip-10-0-2-11.…)
// is answered for the VPC's own ranges only, and the same name may mean different
// things in two VPCs.
package dns

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Config is the whole wanted state. Whoever hands it over must not change it
// afterwards.
type Config struct {
	// VPCs are the networks that are served.
	VPCs []VPC
	// Names are the names of ours.
	Names []Name
	// Zones are the domains that are ours alone: what is below one and not among
	// the names does not exist.
	Zones []string
}

// VPC is one network with a resolver.
type VPC struct {
	ID    string
	CIDRs []netip.Prefix
	// Listen are the resolver's addresses inside the VPC.
	Listen []netip.Addr
	// Domain is the domain of the interfaces' own names: "ec2.internal" makes
	// 10.0.2.11 the address of ip-10-0-2-11.ec2.internal, and that its name.
	Domain string
}

// Name is one name and its addresses.
type Name struct {
	Name string // without the dot at the end
	// Addrs are the addresses for everybody; none: the name exists only in Inside.
	Addrs []netip.Addr
	// Inside are other addresses, by the VPC that sees them.
	Inside map[string][]netip.Addr
	TTL    time.Duration // 0 means a minute
}

// Sockets opens the resolver's sockets inside the VPCs; network.Network is one.
type Sockets interface {
	Listen(ctx context.Context, vpc string, addr netip.AddrPort) (net.Listener, error)
	ListenPacket(ctx context.Context, vpc string, addr netip.AddrPort) (net.PacketConn, error)
}
