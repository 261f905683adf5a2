// Package networktest is the contract of network.Network: every implementation
// passes Run, and one that carries packets passes Packets too.
package networktest

import (
	"net/netip"

	"minato/dataplane/network"
)

// Factory opens a network with the given pool of public addresses; open is called
// again to see what a new process makes of what an earlier one left.
type Factory func(pool netip.Prefix) (network.Network, error)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var anywhere = prefix("0.0.0.0/0")

func from(cidr string, port int) network.Rule {
	return network.Rule{Protocol: network.TCP, FromPort: port, ToPort: port, CIDR: prefix(cidr)}
}

func fromGroup(group string, port int) network.Rule {
	return network.Rule{Protocol: network.TCP, FromPort: port, ToPort: port, Group: group}
}

func all() []network.Rule { return []network.Rule{{Protocol: network.All, CIDR: anywhere}} }

// public is the n-th address of a pool that may be given away.
func public(pool netip.Prefix, n int) netip.Addr {
	a := network.FirstAssignable(pool)
	for range n {
		a = a.Next()
	}
	return a
}

// vpc is the hands-on's: two public and two private subnets, a NAT gateway, and
// groups that let the load balancer reach the web tasks and those the database.
// Its public addresses are first, first+1, …
func vpc(id string, pool netip.Prefix, first int) network.VPC {
	return network.VPC{
		ID: id, CIDRs: []netip.Prefix{prefix("10.0.0.0/16")}, InternetGateway: true,
		Subnets: []network.Subnet{
			{ID: id + "-public", CIDR: prefix("10.0.0.0/24"), RouteTable: id + "-rtb-public"},
			{ID: id + "-private-a", CIDR: prefix("10.0.2.0/24"), RouteTable: id + "-rtb-private"},
			{ID: id + "-private-c", CIDR: prefix("10.0.3.0/24"), RouteTable: id + "-rtb-private"},
		},
		RouteTables: []network.RouteTable{
			{ID: id + "-rtb-public", Routes: []network.Route{{Destination: anywhere, Kind: network.ToInternet}}},
			{ID: id + "-rtb-private", Routes: []network.Route{{Destination: anywhere, Kind: network.ToNATGateway, Target: id + "-nat"}}},
		},
		NATGateways: []network.NATGateway{
			{ID: id + "-nat", Interface: id + "-eni-nat", Subnet: id + "-public", Addr: addr("10.0.0.9"), Public: public(pool, first)},
		},
		Groups: []network.Group{
			{ID: id + "-lb", Ingress: []network.Rule{from("0.0.0.0/0", 80)}, Egress: all()},
			{ID: id + "-web", Ingress: []network.Rule{fromGroup(id+"-lb", 80), {Protocol: network.ICMP, FromPort: 8, ToPort: -1, Group: id + "-web"}}, Egress: all()},
			{ID: id + "-db", Ingress: []network.Rule{fromGroup(id+"-web", 3306)}, Egress: all()},
		},
		Interfaces: []network.Interface{
			{ID: id + "-alb", Subnet: id + "-public", Addr: addr("10.0.0.20"), Public: public(pool, first+1), Groups: []string{id + "-lb"}, Inside: true},
			{ID: id + "-pub", Subnet: id + "-public", Addr: addr("10.0.0.21"), Public: public(pool, first+2), Groups: []string{id + "-lb"}},
			{ID: id + "-nopub", Subnet: id + "-public", Addr: addr("10.0.0.22"), Groups: []string{id + "-lb"}},
			{ID: id + "-web1", Subnet: id + "-private-a", Addr: addr("10.0.2.11"), Groups: []string{id + "-web"}},
			{ID: id + "-web2", Subnet: id + "-private-c", Addr: addr("10.0.3.11"), Groups: []string{id + "-web"}},
			{ID: id + "-db", Subnet: id + "-private-a", Addr: addr("10.0.2.12"), Groups: []string{id + "-db"}},
		},
		Services: []network.Service{
			{Addr: addr("10.0.0.2"), Protocol: network.UDP, Port: 53},
			{Addr: addr("169.254.170.2"), Protocol: network.TCP, Port: 80},
		},
	}
}

// clone copies a VPC deep enough to be changed by a test.
func clone(v network.VPC) network.VPC {
	v.Interfaces = append([]network.Interface(nil), v.Interfaces...)
	v.Groups = append([]network.Group(nil), v.Groups...)
	v.Subnets = append([]network.Subnet(nil), v.Subnets...)
	v.RouteTables = append([]network.RouteTable(nil), v.RouteTables...)
	v.NATGateways = append([]network.NATGateway(nil), v.NATGateways...)
	return v
}
