package record

import (
	"net/netip"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// Subnet is a subnet. Its route table is in the tables' associations; its
// ACL is here.
type Subnet struct {
	ec2api.Subnet
	ACL string
	// ACLAssociation is the id of the ACL's association once it was replaced.
	ACLAssociation string `json:",omitempty"`
}

// ACLAssociationID is the id of what ties the subnet to its ACL; the first one is
// made of the subnet's own.
func (r *Subnet) ACLAssociationID() string {
	if r.ACLAssociation != "" {
		return r.ACLAssociation
	}
	return "aclassoc-" + (*r.SubnetId)[len("subnet-"):]
}

// CIDR is the subnet's block.
func (r *Subnet) CIDR() netip.Prefix {
	p, _ := netip.ParsePrefix(aws.Val(r.CidrBlock)) // checked when it was made
	return p
}

// Attribute gives the values of a filter of DescribeSubnets.
func (r *Subnet) Attribute(name string) ([]string, bool) {
	switch name {
	case "subnet-id":
		return listing.Value(r.SubnetId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "availability-zone", "availabilityZone":
		return listing.Value(r.AvailabilityZone), true
	case "availability-zone-id", "availabilityZoneId":
		return listing.Value(r.AvailabilityZoneId), true
	case "cidr-block", "cidr", "cidrBlock":
		return listing.Value(r.CidrBlock), true
	case "default-for-az", "defaultForAz":
		return listing.Bool(r.DefaultForAz), true
	case "map-public-ip-on-launch":
		return listing.Bool(r.MapPublicIpOnLaunch), true
	case "state":
		return listing.Value(r.State), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "available-ip-address-count":
		return listing.Value(number(r.AvailableIpAddressCount)), true
	case "ipv6-native":
		return listing.Bool(r.Ipv6Native), true
	case "enable-dns64":
		return listing.Bool(r.EnableDns64), true
	case "map-customer-owned-ip-on-launch":
		return listing.Bool(r.MapCustomerOwnedIpOnLaunch), true
	case "private-dns-name-options-on-launch.hostname-type":
		if r.PrivateDnsNameOptionsOnLaunch == nil {
			return nil, true
		}
		return listing.Value(r.PrivateDnsNameOptionsOnLaunch.HostnameType), true
	case "outpost-arn", "customer-owned-ipv4-pool", "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state":
		return nil, true // no subnet here has any
	case "subnet-arn":
		return listing.Value(r.SubnetArn), true
	}
	return nil, false
}
