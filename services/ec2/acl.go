package ec2

import (
	"context"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
)

func defaultACL(p place, vpc string) record.NetworkACL {
	id := ids.EC2("acl")
	entry := func(number int32, action string, egress bool) ec2api.NetworkAclEntry {
		return ec2api.NetworkAclEntry{RuleNumber: &number, Protocol: aws.Ptr("-1"), RuleAction: &action, Egress: &egress, CidrBlock: aws.Ptr("0.0.0.0/0")}
	}
	return record.NetworkACL{NetworkAcl: ec2api.NetworkAcl{
		NetworkAclId: &id, VpcId: &vpc, OwnerId: &p.account, IsDefault: aws.Ptr(true),
		Entries: []ec2api.NetworkAclEntry{entry(100, "allow", true), entry(record.LastRule, "deny", true), entry(100, "allow", false), entry(record.LastRule, "deny", false)},
	}}
}

// DescribeNetworkAcls lists ACLs with the subnets that use them.
func (s *Service) DescribeNetworkAcls(ctx context.Context, in *ec2api.DescribeNetworkAclsInput) (*ec2api.DescribeNetworkAclsOutput, error) {
	all, err := list(ctx, s.acls)
	if err != nil {
		return nil, err
	}
	subnets, err := list(ctx, s.subnets)
	if err != nil {
		return nil, err
	}
	for i := range all {
		for _, sub := range subnets {
			if sub.ACL == *all[i].NetworkAclId {
				all[i].Associations = append(all[i].Associations, ec2api.NetworkAclAssociation{
					NetworkAclAssociationId: aws.Ptr("aclassoc-" + (*sub.SubnetId)[len("subnet-"):]), NetworkAclId: all[i].NetworkAclId, SubnetId: sub.SubnetId,
				})
			}
		}
	}
	all, err = listing.Choose(all, in.NetworkAclIds, in.Filters, func(r *record.NetworkACL) string { return aws.Val(r.NetworkAclId) }, func(r *record.NetworkACL) []ec2api.Tag { return r.Tags }, (*record.NetworkACL).Attribute, noACL)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeNetworkAclsOutput{NextToken: next}
	for _, r := range all {
		out.NetworkAcls = append(out.NetworkAcls, r.NetworkAcl)
	}
	return out, err
}
