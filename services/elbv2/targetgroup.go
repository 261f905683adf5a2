package elbv2

import (
	"context"
	"reflect"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	"minato/internal/ids"
	"minato/store"
)

// trafficPort is the health check port that stands for each target's own.
const trafficPort = "traffic-port"

// CreateTargetGroup writes a target group.
func (s *Service) CreateTargetGroup(ctx context.Context, in *elbapi.CreateTargetGroupInput) (*elbapi.CreateTargetGroupOutput, error) {
	name := aws.Val(in.Name)
	if err := checkName("target group", name); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if aws.Val(in.ProtocolVersion) == "" {
		in.ProtocolVersion = nil // which is how Terraform leaves it out
	}
	if err := served(in); err != nil {
		return nil, err
	}
	switch {
	case in.Protocol == nil:
		return nil, invalid("A protocol must be specified")
	case in.Port == nil:
		return nil, invalid("A port must be specified")
	case in.VpcId == nil:
		return nil, invalid("A VPC ID must be specified")
	}
	p := at(ctx)
	if err := s.checkVPC(ctx, *in.VpcId); err != nil {
		return nil, err
	}
	g := group{TargetGroup: elbapi.TargetGroup{
		HealthCheckEnabled: in.HealthCheckEnabled, HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds, HealthCheckPath: in.HealthCheckPath,
		HealthCheckPort: in.HealthCheckPort, HealthCheckProtocol: in.HealthCheckProtocol, HealthCheckTimeoutSeconds: in.HealthCheckTimeoutSeconds,
		HealthyThresholdCount: in.HealthyThresholdCount, IpAddressType: aws.Ptr(elbapi.TargetGroupIpAddressTypeEnumIpv4), Matcher: in.Matcher,
		Port: in.Port, Protocol: in.Protocol, TargetGroupArn: aws.Ptr(p.TargetGroup(name, ids.Hex(16))), TargetGroupName: &name,
		TargetType: aws.Ptr(setting(in.TargetType, elbapi.TargetTypeEnumInstance)), UnhealthyThresholdCount: in.UnhealthyThresholdCount, VpcId: in.VpcId,
	}, Tags: in.Tags}
	if !stream(in.Protocol) {
		g.ProtocolVersion = aws.Ptr(setting(in.ProtocolVersion, http1Version))
	}
	g.checkDefaults()
	if err := g.check(); err != nil {
		return nil, err
	}
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old, found, err := s.groups.TxGet(tx, p.Account, p.Region, name)
		switch {
		case err != nil:
			return err
		case found && !old.same(&g):
			return elbapi.DuplicateTargetGroupNameException("A target group with the same name '%s' exists, but with different settings", name)
		case found:
			g = old // the same call again
			return nil
		}
		all, err := s.groups.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		if len(all) >= maxGroups {
			return elbapi.TooManyTargetGroupsException("The maximum number of target groups has been reached")
		}
		return s.groups.TxPut(tx, g, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.CreateTargetGroupOutput{TargetGroups: []elbapi.TargetGroup{g.TargetGroup}}, nil
}

// served refuses what AWS can do with target groups and minato cannot.
func served(in *elbapi.CreateTargetGroupInput) error {
	t, protocol := setting(in.TargetType, elbapi.TargetTypeEnumInstance), aws.Val(in.Protocol)
	switch {
	case t != elbapi.TargetTypeEnumIp && t != elbapi.TargetTypeEnumInstance:
		return notServed("Target groups of target type '" + t + "'")
	case in.Protocol != nil && !slices.Contains(requestProtocols, protocol) && !slices.Contains(streamProtocols, protocol):
		return notServed("Target groups of protocol '" + protocol + "'")
	case in.ProtocolVersion != nil && stream(in.Protocol):
		return invalid("Protocol version cannot be specified for target groups with protocol '%s'", protocol)
	case !slices.Contains([]string{http1Version, http2Version, grpcVersion}, setting(in.ProtocolVersion, http1Version)):
		return invalid("Protocol version '%s' must be one of 'HTTP1, HTTP2, GRPC'", *in.ProtocolVersion)
	case setting(in.IpAddressType, elbapi.TargetGroupIpAddressTypeEnumIpv4) != elbapi.TargetGroupIpAddressTypeEnumIpv4:
		return notServed("The IP address type '" + *in.IpAddressType + "'")
	case in.TargetControlPort != nil:
		return notServed("Target control ports")
	case !setting(in.HealthCheckEnabled, true):
		return invalid("Health check enabled must be true for target groups with target type '%s'", t)
	}
	return nil
}

// same tells whether a call for o would make what g is.
func (g *group) same(o *group) bool {
	return aws.Val(g.Port) == aws.Val(o.Port) && aws.Val(g.VpcId) == aws.Val(o.VpcId) && aws.Val(g.HealthCheckPath) == aws.Val(o.HealthCheckPath) &&
		aws.Val(g.HealthCheckPort) == aws.Val(o.HealthCheckPort) && aws.Val(g.HealthCheckIntervalSeconds) == aws.Val(o.HealthCheckIntervalSeconds) &&
		aws.Val(g.HealthCheckTimeoutSeconds) == aws.Val(o.HealthCheckTimeoutSeconds) && aws.Val(g.HealthyThresholdCount) == aws.Val(o.HealthyThresholdCount) &&
		aws.Val(g.UnhealthyThresholdCount) == aws.Val(o.UnhealthyThresholdCount) && reflect.DeepEqual(g.Matcher, o.Matcher) &&
		aws.Val(g.Protocol) == aws.Val(o.Protocol) && aws.Val(g.ProtocolVersion) == aws.Val(o.ProtocolVersion) && aws.Val(g.TargetType) == aws.Val(o.TargetType) &&
		aws.Val(g.HealthCheckProtocol) == aws.Val(o.HealthCheckProtocol)
}

func (s *Service) checkVPC(ctx context.Context, id string) error {
	_, err := s.EC2.DescribeVpcs(own(ctx, at(ctx)), &ec2api.DescribeVpcsInput{VpcIds: []string{id}})
	if aws.IsCode(err, "InvalidVpcID.NotFound") {
		return invalid("The VPC ID '%s' is not found", id)
	}
	return err
}

// ModifyTargetGroup changes the health check.
func (s *Service) ModifyTargetGroup(ctx context.Context, in *elbapi.ModifyTargetGroupInput) (*elbapi.ModifyTargetGroupOutput, error) {
	g, err := s.changeGroup(ctx, in.TargetGroupArn, func(g *group) error {
		if !setting(in.HealthCheckEnabled, true) {
			return invalid("Health check enabled must be true for target groups with target type '%s'", aws.Val(g.TargetType))
		}
		if in.HealthCheckProtocol != nil && *in.HealthCheckProtocol != aws.Val(g.HealthCheckProtocol) {
			g.HealthCheckProtocol = in.HealthCheckProtocol
			if *in.HealthCheckProtocol == elbapi.ProtocolEnumTcp {
				g.HealthCheckPath, g.Matcher = nil, nil
			}
		}
		replace(&g.HealthCheckIntervalSeconds, in.HealthCheckIntervalSeconds)
		replace(&g.HealthCheckPath, in.HealthCheckPath)
		replace(&g.HealthCheckPort, in.HealthCheckPort)
		replace(&g.HealthCheckTimeoutSeconds, in.HealthCheckTimeoutSeconds)
		replace(&g.HealthyThresholdCount, in.HealthyThresholdCount)
		replace(&g.UnhealthyThresholdCount, in.UnhealthyThresholdCount)
		if in.Matcher != nil && (in.Matcher.HttpCode != nil || in.Matcher.GrpcCode != nil) {
			g.Matcher = in.Matcher
		}
		g.checkDefaults()
		return g.check()
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.ModifyTargetGroupOutput{TargetGroups: []elbapi.TargetGroup{g.TargetGroup}}, nil
}

func replace[T any](dst **T, v *T) {
	if v != nil {
		*dst = v
	}
}

// DeleteTargetGroup removes a target group that nothing forwards to. One that
// does not exist is removed already.
func (s *Service) DeleteTargetGroup(ctx context.Context, in *elbapi.DeleteTargetGroupInput) (*elbapi.DeleteTargetGroupOutput, error) {
	p := at(ctx)
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		g, err := s.txGroup(tx, p, in.TargetGroupArn)
		if aws.IsCode(err, "TargetGroupNotFound") {
			return nil
		}
		if err != nil {
			return err
		}
		if len(g.LoadBalancerArns) > 0 {
			return elbapi.ResourceInUseException("Target group '%s' is currently in use by a listener or a rule", aws.Val(g.TargetGroupArn))
		}
		s.groups.TxDelete(tx, p.Account, p.Region, aws.Val(g.TargetGroupName))
		s.health.TxDelete(tx, p.Account, p.Region, aws.Val(g.TargetGroupName))
		return nil
	})
	return &elbapi.DeleteTargetGroupOutput{}, err
}

// DescribeTargetGroups shows target groups: all, those named, or those a load
// balancer uses.
func (s *Service) DescribeTargetGroups(ctx context.Context, in *elbapi.DescribeTargetGroupsInput) (*elbapi.DescribeTargetGroupsOutput, error) {
	given := 0
	for _, is := range []bool{in.LoadBalancerArn != nil, len(in.Names) > 0, len(in.TargetGroupArns) > 0} {
		if is {
			given++
		}
	}
	if given > 1 {
		return nil, invalid("Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time")
	}
	p := at(ctx)
	all, err := s.groups.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	for _, a := range in.TargetGroupArns {
		if _, ok := arnParts(a, "targetgroup", 2); !ok {
			return nil, invalid("'%s' is not a valid target group ARN", a)
		}
		if !slices.ContainsFunc(all, func(g group) bool { return aws.Val(g.TargetGroupArn) == a }) {
			return nil, groupsGone()
		}
	}
	for _, n := range in.Names {
		if !slices.ContainsFunc(all, func(g group) bool { return aws.Val(g.TargetGroupName) == n }) {
			return nil, groupsGone()
		}
	}
	if in.LoadBalancerArn != nil {
		if _, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone); err != nil {
			return nil, err
		}
	}
	var out []elbapi.TargetGroup
	for i := range all {
		g := &all[i]
		if len(in.TargetGroupArns) > 0 && !slices.Contains(in.TargetGroupArns, aws.Val(g.TargetGroupArn)) ||
			len(in.Names) > 0 && !slices.Contains(in.Names, aws.Val(g.TargetGroupName)) ||
			in.LoadBalancerArn != nil && !slices.Contains(g.LoadBalancerArns, *in.LoadBalancerArn) {
			continue
		}
		out = append(out, g.TargetGroup)
	}
	items, next, err := page(out, func(g *elbapi.TargetGroup) *string { return g.TargetGroupArn }, in.Marker, in.PageSize)
	return &elbapi.DescribeTargetGroupsOutput{TargetGroups: items, NextMarker: next}, err
}
