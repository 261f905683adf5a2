package rds

import (
	"context"
	"net/netip"

	"minato/aws"
)

// Name is an instance's endpoint, for the name servers.
type Name struct {
	Name    string
	VPC     string
	Private netip.Addr // what the name means inside the VPC
	Public  netip.Addr // and outside of it; invalid for an instance that is not public
}

// Names returns the endpoints of all instances that have an address.
func (s *Service) Names(ctx context.Context) ([]Name, error) {
	all, err := s.instances.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []Name
	for _, i := range all {
		if i.Endpoint == nil || !i.Interface.Private.IsValid() {
			continue
		}
		out = append(out, Name{Name: aws.Val(i.Endpoint.Address), VPC: aws.Val(i.DBSubnetGroup.VpcId), Private: i.Interface.Private, Public: i.Interface.Address})
	}
	return out, nil
}
