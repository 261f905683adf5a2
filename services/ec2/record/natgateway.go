package record

import (
	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// NATType is the type of a NAT gateway's interface.
const NATType = "nat_gateway"

// NATGateway is a NAT gateway. Its state is the network reconciler's to write,
// except the first (pending or failed) and deleting.
type NATGateway struct {
	ec2api.NatGateway
	Account, Region string
}

// Usable tells whether a route to the gateway leads somewhere.
func (r *NATGateway) Usable() bool {
	st := aws.Val(r.State)
	return st == ec2api.NatGatewayStatePending || st == ec2api.NatGatewayStateAvailable
}

// Interface is the id of the gateway's network interface, "" for none.
func (r *NATGateway) Interface() string {
	if len(r.NatGatewayAddresses) == 0 {
		return ""
	}
	return aws.Val(r.NatGatewayAddresses[0].NetworkInterfaceId)
}

// Attribute gives the values of a filter of DescribeNatGateways.
func (r *NATGateway) Attribute(name string) ([]string, bool) {
	switch name {
	case "nat-gateway-id":
		return listing.Value(r.NatGatewayId), true
	case "state":
		return listing.Value(r.State), true
	case "subnet-id":
		return listing.Value(r.SubnetId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	}
	return nil, false
}
