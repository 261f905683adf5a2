package elbv2

import (
	"context"
	"net/netip"
	"slices"

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
	var add []target
	for i := range in.Targets {
		t, err := g.resolve(&in.Targets[i])
		if err != nil {
			return nil, err
		}
		if t.Zone, err = zoneOf(t.Address.Addr(), in.Targets[i].AvailabilityZone, aws.Val(g.VpcId), subnets); err != nil {
			return nil, err
		}
		add = append(add, t)
	}
	_, err = s.changeGroup(ctx, in.TargetGroupArn, func(g *group) error {
		for _, t := range add {
			if old := g.target(t.Address); old != nil {
				old.Deregister, old.Zone = nil, t.Zone
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

// resolve reads a target description of an ip group.
func (g *group) resolve(d *elbapi.TargetDescription) (target, error) {
	addr, err := netip.ParseAddr(aws.Val(d.Id))
	if err != nil || !addr.Is4() {
		return target{}, invalid("The IP address '%s' is not a valid IPv4 address", aws.Val(d.Id))
	}
	return target{Address: netip.AddrPortFrom(addr, uint16(setting(d.Port, aws.Val(g.Port))))}, nil
}

func (g *group) target(a netip.AddrPort) *target {
	for i := range g.Targets {
		if g.Targets[i].Address == a {
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
				if t.Deregister == nil && (t.Address == want.Address || d.Port == nil && t.Address.Addr() == want.Address.Addr()) {
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
