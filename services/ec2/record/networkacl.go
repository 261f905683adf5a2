package record

import (
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// NetworkACL is a network ACL. Only the default one of each VPC exists so far; it
// lets everything pass.
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
		var out []string
		for _, a := range r.Associations {
			out = append(out, listing.Value(a.SubnetId)...)
		}
		return out, true
	}
	return nil, false
}

// LastRule is the number of the rule that denies the rest, shown as *.
const LastRule = 32767
