package record

import (
	"net/netip"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// EndpointType is the type of a VPC endpoint's interfaces.
const EndpointType = "vpc_endpoint"

// The states of endpoints, as EC2 writes them; its model has capitals.
const (
	EndpointPending   = "pending"
	EndpointAvailable = "available"
	EndpointDeleting  = "deleting"
)

// VPCEndpoint is a VPC endpoint. Its state is the network reconciler's to write,
// except the first and deleting.
type VPCEndpoint struct {
	ec2api.VpcEndpoint
	Account, Region string
	Suffix          string // of its names, behind the id
	Interfaces      []EndpointInterface
}

// EndpointInterface is where an interface endpoint is in a subnet.
type EndpointInterface struct {
	ID, Subnet, Zone string
	Addr             netip.Addr
}

// Usable tells whether packets go through the endpoint.
func (r *VPCEndpoint) Usable() bool {
	st := aws.Val(r.State)
	return st == EndpointPending || st == EndpointAvailable
}

// Attribute gives the values of a filter of DescribeVpcEndpoints.
func (r *VPCEndpoint) Attribute(name string) ([]string, bool) {
	switch name {
	case "vpc-endpoint-id":
		return listing.Value(r.VpcEndpointId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "service-name":
		return listing.Value(r.ServiceName), true
	case "service-region":
		return listing.Value(r.ServiceRegion), true
	case "vpc-endpoint-type":
		return listing.Value(r.VpcEndpointType), true
	case "vpc-endpoint-state":
		return listing.Value(r.State), true
	case "ip-address-type":
		return listing.Value(r.IpAddressType), true
	}
	return nil, false
}
