package ec2

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/endpoint"
	"minato/services/ec2/record"
)

// VPC is what the VPC's own services - resolver, metadata - need to know of it.
type VPC struct {
	ID      string
	Account string
	CIDR    netip.Prefix
	DNS     bool // enableDnsSupport
}

// VPCs lists the VPCs of all accounts.
func (s *Service) VPCs(ctx context.Context) ([]VPC, error) {
	all, err := s.vpcs.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []VPC
	for _, v := range all {
		cidr, err := netip.ParsePrefix(*v.CidrBlock)
		if err != nil {
			return nil, err
		}
		out = append(out, VPC{ID: *v.VpcId, Account: *v.OwnerId, CIDR: cidr, DNS: v.DNSSupport})
	}
	return out, nil
}

// Leads tells whether a subnet's packets go by one of some route tables.
func (s *Service) Leads(ctx context.Context, subnet string, tables []string) (bool, error) {
	if len(tables) == 0 {
		return false, nil
	}
	all, err := s.tables.List(ctx)
	if err != nil {
		return false, err
	}
	own := slices.IndexFunc(all, func(t record.RouteTable) bool {
		return slices.ContainsFunc(t.Associations, func(a ec2api.RouteTableAssociation) bool { return aws.Val(a.SubnetId) == subnet })
	})
	if own >= 0 {
		return slices.Contains(tables, *all[own].RouteTableId), nil
	}
	return slices.ContainsFunc(all, func(t record.RouteTable) bool {
		return slices.Contains(tables, *t.RouteTableId) && slices.ContainsFunc(t.Associations, func(a ec2api.RouteTableAssociation) bool { return aws.Val(a.Main) })
	}), nil
}

// Endpoint is a VPC endpoint as the VPC's own services need to know it.
type Endpoint = endpoint.Way

// Endpoints lists the endpoints of all accounts that packets go through.
func (s *Service) Endpoints(ctx context.Context) ([]Endpoint, error) {
	all, err := s.endpoints.List(ctx)
	return endpoint.Ways(all), err
}
