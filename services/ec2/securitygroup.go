package ec2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

const (
	defaultName = "default"
	maxGroups   = 5   // of an interface
	maxRules    = 120 // of a group, both directions
)

func newGroup(p place, vpc, name, description string, tags []ec2api.Tag) record.SecurityGroup {
	id := ids.EC2("sg")
	g := record.SecurityGroup{SecurityGroup: ec2api.SecurityGroup{
		GroupId: &id, GroupName: &name, Description: &description, VpcId: &vpc, OwnerId: &p.account, Tags: tags,
		SecurityGroupArn: aws.Ptr(arn.In(p.region, p.account).EC2("security-group", id)),
	}}
	all := ec2api.SecurityGroupRule{IpProtocol: aws.Ptr("-1"), FromPort: aws.Ptr(int32(-1)), ToPort: aws.Ptr(int32(-1)), CidrIpv4: aws.Ptr("0.0.0.0/0"), IsEgress: aws.Ptr(true)}
	g.Rules = []ec2api.SecurityGroupRule{g.Identified(arn.In(p.region, p.account), all)}
	return g
}

// defaultGroup is the group every VPC has: its members reach one another.
func defaultGroup(p place, vpc string) record.SecurityGroup {
	g := newGroup(p, vpc, defaultName, "default VPC security group", nil)
	g.Rules = append(g.Rules, g.Identified(arn.In(p.region, p.account), ec2api.SecurityGroupRule{
		IpProtocol: aws.Ptr("-1"), FromPort: aws.Ptr(int32(-1)), ToPort: aws.Ptr(int32(-1)), IsEgress: aws.Ptr(false),
		ReferencedGroupInfo: &ec2api.ReferencedSecurityGroup{GroupId: g.GroupId, UserId: &p.account, VpcId: &vpc},
	}))
	return g
}

// CreateSecurityGroup makes a group that lets everything out and nothing in.
func (s *Service) CreateSecurityGroup(ctx context.Context, in *ec2api.CreateSecurityGroupInput) (*ec2api.CreateSecurityGroupOutput, error) {
	p, name, vpc := at(ctx), aws.Val(in.GroupName), aws.Val(in.VpcId)
	switch {
	case name == "" || len(name) > 255 || strings.HasPrefix(name, "sg-"):
		return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Group names may not be in the format sg-*.", name)
	case name == defaultName:
		return nil, aws.Errorf("InvalidParameterValue", "Cannot use reserved security group name: %s", name)
	case aws.Val(in.Description) == "":
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter GroupDescription")
	case len(*in.Description) > 255 || strings.ContainsFunc(*in.Description, func(r rune) bool { return r > 126 || r < 32 }):
		return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", *in.Description)
	}
	tags, err := tagsFor(in.TagSpecifications, "security-group")
	if err != nil {
		return nil, err
	}
	if vpc == "" {
		if vpc, err = s.defaultVPC(ctx); err != nil {
			return nil, err
		}
	}
	var g record.SecurityGroup
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, vpc, noVPC)
		if err != nil {
			return err
		}
		all, err := s.groups.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o record.SecurityGroup) bool { return *o.VpcId == vpc && *o.GroupName == name }) {
			return aws.Errorf("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpc)
		}
		g = newGroup(p, vpc, name, *in.Description, tags)
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, vpc), s.groups.TxPut(tx, g, p.account, p.region, *g.GroupId))
	})
	return &ec2api.CreateSecurityGroupOutput{GroupId: g.GroupId, Tags: g.Tags, SecurityGroupArn: g.SecurityGroupArn}, err
}

// DeleteSecurityGroup removes a group that no interface and no rule names.
func (s *Service) DeleteSecurityGroup(ctx context.Context, in *ec2api.DeleteSecurityGroupInput) (*ec2api.DeleteSecurityGroupOutput, error) {
	p := at(ctx)
	id, err := s.groupID(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	return &ec2api.DeleteSecurityGroupOutput{GroupId: &id, Return: aws.Ptr(true)}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return err
		}
		if *g.GroupName == defaultName {
			return aws.Errorf("CannotDelete", "the specified group: \"%s\" name: \"%s\" cannot be deleted by a user", id, defaultName)
		}
		enis, err := s.interfaces.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		groups, err := s.groups.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		used := slices.ContainsFunc(enis, func(e record.NetworkInterface) bool {
			return slices.ContainsFunc(e.Groups, func(o ec2api.GroupIdentifier) bool { return *o.GroupId == id })
		}) || slices.ContainsFunc(groups, func(o record.SecurityGroup) bool { return *o.GroupId != id && o.Names(id) })
		if used {
			return aws.Errorf("DependencyViolation", "resource %s has a dependent object", id)
		}
		s.groups.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// groupID is the id of a group given by id, or by name in the default VPC.
func (s *Service) groupID(ctx context.Context, id, name *string) (string, error) {
	if id != nil {
		return *id, nil
	}
	if name == nil {
		return "", aws.Errorf("MissingParameter", "The request must contain the parameter groupName or groupId")
	}
	vpc, err := s.defaultVPC(ctx)
	if err != nil {
		return "", err
	}
	all, err := list(ctx, s.groups)
	if err != nil {
		return "", err
	}
	for _, g := range all {
		if *g.VpcId == vpc && *g.GroupName == *name {
			return *g.GroupId, nil
		}
	}
	return "", aws.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", *name, vpc)
}

// DescribeSecurityGroups lists groups.
func (s *Service) DescribeSecurityGroups(ctx context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	all, err := list(ctx, s.groups)
	if err != nil {
		return nil, err
	}
	want := slices.Clone(in.GroupIds)
	for _, name := range in.GroupNames {
		id, err := s.groupID(ctx, nil, &name)
		if err != nil {
			return nil, err
		}
		want = append(want, id)
	}
	all, err = listing.Choose(all, want, in.Filters, func(r *record.SecurityGroup) string { return aws.Val(r.GroupId) }, func(r *record.SecurityGroup) []ec2api.Tag { return r.Tags }, (*record.SecurityGroup).Attribute, noGroup)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeSecurityGroupsOutput{NextToken: next}
	for _, r := range all {
		out.SecurityGroups = append(out.SecurityGroups, r.Shown())
	}
	return out, err
}
