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
	each := func(f func(ec2api.RouteTableAssociation) *string) []string {
		var out []string
		for _, a := range r.Associations {
			out = append(out, listing.Value(f(a))...)
		}
		return out
	}
	routes := func(f func(ec2api.Route) *string) []string {
		var out []string
		for _, x := range r.Routes {
			out = append(out, listing.Value(f(x))...)
		}
		return out
	}
	switch name {
	case "route-table-id":
		return listing.Value(r.RouteTableId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "association.subnet-id":
		return each(func(a ec2api.RouteTableAssociation) *string { return a.SubnetId }), true
	case "association.route-table-association-id":
		return each(func(a ec2api.RouteTableAssociation) *string { return a.RouteTableAssociationId }), true
	case "association.route-table-id":
		return each(func(a ec2api.RouteTableAssociation) *string { return a.RouteTableId }), true
	case "association.main":
		for _, a := range r.Associations {
			if aws.Val(a.Main) {
				return []string{"true"}, true
			}
		}
		return []string{"false"}, true
	case "route.destination-cidr-block":
		return routes(func(x ec2api.Route) *string { return x.DestinationCidrBlock }), true
	case "route.gateway-id":
		return routes(func(x ec2api.Route) *string { return x.GatewayId }), true
	case "route.nat-gateway-id":
		return routes(func(x ec2api.Route) *string { return x.NatGatewayId }), true
	case "route.origin":
		return routes(func(x ec2api.Route) *string { return x.Origin }), true
	case "route.state":
		return routes(func(x ec2api.Route) *string { return x.State }), true
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
