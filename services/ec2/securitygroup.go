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
	"minato/store"
)

// groupRecord is a security group. Rules are kept one by one, as
// DescribeSecurityGroupRules shows them; the permissions are made of them.
type groupRecord struct {
	ec2api.SecurityGroup
	Rules []ec2api.SecurityGroupRule
}

const (
	defaultName = "default"
	maxGroups   = 5   // of an interface
	maxRules    = 120 // of a group, both directions
)

func (r *groupRecord) attribute(name string) ([]string, bool) {
	permissions := func(egress bool, f func(ec2api.SecurityGroupRule) *string) ([]string, bool) {
		var out []string
		for _, x := range r.Rules {
			if aws.Val(x.IsEgress) == egress {
				out = append(out, listing.Value(f(x))...)
			}
		}
		return out, true
	}
	rest, egress := strings.CutPrefix(name, "egress.")
	if rest, ok := strings.CutPrefix(rest, "ip-permission."); ok {
		switch rest {
		case "cidr":
			return permissions(egress, func(x ec2api.SecurityGroupRule) *string { return x.CidrIpv4 })
		case "group-id":
			return permissions(egress, func(x ec2api.SecurityGroupRule) *string {
				if x.ReferencedGroupInfo == nil {
					return nil
				}
				return x.ReferencedGroupInfo.GroupId
			})
		case "protocol":
			return permissions(egress, func(x ec2api.SecurityGroupRule) *string { return x.IpProtocol })
		}
	}
	switch name {
	case "group-id":
		return listing.Value(r.GroupId), true
	case "group-name":
		return listing.Value(r.GroupName), true
	case "description":
		return listing.Value(r.Description), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	}
	return nil, false
}

// shown is the group as DescribeSecurityGroups tells it.
func (r *groupRecord) shown() ec2api.SecurityGroup {
	g := r.SecurityGroup
	g.IpPermissions, g.IpPermissionsEgress = permissions(r.Rules, false), permissions(r.Rules, true)
	return g
}

// permissions joins rules of one direction, protocol and port range, as the
// older form of the API shows them.
func permissions(rules []ec2api.SecurityGroupRule, egress bool) []ec2api.IpPermission {
	var out []ec2api.IpPermission
	for _, r := range rules {
		if aws.Val(r.IsEgress) != egress {
			continue
		}
		i := slices.IndexFunc(out, func(p ec2api.IpPermission) bool {
			return aws.Val(p.IpProtocol) == aws.Val(r.IpProtocol) && samePort(p.FromPort, shownPort(r, r.FromPort)) && samePort(p.ToPort, shownPort(r, r.ToPort))
		})
		if i < 0 {
			out = append(out, ec2api.IpPermission{IpProtocol: r.IpProtocol, FromPort: shownPort(r, r.FromPort), ToPort: shownPort(r, r.ToPort)})
			i = len(out) - 1
		}
		switch {
		case r.ReferencedGroupInfo != nil:
			out[i].UserIdGroupPairs = append(out[i].UserIdGroupPairs, ec2api.UserIdGroupPair{GroupId: r.ReferencedGroupInfo.GroupId, UserId: r.ReferencedGroupInfo.UserId, Description: r.Description})
		case r.CidrIpv6 != nil:
			out[i].Ipv6Ranges = append(out[i].Ipv6Ranges, ec2api.Ipv6Range{CidrIpv6: r.CidrIpv6, Description: r.Description})
		default:
			out[i].IpRanges = append(out[i].IpRanges, ec2api.IpRange{CidrIp: r.CidrIpv4, Description: r.Description})
		}
	}
	return out
}

// shownPort is absent in permissions for all protocols, where rules say -1.
func shownPort(r ec2api.SecurityGroupRule, p *int32) *int32 {
	if aws.Val(r.IpProtocol) == "-1" {
		return nil
	}
	return p
}

func samePort(a, b *int32) bool { return (a == nil) == (b == nil) && aws.Val(a) == aws.Val(b) }

func newGroup(p place, vpc, name, description string, tags []ec2api.Tag) groupRecord {
	id := ids.EC2("sg")
	g := groupRecord{SecurityGroup: ec2api.SecurityGroup{
		GroupId: &id, GroupName: &name, Description: &description, VpcId: &vpc, OwnerId: &p.account, Tags: tags,
		SecurityGroupArn: aws.Ptr(arn.In(p.region, p.account).EC2("security-group", id)),
	}}
	all := ec2api.SecurityGroupRule{IpProtocol: aws.Ptr("-1"), FromPort: aws.Ptr(int32(-1)), ToPort: aws.Ptr(int32(-1)), CidrIpv4: aws.Ptr("0.0.0.0/0"), IsEgress: aws.Ptr(true)}
	g.Rules = []ec2api.SecurityGroupRule{g.identified(p, all)}
	return g
}

// identified gives a rule its ids and owner.
func (r *groupRecord) identified(p place, rule ec2api.SecurityGroupRule) ec2api.SecurityGroupRule {
	id := ids.EC2("sgr")
	rule.SecurityGroupRuleId, rule.GroupId, rule.GroupOwnerId = &id, r.GroupId, &p.account
	rule.SecurityGroupRuleArn = aws.Ptr(arn.In(p.region, p.account).EC2("security-group-rule", id))
	return rule
}

// defaultGroup is the group every VPC has: its members reach one another.
func defaultGroup(p place, vpc string) groupRecord {
	g := newGroup(p, vpc, defaultName, "default VPC security group", nil)
	g.Rules = append(g.Rules, g.identified(p, ec2api.SecurityGroupRule{
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
	var g groupRecord
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, vpc, noVPC)
		if err != nil {
			return err
		}
		all, err := s.groups.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o groupRecord) bool { return *o.VpcId == vpc && *o.GroupName == name }) {
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
		used := slices.ContainsFunc(enis, func(e interfaceRecord) bool {
			return slices.ContainsFunc(e.Groups, func(o ec2api.GroupIdentifier) bool { return *o.GroupId == id })
		}) || slices.ContainsFunc(groups, func(o groupRecord) bool { return *o.GroupId != id && o.names(id) })
		if used {
			return aws.Errorf("DependencyViolation", "resource %s has a dependent object", id)
		}
		s.groups.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// names tells whether a rule of the group refers to another group.
func (r *groupRecord) names(group string) bool {
	return slices.ContainsFunc(r.Rules, func(x ec2api.SecurityGroupRule) bool {
		return x.ReferencedGroupInfo != nil && aws.Val(x.ReferencedGroupInfo.GroupId) == group
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
	all, err = listing.Choose(all, want, in.Filters, func(r *groupRecord) string { return aws.Val(r.GroupId) }, func(r *groupRecord) []ec2api.Tag { return r.Tags }, (*groupRecord).attribute, noGroup)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeSecurityGroupsOutput{NextToken: next}
	for _, r := range all {
		out.SecurityGroups = append(out.SecurityGroups, r.shown())
	}
	return out, err
}
