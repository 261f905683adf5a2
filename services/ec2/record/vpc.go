package record

import (
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// VPC is a VPC with what DescribeVpcAttribute tells of it.
type VPC struct {
	ec2api.Vpc
	DNSSupport   bool
	DNSHostnames bool
	Main         string // id of the main route table
	DefaultGroup string // id of the security group named default
	DefaultACL   string
}

// Attribute gives the values of a filter of DescribeVpcs.
func (r *VPC) Attribute(name string) ([]string, bool) {
	switch name {
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "cidr", "cidr-block", "cidrBlock", "cidr-block-association.cidr-block":
		return listing.Value(r.CidrBlock), true
	case "cidr-block-association.association-id":
		return each(r.CidrBlockAssociationSet, func(a ec2api.VpcCidrBlockAssociation) *string { return a.AssociationId })
	case "cidr-block-association.state":
		return each(r.CidrBlockAssociationSet, func(a ec2api.VpcCidrBlockAssociation) *string { return a.CidrBlockState.State })
	case "ipv6-cidr-block-association.ipv6-cidr-block", "ipv6-cidr-block-association.association-id", "ipv6-cidr-block-association.state", "ipv6-cidr-block-association.ipv6-pool":
		return nil, true // no VPC here has any
	case "state":
		return listing.Value(r.State), true
	case "is-default", "isDefault":
		return listing.Bool(r.IsDefault), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "dhcp-options-id":
		return listing.Value(r.DhcpOptionsId), true
	}
	return nil, false
}
