package record

import (
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/rule"
)

// SecurityGroup is a security group. Rules are kept one by one, as
// DescribeSecurityGroupRules shows them; the permissions are made of them.
type SecurityGroup struct {
	ec2api.SecurityGroup
	Rules []ec2api.SecurityGroupRule
}

// permissionAttributes are what the filters ip-permission.* and
// egress.ip-permission.* look at in each rule of their direction.
var permissionAttributes = map[string]func(*ec2api.SecurityGroupRule) *string{
	"cidr":           func(x *ec2api.SecurityGroupRule) *string { return x.CidrIpv4 },
	"ipv6-cidr":      func(x *ec2api.SecurityGroupRule) *string { return x.CidrIpv6 },
	"prefix-list-id": func(x *ec2api.SecurityGroupRule) *string { return x.PrefixListId },
	"protocol":       func(x *ec2api.SecurityGroupRule) *string { return x.IpProtocol },
	"from-port":      func(x *ec2api.SecurityGroupRule) *string { return number(x.FromPort) },
	"to-port":        func(x *ec2api.SecurityGroupRule) *string { return number(x.ToPort) },
	"group-id": func(x *ec2api.SecurityGroupRule) *string {
		if x.ReferencedGroupInfo == nil {
			return nil
		}
		return x.ReferencedGroupInfo.GroupId
	},
	"user-id": func(x *ec2api.SecurityGroupRule) *string {
		if x.ReferencedGroupInfo == nil {
			return nil
		}
		return x.ReferencedGroupInfo.UserId
	},
}

// number is a number as filters compare it; nil for none.
func number(n *int32) *string {
	if n == nil {
		return nil
	}
	return aws.Ptr(strconv.Itoa(int(*n)))
}

// Attribute gives the values of a filter of DescribeSecurityGroups.
func (r *SecurityGroup) Attribute(name string) ([]string, bool) {
	rest, egress := strings.CutPrefix(name, "egress.")
	if rest, ok := strings.CutPrefix(rest, "ip-permission."); ok {
		of := permissionAttributes[rest]
		if of == nil {
			return nil, false
		}
		var out []string
		for _, x := range r.Rules {
			if aws.Val(x.IsEgress) == egress {
				out = append(out, listing.Value(of(&x))...)
			}
		}
		return out, true
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

// Shown is the group as DescribeSecurityGroups tells it.
func (r *SecurityGroup) Shown() ec2api.SecurityGroup {
	g := r.SecurityGroup
	g.IpPermissions, g.IpPermissionsEgress = rule.Permissions(r.Rules, false), rule.Permissions(r.Rules, true)
	return g
}

// Identified gives a rule its ids and owner.
func (r *SecurityGroup) Identified(p arn.Place, one ec2api.SecurityGroupRule) ec2api.SecurityGroupRule {
	id := ids.EC2("sgr")
	one.SecurityGroupRuleId, one.GroupId, one.GroupOwnerId = &id, r.GroupId, &p.Account
	one.SecurityGroupRuleArn = aws.Ptr(p.EC2("security-group-rule", id))
	return one
}

// Names tells whether a rule of the group refers to another group.
func (r *SecurityGroup) Names(group string) bool {
	return slices.ContainsFunc(r.Rules, func(x ec2api.SecurityGroupRule) bool {
		return x.ReferencedGroupInfo != nil && aws.Val(x.ReferencedGroupInfo.GroupId) == group
	})
}
