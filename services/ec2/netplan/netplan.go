// Package netplan computes from EC2's records what the data plane's network is to
// be. It is pure: the same records give the same network.
package netplan

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/dataplane/network"
	"minato/services/ec2/block"
	"minato/services/ec2/record"
)

// Addresses that a VPC serves to every interface in it.
var (
	resolverAddr     = netip.MustParseAddr("169.254.169.253")
	taskMetadataAddr = netip.MustParseAddr("169.254.170.2")
	metadataAddr     = netip.MustParseAddr("169.254.169.254")
)

// Inventory is every record the network is made of, of all accounts and regions.
type Inventory struct {
	VPCs       []record.VPC
	Subnets    []record.Subnet
	Gateways   []record.InternetGateway
	Tables     []record.RouteTable
	ACLs       []record.NetworkACL
	Groups     []record.SecurityGroup
	Interfaces []record.NetworkInterface
	NATs       []record.NATGateway
	Endpoints  []record.VPCEndpoint
	// Objects is the address of the service that gateway endpoints lead to.
	Objects netip.Addr
}

// Plan turns records into what the data plane is to be. A record that it
// cannot read is left out and named in the error; the rest is planned.
func Plan(inv *Inventory) (*network.Config, error) {
	p := &planner{Inventory: inv, index: map[string]int{}}
	p.vpcs()
	p.ways()
	p.filters()
	p.interfaces()
	return &p.config, errors.Join(p.errs...)
}

// planner is a plan that is being made.
type planner struct {
	*Inventory
	config network.Config
	index  map[string]int // of a VPC's place in the config, by id
	errs   []error
}

// in calls f with the VPC that a record is in, if that is planned.
func (p *planner) in(vpc string, f func(*network.VPC) error) {
	i, ok := p.index[vpc]
	if !ok {
		return
	}
	if err := f(&p.config.VPCs[i]); err != nil {
		p.errs = append(p.errs, fmt.Errorf("VPC %s: %w", vpc, err))
	}
}

func (p *planner) vpcs() {
	for _, v := range p.VPCs {
		cidr, err := netip.ParsePrefix(aws.Val(v.CidrBlock))
		if err != nil {
			p.errs = append(p.errs, fmt.Errorf("VPC %s: %w", aws.Val(v.VpcId), err))
			continue
		}
		p.index[*v.VpcId] = len(p.config.VPCs)
		p.config.VPCs = append(p.config.VPCs, network.VPC{ID: *v.VpcId, CIDRs: []netip.Prefix{cidr}, Services: vpcServices(cidr, v.DNSSupport)})
	}
}

// ways are where packets go: gateways, route tables, and the subnets that use
// them. A subnet without a table of its own uses its VPC's main one.
func (p *planner) ways() {
	for _, g := range p.Gateways {
		p.in(g.VPC(), func(v *network.VPC) error { v.InternetGateway = true; return nil })
	}
	usable := map[string]bool{}
	for _, n := range p.NATs {
		if !n.Usable() {
			continue
		}
		p.in(aws.Val(n.VpcId), func(v *network.VPC) error {
			gateway, err := natGateway(&n)
			if err == nil {
				usable[gateway.ID] = true
				v.NATGateways = append(v.NATGateways, gateway)
			}
			return err
		})
	}
	toEndpoint := map[string][]network.Route{} // by route table
	for _, e := range p.Endpoints {
		if aws.Val(e.VpcEndpointType) != ec2api.VpcEndpointTypeGateway || !e.Usable() {
			continue
		}
		p.in(aws.Val(e.VpcId), func(v *network.VPC) error {
			v.Endpoints = append(v.Endpoints, network.Endpoint{ID: *e.VpcEndpointId, Addr: p.Objects})
			return nil
		})
		for _, t := range e.RouteTableIds {
			toEndpoint[t] = append(toEndpoint[t], network.Route{Destination: netip.PrefixFrom(p.Objects, 32), Kind: network.ToEndpoint, Target: *e.VpcEndpointId})
		}
	}
	tableOf, mainOf := map[string]string{}, map[string]string{}
	for _, t := range p.Tables {
		for _, a := range t.Associations {
			if a.SubnetId != nil {
				tableOf[*a.SubnetId] = *t.RouteTableId
			}
		}
		p.in(aws.Val(t.VpcId), func(v *network.VPC) error {
			table, err := routeTable(&t, attachedTo(p.Gateways, v.ID), usable)
			table.Routes = append(table.Routes, toEndpoint[table.ID]...)
			v.RouteTables = append(v.RouteTables, table)
			return err
		})
	}
	for _, v := range p.VPCs {
		mainOf[*v.VpcId] = v.Main
	}
	for _, s := range p.Subnets {
		p.in(aws.Val(s.VpcId), func(v *network.VPC) error {
			table, own := tableOf[*s.SubnetId]
			if !own {
				table = mainOf[v.ID]
			}
			v.Subnets = append(v.Subnets, network.Subnet{ID: *s.SubnetId, CIDR: s.CIDR(), RouteTable: table, ACL: s.ACL})
			return nil
		})
	}
}

// filters are what packets must pass.
func (p *planner) filters() {
	for _, a := range p.ACLs {
		p.in(aws.Val(a.VpcId), func(v *network.VPC) error {
			acl, err := acl(&a)
			v.ACLs = append(v.ACLs, acl)
			return err
		})
	}
	for _, g := range p.Groups {
		p.in(aws.Val(g.VpcId), func(v *network.VPC) error {
			group, err := group(&g)
			v.Groups = append(v.Groups, group)
			return err
		})
	}
}

func (p *planner) interfaces() {
	for _, e := range p.Interfaces {
		if aws.Val(e.InterfaceType) == record.NATType {
			continue // comes with its NAT gateway
		}
		p.in(aws.Val(e.VpcId), func(v *network.VPC) error {
			eni, err := networkInterface(&e)
			if err == nil {
				v.Interfaces = append(v.Interfaces, eni)
			}
			return err
		})
	}
}

// vpcServices are the ports that the VPC itself serves: the resolver, if DNS
// support is on, and what tasks and workspaces ask about themselves.
func vpcServices(cidr netip.Prefix, dns bool) []network.Service {
	out := []network.Service{
		{Addr: taskMetadataAddr, Protocol: network.TCP, Port: 80},
		{Addr: metadataAddr, Protocol: network.TCP, Port: 80},
	}
	if !dns {
		return out
	}
	for _, a := range []netip.Addr{Resolver(cidr), resolverAddr} {
		for _, p := range []network.Protocol{network.UDP, network.TCP} {
			out = append(out, network.Service{Addr: a, Protocol: p, Port: 53})
		}
	}
	return out
}

// Resolver is the address of a VPC's resolver: the second after its base.
func Resolver(vpc netip.Prefix) netip.Addr { return block.Nth(vpc, 2) }

func attachedTo(gateways []record.InternetGateway, vpc string) string {
	for _, g := range gateways {
		if g.VPC() == vpc {
			return *g.InternetGatewayId
		}
	}
	return ""
}

func natGateway(n *record.NATGateway) (network.NATGateway, error) {
	g := network.NATGateway{ID: *n.NatGatewayId, Subnet: aws.Val(n.SubnetId)}
	if len(n.NatGatewayAddresses) == 0 {
		return g, fmt.Errorf("NAT gateway %s has no address", g.ID)
	}
	a := n.NatGatewayAddresses[0]
	g.Interface = aws.Val(a.NetworkInterfaceId)
	var err error
	if g.Addr, err = netip.ParseAddr(aws.Val(a.PrivateIp)); err == nil && a.PublicIp != nil {
		g.Public, err = netip.ParseAddr(*a.PublicIp)
	}
	if err == nil {
		g.MAC, err = net.ParseMAC(record.MAC(g.Interface))
	}
	if err != nil {
		return g, fmt.Errorf("NAT gateway %s: %w", g.ID, err)
	}
	return g, nil
}

// routeTable takes the routes of a table; one whose target is gone is a blackhole.
func routeTable(t *record.RouteTable, gateway string, nats map[string]bool) (network.RouteTable, error) {
	out := network.RouteTable{ID: *t.RouteTableId}
	var errs []error
	for _, r := range t.Routes {
		if aws.Val(r.GatewayId) == "local" {
			continue
		}
		dst, err := netip.ParsePrefix(aws.Val(r.DestinationCidrBlock))
		if err != nil {
			errs = append(errs, fmt.Errorf("route table %s: %w", out.ID, err))
			continue
		}
		route := network.Route{Destination: dst, Kind: network.Blackhole}
		switch {
		case r.GatewayId != nil && *r.GatewayId == gateway:
			route.Kind = network.ToInternet
		case r.NatGatewayId != nil && nats[*r.NatGatewayId]:
			route.Kind, route.Target = network.ToNATGateway, *r.NatGatewayId
		case r.NetworkInterfaceId != nil:
			route.Kind, route.Target = network.ToInterface, *r.NetworkInterfaceId
		}
		out.Routes = append(out.Routes, route)
	}
	return out, errors.Join(errs...)
}

// protocol reads the protocol of a group's rule, or of an ACL's entry, which is
// always a number.
func protocol(text string) (network.Protocol, error) {
	switch text {
	case "-1":
		return network.All, nil
	case "tcp":
		return network.TCP, nil
	case "udp":
		return network.UDP, nil
	case "icmp":
		return network.ICMP, nil
	case "icmpv6":
		return 58, nil
	}
	n, err := strconv.ParseUint(text, 10, 8)
	return network.Protocol(n), err
}

func group(g *record.SecurityGroup) (network.Group, error) {
	out := network.Group{ID: *g.GroupId}
	var errs []error
	for _, r := range g.Rules {
		proto, err := protocol(aws.Val(r.IpProtocol))
		if err != nil {
			errs = append(errs, fmt.Errorf("group %s: %w", out.ID, err))
			continue
		}
		rule := network.Rule{Protocol: proto, FromPort: int(aws.Val(r.FromPort)), ToPort: int(aws.Val(r.ToPort))}
		switch {
		case r.CidrIpv4 != nil:
			if rule.CIDR, err = netip.ParsePrefix(*r.CidrIpv4); err != nil {
				errs = append(errs, fmt.Errorf("group %s: %w", out.ID, err))
				continue
			}
		case r.ReferencedGroupInfo != nil:
			rule.Group = aws.Val(r.ReferencedGroupInfo.GroupId)
		default:
			continue // IPv6, which is not here
		}
		if aws.Val(r.IsEgress) {
			out.Egress = append(out.Egress, rule)
		} else {
			out.Ingress = append(out.Ingress, rule)
		}
	}
	return out, errors.Join(errs...)
}

func networkInterface(e *record.NetworkInterface) (network.Interface, error) {
	out := network.Interface{
		ID: *e.NetworkInterfaceId, Subnet: aws.Val(e.SubnetId),
		Inside: e.Inside(), Forward: e.SourceDestCheck != nil && !*e.SourceDestCheck,
	}
	for _, g := range e.Groups {
		out.Groups = append(out.Groups, aws.Val(g.GroupId))
	}
	slices.Sort(out.Groups)
	out.Unfiltered = len(out.Groups) == 0 && aws.Val(e.InterfaceType) == ec2api.NetworkInterfaceTypeNetworkLoadBalancer
	var err error
	if out.Addr, err = netip.ParseAddr(aws.Val(e.PrivateIpAddress)); err == nil && e.Association != nil {
		out.Public, err = netip.ParseAddr(aws.Val(e.Association.PublicIp))
	}
	if err == nil {
		out.MAC, err = net.ParseMAC(aws.Val(e.MacAddress))
	}
	if err != nil {
		return out, fmt.Errorf("interface %s: %w", out.ID, err)
	}
	return out, nil
}

func acl(a *record.NetworkACL) (network.ACL, error) {
	out := network.ACL{ID: *a.NetworkAclId}
	var errs []error
	for _, e := range a.Entries {
		if e.CidrBlock == nil || aws.Val(e.RuleNumber) == record.LastRule {
			continue // IPv6; the last rule is the data plane's own
		}
		rule := network.ACLRule{Number: int(aws.Val(e.RuleNumber)), Allow: aws.Val(e.RuleAction) == "allow", FromPort: 0, ToPort: 65535}
		proto, err := protocol(aws.Val(e.Protocol))
		if err == nil {
			rule.Protocol = proto
			rule.CIDR, err = netip.ParsePrefix(*e.CidrBlock)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("network ACL %s: %w", out.ID, err))
			continue
		}
		switch {
		case proto == network.ICMP:
			rule.FromPort, rule.ToPort = -1, -1
			if e.IcmpTypeCode != nil {
				rule.FromPort, rule.ToPort = int(aws.Val(e.IcmpTypeCode.Type)), int(aws.Val(e.IcmpTypeCode.Code))
			}
		case e.PortRange != nil:
			rule.FromPort, rule.ToPort = int(aws.Val(e.PortRange.From)), int(aws.Val(e.PortRange.To))
		}
		if aws.Val(e.Egress) {
			out.Egress = append(out.Egress, rule)
		} else {
			out.Ingress = append(out.Ingress, rule)
		}
	}
	return out, errors.Join(errs...)
}
