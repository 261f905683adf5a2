package elbv2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
)

// RegisterTargets adds targets to a group. One that is draining comes back as
// if it were new; one that is there already stays as it is.
func (s *Service) RegisterTargets(ctx context.Context, in *elbapi.RegisterTargetsInput) (*elbapi.RegisterTargetsOutput, error) {
	g, err := s.readGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	subnets, err := s.subnetsOf(ctx, aws.Val(g.VpcId))
	if err != nil {
		return nil, err
	}
	instances, err := s.instances(ctx, &g, in.Targets)
	if err != nil {
		return nil, err
	}
	var add []target
	for i := range in.Targets {
		t, err := g.resolve(&in.Targets[i])
		if err != nil {
			return nil, err
		}
		if t.Instance != "" {
			t.Address = netip.AddrPortFrom(instances[t.Instance], t.Address.Port())
		}
		if t.Zone, err = zoneOf(t.Address.Addr(), in.Targets[i].AvailabilityZone, aws.Val(g.VpcId), subnets); err != nil {
			return nil, err
		}
		add = append(add, t)
	}
	_, err = s.changeGroup(ctx, in.TargetGroupArn, func(g *group) error {
		for _, t := range add {
			if old := g.target(t); old != nil {
				old.Address, old.Deregister, old.Zone, old.State = t.Address, nil, t.Zone, ""
			} else {
				g.Targets = append(g.Targets, t)
			}
		}
		if len(g.Targets) > maxTargets {
			return elbapi.TooManyTargetsException("The maximum number of targets per target group, '%d', has been reached", maxTargets)
		}
		return nil
	})
	return &elbapi.RegisterTargetsOutput{}, err
}

// resolve reads a target description. The address of an instance is not known
// from it.
func (g *group) resolve(d *elbapi.TargetDescription) (target, error) {
	if d.QuicServerId != nil {
		return target{}, notServed("QUIC server IDs")
	}
	port := uint16(setting(d.Port, aws.Val(g.Port)))
	if aws.Val(g.TargetType) == elbapi.TargetTypeEnumInstance {
		if !strings.HasPrefix(aws.Val(d.Id), "i-") {
			return target{}, invalid("Instance ID '%s' is not valid", aws.Val(d.Id))
		}
		if d.AvailabilityZone != nil {
			return target{}, invalid("You cannot specify an Availability Zone for a target with type 'instance'")
		}
		return target{Instance: *d.Id, Address: netip.AddrPortFrom(netip.Addr{}, port)}, nil
	}
	addr, err := netip.ParseAddr(aws.Val(d.Id))
	if err != nil || !addr.Is4() {
		return target{}, invalid("The IP address '%s' is not a valid IPv4 address", aws.Val(d.Id))
	}
	return target{Address: netip.AddrPortFrom(addr, port)}, nil
}

// instances finds the addresses of the instances among descriptions; they must
// run, in the group's VPC.
func (s *Service) instances(ctx context.Context, g *group, all []elbapi.TargetDescription) (map[string]netip.Addr, error) {
	found := map[string]netip.Addr{}
	if aws.Val(g.TargetType) != elbapi.TargetTypeEnumInstance {
		return found, nil
	}
	var ids []string
	for i := range all {
		if t, err := g.resolve(&all[i]); err != nil {
			return nil, err
		} else if !slices.Contains(ids, t.Instance) {
			ids = append(ids, t.Instance)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	out, err := s.EC2.DescribeInstances(own(ctx, at(ctx)), &ec2api.DescribeInstancesInput{InstanceIds: ids})
	if aws.IsCode(err, "InvalidInstanceID.NotFound") || aws.IsCode(err, "InvalidInstanceID.Malformed") {
		return nil, elbapi.InvalidTargetException("The following targets do not exist: '%s'", strings.Join(ids, "', '")).Because(err)
	}
	if err != nil {
		return nil, err
	}
	for _, r := range out.Reservations {
		for i := range r.Instances {
			n := &r.Instances[i]
			id := aws.Val(n.InstanceId)
			addr, err := netip.ParseAddr(aws.Val(n.PrivateIpAddress))
			switch {
			case n.State == nil || aws.Val(n.State.Name) != ec2api.InstanceStateNameRunning || err != nil:
				return nil, elbapi.InvalidTargetException("The following targets are not in a running state and cannot be registered: '%s'", id)
			case aws.Val(n.VpcId) != aws.Val(g.VpcId):
				return nil, elbapi.InvalidTargetException("The following targets are not in the target group VPC '%s': '%s'", aws.Val(g.VpcId), id)
			}
			found[id] = addr
		}
	}
	for _, id := range ids {
		if !found[id].IsValid() {
			return nil, elbapi.InvalidTargetException("The following targets do not exist: '%s'", id)
		}
	}
	return found, nil
}

// same tells whether two targets are one: the same address, or, whatever its
// address, the same port of the same instance.
func (t *target) same(o target) bool {
	if t.Instance != "" || o.Instance != "" {
		return t.Instance == o.Instance && t.Address.Port() == o.Address.Port()
	}
	return t.Address == o.Address
}

// host is what a target's description calls it.
func (t *target) host() string {
	if t.Instance != "" {
		return t.Instance
	}
	return t.Address.Addr().String()
}

func (g *group) target(want target) *target {
	for i := range g.Targets {
		if g.Targets[i].same(want) {
			return &g.Targets[i]
		}
	}
	return nil
}

// subnet is what is needed of a subnet to know an address's zone.
type subnet struct {
	cidr netip.Prefix
	zone string
}

func (s *Service) subnetsOf(ctx context.Context, vpc string) ([]subnet, error) {
	out, err := s.EC2.DescribeSubnets(own(ctx, at(ctx)), &ec2api.DescribeSubnetsInput{
		Filters: []ec2api.Filter{{Name: aws.Ptr("vpc-id"), Values: []string{vpc}}},
	})
	if err != nil {
		return nil, err
	}
	var all []subnet
	for _, n := range out.Subnets {
		if cidr, err := netip.ParsePrefix(aws.Val(n.CidrBlock)); err == nil {
			all = append(all, subnet{cidr, aws.Val(n.AvailabilityZone)})
		}
	}
	return all, nil
}

// zoneOf finds the zone of a target's address, or checks the one given. An
// address outside the VPC must be a private one, and "all" its zone.
func zoneOf(addr netip.Addr, given *string, vpc string, subnets []subnet) (string, error) {
	for _, n := range subnets {
		if !n.cidr.Contains(addr) {
			continue
		}
		if z := aws.Val(given); z != "" && z != n.zone {
			return "", invalid("The IP address '%s' is in the Availability Zone '%s', not in '%s'", addr, n.zone, z)
		}
		return n.zone, nil
	}
	if !addr.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(addr) {
		return "", invalid("The IP address '%s' is not within a subnet of the VPC '%s' and is not a private address", addr, vpc)
	}
	if aws.Val(given) != "all" {
		return "", invalid("You must specify an Availability Zone of 'all' for the IP address '%s', which is outside of the VPC '%s'", addr, vpc)
	}
	return "all", nil
}

// DeregisterTargets begins to drain targets; of a group in no use they are gone
// at once. Without a port, every port of the address is meant.
func (s *Service) DeregisterTargets(ctx context.Context, in *elbapi.DeregisterTargetsInput) (*elbapi.DeregisterTargetsOutput, error) {
	_, err := s.changeGroup(ctx, in.TargetGroupArn, func(g *group) error {
		for i := range in.Targets {
			d := &in.Targets[i]
			want, err := g.resolve(d)
			if err != nil {
				return err
			}
			for j := range g.Targets {
				t := &g.Targets[j]
				if t.Deregister == nil && (t.same(want) || d.Port == nil && t.host() == want.host()) {
					t.Deregister = s.now()
				}
			}
		}
		if len(g.LoadBalancerArns) == 0 {
			g.Targets = slices.DeleteFunc(g.Targets, func(t target) bool { return t.Deregister != nil })
		}
		return nil
	})
	return &elbapi.DeregisterTargetsOutput{}, err
}
