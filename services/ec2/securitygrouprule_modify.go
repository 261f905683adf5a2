package ec2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/rule"
	"minato/store"
)

func noRule(id string) error {
	return aws.Errorf("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}

func duplicateRule(r ec2api.SecurityGroupRule) error {
	return aws.Errorf("InvalidPermission.Duplicate", "the specified rule \"peer: %s, %s, from port: %d, to port: %d, ALLOW\" already exists", rule.Source(r), strings.ToUpper(*r.IpProtocol), *r.FromPort, *r.ToPort)
}

// ModifySecurityGroupRules changes rules in place: they keep ids, direction and
// tags. All or none.
func (s *Service) ModifySecurityGroupRules(ctx context.Context, in *ec2api.ModifySecurityGroupRulesInput) (*ec2api.ModifySecurityGroupRulesOutput, error) {
	p, id := at(ctx), aws.Val(in.GroupId)
	if len(in.SecurityGroupRules) == 0 {
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter SecurityGroupRules")
	}
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return err
		}
		for _, u := range in.SecurityGroupRules {
			rid := aws.Val(u.SecurityGroupRuleId)
			i := slices.IndexFunc(g.Rules, func(o ec2api.SecurityGroupRule) bool { return *o.SecurityGroupRuleId == rid })
			if i < 0 {
				return noRule(rid)
			}
			if u.SecurityGroupRule == nil {
				return aws.Errorf("MissingParameter", "The request must contain the parameter SecurityGroupRule")
			}
			old := g.Rules[i]
			rules, err := s.rules(ctx, tx, p, &g, wanted{permissions: []ec2api.IpPermission{asPermission(u.SecurityGroupRule)}}, aws.Val(old.IsEgress))
			if err != nil {
				return err
			}
			if len(rules) != 1 {
				return aws.Errorf("InvalidParameterCombination", "Only one of the parameters cidrIpv4, cidrIpv6, prefixListId and referencedGroupId may be specified.")
			}
			r := rules[0]
			if slices.ContainsFunc(g.Rules, func(o ec2api.SecurityGroupRule) bool { return *o.SecurityGroupRuleId != rid && rule.Same(o, r) }) {
				return duplicateRule(r)
			}
			r.SecurityGroupRuleId, r.SecurityGroupRuleArn, r.GroupId, r.GroupOwnerId, r.Tags = old.SecurityGroupRuleId, old.SecurityGroupRuleArn, old.GroupId, old.GroupOwnerId, old.Tags
			g.Rules[i] = r
		}
		return s.groups.TxPut(tx, g, p.account, p.region, id)
	})
	return &ec2api.ModifySecurityGroupRulesOutput{Return: aws.Ptr(true)}, err
}

// asPermission is a rule in the older form, which rules are checked in.
func asPermission(r *ec2api.SecurityGroupRuleRequest) ec2api.IpPermission {
	out := ec2api.IpPermission{IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort}
	if r.CidrIpv4 != nil {
		out.IpRanges = []ec2api.IpRange{{CidrIp: r.CidrIpv4, Description: r.Description}}
	}
	if r.CidrIpv6 != nil {
		out.Ipv6Ranges = []ec2api.Ipv6Range{{CidrIpv6: r.CidrIpv6, Description: r.Description}}
	}
	if r.ReferencedGroupId != nil {
		out.UserIdGroupPairs = []ec2api.UserIdGroupPair{{GroupId: r.ReferencedGroupId, Description: r.Description}}
	}
	if r.PrefixListId != nil {
		out.PrefixListIds = []ec2api.PrefixListId{{PrefixListId: r.PrefixListId, Description: r.Description}}
	}
	return out
}

// describeRules gives rules of one direction other descriptions; which rules is
// said by their ids, or by what they let pass.
func (s *Service) describeRules(ctx context.Context, id string, permissions []ec2api.IpPermission, byID []ec2api.SecurityGroupRuleDescription, egress bool) error {
	if (len(permissions) == 0) == (len(byID) == 0) {
		return aws.Errorf("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleDescriptions' should be provided.")
	}
	p := at(ctx)
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return err
		}
		describe := func(text *string, is func(ec2api.SecurityGroupRule) bool, missing error) error {
			i := slices.IndexFunc(g.Rules, is)
			if i < 0 {
				return missing
			}
			g.Rules[i].Description = text
			return nil
		}
		for _, d := range byID {
			rid := aws.Val(d.SecurityGroupRuleId)
			if err := describe(d.Description, func(o ec2api.SecurityGroupRule) bool {
				return *o.SecurityGroupRuleId == rid && aws.Val(o.IsEgress) == egress
			}, noRule(rid)); err != nil {
				return err
			}
		}
		if len(byID) == 0 {
			rules, err := s.rules(ctx, tx, p, &g, wanted{permissions: permissions}, egress)
			if err != nil {
				return err
			}
			for _, r := range rules {
				if err := describe(r.Description, func(o ec2api.SecurityGroupRule) bool { return rule.Same(o, r) }, aws.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")); err != nil {
					return err
				}
			}
		}
		return s.groups.TxPut(tx, g, p.account, p.region, id)
	})
}

// UpdateSecurityGroupRuleDescriptionsIngress changes what is said of ingress rules.
func (s *Service) UpdateSecurityGroupRuleDescriptionsIngress(ctx context.Context, in *ec2api.UpdateSecurityGroupRuleDescriptionsIngressInput) (*ec2api.UpdateSecurityGroupRuleDescriptionsIngressOutput, error) {
	id, err := s.groupID(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsIngressOutput{Return: aws.Ptr(true)}, s.describeRules(ctx, id, in.IpPermissions, in.SecurityGroupRuleDescriptions, false)
}

// UpdateSecurityGroupRuleDescriptionsEgress changes what is said of egress rules.
func (s *Service) UpdateSecurityGroupRuleDescriptionsEgress(ctx context.Context, in *ec2api.UpdateSecurityGroupRuleDescriptionsEgressInput) (*ec2api.UpdateSecurityGroupRuleDescriptionsEgressOutput, error) {
	id, err := s.groupID(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	return &ec2api.UpdateSecurityGroupRuleDescriptionsEgressOutput{Return: aws.Ptr(true)}, s.describeRules(ctx, id, in.IpPermissions, in.SecurityGroupRuleDescriptions, true)
}
