package record

import (
	"strconv"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// NetworkACL is a network ACL. Every VPC has a default one; it lets everything pass
// until somebody changes it. Which subnets use an ACL is in their records.
type NetworkACL struct{ ec2api.NetworkAcl }

// Attribute gives the values of a filter of DescribeNetworkAcls.
func (r *NetworkACL) Attribute(name string) ([]string, bool) {
	switch name {
	case "network-acl-id":
		return listing.Value(r.NetworkAclId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "default":
		return listing.Bool(r.IsDefault), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "association.subnet-id":
		return each(r.Associations, func(a ec2api.NetworkAclAssociation) *string { return a.SubnetId })
	case "association.association-id":
		return each(r.Associations, func(a ec2api.NetworkAclAssociation) *string { return a.NetworkAclAssociationId })
	case "association.network-acl-id":
		return each(r.Associations, func(a ec2api.NetworkAclAssociation) *string { return a.NetworkAclId })
	case "entry.cidr":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return e.CidrBlock })
	case "entry.ipv6-cidr":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return e.Ipv6CidrBlock })
	case "entry.protocol":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return e.Protocol })
	case "entry.rule-action":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return e.RuleAction })
	case "entry.egress":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return &listing.Bool(e.Egress)[0] })
	case "entry.rule-number":
		return each(r.Entries, func(e ec2api.NetworkAclEntry) *string { return aws.Ptr(strconv.Itoa(int(aws.Val(e.RuleNumber)))) })
	}
	return nil, false
}

// each gives one attribute of each of a resource's parts.
func each[T any](parts []T, f func(T) *string) (out []string, known bool) {
	for _, p := range parts {
		out = append(out, listing.Value(f(p))...)
	}
	return out, true
}

// LastRule is the number of the rule that denies the rest, shown as *.
const LastRule = 32767
