package resources

import (
	"context"
	"encoding/json"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// groupResources makes security groups and single rules of them.
type groupResources struct{ api ec2.API }

func groupTypes(inv aws.Invoker) map[string]Type {
	v := groupResources{ec2.NewClient(inv)}
	return map[string]Type{
		"AWS::EC2::SecurityGroup":        {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "GroupName"},
		"AWS::EC2::SecurityGroupIngress": {Create: v.createIngress, Ready: v.readyRule, Delete: v.deleteIngress},
		"AWS::EC2::SecurityGroupEgress":  {Create: v.createEgress, Ready: v.readyRule, Delete: v.deleteEgress},
	}
}

// rule is a rule as templates write it, in either direction.
type rule struct {
	IpProtocol                 string
	FromPort, ToPort           *int32
	CidrIp, CidrIpv6           *string
	Description                *string
	SourceSecurityGroupId      *string
	SourceSecurityGroupName    *string
	SourceSecurityGroupOwnerId *string
	SourcePrefixListId         *string
	DestinationSecurityGroupId *string
	DestinationPrefixListId    *string
}

// permission is the rule as the API takes it.
func (u rule) permission() ec2.IpPermission {
	p := ec2.IpPermission{IpProtocol: &u.IpProtocol, FromPort: u.FromPort, ToPort: u.ToPort}
	switch {
	case u.CidrIp != nil:
		p.IpRanges = []ec2.IpRange{{CidrIp: u.CidrIp, Description: u.Description}}
	case u.CidrIpv6 != nil:
		p.Ipv6Ranges = []ec2.Ipv6Range{{CidrIpv6: u.CidrIpv6, Description: u.Description}}
	case u.SourcePrefixListId != nil:
		p.PrefixListIds = []ec2.PrefixListId{{PrefixListId: u.SourcePrefixListId, Description: u.Description}}
	case u.DestinationPrefixListId != nil:
		p.PrefixListIds = []ec2.PrefixListId{{PrefixListId: u.DestinationPrefixListId, Description: u.Description}}
	case u.DestinationSecurityGroupId != nil:
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupId: u.DestinationSecurityGroupId, Description: u.Description}}
	default:
		p.UserIdGroupPairs = []ec2.UserIdGroupPair{{GroupId: u.SourceSecurityGroupId, GroupName: u.SourceSecurityGroupName, UserId: u.SourceSecurityGroupOwnerId, Description: u.Description}}
	}
	return p
}

// permissions reads the rules of a property.
func permissions(properties map[string]any, name string) ([]ec2.IpPermission, error) {
	items, _ := properties[name].([]any)
	var out []ec2.IpPermission
	for _, item := range items {
		u := new(rule)
		text, err := json.Marshal(item)
		if err == nil {
			err = json.Unmarshal(text, u)
		}
		if err != nil {
			return nil, aws.Errorf("InvalidRequest", "%s can not be read: %v", name, err)
		}
		out = append(out, u.permission())
	}
	return out, nil
}

// everything is the rule for outgoing traffic that a new group has.
func everything() []ec2.IpPermission {
	return []ec2.IpPermission{{IpProtocol: aws.Ptr("-1"), IpRanges: []ec2.IpRange{{CidrIp: aws.Ptr("0.0.0.0/0")}}}}
}

func (v groupResources) create(ctx context.Context, r *Request) (string, error) {
	id, err := left(ctx, v.api, r, "security-group")
	if err != nil {
		return "", err
	}
	if id == "" {
		out, err := v.api.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{
			GroupName: aws.Ptr(r.name("GroupName", 255)), Description: r.ptr("GroupDescription"),
			VpcId: r.ptr("VpcId"), TagSpecifications: ec2Tags(r, "security-group"),
		})
		if err != nil {
			return "", err
		}
		id = aws.Val(out.GroupId)
	}
	r.PhysicalID = id
	return r.PhysicalID, v.setRules(ctx, r, nil)
}

// setRules changes the group's rules from those of before to those wanted.
func (v groupResources) setRules(ctx context.Context, r *Request, before map[string]any) error {
	add, remove, err := ruleChanges(before, r.Properties, "SecurityGroupIngress", nil)
	if err != nil {
		return err
	}
	if len(remove) > 0 {
		if _, err := v.api.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &r.PhysicalID, IpPermissions: remove}); gone(err, "InvalidPermission.NotFound") != nil {
			return err
		}
	}
	if len(add) > 0 {
		_, err := v.api.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &r.PhysicalID, IpPermissions: add})
		if err = r.doubled(err); err != nil {
			return err
		}
	}
	add, remove, err = ruleChanges(before, r.Properties, "SecurityGroupEgress", everything())
	if err != nil {
		return err
	}
	if len(remove) > 0 {
		if _, err := v.api.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &r.PhysicalID, IpPermissions: remove}); gone(err, "InvalidPermission.NotFound") != nil {
			return err
		}
	}
	if len(add) > 0 {
		_, err = v.api.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &r.PhysicalID, IpPermissions: add})
	}
	return r.doubled(err)
}

// doubled takes a rule that is there already for made, in a repeated creation.
func (r *Request) doubled(err error) error {
	if r.Resumed {
		return gone(err, "InvalidPermission.Duplicate")
	}
	return err
}

// ruleChanges compares the rules of two states; a state without the property
// has the default rules.
func ruleChanges(before, after map[string]any, name string, standard []ec2.IpPermission) (add, remove []ec2.IpPermission, err error) {
	read := func(properties map[string]any) (map[string]ec2.IpPermission, error) {
		rules, err := permissions(properties, name)
		if len(rules) == 0 {
			rules = standard
		}
		set := map[string]ec2.IpPermission{}
		for _, p := range rules {
			key, _ := json.Marshal(p)
			set[string(key)] = p
		}
		return set, err
	}
	had, err := read(before)
	if err != nil {
		return nil, nil, err
	}
	want, err := read(after)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range sorted(want) {
		if _, ok := had[k]; !ok {
			add = append(add, want[k])
		}
	}
	for _, k := range sorted(had) {
		if _, ok := want[k]; !ok {
			remove = append(remove, had[k])
		}
	}
	return add, remove, nil
}

func (v groupResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{r.PhysicalID}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return nil, false, err
	}
	return map[string]any{"GroupId": r.PhysicalID, "Id": r.PhysicalID, "VpcId": aws.Val(out.SecurityGroups[0].VpcId)}, true, nil
}

func (v groupResources) update(ctx context.Context, r *Request) error {
	if err := v.setRules(ctx, r, r.Previous); err != nil {
		return err
	}
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

func (v groupResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: &r.PhysicalID})
	return gone(err, "InvalidGroup.NotFound")
}

// one reads a resource that is one rule.
func one(r *Request) ([]ec2.IpPermission, error) {
	u, err := into(without(r.Properties, "GroupId", "GroupName"), new(rule))
	if err != nil {
		return nil, err
	}
	return []ec2.IpPermission{u.permission()}, nil
}

func (v groupResources) createIngress(ctx context.Context, r *Request) (string, error) {
	p, err := one(r)
	if err != nil {
		return "", err
	}
	out, err := v.api.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: r.ptr("GroupId"), GroupName: r.ptr("GroupName"), IpPermissions: p})
	if err = r.doubled(err); err != nil {
		return "", err
	}
	if out == nil { // it was made before
		return r.LogicalID, nil
	}
	return ruleID(r, out.SecurityGroupRules), nil
}

func (v groupResources) createEgress(ctx context.Context, r *Request) (string, error) {
	p, err := one(r)
	if err != nil {
		return "", err
	}
	out, err := v.api.AuthorizeSecurityGroupEgress(ctx, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: r.ptr("GroupId"), IpPermissions: p})
	if err = r.doubled(err); err != nil {
		return "", err
	}
	if out == nil { // it was made before
		return r.LogicalID, nil
	}
	return ruleID(r, out.SecurityGroupRules), nil
}

// ruleID is the rule's id, or CloudFormation's older form of one.
func ruleID(r *Request, rules []ec2.SecurityGroupRule) string {
	if len(rules) > 0 && rules[0].SecurityGroupRuleId != nil {
		return *rules[0].SecurityGroupRuleId
	}
	return r.LogicalID
}

func (v groupResources) readyRule(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v groupResources) deleteIngress(ctx context.Context, r *Request) error {
	p, err := one(r)
	if err != nil {
		return err
	}
	_, err = v.api.RevokeSecurityGroupIngress(ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: r.ptr("GroupId"), GroupName: r.ptr("GroupName"), IpPermissions: p})
	return gone(err, "InvalidPermission.NotFound", "InvalidGroup.NotFound")
}

func (v groupResources) deleteEgress(ctx context.Context, r *Request) error {
	p, err := one(r)
	if err != nil {
		return err
	}
	_, err = v.api.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: r.ptr("GroupId"), IpPermissions: p})
	return gone(err, "InvalidPermission.NotFound", "InvalidGroup.NotFound")
}
