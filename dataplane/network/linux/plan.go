package linux

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	"minato/dataplane/network"
)

// Names of links within our namespaces, and the tables of routes.
const (
	uplinkName  = "igw"
	nullLink    = "lo" // what is routed here leads nowhere: the rules count and drop it
	insideTable = 100  // what is inside the VPC; asked before any route table
	insideRule  = 100  // priority of the rule that asks it
	subnetRule  = 1000 // priority of the rules that choose a route table
)

// plan is everything of one VPC, computed from its configuration alone.
type plan struct {
	local  map[netip.Addr]bool   // addresses of the VPC's own namespace, on lo
	eths   map[string]eth        // interfaces with a namespace of their own, by id
	routes map[routeKey]routeVal // in the VPC's namespace
	rules  map[netip.Prefix]int  // subnet to the table of its route table
	uplink bool                  // there is a way to the hub
	public map[netip.Addr]bool   // public addresses that live here
	loose  map[string]bool       // links through which others' packets come
	rs     *ruleset
}

// eth is an interface with a namespace of its own.
type eth struct {
	id     string
	link   string // its end in the VPC
	addr   netip.Prefix
	router netip.Addr
	mac    string
	nat    bool // a NAT gateway
}

// digest marks a finished interface; a different one is made again.
func (e eth) digest() string {
	return fmt.Sprintf("%s %s %s %t", e.id, e.addr, e.mac, e.nat)
}

type routeKey struct {
	table int
	dst   netip.Prefix
}

// routeVal is where a route leads: out of dev, to the neighbour via if it is set.
type routeVal struct {
	dev string
	via netip.Addr
	src netip.Addr
}

// linkName shortens an id to what fits a link's name (15 characters).
func linkName(prefix, id string) string {
	sum := sha256.Sum256([]byte(id))
	return prefix + hex.EncodeToString(sum[:])[:14-len(prefix)]
}

// tableOf numbers a route table.
func tableOf(id string) int {
	sum := sha256.Sum256([]byte(id))
	return 0x10000 + int(binary.BigEndian.Uint32(sum[:])>>2)
}

// hwAddr is the MAC of an interface, made from its id if none is given.
func hwAddr(mac net.HardwareAddr, id string) string {
	if len(mac) == 6 {
		return mac.String()
	}
	sum := sha256.Sum256([]byte(id))
	return net.HardwareAddr(append([]byte{0x02}, sum[:5]...)).String()
}

// makePlan computes the plan of a VPC. It refuses a configuration that
// contradicts itself.
func makePlan(v *network.VPC) (*plan, error) {
	p := &plan{
		local: map[netip.Addr]bool{}, eths: map[string]eth{}, routes: map[routeKey]routeVal{},
		rules: map[netip.Prefix]int{}, uplink: v.InternetGateway, public: map[netip.Addr]bool{}, loose: map[string]bool{},
	}
	subnets := map[string]network.Subnet{}
	for _, s := range v.Subnets {
		if !s.CIDR.IsValid() || !s.CIDR.Addr().Is4() {
			return nil, fmt.Errorf("subnet %s: %s is no IPv4 range", s.ID, s.CIDR)
		}
		subnets[s.ID] = s
		p.local[s.CIDR.Masked().Addr().Next()] = true
		p.rules[s.CIDR.Masked()] = tableOf(s.RouteTable)
	}
	for _, c := range v.CIDRs {
		p.routes[routeKey{insideTable, c.Masked()}] = routeVal{dev: nullLink}
	}
	for _, s := range v.Services {
		p.local[s.Addr] = true
	}
	seen := map[netip.Addr]string{}
	place := func(id, subnet string, addr netip.Addr) (network.Subnet, error) {
		s, ok := subnets[subnet]
		if !ok || !s.CIDR.Contains(addr) {
			return s, fmt.Errorf("interface %s: %s is not in subnet %q", id, addr, subnet)
		}
		if other := seen[addr]; other != "" || p.local[addr] {
			return s, fmt.Errorf("interface %s: %s is taken by %q", id, addr, other)
		}
		seen[addr] = id
		return s, nil
	}
	separate := func(id string, s network.Subnet, addr netip.Addr, mac net.HardwareAddr, nat bool) eth {
		e := eth{
			id: id, link: linkName("e", id), addr: netip.PrefixFrom(addr, s.CIDR.Bits()),
			router: s.CIDR.Masked().Addr().Next(), mac: hwAddr(mac, id), nat: nat,
		}
		p.eths[id] = e
		p.routes[routeKey{insideTable, netip.PrefixFrom(addr, 32)}] = routeVal{dev: e.link, src: e.router}
		return e
	}
	for _, e := range v.Interfaces {
		s, err := place(e.ID, e.Subnet, e.Addr)
		if err != nil {
			return nil, err
		}
		if !e.Inside {
			if eth := separate(e.ID, s, e.Addr, e.MAC, false); e.Forward {
				p.loose[eth.link] = true
			}
		}
		if e.Public.IsValid() && v.InternetGateway {
			p.public[e.Public] = true
		}
	}
	for _, e := range v.Interfaces {
		if e.Inside {
			p.local[e.Addr] = true
		}
	}
	gateways := map[string]eth{}
	for _, n := range v.NATGateways {
		s, err := place(n.Interface, n.Subnet, n.Addr)
		if err != nil {
			return nil, err
		}
		e := separate(n.Interface, s, n.Addr, n.MAC, true)
		p.loose[e.link] = true
		gateways[n.ID] = e
		if n.Public.IsValid() && v.InternetGateway {
			p.public[n.Public] = true
		}
	}
	for _, e := range v.Endpoints {
		p.eths[e.ID] = eth{id: e.ID, link: linkName("e", e.ID), addr: netip.PrefixFrom(e.Addr, 32), router: hubSide, mac: hwAddr(nil, e.ID)}
	}
	for _, t := range v.RouteTables {
		table := tableOf(t.ID)
		p.routes[routeKey{table, netip.PrefixFrom(netip.IPv4Unspecified(), 0)}] = routeVal{dev: nullLink}
		for _, r := range t.Routes {
			val := routeVal{dev: nullLink}
			switch r.Kind {
			case network.ToInternet:
				if v.InternetGateway {
					val = routeVal{dev: uplinkName, via: hubSide}
				}
			case network.ToNATGateway:
				if e, ok := gateways[r.Target]; ok {
					val = routeVal{dev: e.link, via: e.addr.Addr()}
				}
			case network.ToEndpoint:
				if e, ok := p.eths[r.Target]; ok {
					val = routeVal{dev: e.link}
				}
			case network.ToInterface:
				if e, ok := p.eths[r.Target]; ok {
					val = routeVal{dev: e.link, via: e.addr.Addr()}
				}
			}
			p.routes[routeKey{table, r.Destination.Masked()}] = val
		}
	}
	p.rs = makeRules(v, p)
	return p, nil
}

// allows tells whether the first rule of an ACL lets everything pass, as the
// default ACL's does; such an ACL costs nothing.
func allows(rules []network.ACLRule) bool {
	if len(rules) == 0 {
		return false
	}
	first := rules[0]
	for _, r := range rules {
		if r.Number < first.Number {
			first = r
		}
	}
	return first.Allow && first.Protocol == network.All && first.CIDR.Bits() == 0
}

// macAddr parses a MAC that hwAddr made.
func macAddr(s string) net.HardwareAddr {
	m, err := net.ParseMAC(s)
	if err != nil {
		panic(err) // hwAddr's own form
	}
	return bytes.Clone(m)
}
