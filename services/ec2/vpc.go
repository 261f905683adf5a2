package ec2

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/acl"
	"minato/services/ec2/block"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// CreateVpc makes a VPC with its main route table, default group and ACL.
func (s *Service) CreateVpc(ctx context.Context, in *ec2api.CreateVpcInput) (*ec2api.CreateVpcOutput, error) {
	if in.CidrBlock == nil {
		return nil, aws.Errorf("MissingParameter", "Either 'cidrBlock' or 'ipv4IpamPoolId' should be provided.")
	}
	if aws.Val(in.AmazonProvidedIpv6CidrBlock) || in.Ipv6CidrBlock != nil {
		return nil, unsupported("IPv6")
	}
	cidr, err := block.Parse(*in.CidrBlock)
	if err != nil {
		return nil, err
	}
	if cidr.Bits() < 16 || cidr.Bits() > 28 {
		return nil, aws.Errorf("InvalidVpc.Range", "The CIDR '%s' is invalid.", *in.CidrBlock)
	}
	tags, err := tagsFor(in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	var v record.VPC
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err = s.newVPC(tx, at(ctx), cidr, false, tags)
		v.InstanceTenancy = aws.Ptr(orDefault(in.InstanceTenancy, "default"))
		return errFirst(err, s.vpcs.TxPut(tx, v, at(ctx).account, at(ctx).region, aws.Val(v.VpcId)))
	})
	return &ec2api.CreateVpcOutput{Vpc: &v.Vpc}, err
}

func orDefault(p *string, d string) string {
	if p == nil {
		return d
	}
	return *p
}

// newVPC writes the parts every VPC has and returns the VPC, to be written.
func (s *Service) newVPC(tx *store.Tx, p place, cidr netip.Prefix, isDefault bool, tags []ec2api.Tag) (record.VPC, error) {
	id := ids.EC2("vpc")
	v := record.VPC{
		Vpc: ec2api.Vpc{
			VpcId: &id, CidrBlock: aws.Ptr(cidr.String()), State: aws.Ptr("available"), IsDefault: &isDefault, OwnerId: &p.account,
			DhcpOptionsId: aws.Ptr("default"), InstanceTenancy: aws.Ptr("default"), Tags: tags,
			CidrBlockAssociationSet: []ec2api.VpcCidrBlockAssociation{{
				AssociationId: aws.Ptr(ids.EC2("vpc-cidr-assoc")), CidrBlock: aws.Ptr(cidr.String()), CidrBlockState: &ec2api.VpcCidrBlockState{State: aws.Ptr("associated")},
			}},
		},
		DNSSupport: true, DNSHostnames: isDefault,
	}
	main := s.newRouteTable(p, id, cidr)
	main.Associations = []ec2api.RouteTableAssociation{association(*main.RouteTableId, "", true)}
	group := defaultGroup(p, id)
	list := newACL(p, id, true, acl.Default())
	v.Main, v.DefaultGroup, v.DefaultACL = *main.RouteTableId, *group.GroupId, *list.NetworkAclId
	return v, errFirst(
		s.tables.TxPut(tx, main, p.account, p.region, *main.RouteTableId),
		s.groups.TxPut(tx, group, p.account, p.region, *group.GroupId),
		s.acls.TxPut(tx, list, p.account, p.region, *list.NetworkAclId),
	)
}

// DeleteVpc removes an empty VPC with the parts it was made with.
func (s *Service) DeleteVpc(ctx context.Context, in *ec2api.DeleteVpcInput) (*ec2api.DeleteVpcOutput, error) {
	p, id := at(ctx), aws.Val(in.VpcId)
	return &ec2api.DeleteVpcOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, id, noVPC)
		if err != nil {
			return err
		}
		used, err := s.vpcInUse(tx, p, &v)
		if err != nil {
			return err
		}
		if used {
			return dependency("vpc", id)
		}
		s.vpcs.TxDelete(tx, p.account, p.region, id)
		s.tables.TxDelete(tx, p.account, p.region, v.Main)
		s.groups.TxDelete(tx, p.account, p.region, v.DefaultGroup)
		s.acls.TxDelete(tx, p.account, p.region, v.DefaultACL)
		return nil
	})
}

// vpcInUse tells whether anything is in the VPC but what it was made with.
func (s *Service) vpcInUse(tx *store.Tx, p place, v *record.VPC) (bool, error) {
	id := *v.VpcId
	subnets, err1 := s.subnets.TxList(tx, p.account, p.region)
	gateways, err2 := s.gateways.TxList(tx, p.account, p.region)
	tables, err3 := s.tables.TxList(tx, p.account, p.region)
	groups, err4 := s.groups.TxList(tx, p.account, p.region)
	acls, err5 := s.acls.TxList(tx, p.account, p.region)
	endpoints, err6 := s.endpoints.TxList(tx, p.account, p.region)
	if err := errFirst(err1, err2, err3, err4, err5, err6); err != nil {
		return false, err
	}
	return slices.ContainsFunc(endpoints, func(r record.VPCEndpoint) bool { return *r.VpcId == id }) || slices.ContainsFunc(subnets, func(r record.Subnet) bool { return *r.VpcId == id }) ||
		slices.ContainsFunc(gateways, func(r record.InternetGateway) bool { return r.VPC() == id }) ||
		slices.ContainsFunc(tables, func(r record.RouteTable) bool { return *r.VpcId == id && *r.RouteTableId != v.Main }) ||
		slices.ContainsFunc(acls, func(r record.NetworkACL) bool { return *r.VpcId == id && *r.NetworkAclId != v.DefaultACL }) ||
		slices.ContainsFunc(groups, func(r record.SecurityGroup) bool { return *r.VpcId == id && *r.GroupId != v.DefaultGroup }), nil
}

// DescribeVpcs lists VPCs.
func (s *Service) DescribeVpcs(ctx context.Context, in *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	all, err := list(ctx, s.vpcs)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.VpcIds, in.Filters, func(r *record.VPC) string { return aws.Val(r.VpcId) }, func(r *record.VPC) []ec2api.Tag { return r.Tags }, (*record.VPC).Attribute, noVPC)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeVpcsOutput{NextToken: next}
	for _, r := range all {
		out.Vpcs = append(out.Vpcs, r.Vpc)
	}
	return out, err
}

// ModifyVpcAttribute switches DNS support and host names.
func (s *Service) ModifyVpcAttribute(ctx context.Context, in *ec2api.ModifyVpcAttributeInput) (*ec2api.ModifyVpcAttributeOutput, error) {
	return &ec2api.ModifyVpcAttributeOutput{}, update(ctx, s, s.vpcs, aws.Val(in.VpcId), noVPC, func(v *record.VPC) error {
		if in.EnableDnsSupport != nil {
			v.DNSSupport = aws.Val(in.EnableDnsSupport.Value)
		}
		if in.EnableDnsHostnames != nil {
			v.DNSHostnames = aws.Val(in.EnableDnsHostnames.Value)
		}
		return nil
	})
}

// DescribeVpcAttribute tells one attribute.
func (s *Service) DescribeVpcAttribute(ctx context.Context, in *ec2api.DescribeVpcAttributeInput) (*ec2api.DescribeVpcAttributeOutput, error) {
	p := at(ctx)
	v, found, err := s.vpcs.Get(ctx, p.account, p.region, aws.Val(in.VpcId))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, noVPC(aws.Val(in.VpcId))
	}
	out := &ec2api.DescribeVpcAttributeOutput{VpcId: v.VpcId}
	switch aws.Val(in.Attribute) {
	case "enableDnsSupport":
		out.EnableDnsSupport = &ec2api.AttributeBooleanValue{Value: &v.DNSSupport}
	case "enableDnsHostnames":
		out.EnableDnsHostnames = &ec2api.AttributeBooleanValue{Value: &v.DNSHostnames}
	case "enableNetworkAddressUsageMetrics":
		out.EnableNetworkAddressUsageMetrics = &ec2api.AttributeBooleanValue{Value: aws.Ptr(false)}
	}
	return out, nil
}
