package record

import (
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// Address is an Elastic IP address.
type Address struct{ ec2api.Address }

// Attribute gives the values of a filter of DescribeAddresses.
func (r *Address) Attribute(name string) ([]string, bool) {
	switch name {
	case "allocation-id":
		return listing.Value(r.AllocationId), true
	case "association-id":
		return listing.Value(r.AssociationId), true
	case "domain":
		return listing.Value(r.Domain), true
	case "instance-id":
		return listing.Value(r.InstanceId), true
	case "network-interface-id":
		return listing.Value(r.NetworkInterfaceId), true
	case "private-ip-address":
		return listing.Value(r.PrivateIpAddress), true
	case "public-ip":
		return listing.Value(r.PublicIp), true
	case "network-border-group":
		return listing.Value(r.NetworkBorderGroup), true
	}
	return nil, false
}

// Dissociate notes that no interface has the address.
func (r *Address) Dissociate() {
	r.AssociationId, r.NetworkInterfaceId, r.NetworkInterfaceOwnerId, r.PrivateIpAddress, r.InstanceId = nil, nil, nil, nil, nil
}
