package elbv2

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	"minato/internal/ids"
	"minato/store"
)

// hostedZones are the ids of the zones that names of application and of network
// load balancers are in, by region, which Route 53 aliases name.
var hostedZones = map[string][2]string{
	"us-east-1": {"Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"}, "us-east-2": {"Z3AADJGX6KTTL2", "ZLMOA37VPKANP"},
	"us-west-1": {"Z368ELLRRE2KJ0", "Z24FKFUX50B4VW"}, "us-west-2": {"Z1H1FL5HABSF5", "Z18D5FSROUN65G"},
	"eu-west-1": {"Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"}, "eu-central-1": {"Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"},
	"eu-west-2": {"ZHURV8PSTC4K8", "ZD4D7Y8KGAS4G"}, "eu-north-1": {"Z23TAZ6LKFMNIO", "Z1UDT6IFJ4EJM"},
	"ap-northeast-1": {"Z14GRHDCWA56QT", "Z31USIVHYNEOWT"}, "ap-northeast-3": {"Z5LXEXXYW11ES", "Z1GWIQ4HH19I5X"},
	"ap-southeast-1": {"Z1LMS91P8CMLE5", "ZKVM4W9LS7TM"}, "ap-southeast-2": {"Z1GM3OXH4ZPM65", "ZCT6FZBF4DROD"},
}

// hostedZone is the zone of a region's load balancers of a kind.
func hostedZone(region, kind string) string {
	z, ok := hostedZones[region]
	if !ok {
		z = hostedZones["us-east-1"]
	}
	if kind == networkKind {
		return z[1]
	}
	return z[0]
}

func checkName(kind, name string) error {
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return invalid("The %s name '%s' can only contain characters that are alphanumeric characters and hyphens(-)", kind, name)
		}
	}
	switch {
	case name == "":
		return invalid("A %s name must be specified", kind)
	case len(name) > 32:
		return invalid("The %s name '%s' cannot be longer than '32' characters", kind, name)
	case name[0] == '-' || name[len(name)-1] == '-':
		return invalid("The %s name '%s' cannot begin or end with a hyphen(-)", kind, name)
	case kind == "load balancer" && strings.HasPrefix(name, "internal-"):
		return invalid("The load balancer name '%s' cannot begin with 'internal-'", name)
	}
	return nil
}

// CreateLoadBalancer writes a load balancer; its interfaces follow.
func (s *Service) CreateLoadBalancer(ctx context.Context, in *elbapi.CreateLoadBalancerInput) (*elbapi.CreateLoadBalancerOutput, error) {
	name := aws.Val(in.Name)
	if err := checkName("load balancer", name); err != nil {
		return nil, err
	}
	switch t := setting(in.Type, elbapi.LoadBalancerTypeEnumApplication); {
	case t != elbapi.LoadBalancerTypeEnumApplication && t != elbapi.LoadBalancerTypeEnumNetwork:
		return nil, notServed("Load balancers of type '" + t + "'")
	case setting(in.IpAddressType, elbapi.IpAddressTypeIpv4) != elbapi.IpAddressTypeIpv4:
		return nil, notServed("The IP address type '" + *in.IpAddressType + "'")
	case in.CustomerOwnedIpv4Pool != nil || in.IpamPools != nil:
		return nil, notServed("Address pools")
	case in.EnablePrefixForIpv6SourceNat != nil && *in.EnablePrefixForIpv6SourceNat != "off":
		return nil, notServed("Source NAT for IPv6")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	p := at(ctx)
	kind := kindOf(aws.Val(in.Type))
	scheme := setting(in.Scheme, elbapi.LoadBalancerSchemeEnumInternetFacing)
	zones, vpc, err := s.zones(ctx, kind, in.Subnets, in.SubnetMappings, scheme)
	if err != nil {
		return nil, err
	}
	var groups []string // a network load balancer may be without
	if kind == appKind || len(in.SecurityGroups) > 0 {
		if groups, err = s.securityGroups(ctx, in.SecurityGroups, vpc); err != nil {
			return nil, err
		}
	}
	id := ids.Hex(16)
	host := fmt.Sprintf("%s-%d.%s.elb.amazonaws.com", name, 100_000_000+rand.IntN(1_900_000_000), p.Region)
	if kind == networkKind {
		host = fmt.Sprintf("%s-%s.elb.%s.amazonaws.com", name, id, p.Region)
	}
	if scheme == elbapi.LoadBalancerSchemeEnumInternal && kind == appKind {
		host = "internal-" + host
	}
	b := balancer{LoadBalancer: elbapi.LoadBalancer{
		AvailabilityZones: zones, CanonicalHostedZoneId: aws.Ptr(hostedZone(p.Region, kind)), CreatedTime: s.now(), DNSName: &host,
		IpAddressType: aws.Ptr(elbapi.IpAddressTypeIpv4), LoadBalancerArn: aws.Ptr(p.LoadBalancer(kind, name, id)), LoadBalancerName: &name,
		Scheme: &scheme, SecurityGroups: groups, State: &elbapi.LoadBalancerState{Code: aws.Ptr(elbapi.LoadBalancerStateEnumProvisioning)},
		Type: aws.Ptr(setting(in.Type, elbapi.LoadBalancerTypeEnumApplication)), VpcId: &vpc,
	}, Tags: in.Tags}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old, found, err := s.balancers.TxGet(tx, p.Account, p.Region, name)
		switch {
		case err != nil:
			return err
		case found && !old.same(&b):
			return elbapi.DuplicateLoadBalancerNameException("A load balancer with the same name '%s' exists, but with different settings", name)
		case found:
			b = old // the same call again
			return nil
		}
		all, err := s.balancers.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		if len(all) >= maxBalancers {
			return elbapi.TooManyLoadBalancersException("The maximum number of load balancers has been reached")
		}
		if err := s.places.TxPut(tx, p, p.Account, p.Region); err != nil {
			return err
		}
		return s.balancers.TxPut(tx, b, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.CreateLoadBalancerOutput{LoadBalancers: []elbapi.LoadBalancer{b.LoadBalancer}}, nil
}

// same tells whether a call for o would make what b is.
func (b *balancer) same(o *balancer) bool {
	return aws.Val(b.Scheme) == aws.Val(o.Scheme) && b.network() == o.network() && slices.Equal(sortedSubnets(b.AvailabilityZones), sortedSubnets(o.AvailabilityZones)) &&
		slices.Equal(slices.Sorted(slices.Values(b.SecurityGroups)), slices.Sorted(slices.Values(o.SecurityGroups)))
}

func sortedSubnets(zones []elbapi.AvailabilityZone) []string {
	var all []string
	for _, z := range zones {
		all = append(all, aws.Val(z.SubnetId))
	}
	slices.Sort(all)
	return all
}

// zones checks the subnets a load balancer is to stand in, and finds their
// zones and their VPC.
func (s *Service) zones(ctx context.Context, kind string, subnets []string, mappings []elbapi.SubnetMapping, scheme string) ([]elbapi.AvailabilityZone, string, error) {
	if len(subnets) > 0 && len(mappings) > 0 {
		return nil, "", invalid("You can specify either 'Subnets' or 'SubnetMappings', but not both")
	}
	for _, m := range mappings {
		if m.AllocationId != nil || m.PrivateIPv4Address != nil || m.IPv6Address != nil || m.SourceNatIpv6Prefix != nil {
			if kind == networkKind {
				return nil, "", notServed("Addresses of one's own for a network load balancer")
			}
			return nil, "", elbapi.InvalidConfigurationRequestException("You cannot specify addresses for subnets of an application load balancer")
		}
		subnets = append(subnets, aws.Val(m.SubnetId))
	}
	subnets = slices.Compact(slices.Sorted(slices.Values(subnets)))
	if kind == networkKind && len(subnets) == 0 {
		return nil, "", invalid("At least one subnet must be specified")
	}
	if kind == appKind && len(subnets) < 2 {
		return nil, "", invalid("At least two subnets in two different Availability Zones must be specified")
	}
	ctx = own(ctx, at(ctx))
	out, err := s.EC2.DescribeSubnets(ctx, &ec2api.DescribeSubnetsInput{SubnetIds: subnets})
	if aws.IsCode(err, "InvalidSubnetID.NotFound") {
		return nil, "", elbapi.SubnetNotFoundException("%s", aws.AsError(err).Message)
	}
	if err != nil {
		return nil, "", err
	}
	var zones []elbapi.AvailabilityZone
	vpc := aws.Val(out.Subnets[0].VpcId)
	for _, n := range out.Subnets {
		if aws.Val(n.VpcId) != vpc {
			return nil, "", elbapi.InvalidConfigurationRequestException("All subnets must belong to the same VPC: '%s'", vpc)
		}
		if slices.ContainsFunc(zones, func(z elbapi.AvailabilityZone) bool { return aws.Val(z.ZoneName) == aws.Val(n.AvailabilityZone) }) {
			return nil, "", elbapi.InvalidConfigurationRequestException("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
		}
		zones = append(zones, elbapi.AvailabilityZone{SubnetId: n.SubnetId, ZoneName: n.AvailabilityZone})
	}
	slices.SortFunc(zones, func(x, y elbapi.AvailabilityZone) int {
		return strings.Compare(aws.Val(x.ZoneName), aws.Val(y.ZoneName))
	})
	if scheme == elbapi.LoadBalancerSchemeEnumInternetFacing {
		gateways, err := s.EC2.DescribeInternetGateways(ctx, &ec2api.DescribeInternetGatewaysInput{
			Filters: []ec2api.Filter{{Name: aws.Ptr("attachment.vpc-id"), Values: []string{vpc}}},
		})
		if err != nil {
			return nil, "", err
		}
		if len(gateways.InternetGateways) == 0 {
			return nil, "", elbapi.InvalidSubnetException("VPC %s has no internet gateway", vpc)
		}
	}
	return zones, vpc, nil
}

// securityGroups checks the groups, or finds the VPC's default group.
func (s *Service) securityGroups(ctx context.Context, groups []string, vpc string) ([]string, error) {
	ctx = own(ctx, at(ctx))
	in := &ec2api.DescribeSecurityGroupsInput{GroupIds: groups}
	if len(groups) == 0 {
		in.Filters = []ec2api.Filter{{Name: aws.Ptr("vpc-id"), Values: []string{vpc}}, {Name: aws.Ptr("group-name"), Values: []string{"default"}}}
	}
	out, err := s.EC2.DescribeSecurityGroups(ctx, in)
	if aws.IsCode(err, "InvalidGroup.NotFound") || aws.IsCode(err, "InvalidGroupId.Malformed") {
		return nil, elbapi.InvalidConfigurationRequestException("One or more security groups are invalid")
	}
	if err != nil {
		return nil, err
	}
	var all []string
	for _, g := range out.SecurityGroups {
		if aws.Val(g.VpcId) != vpc {
			return nil, elbapi.InvalidConfigurationRequestException("One or more security groups are invalid")
		}
		all = append(all, aws.Val(g.GroupId))
	}
	return all, nil
}

// DeleteLoadBalancer removes a load balancer with its listeners; its interfaces
// follow. One that does not exist is removed already.
func (s *Service) DeleteLoadBalancer(ctx context.Context, in *elbapi.DeleteLoadBalancerInput) (*elbapi.DeleteLoadBalancerOutput, error) {
	p := at(ctx)
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		b, err := s.txBalancer(tx, p, in.LoadBalancerArn, balancersGone)
		if aws.IsCode(err, "LoadBalancerNotFound") {
			return nil
		}
		if err != nil {
			return err
		}
		if b.attribute("deletion_protection.enabled") == "true" {
			return elbapi.OperationNotPermittedException("Load balancer '%s' cannot be deleted because deletion protection is enabled", aws.Val(b.LoadBalancerArn))
		}
		if err := s.txRelease(tx, p, b.uses(), nil); err != nil {
			return err
		}
		s.balancers.TxDelete(tx, p.Account, p.Region, aws.Val(b.LoadBalancerName))
		return nil
	})
	return &elbapi.DeleteLoadBalancerOutput{}, err
}

// DescribeLoadBalancers shows load balancers, all or those named.
func (s *Service) DescribeLoadBalancers(ctx context.Context, in *elbapi.DescribeLoadBalancersInput) (*elbapi.DescribeLoadBalancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	p := at(ctx)
	all, err := s.balancers.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	for _, a := range in.LoadBalancerArns {
		if _, ok := arnParts(a, "loadbalancer", 3); !ok {
			return nil, invalid("'%s' is not a valid load balancer ARN", a)
		}
		if !slices.ContainsFunc(all, func(b balancer) bool { return aws.Val(b.LoadBalancerArn) == a }) {
			return nil, balancersGone()
		}
	}
	for _, n := range in.Names {
		if !slices.ContainsFunc(all, func(b balancer) bool { return aws.Val(b.LoadBalancerName) == n }) {
			return nil, elbapi.LoadBalancerNotFoundException("Load balancers '[%s]' not found", n)
		}
	}
	var out []elbapi.LoadBalancer
	for i := range all {
		b := &all[i]
		if len(in.LoadBalancerArns) > 0 && !slices.Contains(in.LoadBalancerArns, aws.Val(b.LoadBalancerArn)) ||
			len(in.Names) > 0 && !slices.Contains(in.Names, aws.Val(b.LoadBalancerName)) {
			continue
		}
		seen, found, err := s.nodes.Get(ctx, p.Account, p.Region, aws.Val(b.LoadBalancerName))
		if err != nil {
			return nil, err
		}
		if found && seen.ARN == aws.Val(b.LoadBalancerArn) && seen.Active {
			b.State.Code = aws.Ptr(elbapi.LoadBalancerStateEnumActive)
		}
		out = append(out, b.LoadBalancer)
	}
	items, next, err := page(out, func(b *elbapi.LoadBalancer) *string { return b.LoadBalancerArn }, in.Marker, in.PageSize)
	return &elbapi.DescribeLoadBalancersOutput{LoadBalancers: items, NextMarker: next}, err
}

// SetSecurityGroups changes a load balancer's security groups.
func (s *Service) SetSecurityGroups(ctx context.Context, in *elbapi.SetSecurityGroupsInput) (*elbapi.SetSecurityGroupsOutput, error) {
	b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	if err != nil {
		return nil, err
	}
	if in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic != nil && *in.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic != "on" {
		return nil, notServed("Traffic by PrivateLink")
	}
	if b.network() && len(b.SecurityGroups) == 0 {
		return nil, elbapi.InvalidConfigurationRequestException("You cannot set security groups on a Network Load Balancer which was created without any security groups.")
	}
	if b.network() && len(in.SecurityGroups) == 0 {
		return nil, elbapi.InvalidConfigurationRequestException("You cannot remove all security groups from a Network Load Balancer")
	}
	groups, err := s.securityGroups(ctx, in.SecurityGroups, aws.Val(b.VpcId))
	if err != nil {
		return nil, err
	}
	_, err = s.changeBalancer(ctx, in.LoadBalancerArn, balancersGone, func(_ *store.Tx, b *balancer) error {
		b.SecurityGroups = groups
		return nil
	})
	return &elbapi.SetSecurityGroupsOutput{SecurityGroupIds: groups}, err
}

// SetSubnets moves a load balancer to other subnets of its VPC.
func (s *Service) SetSubnets(ctx context.Context, in *elbapi.SetSubnetsInput) (*elbapi.SetSubnetsOutput, error) {
	b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	if err != nil {
		return nil, err
	}
	switch {
	case setting(in.IpAddressType, elbapi.IpAddressTypeIpv4) != elbapi.IpAddressTypeIpv4:
		return nil, notServed("The IP address type '" + *in.IpAddressType + "'")
	case setting(in.EnablePrefixForIpv6SourceNat, "off") != "off":
		return nil, notServed("Source NAT for IPv6")
	}
	zones, vpc, err := s.zones(ctx, kindOf(aws.Val(b.Type)), in.Subnets, in.SubnetMappings, aws.Val(b.Scheme))
	if err != nil {
		return nil, err
	}
	if vpc != aws.Val(b.VpcId) {
		return nil, elbapi.InvalidConfigurationRequestException("The subnets must belong to the load balancer's VPC '%s'", aws.Val(b.VpcId))
	}
	_, err = s.changeBalancer(ctx, in.LoadBalancerArn, balancersGone, func(_ *store.Tx, b *balancer) error {
		b.AvailabilityZones = zones
		return nil
	})
	return &elbapi.SetSubnetsOutput{AvailabilityZones: zones, IpAddressType: b.IpAddressType}, err
}

// SetIpAddressType takes ipv4, which is what every load balancer has here.
func (s *Service) SetIpAddressType(ctx context.Context, in *elbapi.SetIpAddressTypeInput) (*elbapi.SetIpAddressTypeOutput, error) {
	if aws.Val(in.IpAddressType) != elbapi.IpAddressTypeIpv4 {
		return nil, notServed("The IP address type '" + aws.Val(in.IpAddressType) + "'")
	}
	b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	return &elbapi.SetIpAddressTypeOutput{IpAddressType: b.IpAddressType}, err
}
