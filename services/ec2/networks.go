package ec2

import (
	"context"
	"net/netip"
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
