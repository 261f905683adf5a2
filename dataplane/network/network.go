// Package network is the data plane of VPCs: which address is where, and which
// packet may pass. It is handed the whole wanted state and makes it so; it knows
// no AWS, only networks, subnets, interfaces, groups of rules and routes, named
// by opaque ids.
//
// Package linux implements it with network namespaces and nftables; networktest
// holds the contract every implementation passes, and Fake, for the tests of
// others.
//
// What the contract promises:
//
//   - A packet that may not pass is dropped in silence: no reset, no ICMP. It is
//     counted, with its addresses and the reason, in Drops.
//   - Security groups are stateful, network ACLs are not. Both hold for
//     everybody: interfaces with a namespace of their own (containers), addresses
//     inside the VPC (load balancers), and the machine itself when it calls a
//     public address.
//   - A public address is translated 1:1 at the internet gateway of its VPC, so
//     inside there are private addresses only; between two public addresses, also
//     of one VPC, the source seen is the public one.
//   - Two VPCs may use the same addresses.
//   - What was Set goes on working while the process is dead.
package network

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Network is the data plane of all VPCs of one instance.
type Network interface {
	// Set makes c the wanted state and returns when it is real. The same state
	// twice is cheap. When a part fails the rest is still made and the error names
	// the part; the next Set tries it again. Calls are made one after the other;
	// whoever hands c over must not change it afterwards.
	Set(ctx context.Context, c *Config) error

	// Wait returns when the interface is real, or with ctx's error.
	Wait(ctx context.Context, eni string) error

	// NetnsPath returns where the namespace of an interface is pinned, for a
	// container to be started in. The file is there once Wait returned nil.
	NetnsPath(eni string) string

	// Lookup returns the interface that has a private address in a VPC; a
	// listener inside the VPC learns so who calls.
	Lookup(vpc string, addr netip.Addr) (eni string, ok bool)

	// Listen opens a listening TCP socket inside a VPC: on a private address of
	// an interface without a namespace of its own, or on one of the VPC's service
	// addresses (VPC.Services).
	Listen(ctx context.Context, vpc string, addr netip.AddrPort) (net.Listener, error)

	// ListenEndpoint opens a listening TCP socket at the address of an endpoint.
	ListenEndpoint(ctx context.Context, endpoint string, port uint16) (net.Listener, error)

	// ListenPacket is Listen for UDP.
	ListenPacket(ctx context.Context, vpc string, addr netip.AddrPort) (net.PacketConn, error)

	// Dial opens a TCP connection inside a VPC from a private address of an
	// interface without a namespace of its own. ctx carries the deadline.
	Dial(ctx context.Context, vpc string, from netip.Addr, to netip.AddrPort) (net.Conn, error)

	// Socket is a non-blocking TCP socket for such a connection, bound to from, for
	// who connects it and waits by himself. The fake has none (errors.ErrUnsupported).
	Socket(vpc string, from netip.Addr) (fd int, err error)

	// DialInterface opens a TCP connection from the namespace of an interface, as
	// what runs in it would: its groups, routes and ACL hold.
	DialInterface(ctx context.Context, eni string, to netip.AddrPort) (net.Conn, error)

	// Listening tells on which addresses and ports the programs in the namespace
	// of an interface accept TCP connections; an unspecified address stands for
	// all of them.
	Listening(ctx context.Context, eni string) ([]netip.AddrPort, error)

	// Drops reports the packets that were dropped in the last minutes, newest
	// first, one entry for each reason, source, destination and port.
	Drops(ctx context.Context) ([]Drop, error)

	// Close lets go of everything in this process and leaves the network running.
	Close() error

	// Purge removes every trace from the host: namespaces, links, rules, routes,
	// and settings that were changed.
	Purge(ctx context.Context) error
}

// Config is the whole wanted state.
type Config struct {
	VPCs []VPC
}

// VPC is a network of its own.
type VPC struct {
	ID    string
	CIDRs []netip.Prefix
	// InternetGateway says that one is attached.
	InternetGateway bool
	Subnets         []Subnet
	RouteTables     []RouteTable
	NATGateways     []NATGateway
	Endpoints       []Endpoint
	Groups          []Group
	ACLs            []ACL
	Interfaces      []Interface
	// Services are addresses and ports inside the VPC that every interface
	// reaches whatever its groups and routes say: DNS, metadata. Somebody Listens
	// there.
	Services []Service
}

// Service is a port that the VPC itself serves.
type Service struct {
	Addr     netip.Addr
	Protocol Protocol // TCP or UDP
	Port     uint16
}

// Subnet is a part of a VPC with one route table and one ACL. Its first address
// is the router.
type Subnet struct {
	ID         string
	CIDR       netip.Prefix
	RouteTable string
	ACL        string // "" lets everything pass
}

// RouteTable says where a subnet's packets go; the most specific route wins.
// The VPC's own CIDRs are always local.
type RouteTable struct {
	ID     string
	Routes []Route
}

// RouteKind says what a route leads to.
type RouteKind uint8

// The kinds of routes.
const (
	Blackhole    RouteKind = iota // what it led to is gone
	ToInternet                    // the VPC's internet gateway
	ToNATGateway                  // Target is the id of a NAT gateway
	ToInterface                   // Target is the id of an interface
	ToEndpoint                    // Target is the id of an endpoint
)

// Route leads packets for a destination somewhere.
type Route struct {
	Destination netip.Prefix
	Kind        RouteKind
	Target      string
}

// NATGateway lets a private subnet call out. It stands in a subnet like an
// interface (routes and ACL of that subnet hold for it) but has no groups.
type NATGateway struct {
	ID        string
	Interface string // id of its interface
	Subnet    string
	Addr      netip.Addr // private
	MAC       net.HardwareAddr
	Public    netip.Addr // zero for a private NAT gateway
}

// Endpoint is a way out of the VPC that leads to one address and nowhere else:
// who listens there (ListenEndpoint) serves those whose routes lead to it, and sees their
// private addresses.
type Endpoint struct {
	ID   string
	Addr netip.Addr
}

// Interface is an elastic network interface.
type Interface struct {
	ID     string
	Subnet string
	Addr   netip.Addr // private
	MAC    net.HardwareAddr
	Public netip.Addr // zero: none
	Groups []string
	// Unfiltered lets everything pass from and to the interface, as far as groups
	// are concerned; it is in none.
	Unfiltered bool
	// Inside makes the address one of the VPC's own namespace, for Listen and
	// Dial, instead of an interface with a namespace for a container.
	Inside bool
	// Forward lets packets pass that are neither from nor to the interface's own
	// addresses (the source/destination check is off).
	Forward bool
}

// Protocol is an IP protocol number; All stands for every one.
type Protocol int16

// Protocols with a name.
const (
	All  Protocol = -1
	ICMP Protocol = 1
	TCP  Protocol = 6
	UDP  Protocol = 17
)

// Group is a security group: what it does not allow does not pass.
type Group struct {
	ID      string
	Ingress []Rule
	Egress  []Rule
}

// Rule allows packets. Exactly one of CIDR and Group is set: the other side's
// address is in the CIDR, or is a private address of an interface of the group.
type Rule struct {
	Protocol Protocol
	// FromPort and ToPort are the range of destination ports for TCP and UDP; for
	// ICMP FromPort is the type and ToPort the code, -1 for any.
	FromPort, ToPort int
	CIDR             netip.Prefix
	Group            string
}

// ACL is a network ACL, held at the border of a subnet for every packet.
type ACL struct {
	ID      string
	Ingress []ACLRule
	Egress  []ACLRule
}

// ACLRule decides for the packets it matches; the lowest number first, and what
// no rule matches is dropped.
type ACLRule struct {
	Number           int
	Protocol         Protocol
	FromPort, ToPort int // as in Rule
	CIDR             netip.Prefix
	Allow            bool
}

// DropReason says why a packet did not pass.
type DropReason string

// The reasons.
const (
	DropIngress  DropReason = "ingress"   // no ingress rule of the destination's groups
	DropEgress   DropReason = "egress"    // no egress rule of the source's groups
	DropACL      DropReason = "acl"       // a network ACL
	DropNoRoute  DropReason = "no-route"  // the route table of the source's subnet has no usable route
	DropNoPublic DropReason = "no-public" // the route leads to the internet gateway, and the source has no public address
	DropNobody   DropReason = "nobody"    // no interface has the address
)

// Drop is one kind of packet that was dropped, as often as Packets says.
type Drop struct {
	VPC    string
	Reason DropReason
	// Interface is the one whose groups, subnet or missing address was the cause:
	// the destination's for DropIngress, else the source's where it is known.
	Interface string
	Groups    []string // of that interface, for DropIngress and DropEgress
	// SourceGroups are the groups of the interface that has, or had, the source's
	// address.
	SourceGroups []string
	RouteTable   string // of that interface's subnet, for DropNoRoute
	ACL          string // for DropACL
	Source       netip.Addr
	Destination  netip.Addr
	Protocol     Protocol
	Port         uint16 // destination port of TCP and UDP
	Packets      uint64
	Last         time.Time
}

// ServiceAddress is the address of a public pool at which the machine serves its
// own API: the first after the pool's own.
func ServiceAddress(pool netip.Prefix) netip.Addr { return pool.Masked().Addr().Next() }

// HostAddress is the address of a public pool from which the machine itself
// calls public addresses: the second.
func HostAddress(pool netip.Prefix) netip.Addr { return ServiceAddress(pool).Next() }

// ObjectsAddress is the address of a public pool at which the machine serves
// what has endpoints of its own (Endpoint): the third.
func ObjectsAddress(pool netip.Prefix) netip.Addr { return HostAddress(pool).Next() }

// FirstAssignable is the first address of a public pool that may be given away.
func FirstAssignable(pool netip.Prefix) netip.Addr {
	b := pool.Masked().Addr().As4()
	b[3] += 16
	return netip.AddrFrom4(b)
}
