package ec2

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/dataplane/network"
	"minato/services/ec2/record"
)

// interfaceEndpoint makes an endpoint in a VPC that has DNS host names.
func (l *lab) interfaceEndpoint(h *handsOn, service string, change func(*ec2api.CreateVpcEndpointInput)) (*ec2api.VpcEndpoint, error) {
	must(l.s.ModifyVpcAttribute(l.ctx, &ec2api.ModifyVpcAttributeInput{VpcId: &h.vpc, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: aws.Ptr(true)}}))
	in := &ec2api.CreateVpcEndpointInput{
		VpcId: &h.vpc, ServiceName: aws.Ptr("com.amazonaws.us-east-1." + service), VpcEndpointType: aws.Ptr("Interface"), SubnetIds: []string{h.private}, SecurityGroupIds: []string{h.web},
	}
	if change != nil {
		change(in)
	}
	out, err := l.s.CreateVpcEndpoint(l.ctx, in)
	if err != nil {
		return nil, err
	}
	return out.VpcEndpoint, nil
}

func (l *lab) endpoint(id string) *ec2api.VpcEndpoint {
	l.Helper()
	return &must(l.s.DescribeVpcEndpoints(l.ctx, &ec2api.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})).VpcEndpoints[0]
}

func TestInterfaceEndpoint(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	e := must(l.interfaceEndpoint(&h, "logs", nil))
	if *e.State != "pending" || len(e.NetworkInterfaceIds) != 1 || !slices.Equal(e.SubnetIds, []string{h.private}) || *e.Groups[0].GroupId != h.web || !*e.PrivateDnsEnabled {
		t.Errorf("made: %+v", e)
	}
	eni := must(l.s.DescribeNetworkInterfaces(l.ctx, &ec2api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: e.NetworkInterfaceIds})).NetworkInterfaces[0]
	if *eni.InterfaceType != "vpc_endpoint" || *eni.Description != "VPC Endpoint Interface "+*e.VpcEndpointId || !*eni.RequesterManaged {
		t.Errorf("its interface: %+v", eni)
	}
	_, err := l.s.DeleteNetworkInterface(l.ctx, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni.NetworkInterfaceId})
	l.fails(err, "InvalidNetworkInterface.InUse", "")
	planned := l.planned(h.vpc).Interfaces
	if i := slices.IndexFunc(planned, func(e network.Interface) bool { return e.ID == *eni.NetworkInterfaceId }); i < 0 || !planned[i].Inside || !slices.Equal(planned[i].Groups, []string{h.web}) {
		t.Errorf("planned: %+v", planned)
	}
	if got := l.endpoint(*e.VpcEndpointId); *got.State != "available" {
		t.Errorf("state %s", *got.State)
	}
	all := must(l.s.Endpoints(l.ctx))
	if len(all) != 1 || all[0].Private.Name != "logs.us-east-1.amazonaws.com" || all[0].Private.Addrs[0].String() != *eni.PrivateIpAddress {
		t.Fatalf("%+v", all)
	}
	names := e.DnsEntries
	if len(names) != 3 || !strings.HasPrefix(*names[0].DnsName, *e.VpcEndpointId+"-") || !strings.HasSuffix(*names[0].DnsName, ".logs.us-east-1.vpce.amazonaws.com") || !strings.Contains(*names[1].DnsName, "-us-east-1b.logs.") || *names[2].DnsName != "logs.us-east-1.amazonaws.com" {
		t.Errorf("names: %v", e.DnsEntries)
	}

	modify := func(in ec2api.ModifyVpcEndpointInput) error {
		in.VpcEndpointId = e.VpcEndpointId
		_, err := l.s.ModifyVpcEndpoint(l.ctx, &in)
		return err
	}
	// The other zone, other groups, no private names; and back.
	if err := modify(ec2api.ModifyVpcEndpointInput{AddSubnetIds: []string{h.public}, AddSecurityGroupIds: []string{h.lb}, RemoveSecurityGroupIds: []string{h.web}, PrivateDnsEnabled: aws.Ptr(false)}); err != nil {
		t.Fatal(err)
	}
	got := l.endpoint(*e.VpcEndpointId)
	if len(got.NetworkInterfaceIds) != 2 || len(got.DnsEntries) != 3 || *got.Groups[0].GroupId != h.lb {
		t.Errorf("modified: %+v", got)
	}
	for _, eni := range must(l.s.DescribeNetworkInterfaces(l.ctx, &ec2api.DescribeNetworkInterfacesInput{NetworkInterfaceIds: got.NetworkInterfaceIds})).NetworkInterfaces {
		if len(eni.Groups) != 1 || *eni.Groups[0].GroupId != h.lb {
			t.Errorf("groups of %s: %+v", *eni.NetworkInterfaceId, eni.Groups)
		}
	}
	if err := modify(ec2api.ModifyVpcEndpointInput{RemoveSubnetIds: []string{h.public}, PolicyDocument: aws.Ptr(`{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if got = l.endpoint(*e.VpcEndpointId); len(got.NetworkInterfaceIds) != 1 || !strings.Contains(*got.PolicyDocument, "Deny") {
		t.Errorf("modified again: %+v", got)
	}
	if err := modify(ec2api.ModifyVpcEndpointInput{ResetPolicy: aws.Ptr(true)}); err != nil || strings.Contains(*l.endpoint(*e.VpcEndpointId).PolicyDocument, "Deny") {
		t.Errorf("policy not reset: %v", err)
	}
	l.fails(modify(ec2api.ModifyVpcEndpointInput{RemoveSubnetIds: []string{h.public}}), "InvalidParameter", "is not associated")
	l.fails(modify(ec2api.ModifyVpcEndpointInput{AddSubnetIds: []string{h.private}}), "DuplicateSubnetsInSameZone", h.private)
	l.fails(modify(ec2api.ModifyVpcEndpointInput{AddRouteTableIds: []string{h.routesPrivate}}), "InvalidParameter", "Gateway type")

	out := must(l.s.DeleteVpcEndpoints(l.ctx, &ec2api.DeleteVpcEndpointsInput{VpcEndpointIds: []string{"vpce-0", *e.VpcEndpointId}}))
	if len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "InvalidVpcEndpoint.NotFound" || *out.Unsuccessful[0].Error.Message != "The Vpc Endpoint Id 'vpce-0' does not exist" {
		t.Errorf("unsuccessful: %+v", out.Unsuccessful)
	}
	if got := l.endpoint(*e.VpcEndpointId); *got.State != "deleting" || len(must(l.s.Endpoints(l.ctx))) != 0 {
		t.Errorf("state %s", *got.State)
	}
	l.planned(h.vpc)
	_, err = l.s.DescribeVpcEndpoints(l.ctx, &ec2api.DescribeVpcEndpointsInput{VpcEndpointIds: []string{*e.VpcEndpointId}})
	l.fails(err, "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '"+*e.VpcEndpointId+"' does not exist")
	enis := must(l.s.DescribeNetworkInterfaces(l.ctx, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("interface-type"), Values: []string{record.EndpointType}}}})).NetworkInterfaces
	if len(enis) != 0 {
		t.Errorf("interfaces are left: %+v", enis)
	}
}

func TestGatewayEndpoint(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	in := &ec2api.CreateVpcEndpointInput{VpcId: &h.vpc, ServiceName: aws.Ptr("com.amazonaws.us-east-1.s3"), RouteTableIds: []string{h.routesPrivate}, ClientToken: aws.Ptr("once")}
	e := must(l.s.CreateVpcEndpoint(l.ctx, in)).VpcEndpoint
	if again := must(l.s.CreateVpcEndpoint(l.ctx, in)).VpcEndpoint; *again.VpcEndpointId != *e.VpcEndpointId {
		t.Error("the same token made another endpoint")
	}
	if *e.VpcEndpointType != "Gateway" || *e.PrivateDnsEnabled || len(e.NetworkInterfaceIds)+len(e.DnsEntries) != 0 {
		t.Errorf("made: %+v", e)
	}
	route := func(table string) *ec2api.Route {
		for _, r := range must(l.s.DescribeRouteTables(l.ctx, &ec2api.DescribeRouteTablesInput{RouteTableIds: []string{table}})).RouteTables[0].Routes {
			if r.DestinationPrefixListId != nil {
				return &r
			}
		}
		return nil
	}
	if r := route(h.routesPrivate); r == nil || *r.DestinationPrefixListId != "pl-63a5400a" || *r.GatewayId != *e.VpcEndpointId || *r.State != "active" || *r.Origin != "CreateRoute" {
		t.Errorf("route: %+v", r)
	}
	found := must(l.s.DescribeRouteTables(l.ctx, &ec2api.DescribeRouteTablesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("route.gateway-id"), Values: []string{*e.VpcEndpointId}}}})).RouteTables
	if len(found) != 1 || *found[0].RouteTableId != h.routesPrivate || route(h.routesPublic) != nil {
		t.Errorf("tables with the route: %+v", found)
	}
	addr := network.ObjectsAddress(netip.MustParsePrefix("198.18.0.0/16"))
	if list := must(l.s.DescribePrefixLists(l.ctx, &ec2api.DescribePrefixListsInput{})).PrefixLists; len(list) != 1 || list[0].Cidrs[0] != addr.String()+"/32" {
		t.Errorf("prefix lists: %+v", list)
	}
	v := l.planned(h.vpc)
	if len(v.Endpoints) != 1 || v.Endpoints[0] != (network.Endpoint{ID: *e.VpcEndpointId, Addr: addr}) {
		t.Errorf("planned: %+v", v.Endpoints)
	}
	for _, rt := range v.RouteTables {
		if got := slices.Contains(rt.Routes, network.Route{Destination: netip.PrefixFrom(addr, 32), Kind: network.ToEndpoint, Target: *e.VpcEndpointId}); got != (rt.ID == h.routesPrivate) {
			t.Errorf("%s leads to the endpoint: %t", rt.ID, got)
		}
	}
	in.ClientToken = nil
	_, err := l.s.CreateVpcEndpoint(l.ctx, in)
	l.fails(err, "RouteAlreadyExists", "route table "+h.routesPrivate+" already has a route with destination-prefix-list-id pl-63a5400a")

	must(l.s.ModifyVpcEndpoint(l.ctx, &ec2api.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, AddRouteTableIds: []string{h.routesPublic}, RemoveRouteTableIds: []string{h.routesPrivate}}))
	if route(h.routesPrivate) != nil || route(h.routesPublic) == nil {
		t.Error("the route has not moved")
	}
	must(l.s.DeleteVpcEndpoints(l.ctx, &ec2api.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*e.VpcEndpointId}}))
	if v := l.planned(h.vpc); route(h.routesPublic) != nil || len(v.Endpoints) != 0 || len(must(l.s.DescribeVpcEndpoints(l.ctx, &ec2api.DescribeVpcEndpointsInput{})).VpcEndpoints) != 0 {
		t.Errorf("something is left: %+v", v.Endpoints)
	}
}

func TestEndpointsThatMayNotBe(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	must(l.interfaceEndpoint(&h, "logs", nil))
	for name, c := range map[string]struct {
		service    string
		change     func(*ec2api.CreateVpcEndpointInput)
		code, text string
	}{
		"not served":            {"dynamodb", nil, "InvalidServiceName", "The Vpc Endpoint Service 'com.amazonaws.us-east-1.dynamodb' does not exist"},
		"the wrong type":        {"logs", func(in *ec2api.CreateVpcEndpointInput) { in.VpcEndpointType = nil }, "InvalidParameter", "Endpoint type (Gateway) does not match available service types ([Interface])."},
		"another's name":        {"logs", nil, "InvalidParameter", "private-dns-enabled cannot be set because there is already a conflicting DNS domain for logs.us-east-1.amazonaws.com in the VPC " + h.vpc},
		"twice in a zone":       {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.SubnetIds = []string{h.private, h.private} }, "DuplicateSubnetsInSameZone", ""},
		"no such subnet":        {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.SubnetIds = []string{"subnet-0"} }, "InvalidSubnetID.NotFound", ""},
		"no such group":         {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.SecurityGroupIds = []string{"sg-0"} }, "InvalidGroup.NotFound", ""},
		"no such VPC":           {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.VpcId = aws.Ptr("vpc-0") }, "InvalidVpcID.NotFound", ""},
		"a policy of nothing":   {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.PolicyDocument = aws.Ptr("{") }, "InvalidPolicyDocument", ""},
		"IPv6":                  {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.IpAddressType = aws.Ptr("dualstack") }, "InvalidParameter", "ipv4"},
		"no VPC":                {"sts", func(in *ec2api.CreateVpcEndpointInput) { in.VpcId = nil }, "MissingParameter", "VpcId"},
		"S3 by an interface":    {"s3", nil, "UnsupportedOperation", "an interface endpoint for s3"},
		"a gateway with groups": {"s3", func(in *ec2api.CreateVpcEndpointInput) { in.VpcEndpointType, in.SubnetIds = nil, nil }, "InvalidParameter", "Security group IDs"},
	} {
		_, err := l.interfaceEndpoint(&h, c.service, c.change)
		if !aws.IsCode(err, c.code) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(l.s.ModifyVpcAttribute(l.ctx, &ec2api.ModifyVpcAttributeInput{VpcId: &h.vpc, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: aws.Ptr(false)}}))
	_, err := l.s.CreateVpcEndpoint(l.ctx, &ec2api.CreateVpcEndpointInput{VpcId: &h.vpc, ServiceName: aws.Ptr("com.amazonaws.us-east-1.sts"), VpcEndpointType: aws.Ptr("Interface")})
	l.fails(err, "InvalidParameter", "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for "+h.vpc)
	_, err = l.s.DeleteVpc(l.ctx, &ec2api.DeleteVpcInput{VpcId: &h.vpc})
	l.fails(err, "DependencyViolation", "")
}
