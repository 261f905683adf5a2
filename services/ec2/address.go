package ec2

import (
	"context"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// maxAddresses is AWS's default quota of an account in a region.
const maxAddresses = 5

// AllocateAddress takes an address of the pool.
func (s *Service) AllocateAddress(ctx context.Context, in *ec2api.AllocateAddressInput) (*ec2api.AllocateAddressOutput, error) {
	if in.Address != nil || in.PublicIpv4Pool != nil || in.CustomerOwnedIpv4Pool != nil {
		return nil, unsupported("an address pool of one's own")
	}
	tags, err := tagsFor(in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	p, id := at(ctx), ids.EC2("eipalloc")
	r := record.Address{Address: ec2api.Address{AllocationId: &id, Domain: aws.Ptr("vpc"), NetworkBorderGroup: &p.region, PublicIpv4Pool: aws.Ptr("amazon"), Tags: tags}}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		have, err := s.addresses.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if len(have) >= maxAddresses {
			return aws.Errorf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
		}
		addr, err := s.takePublic(tx, id)
		if err != nil {
			return err
		}
		r.PublicIp = aws.Ptr(addr.String())
		return s.addresses.TxPut(tx, r, p.account, p.region, id)
	})
	return &ec2api.AllocateAddressOutput{AllocationId: &id, PublicIp: r.PublicIp, Domain: r.Domain, NetworkBorderGroup: r.NetworkBorderGroup, PublicIpv4Pool: r.PublicIpv4Pool}, err
}

// ReleaseAddress gives an address back that nothing uses.
func (s *Service) ReleaseAddress(ctx context.Context, in *ec2api.ReleaseAddressInput) (*ec2api.ReleaseAddressOutput, error) {
	if in.AllocationId == nil {
		return nil, aws.Errorf("MissingParameter", "You must specify an allocation id when releasing a VPC elastic IP address")
	}
	p, id := at(ctx), *in.AllocationId
	return &ec2api.ReleaseAddressOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.addresses, p, id, noAllocation)
		if err != nil {
			return err
		}
		if r.AssociationId != nil {
			return aws.Errorf("InvalidIPAddress.InUse", "Address %s is in use.", *r.PublicIp)
		}
		s.releasePublic(tx, *r.PublicIp)
		s.addresses.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// AssociateAddress gives an interface an elastic address; an automatic one it
// had is given back.
func (s *Service) AssociateAddress(ctx context.Context, in *ec2api.AssociateAddressInput) (*ec2api.AssociateAddressOutput, error) {
	if in.InstanceId != nil {
		return nil, aws.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", *in.InstanceId)
	}
	if in.AllocationId == nil || in.NetworkInterfaceId == nil {
		return nil, aws.Errorf("MissingParameter", "Either instance ID or network interface id must be specified, and an allocation id.")
	}
	p := at(ctx)
	var id string
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		e, err := get(tx, s.addresses, p, *in.AllocationId, noAllocation)
		if err != nil {
			return err
		}
		r, err := get(tx, s.interfaces, p, *in.NetworkInterfaceId, noInterface)
		if err != nil {
			return err
		}
		if err := mayChange(ctx, &r); err != nil {
			return err
		}
		if e.AssociationId != nil {
			if aws.Val(e.NetworkInterfaceId) == *r.NetworkInterfaceId {
				id = *e.AssociationId
				return nil
			}
			if !aws.Val(in.AllowReassociation) {
				return aws.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", *e.AllocationId, *e.AssociationId)
			}
			if err := s.detachAddress(tx, p, &e); err != nil {
				return err
			}
		}
		if err := s.setPublic(tx, p, &r, false); err != nil {
			return err
		}
		if r.Association != nil {
			return aws.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", *r.NetworkInterfaceId, aws.Val(r.Association.AssociationId))
		}
		id = s.attachAddress(p, &e, &r)
		return errFirst(s.addresses.TxPut(tx, e, p.account, p.region, *e.AllocationId), s.interfaces.TxPut(tx, r, p.account, p.region, *r.NetworkInterfaceId))
	})
	return &ec2api.AssociateAddressOutput{AssociationId: &id}, err
}

// attachAddress ties an address and an interface together in their records.
func (s *Service) attachAddress(p place, e *record.Address, r *record.NetworkInterface) string {
	id := ids.EC2("eipassoc")
	e.AssociationId, e.NetworkInterfaceId, e.NetworkInterfaceOwnerId, e.PrivateIpAddress = &id, r.NetworkInterfaceId, &p.account, r.PrivateIpAddress
	r.Associate(&ec2api.NetworkInterfaceAssociation{AllocationId: e.AllocationId, AssociationId: &id, IpOwnerId: &p.account, PublicIp: e.PublicIp, PublicDnsName: aws.Ptr("")})
	return id
}

// detachAddress takes an address from the interface that has it; the address's
// own record is left to the caller to write.
func (s *Service) detachAddress(tx *store.Tx, p place, e *record.Address) error {
	r, found, err := s.interfaces.TxGet(tx, p.account, p.region, aws.Val(e.NetworkInterfaceId))
	if err != nil {
		return err
	}
	if found {
		if aws.Val(r.InterfaceType) == record.NATType {
			return aws.Errorf("AuthFailure", "You do not have permission to access the specified resource.")
		}
		r.Associate(nil)
		if err := s.interfaces.TxPut(tx, r, p.account, p.region, *r.NetworkInterfaceId); err != nil {
			return err
		}
	}
	e.Dissociate()
	return nil
}

// DisassociateAddress takes an elastic address from its interface.
func (s *Service) DisassociateAddress(ctx context.Context, in *ec2api.DisassociateAddressInput) (*ec2api.DisassociateAddressOutput, error) {
	p, id := at(ctx), aws.Val(in.AssociationId)
	return &ec2api.DisassociateAddressOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		all, err := s.addresses.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		for _, o := range all {
			if aws.Val(o.AssociationId) != id || id == "" {
				continue
			}
			e, err := get(tx, s.addresses, p, *o.AllocationId, noAllocation)
			if err != nil {
				return err
			}
			return errFirst(s.detachAddress(tx, p, &e), s.addresses.TxPut(tx, e, p.account, p.region, *e.AllocationId))
		}
		return noAssociation(id)
	})
}

// DescribeAddresses lists elastic addresses.
func (s *Service) DescribeAddresses(ctx context.Context, in *ec2api.DescribeAddressesInput) (*ec2api.DescribeAddressesOutput, error) {
	all, err := list(ctx, s.addresses)
	if err != nil {
		return nil, err
	}
	tags := func(r *record.Address) []ec2api.Tag { return r.Tags }
	all, err = listing.Choose(all, in.AllocationIds, in.Filters, func(r *record.Address) string { return aws.Val(r.AllocationId) }, tags, (*record.Address).Attribute, noAllocation)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.PublicIps, nil, func(r *record.Address) string { return aws.Val(r.PublicIp) }, tags, (*record.Address).Attribute, func(ip string) error {
		return aws.Errorf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
	})
	out := &ec2api.DescribeAddressesOutput{}
	for _, r := range all {
		out.Addresses = append(out.Addresses, r.Address)
	}
	return out, err
}

// DescribeAddressesAttribute lists the reverse DNS names of addresses; none has
// one here, as none has on AWS until somebody sets it.
func (s *Service) DescribeAddressesAttribute(ctx context.Context, in *ec2api.DescribeAddressesAttributeInput) (*ec2api.DescribeAddressesAttributeOutput, error) {
	all, err := list(ctx, s.addresses)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.AllocationIds, nil, func(r *record.Address) string { return aws.Val(r.AllocationId) }, func(r *record.Address) []ec2api.Tag { return r.Tags }, (*record.Address).Attribute, noAllocation)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeAddressesAttributeOutput{NextToken: next}
	for _, r := range all {
		out.Addresses = append(out.Addresses, ec2api.AddressAttribute{AllocationId: r.AllocationId, PublicIp: r.PublicIp})
	}
	return out, err
}
