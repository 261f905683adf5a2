package ec2

import (
	"context"
	"net/netip"

	"minato/services/ec2/endpoint"
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

// Endpoint is a VPC endpoint as the VPC's own services need to know it.
type Endpoint = endpoint.Way

// Endpoints lists the endpoints of all accounts that packets go through.
func (s *Service) Endpoints(ctx context.Context) ([]Endpoint, error) {
	all, err := s.endpoints.List(ctx)
	return endpoint.Ways(all), err
}
