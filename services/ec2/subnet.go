package ec2

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ec2/block"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/services/ec2/zone"
	"minato/store"
)

// reserved is how many addresses of a subnet AWS keeps: the first four and the last.
const reserved = 5

// CreateSubnet makes a subnet in a VPC.
func (s *Service) CreateSubnet(ctx context.Context, in *ec2api.CreateSubnetInput) (*ec2api.CreateSubnetOutput, error) {
	if in.CidrBlock == nil {
		return nil, aws.Errorf("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	if in.Ipv6CidrBlock != nil || aws.Val(in.Ipv6Native) {
		return nil, unsupported("IPv6")
	}
	cidr, err := block.Parse(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	tags, err := tagsFor(in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	zone, err := zone.Pick(p.region, in.AvailabilityZone, in.AvailabilityZoneId)
	if err != nil {
		return nil, err
	}
	var r record.Subnet
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, aws.Val(in.VpcId), noVPC)
		if err != nil {
			return err
		}
		outer, _ := netip.ParsePrefix(*v.CidrBlock) // checked when it was made
		if cidr.Bits() < 16 || cidr.Bits() > 28 || !outer.Contains(cidr.Addr()) || cidr.Bits() < outer.Bits() {
			return aws.Errorf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
		}
		all, err := s.subnets.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o record.Subnet) bool { return *o.VpcId == *v.VpcId && o.CIDR().Overlaps(cidr) }) {
			return aws.Errorf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", *in.CidrBlock)
		}
		r = newSubnet(p, &v, cidr, zone, tags)
		// The VPC is written again, so that of two subnets made at the same time
		// one sees the other.
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, *v.VpcId), s.subnets.TxPut(tx, r, p.account, p.region, *r.SubnetId))
	})
	return &ec2api.CreateSubnetOutput{Subnet: &r.Subnet}, err
}

func newSubnet(p place, v *record.VPC, cidr netip.Prefix, zone ec2api.AvailabilityZone, tags []ec2api.Tag) record.Subnet {
	id := ids.EC2("subnet")
	return record.Subnet{ACL: v.DefaultACL, Subnet: ec2api.Subnet{
		SubnetId: &id, VpcId: v.VpcId, CidrBlock: aws.Ptr(cidr.String()), AvailabilityZone: zone.ZoneName, AvailabilityZoneId: zone.ZoneId,
		AvailableIpAddressCount: aws.Ptr(int32(1<<(32-cidr.Bits()) - reserved)), State: aws.Ptr("available"), OwnerId: &p.account,
		SubnetArn: aws.Ptr(arn.In(p.region, p.account).EC2("subnet", id)), Tags: tags,
		DefaultForAz: aws.Ptr(false), MapPublicIpOnLaunch: aws.Ptr(false), AssignIpv6AddressOnCreation: aws.Ptr(false), EnableDns64: aws.Ptr(false),
		Ipv6Native: aws.Ptr(false), MapCustomerOwnedIpOnLaunch: aws.Ptr(false),
		PrivateDnsNameOptionsOnLaunch: &ec2api.PrivateDnsNameOptionsOnLaunch{HostnameType: aws.Ptr("ip-name"), EnableResourceNameDnsARecord: aws.Ptr(false), EnableResourceNameDnsAAAARecord: aws.Ptr(false)},
	}}
}

// DeleteSubnet removes a subnet without interfaces, and its association with a
// route table.
func (s *Service) DeleteSubnet(ctx context.Context, in *ec2api.DeleteSubnetInput) (*ec2api.DeleteSubnetOutput, error) {
	p, id := at(ctx), aws.Val(in.SubnetId)
	return &ec2api.DeleteSubnetOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, err := get(tx, s.subnets, p, id, noSubnet); err != nil {
			return err
		}
		inUse, err := s.private.TxList(tx, p.account, p.region, id)
		if err != nil {
			return err
		}
		if len(inUse) > 0 {
			return dependency("subnet", id)
		}
		tables, err := s.tables.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		for _, t := range tables {
			n := len(t.Associations)
			if t.Associations = slices.DeleteFunc(t.Associations, func(a ec2api.RouteTableAssociation) bool { return aws.Val(a.SubnetId) == id }); len(t.Associations) != n {
				if err := s.tables.TxPut(tx, t, p.account, p.region, *t.RouteTableId); err != nil {
					return err
				}
			}
		}
		s.subnets.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// DescribeSubnets lists subnets, with the addresses that are free now.
func (s *Service) DescribeSubnets(ctx context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	all, err := list(ctx, s.subnets)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.SubnetIds, in.Filters, func(r *record.Subnet) string { return aws.Val(r.SubnetId) }, func(r *record.Subnet) []ec2api.Tag { return r.Tags }, (*record.Subnet).Attribute, noSubnet)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	out := &ec2api.DescribeSubnetsOutput{NextToken: next}
	for _, r := range all {
		used, err := s.private.Keys(ctx, p.account, p.region, *r.SubnetId)
		if err != nil {
			return nil, err
		}
		r.AvailableIpAddressCount = aws.Ptr(aws.Val(r.AvailableIpAddressCount) - int32(len(used)))
		out.Subnets = append(out.Subnets, r.Subnet)
	}
	return out, nil
}

// ModifySubnetAttribute changes what a subnet does for new interfaces.
func (s *Service) ModifySubnetAttribute(ctx context.Context, in *ec2api.ModifySubnetAttributeInput) (*ec2api.ModifySubnetAttributeOutput, error) {
	if in.AssignIpv6AddressOnCreation != nil && aws.Val(in.AssignIpv6AddressOnCreation.Value) {
		return nil, unsupported("IPv6")
	}
	if t := in.PrivateDnsHostnameTypeOnLaunch; t != nil && *t != ec2api.HostnameTypeIpName {
		return nil, unsupported("the host name type " + *t)
	}
	return &ec2api.ModifySubnetAttributeOutput{}, update(ctx, s, s.subnets, aws.Val(in.SubnetId), noSubnet, func(r *record.Subnet) error {
		if in.MapPublicIpOnLaunch != nil {
			r.MapPublicIpOnLaunch = aws.Ptr(aws.Val(in.MapPublicIpOnLaunch.Value))
		}
		return nil
	})
}
