package resources

import (
	"context"
	"strings"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// aclResources makes network ACLs, their rules, and puts subnets behind them.
type aclResources struct{ api ec2.API }

func aclTypes(inv aws.Invoker) map[string]Type {
	v := aclResources{ec2.NewClient(inv)}
	return map[string]Type{
		"AWS::EC2::NetworkAcl":                  {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete},
		"AWS::EC2::NetworkAclEntry":             {Create: v.createEntry, Ready: v.readyEntry, Update: v.updateEntry, Delete: v.deleteEntry},
		"AWS::EC2::SubnetNetworkAclAssociation": {Create: v.associate, Ready: v.readyAssociation, Delete: v.disassociate},
	}
}

func (v aclResources) create(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "network-acl"); err != nil || id != "" {
		return id, err
	}
	out, err := v.api.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: r.ptr("VpcId"), ClientToken: r.token(), TagSpecifications: ec2Tags(r, "network-acl")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.NetworkAcl.NetworkAclId), nil
}

func (v aclResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v aclResources) update(ctx context.Context, r *Request) error {
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

func (v aclResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteNetworkAcl(ctx, &ec2.DeleteNetworkAclInput{NetworkAclId: &r.PhysicalID})
	return gone(err, "InvalidNetworkAclID.NotFound")
}

// entry is a rule as EC2 is told it.
func entry(r *Request) (*ec2.CreateNetworkAclEntryInput, error) {
	in, err := into(without(r.Properties, "Icmp", "Egress", "Protocol"), new(ec2.CreateNetworkAclEntryInput))
	if err != nil {
		return nil, err
	}
	egress, _ := boolean(r.Properties, "Egress")
	in.Egress, in.Protocol, in.RuleAction = &egress, r.ptr("Protocol"), aws.Ptr(strings.ToLower(r.str("RuleAction")))
	if icmp, ok := r.Properties["Icmp"].(map[string]any); ok {
		in.IcmpTypeCode, err = into(icmp, new(ec2.IcmpTypeCode))
	}
	return in, err
}

func (v aclResources) createEntry(ctx context.Context, r *Request) (string, error) {
	in, err := entry(r)
	if err != nil {
		return "", err
	}
	if _, err := v.api.CreateNetworkAclEntry(ctx, in); err != nil && (!r.Resumed || gone(err, "NetworkAclEntryAlreadyExists") != nil) {
		return "", err
	}
	return r.name("", 255), nil
}

func (v aclResources) readyEntry(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v aclResources) updateEntry(ctx context.Context, r *Request) error {
	in, err := entry(r)
	if err != nil {
		return err
	}
	_, err = v.api.ReplaceNetworkAclEntry(ctx, &ec2.ReplaceNetworkAclEntryInput{
		NetworkAclId: in.NetworkAclId, RuleNumber: in.RuleNumber, Egress: in.Egress, Protocol: in.Protocol, RuleAction: in.RuleAction,
		CidrBlock: in.CidrBlock, Ipv6CidrBlock: in.Ipv6CidrBlock, PortRange: in.PortRange, IcmpTypeCode: in.IcmpTypeCode,
	})
	return err
}

func (v aclResources) deleteEntry(ctx context.Context, r *Request) error {
	in, err := entry(r)
	if err != nil {
		return err
	}
	_, err = v.api.DeleteNetworkAclEntry(ctx, &ec2.DeleteNetworkAclEntryInput{NetworkAclId: in.NetworkAclId, RuleNumber: in.RuleNumber, Egress: in.Egress})
	return gone(err, "InvalidNetworkAclEntry.NotFound", "InvalidNetworkAclID.NotFound")
}

// behind returns the association of a subnet, and the default ACL of its VPC.
func (v aclResources) behind(ctx context.Context, subnet string) (*ec2.NetworkAclAssociation, string, error) {
	out, err := v.api.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []ec2.Filter{{Name: aws.Ptr("association.subnet-id"), Values: []string{subnet}}}})
	if err != nil || len(out.NetworkAcls) == 0 {
		return nil, "", err
	}
	var found *ec2.NetworkAclAssociation
	for i, a := range out.NetworkAcls[0].Associations {
		if aws.Val(a.SubnetId) == subnet {
			found = &out.NetworkAcls[0].Associations[i]
		}
	}
	usual, err := v.api.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []ec2.Filter{
		{Name: aws.Ptr("vpc-id"), Values: []string{aws.Val(out.NetworkAcls[0].VpcId)}}, {Name: aws.Ptr("default"), Values: []string{"true"}},
	}})
	if err != nil || len(usual.NetworkAcls) == 0 {
		return nil, "", err
	}
	return found, aws.Val(usual.NetworkAcls[0].NetworkAclId), nil
}

func (v aclResources) associate(ctx context.Context, r *Request) (string, error) {
	a, _, err := v.behind(ctx, r.str("SubnetId"))
	if err == nil && a == nil {
		err = aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", r.str("SubnetId"))
	}
	if err != nil {
		return "", err
	}
	if aws.Val(a.NetworkAclId) == r.str("NetworkAclId") {
		return aws.Val(a.NetworkAclAssociationId), nil
	}
	out, err := v.api.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: r.ptr("NetworkAclId")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.NewAssociationId), nil
}

func (v aclResources) readyAssociation(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"AssociationId": r.PhysicalID}, true, nil
}

// disassociate puts the subnet behind its VPC's default ACL again, if it still is
// behind this one.
func (v aclResources) disassociate(ctx context.Context, r *Request) error {
	a, usual, err := v.behind(ctx, r.str("SubnetId"))
	if err != nil || a == nil || aws.Val(a.NetworkAclAssociationId) != r.PhysicalID {
		return gone(err, "InvalidSubnetID.NotFound")
	}
	_, err = v.api.ReplaceNetworkAclAssociation(ctx, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: a.NetworkAclAssociationId, NetworkAclId: &usual})
	return gone(err, "InvalidAssociationID.NotFound")
}
