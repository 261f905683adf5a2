package ec2

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/services/ec2/rule"
	"minato/store"
)

// wanted is what Authorize and Revoke are given, both in the older form and
// with permissions.
type wanted struct {
	permissions []ec2api.IpPermission
	protocol    *string
	from, to    *int32
	cidr        *string
	sourceName  *string
}

// rules turns it into rules without ids.
func (s *Service) rules(ctx context.Context, tx *store.Tx, p place, g *record.SecurityGroup, w wanted, egress bool) ([]ec2api.SecurityGroupRule, error) {
	perms := w.permissions
	if w.protocol != nil || w.cidr != nil || w.sourceName != nil {
		if len(perms) > 0 {
			return nil, aws.Errorf("InvalidParameterCombination", "The parameter ipPermissions may not be used together with others.")
		}
		one := ec2api.IpPermission{IpProtocol: aws.Ptr(orDefault(w.protocol, "-1")), FromPort: w.from, ToPort: w.to}
		if w.cidr != nil {
			one.IpRanges = []ec2api.IpRange{{CidrIp: w.cidr}}
		}
		if w.sourceName != nil {
			one.UserIdGroupPairs = []ec2api.UserIdGroupPair{{GroupName: w.sourceName}}
		}
		perms = []ec2api.IpPermission{one}
	}
	if len(perms) == 0 {
		return nil, aws.Errorf("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
	}
	var out []ec2api.SecurityGroupRule
	for _, perm := range perms {
		proto, err := rule.Protocol(aws.Val(perm.IpProtocol))
		if err != nil {
			return nil, err
		}
		from, to, err := rule.Ports(proto, perm.FromPort, perm.ToPort)
		if err != nil {
			return nil, err
		}
		base := ec2api.SecurityGroupRule{IpProtocol: &proto, FromPort: from, ToPort: to, IsEgress: aws.Ptr(egress)}
		n := len(out)
		for _, r := range perm.IpRanges {
			cidr, err := ruleBlock(aws.Val(r.CidrIp))
			if err != nil {
				return nil, err
			}
			rule := base
			rule.CidrIpv4, rule.Description = aws.Ptr(cidr.String()), r.Description
			out = append(out, rule)
		}
		for _, r := range perm.Ipv6Ranges {
			// Kept and shown; no interface here has an IPv6 address it could match.
			cidr, err := netip.ParsePrefix(aws.Val(r.CidrIpv6))
			if err != nil || !cidr.Addr().Is6() {
				return nil, aws.Errorf("InvalidParameterValue", "CIDR block %s is malformed", aws.Val(r.CidrIpv6))
			}
			rule := base
			rule.CidrIpv6, rule.Description = aws.Ptr(cidr.Masked().String()), r.Description
			out = append(out, rule)
		}
		for _, pair := range perm.UserIdGroupPairs {
			id, err := s.referenced(ctx, tx, p, g, pair)
			if err != nil {
				return nil, err
			}
			rule := base
			rule.ReferencedGroupInfo, rule.Description = &ec2api.ReferencedSecurityGroup{GroupId: &id, UserId: &p.account, VpcId: g.VpcId}, pair.Description
			out = append(out, rule)
		}
		if len(perm.PrefixListIds) > 0 {
			return nil, unsupported("a rule for a prefix list")
		}
		if len(out) == n {
			return nil, aws.Errorf("MissingParameter", "Missing source specification: include source security group or CIDR information")
		}
	}
	return out, nil
}

// ruleBlock parses a rule's CIDR, which may be a bare address.
func ruleBlock(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
		return netip.PrefixFrom(a, 32), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		return p, aws.Errorf("InvalidParameterValue", "CIDR block %s is malformed", text)
	}
	return p.Masked(), nil
}

// referenced finds the group a rule refers to, by id or name.
func (s *Service) referenced(ctx context.Context, tx *store.Tx, p place, g *record.SecurityGroup, pair ec2api.UserIdGroupPair) (string, error) {
	if pair.GroupId == nil && pair.GroupName == nil {
		return "", aws.Errorf("MissingParameter", "Missing source specification: include source security group or CIDR information")
	}
	if pair.GroupId != nil {
		o, err := get(tx, s.groups, p, *pair.GroupId, noGroup)
		if err == nil && *o.VpcId != *g.VpcId {
			err = aws.Errorf("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
		}
		return *pair.GroupId, err
	}
	all, err := s.groups.TxList(tx, p.account, p.region)
	if err != nil {
		return "", err
	}
	for _, o := range all {
		if *o.VpcId == *g.VpcId && *o.GroupName == *pair.GroupName {
			return *o.GroupId, nil
		}
	}
	return "", noGroup(*pair.GroupName)
}

// authorize adds rules to a group: all or none.
func (s *Service) authorize(ctx context.Context, id string, w wanted, egress bool, specs []ec2api.TagSpecification) ([]ec2api.SecurityGroupRule, error) {
	tags, err := tagsFor(specs, "security-group-rule")
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	var added []ec2api.SecurityGroupRule
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		added = nil
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return err
		}
		rules, err := s.rules(ctx, tx, p, &g, w, egress)
		if err != nil {
			return err
		}
		for _, r := range rules {
			if slices.ContainsFunc(g.Rules, func(o ec2api.SecurityGroupRule) bool { return rule.Same(o, r) }) {
				return duplicateRule(r)
			}
			r = g.Identified(arn.In(p.region, p.account), r)
			r.Tags = tags
			g.Rules = append(g.Rules, r)
			added = append(added, r)
		}
		if len(g.Rules) > maxRules {
			return aws.Errorf("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
		}
		return s.groups.TxPut(tx, g, p.account, p.region, id)
	})
	return added, err
}

// revoke takes rules from a group: all or none.
func (s *Service) revoke(ctx context.Context, id string, w wanted, ruleIDs []string, egress bool) ([]ec2api.RevokedSecurityGroupRule, error) {
	p := at(ctx)
	var gone []ec2api.RevokedSecurityGroupRule
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		gone = nil
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return err
		}
		take := func(is func(ec2api.SecurityGroupRule) bool, missing error) error {
			i := slices.IndexFunc(g.Rules, is)
			if i < 0 {
				return missing
			}
			r := g.Rules[i]
			gone = append(gone, ec2api.RevokedSecurityGroupRule{
				SecurityGroupRuleId: r.SecurityGroupRuleId, GroupId: r.GroupId, IsEgress: r.IsEgress, IpProtocol: r.IpProtocol, FromPort: r.FromPort, ToPort: r.ToPort,
				CidrIpv4: r.CidrIpv4, CidrIpv6: r.CidrIpv6, Description: r.Description,
			})
			g.Rules = slices.Delete(g.Rules, i, i+1)
			return nil
		}
		for _, rid := range ruleIDs {
			err := take(func(o ec2api.SecurityGroupRule) bool {
				return *o.SecurityGroupRuleId == rid && aws.Val(o.IsEgress) == egress
			}, noRule(rid))
			if err != nil {
				return err
			}
		}
		if len(ruleIDs) == 0 {
			rules, err := s.rules(ctx, tx, p, &g, w, egress)
			if err != nil {
				return err
			}
			for _, r := range rules {
				if err := take(func(o ec2api.SecurityGroupRule) bool { return rule.Same(o, r) }, aws.Errorf("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")); err != nil {
					return err
				}
			}
		}
		return s.groups.TxPut(tx, g, p.account, p.region, id)
	})
	return gone, err
}

// AuthorizeSecurityGroupIngress lets something in.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2api.AuthorizeSecurityGroupIngressInput) (*ec2api.AuthorizeSecurityGroupIngressOutput, error) {
	id, err := s.groupID(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	rules, err := s.authorize(ctx, id, wanted{in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName}, false, in.TagSpecifications)
	return &ec2api.AuthorizeSecurityGroupIngressOutput{Return: aws.Ptr(true), SecurityGroupRules: rules}, err
}

// AuthorizeSecurityGroupEgress lets something out.
func (s *Service) AuthorizeSecurityGroupEgress(ctx context.Context, in *ec2api.AuthorizeSecurityGroupEgressInput) (*ec2api.AuthorizeSecurityGroupEgressOutput, error) {
	rules, err := s.authorize(ctx, aws.Val(in.GroupId), wanted{in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName}, true, in.TagSpecifications)
	return &ec2api.AuthorizeSecurityGroupEgressOutput{Return: aws.Ptr(true), SecurityGroupRules: rules}, err
}

// RevokeSecurityGroupIngress takes ingress rules away.
func (s *Service) RevokeSecurityGroupIngress(ctx context.Context, in *ec2api.RevokeSecurityGroupIngressInput) (*ec2api.RevokeSecurityGroupIngressOutput, error) {
	id, err := s.groupID(ctx, in.GroupId, in.GroupName)
	if err != nil {
		return nil, err
	}
	gone, err := s.revoke(ctx, id, wanted{in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName}, in.SecurityGroupRuleIds, false)
	return &ec2api.RevokeSecurityGroupIngressOutput{Return: aws.Ptr(true), RevokedSecurityGroupRules: gone}, err
}

// RevokeSecurityGroupEgress takes egress rules away.
func (s *Service) RevokeSecurityGroupEgress(ctx context.Context, in *ec2api.RevokeSecurityGroupEgressInput) (*ec2api.RevokeSecurityGroupEgressOutput, error) {
	gone, err := s.revoke(ctx, aws.Val(in.GroupId), wanted{in.IpPermissions, in.IpProtocol, in.FromPort, in.ToPort, in.CidrIp, in.SourceSecurityGroupName}, in.SecurityGroupRuleIds, true)
	return &ec2api.RevokeSecurityGroupEgressOutput{Return: aws.Ptr(true), RevokedSecurityGroupRules: gone}, err
}

// DescribeSecurityGroupRules lists rules one by one.
func (s *Service) DescribeSecurityGroupRules(ctx context.Context, in *ec2api.DescribeSecurityGroupRulesInput) (*ec2api.DescribeSecurityGroupRulesOutput, error) {
	groups, err := list(ctx, s.groups)
	if err != nil {
		return nil, err
	}
	var all []ec2api.SecurityGroupRule
	for _, g := range groups {
		all = append(all, g.Rules...)
	}
	all, err = listing.Choose(all, in.SecurityGroupRuleIds, in.Filters, func(r *ec2api.SecurityGroupRule) string { return aws.Val(r.SecurityGroupRuleId) }, func(r *ec2api.SecurityGroupRule) []ec2api.Tag { return r.Tags },
		func(r *ec2api.SecurityGroupRule, name string) ([]string, bool) {
			switch name {
			case "group-id":
				return listing.Value(r.GroupId), true
			case "security-group-rule-id":
				return listing.Value(r.SecurityGroupRuleId), true
			}
			return nil, false
		}, noRule)
	if err != nil {
		return nil, err
	}
	rules, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	return &ec2api.DescribeSecurityGroupRulesOutput{SecurityGroupRules: rules, NextToken: next}, err
}

// retagRule changes the tags of a rule, which is in its group's record.
func (s *Service) retagRule(ctx context.Context, id string, apply func(*[]ec2api.Tag) error) error {
	missing := noRule(id)
	groups, err := list(ctx, s.groups)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if !slices.ContainsFunc(g.Rules, func(r ec2api.SecurityGroupRule) bool { return *r.SecurityGroupRuleId == id }) {
			continue
		}
		return update(ctx, s, s.groups, *g.GroupId, noGroup, func(g *record.SecurityGroup) error {
			for i := range g.Rules {
				if *g.Rules[i].SecurityGroupRuleId == id {
					return apply(&g.Rules[i].Tags)
				}
			}
			return missing
		})
	}
	return missing
}
