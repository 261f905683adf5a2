package ec2

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/dataplane/network"
	"minato/dataplane/network/networktest"
	"minato/internal/clock"
	"minato/services/ec2/record"
	"minato/store/memstore"
)

// lab is a service on an empty store, a fake network, and a user.
type lab struct {
	*testing.T
	s     *Service
	net   *networktest.Fake
	r     *NetworkReconciler
	clock *clock.Fake
	ctx   context.Context
}

func newLab(t *testing.T) *lab {
	pool := netip.MustParsePrefix("198.18.0.0/16")
	c := clock.NewFake(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	s := New(Deps{Store: memstore.New(), Clock: c, Log: slog.New(slog.DiscardHandler), Pool: pool, FirstAssignable: network.FirstAssignable(pool)})
	fake := networktest.NewFake()
	return &lab{
		T: t, s: s, net: fake, clock: c, r: NewNetworkReconciler(s, fake, nil),
		ctx: identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1"}),
	}
}

// as is the lab's context for a service of ours.
func (l *lab) as(principal string) context.Context {
	return identity.With(l.ctx, identity.ServiceCaller(principal, "000000000000", "us-east-1"))
}

func (l *lab) fails(err error, code, text string) {
	l.Helper()
	if !aws.IsCode(err, code) || !strings.Contains(err.Error(), text) {
		l.Errorf("%v, want %s: %s", err, code, text)
	}
}

// planned reconciles and returns the VPC as the network was told.
func (l *lab) planned(vpc string) network.VPC {
	l.Helper()
	if _, err := l.r.Reconcile(l.ctx, NetworkKey); err != nil {
		l.Fatal(err)
	}
	c, _ := l.net.Config()
	i := slices.IndexFunc(c.VPCs, func(v network.VPC) bool { return v.ID == vpc })
	if i < 0 {
		l.Fatalf("VPC %s is not planned", vpc)
	}
	return c.VPCs[i]
}

// handsOn is the network of the hands-on: ids of what was made.
type handsOn struct{ vpc, igw, public, private, routesPublic, routesPrivate, nat, eip, lb, web string }

func (l *lab) handsOn() handsOn {
	var h handsOn
	val := aws.Val[string]
	str := aws.Ptr[string]
	vpc := must(l.s.CreateVpc(l.ctx, &ec2api.CreateVpcInput{CidrBlock: str("10.0.0.0/16")}))
	h.vpc = val(vpc.Vpc.VpcId)
	h.igw = val(must(l.s.CreateInternetGateway(l.ctx, &ec2api.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId)
	must(l.s.AttachInternetGateway(l.ctx, &ec2api.AttachInternetGatewayInput{InternetGatewayId: &h.igw, VpcId: &h.vpc}))
	subnet := func(cidr, zone string) string {
		return val(must(l.s.CreateSubnet(l.ctx, &ec2api.CreateSubnetInput{VpcId: &h.vpc, CidrBlock: &cidr, AvailabilityZone: &zone})).Subnet.SubnetId)
	}
	h.public, h.private = subnet("10.0.0.0/24", "us-east-1a"), subnet("10.0.2.0/24", "us-east-1b")
	h.eip = val(must(l.s.AllocateAddress(l.ctx, &ec2api.AllocateAddressInput{})).AllocationId)
	h.nat = val(must(l.s.CreateNatGateway(l.ctx, &ec2api.CreateNatGatewayInput{AllocationId: &h.eip, SubnetId: &h.public})).NatGateway.NatGatewayId)
	table := func(subnet string, route *ec2api.CreateRouteInput) string {
		id := val(must(l.s.CreateRouteTable(l.ctx, &ec2api.CreateRouteTableInput{VpcId: &h.vpc})).RouteTable.RouteTableId)
		must(l.s.AssociateRouteTable(l.ctx, &ec2api.AssociateRouteTableInput{RouteTableId: &id, SubnetId: &subnet}))
		route.RouteTableId, route.DestinationCidrBlock = &id, str("0.0.0.0/0")
		must(l.s.CreateRoute(l.ctx, route))
		return id
	}
	h.routesPublic = table(h.public, &ec2api.CreateRouteInput{GatewayId: &h.igw})
	h.routesPrivate = table(h.private, &ec2api.CreateRouteInput{NatGatewayId: &h.nat})
	group := func(name string, rule ec2api.IpPermission) string {
		id := val(must(l.s.CreateSecurityGroup(l.ctx, &ec2api.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: &h.vpc})).GroupId)
		rule.IpProtocol, rule.FromPort, rule.ToPort = str("tcp"), aws.Ptr(int32(80)), aws.Ptr(int32(80))
		must(l.s.AuthorizeSecurityGroupIngress(l.ctx, &ec2api.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: []ec2api.IpPermission{rule}}))
		return id
	}
	h.lb = group("lb", ec2api.IpPermission{IpRanges: []ec2api.IpRange{{CidrIp: str("0.0.0.0/0")}}})
	h.web = group("web", ec2api.IpPermission{UserIdGroupPairs: []ec2api.UserIdGroupPair{{GroupId: &h.lb}}})
	return h
}

// must panics; the test fails with the stack of the call.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestTheHandsOnsNetworkIsPlanned(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	eni := must(l.s.CreateNetworkInterface(l.as("ecs.amazonaws.com"), &ec2api.CreateNetworkInterfaceInput{SubnetId: &h.private, Groups: []string{h.web}})).NetworkInterface
	alb := must(l.s.CreateNetworkInterface(l.as(record.LoadBalancing), &ec2api.CreateNetworkInterfaceInput{SubnetId: &h.public, Groups: []string{h.lb}})).NetworkInterface
	must(l.s.ModifyNetworkInterfaceAttribute(l.as(record.LoadBalancing), &ec2api.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: alb.NetworkInterfaceId, AssociatePublicIpAddress: aws.Ptr(true)}))

	v := l.planned(h.vpc)
	if !v.InternetGateway || len(v.Subnets) != 2 || len(v.Interfaces) != 2 {
		t.Fatalf("%+v", v)
	}
	tables := map[string]string{}
	for _, s := range v.Subnets {
		tables[s.ID] = s.RouteTable
	}
	if tables[h.public] != h.routesPublic || tables[h.private] != h.routesPrivate {
		t.Errorf("route tables of the subnets: %v", tables)
	}
	for _, rt := range v.RouteTables {
		want := map[string][]network.Route{
			h.routesPublic:  {{Destination: netip.MustParsePrefix("0.0.0.0/0"), Kind: network.ToInternet}},
			h.routesPrivate: {{Destination: netip.MustParsePrefix("0.0.0.0/0"), Kind: network.ToNATGateway, Target: h.nat}},
		}[rt.ID]
		if !reflect.DeepEqual(rt.Routes, want) {
			t.Errorf("routes of %s: %+v, want %+v", rt.ID, rt.Routes, want)
		}
	}
	for _, e := range v.Interfaces {
		switch e.ID {
		case *alb.NetworkInterfaceId:
			if !e.Inside || !e.Public.IsValid() || !slices.Equal(e.Groups, []string{h.lb}) {
				t.Errorf("the load balancer's interface: %+v", e)
			}
		case *eni.NetworkInterfaceId:
			if e.Inside || e.Public.IsValid() || !slices.Equal(e.Groups, []string{h.web}) || e.Addr.String() != *eni.PrivateIpAddress {
				t.Errorf("the task's interface: %+v", e)
			}
		}
	}
	i := slices.IndexFunc(v.Groups, func(g network.Group) bool { return g.ID == h.web })
	want := network.Group{
		ID:      h.web,
		Ingress: []network.Rule{{Protocol: network.TCP, FromPort: 80, ToPort: 80, Group: h.lb}},
		Egress:  []network.Rule{{Protocol: network.All, FromPort: -1, ToPort: -1, CIDR: netip.MustParsePrefix("0.0.0.0/0")}},
	}
	if !reflect.DeepEqual(v.Groups[i], want) {
		t.Errorf("group: %+v, want %+v", v.Groups[i], want)
	}
	if len(v.NATGateways) != 1 || !v.NATGateways[0].Public.IsValid() || v.NATGateways[0].Subnet != h.public {
		t.Errorf("NAT gateways: %+v", v.NATGateways)
	}
}

// TestInterfacesOfNetworkLoadBalancers: they may be in no group, and then nothing
// filters them; everybody else's are in the default group then.
func TestInterfacesOfNetworkLoadBalancers(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	make := func(service, description string, groups ...string) *ec2api.NetworkInterface {
		return must(l.s.CreateNetworkInterface(l.as(service), &ec2api.CreateNetworkInterfaceInput{SubnetId: &h.public, Description: &description, Groups: groups})).NetworkInterface
	}
	for name, c := range map[string]struct {
		eni        *ec2api.NetworkInterface
		kind       string
		groups     int
		unfiltered bool
	}{
		"without groups":               {make(record.LoadBalancing, "ELB net/flows/1"), "network_load_balancer", 0, true},
		"with a group":                 {make(record.LoadBalancing, "ELB net/other/2", h.lb), "network_load_balancer", 1, false},
		"an application load balancer": {make(record.LoadBalancing, "ELB app/web/3"), "interface", 1, false},
		"another service":              {make("ecs.amazonaws.com", "ELB net/flows/1"), "interface", 1, false},
	} {
		if *c.eni.InterfaceType != c.kind || len(c.eni.Groups) != c.groups {
			t.Errorf("%s: %s in %d groups", name, *c.eni.InterfaceType, len(c.eni.Groups))
		}
		all := l.planned(h.vpc).Interfaces
		if i := slices.IndexFunc(all, func(e network.Interface) bool { return e.ID == *c.eni.NetworkInterfaceId }); i < 0 || all[i].Unfiltered != c.unfiltered {
			t.Errorf("%s: planned %+v", name, all)
		}
	}
}

func (l *lab) natState(id string) string {
	l.Helper()
	out := must(l.s.DescribeNatGateways(l.ctx, &ec2api.DescribeNatGatewaysInput{}))
	for _, n := range out.NatGateways {
		if *n.NatGatewayId == id {
			return *n.State
		}
	}
	return "gone"
}

func (l *lab) expectState(id, want string) {
	l.Helper()
	if got := l.natState(id); got != want {
		l.Errorf("NAT gateway is %s, want %s", got, want)
	}
}

func TestANATGatewayIsWhatTheNetworkSays(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	l.net.Err = errors.New("no")
	if _, err := l.r.Reconcile(l.ctx, NetworkKey); err == nil {
		t.Error("a network that fails is no error")
	}
	l.expectState(h.nat, "pending")
	l.net.Err = nil
	l.planned(h.vpc)
	l.expectState(h.nat, "available")

	must(l.s.DeleteNatGateway(l.ctx, &ec2api.DeleteNatGatewayInput{NatGatewayId: &h.nat}))
	_, err := l.s.ReleaseAddress(l.ctx, &ec2api.ReleaseAddressInput{AllocationId: &h.eip})
	l.fails(err, "InvalidIPAddress.InUse", "")
	v := l.planned(h.vpc)
	if len(v.NATGateways) != 0 {
		t.Errorf("still planned: %+v", v.NATGateways)
	}
	for _, rt := range v.RouteTables {
		if rt.ID == h.routesPrivate && rt.Routes[0].Kind != network.Blackhole {
			t.Errorf("the route to a gateway that is gone: %+v", rt.Routes)
		}
	}
	l.expectState(h.nat, "deleted")
	must(l.s.ReleaseAddress(l.ctx, &ec2api.ReleaseAddressInput{AllocationId: &h.eip}))
	l.clock.Advance(keepDeleted + time.Minute)
	l.planned(h.vpc)
	l.expectState(h.nat, "gone")
}

func TestADetachedGatewayLeavesABlackhole(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	must(l.s.DeleteNatGateway(l.ctx, &ec2api.DeleteNatGatewayInput{NatGatewayId: &h.nat}))
	l.planned(h.vpc)
	must(l.s.DetachInternetGateway(l.ctx, &ec2api.DetachInternetGatewayInput{InternetGatewayId: &h.igw, VpcId: &h.vpc}))
	v := l.planned(h.vpc)
	if v.InternetGateway {
		t.Error("the gateway is still there")
	}
	for _, rt := range v.RouteTables {
		if rt.ID == h.routesPublic && rt.Routes[0].Kind != network.Blackhole {
			t.Errorf("%+v", rt.Routes)
		}
	}
}

func TestSubnetsWithoutATableUseTheMainOne(t *testing.T) {
	l := newLab(t)
	if err := l.s.EnsureDefaultVPC(l.ctx, "000000000000", "us-east-1"); err != nil {
		t.Fatal(err)
	}
	vpcs := must(l.s.DescribeVpcs(l.ctx, &ec2api.DescribeVpcsInput{}))
	v := l.planned(*vpcs.Vpcs[0].VpcId)
	if len(v.Subnets) != 3 || len(v.RouteTables) != 1 || len(v.ACLs) != 1 {
		t.Fatalf("%+v", v)
	}
	for _, s := range v.Subnets {
		if s.RouteTable != v.RouteTables[0].ID || s.ACL != v.ACLs[0].ID {
			t.Errorf("%+v", s)
		}
	}
	if r := v.RouteTables[0].Routes; len(r) != 1 || r[0].Kind != network.ToInternet {
		t.Errorf("routes: %+v", r)
	}
}
