package record

import (
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/block"
	"minato/services/ec2/listing"
)

// RouteTable is a route table. Whether a route's target is gone is
// computed when it is asked for.
type RouteTable struct{ ec2api.RouteTable }

// Attribute gives the values of a filter of DescribeRouteTables.
func (r *RouteTable) Attribute(name string) ([]string, bool) {
	switch name {
	case "route-table-id":
		return listing.Value(r.RouteTableId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "association.subnet-id":
		return each(r.Associations, func(a ec2api.RouteTableAssociation) *string { return a.SubnetId })
	case "association.route-table-association-id":
		return each(r.Associations, func(a ec2api.RouteTableAssociation) *string { return a.RouteTableAssociationId })
	case "association.route-table-id":
		return each(r.Associations, func(a ec2api.RouteTableAssociation) *string { return a.RouteTableId })
	case "association.gateway-id":
		return each(r.Associations, func(a ec2api.RouteTableAssociation) *string { return a.GatewayId })
	case "association.main":
		for _, a := range r.Associations {
			if aws.Val(a.Main) {
				return []string{"true"}, true
			}
		}
		return []string{"false"}, true
	case "route.destination-cidr-block":
		return each(r.Routes, func(x ec2api.Route) *string { return x.DestinationCidrBlock })
	case "route.destination-ipv6-cidr-block":
		return each(r.Routes, func(x ec2api.Route) *string { return x.DestinationIpv6CidrBlock })
	case "route.destination-prefix-list-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.DestinationPrefixListId })
	case "route.egress-only-internet-gateway-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.EgressOnlyInternetGatewayId })
	case "route.instance-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.InstanceId })
	case "route.transit-gateway-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.TransitGatewayId })
	case "route.vpc-peering-connection-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.VpcPeeringConnectionId })
	case "route.gateway-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.GatewayId })
	case "route.nat-gateway-id":
		return each(r.Routes, func(x ec2api.Route) *string { return x.NatGatewayId })
	case "route.origin":
		return each(r.Routes, func(x ec2api.Route) *string { return x.Origin })
	case "route.state":
		return each(r.Routes, func(x ec2api.Route) *string { return x.State })
	}
	return nil, false
}

// Route finds the route for a destination, -1 for none.
func (r *RouteTable) Route(destination string) int {
	dst, err := block.Parse(destination)
	if err != nil {
		return -1
	}
	return slices.IndexFunc(r.Routes, func(x ec2api.Route) bool { return aws.Val(x.DestinationCidrBlock) == dst.String() })
}
