package ec2

import (
	"context"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/acl"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

func newACL(p place, vpc string, isDefault bool, entries []ec2api.NetworkAclEntry) record.NetworkACL {
	id := ids.EC2("acl")
	return record.NetworkACL{NetworkAcl: ec2api.NetworkAcl{NetworkAclId: &id, VpcId: &vpc, OwnerId: &p.account, IsDefault: &isDefault, Entries: entries}}
}

// CreateNetworkAcl makes an ACL that lets nothing pass, of no subnet yet.
func (s *Service) CreateNetworkAcl(ctx context.Context, in *ec2api.CreateNetworkAclInput) (*ec2api.CreateNetworkAclOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "network-acl")
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	r := newACL(p, aws.Val(in.VpcId), false, acl.Empty())
	r.Tags = tags
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, aws.Val(in.VpcId), noVPC)
		if err != nil {
			return err
		}
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, *v.VpcId), s.acls.TxPut(tx, r, p.account, p.region, *r.NetworkAclId))
	})
	return &ec2api.CreateNetworkAclOutput{NetworkAcl: &r.NetworkAcl, ClientToken: in.ClientToken}, err
}

// DeleteNetworkAcl removes an ACL that no subnet uses.
func (s *Service) DeleteNetworkAcl(ctx context.Context, in *ec2api.DeleteNetworkAclInput) (*ec2api.DeleteNetworkAclOutput, error) {
	p, id := at(ctx), aws.Val(in.NetworkAclId)
	return &ec2api.DeleteNetworkAclOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.acls, p, id, noACL)
		if err != nil {
			return err
		}
		if aws.Val(r.IsDefault) {
			return aws.Errorf("InvalidParameterValue", "cannot delete default network ACL %s", id)
		}
		subnets, err := s.subnets.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(subnets, func(sub record.Subnet) bool { return sub.ACL == id }) {
			return dependency("networkAcl", id)
		}
		s.acls.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// changeEntries changes the entries of an ACL.
func (s *Service) changeEntries(ctx context.Context, id *string, change func([]ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error)) error {
	return update(ctx, s, s.acls, aws.Val(id), noACL, func(r *record.NetworkACL) (err error) {
		r.Entries, err = change(r.Entries)
		return err
	})
}

// CreateNetworkAclEntry adds a rule to an ACL.
func (s *Service) CreateNetworkAclEntry(ctx context.Context, in *ec2api.CreateNetworkAclEntryInput) (*ec2api.CreateNetworkAclEntryOutput, error) {
	e := ec2api.NetworkAclEntry{
		RuleNumber: in.RuleNumber, Egress: in.Egress, RuleAction: in.RuleAction, Protocol: in.Protocol,
		CidrBlock: in.CidrBlock, Ipv6CidrBlock: in.Ipv6CidrBlock, PortRange: in.PortRange, IcmpTypeCode: in.IcmpTypeCode,
	}
	return &ec2api.CreateNetworkAclEntryOutput{}, s.changeEntries(ctx, in.NetworkAclId, func(all []ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error) { return acl.Add(all, e) })
}

// ReplaceNetworkAclEntry changes a rule of an ACL.
func (s *Service) ReplaceNetworkAclEntry(ctx context.Context, in *ec2api.ReplaceNetworkAclEntryInput) (*ec2api.ReplaceNetworkAclEntryOutput, error) {
	e := ec2api.NetworkAclEntry{
		RuleNumber: in.RuleNumber, Egress: in.Egress, RuleAction: in.RuleAction, Protocol: in.Protocol,
		CidrBlock: in.CidrBlock, Ipv6CidrBlock: in.Ipv6CidrBlock, PortRange: in.PortRange, IcmpTypeCode: in.IcmpTypeCode,
	}
	return &ec2api.ReplaceNetworkAclEntryOutput{}, s.changeEntries(ctx, in.NetworkAclId, func(all []ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error) { return acl.Replace(all, e) })
}

// DeleteNetworkAclEntry takes a rule from an ACL.
func (s *Service) DeleteNetworkAclEntry(ctx context.Context, in *ec2api.DeleteNetworkAclEntryInput) (*ec2api.DeleteNetworkAclEntryOutput, error) {
	return &ec2api.DeleteNetworkAclEntryOutput{}, s.changeEntries(ctx, in.NetworkAclId, func(all []ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error) {
		return acl.Remove(all, aws.Val(in.RuleNumber), aws.Val(in.Egress))
	})
}

// ReplaceNetworkAclAssociation gives a subnet another ACL; the association is a
// new one.
func (s *Service) ReplaceNetworkAclAssociation(ctx context.Context, in *ec2api.ReplaceNetworkAclAssociationInput) (*ec2api.ReplaceNetworkAclAssociationOutput, error) {
	p, id, to := at(ctx), aws.Val(in.AssociationId), aws.Val(in.NetworkAclId)
	next := ids.EC2("aclassoc")
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		all, err := s.subnets.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(sub record.Subnet) bool { return sub.ACLAssociationID() == id })
		if i < 0 {
			return noAssociation(id)
		}
		sub, err := get(tx, s.subnets, p, *all[i].SubnetId, noSubnet) // read again, to be checked at the commit
		if err != nil {
			return err
		}
		r, err := get(tx, s.acls, p, to, noACL)
		if err != nil {
			return err
		}
		if *r.VpcId != *sub.VpcId {
			return aws.Errorf("InvalidParameterValue", "Network ACL %s and subnet %s belong to different networks", to, *sub.SubnetId)
		}
		sub.ACL, sub.ACLAssociation = to, next
		return errFirst(s.acls.TxPut(tx, r, p.account, p.region, to), s.subnets.TxPut(tx, sub, p.account, p.region, *sub.SubnetId))
	})
	return &ec2api.ReplaceNetworkAclAssociationOutput{NewAssociationId: &next}, err
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
					NetworkAclAssociationId: aws.Ptr(sub.ACLAssociationID()), NetworkAclId: all[i].NetworkAclId, SubnetId: sub.SubnetId,
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
