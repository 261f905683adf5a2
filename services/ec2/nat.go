package ec2

import (
	"context"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// keepDeleted is how long a deleted NAT gateway is still shown, as on AWS.
const keepDeleted = time.Hour

// CreateNatGateway makes a gateway in a subnet; it is pending until the network
// has it. Without an internet gateway in the VPC a public one fails, as on AWS.
func (s *Service) CreateNatGateway(ctx context.Context, in *ec2api.CreateNatGatewayInput) (*ec2api.CreateNatGatewayOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "natgateway")
	if err != nil {
		return nil, err
	}
	connectivity := orDefault(in.ConnectivityType, "public")
	switch {
	case aws.Val(in.AvailabilityMode) == "regional":
		return nil, unsupported("a regional NAT gateway")
	case len(in.SecondaryAllocationIds) > 0 || len(in.SecondaryPrivateIpAddresses) > 0:
		return nil, unsupported("a secondary address of a NAT gateway")
	case in.SubnetId == nil:
		return nil, aws.Errorf("MissingParameter", "The request must include the SubnetId parameter. Add the required parameter and retry the request.")
	case connectivity == "public" && in.AllocationId == nil:
		return nil, aws.Errorf("MissingParameter", "The request must include the AllocationId parameter. Add the required parameter and retry the request.")
	case connectivity == "private" && in.AllocationId != nil:
		return nil, aws.Errorf("InvalidParameterCombination", "A private NAT gateway takes no AllocationId.")
	}
	p, id := at(ctx), ids.EC2("nat")
	var n record.NATGateway
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if in.ClientToken != nil {
			if same, err := s.natByToken(tx, p, *in.ClientToken); err != nil || same != nil {
				if same != nil {
					n = *same
				}
				return err
			}
		}
		n, err = s.newNAT(tx, p, id, connectivity, in)
		if err != nil {
			return err
		}
		n.Tags = tags
		return s.nats.TxPut(tx, n, p.account, p.region, id)
	})
	return &ec2api.CreateNatGatewayOutput{NatGateway: &n.NatGateway, ClientToken: in.ClientToken}, err
}

// tokenKey is where the gateway made for a client token is noted.
func tokenKey(p place, token string) string {
	return "ec2/natgateway-token/" + store.Key(p.account, p.region, token)
}

// natByToken returns the gateway that a call with this token made before.
func (s *Service) natByToken(tx *store.Tx, p place, token string) (*record.NATGateway, error) {
	id, found, err := store.Get[string](tx, tokenKey(p, token))
	if err != nil || !found {
		return nil, err
	}
	n, found, err := s.nats.TxGet(tx, p.account, p.region, id)
	if err != nil || !found {
		return nil, err
	}
	return &n, nil
}

func (s *Service) newNAT(tx *store.Tx, p place, id, connectivity string, in *ec2api.CreateNatGatewayInput) (record.NATGateway, error) {
	r, err := s.newInterface(tx, p, *in.SubnetId, nil, aws.Val(in.PrivateIpAddress))
	if err != nil {
		return record.NATGateway{}, err
	}
	s.manage(&r, "ec2.amazonaws.com")
	r.InterfaceType, r.Description, r.SourceDestCheck = aws.Ptr(record.NATType), aws.Ptr("Interface for NAT Gateway "+id), aws.Ptr(false)
	r.Groups = nil // a NAT gateway has no security groups
	n := record.NATGateway{Account: p.account, Region: p.region, NatGateway: ec2api.NatGateway{
		NatGatewayId: &id, VpcId: r.VpcId, SubnetId: r.SubnetId, ConnectivityType: &connectivity, CreateTime: s.now(), State: aws.Ptr(ec2api.NatGatewayStatePending),
		NatGatewayAddresses: []ec2api.NatGatewayAddress{{NetworkInterfaceId: r.NetworkInterfaceId, PrivateIp: r.PrivateIpAddress, IsPrimary: aws.Ptr(true), Status: aws.Ptr("succeeded")}},
	}}
	if in.ClientToken != nil {
		if err := store.Set(tx, tokenKey(p, *in.ClientToken), id); err != nil {
			return n, err
		}
	}
	if connectivity == "private" {
		return n, s.interfaces.TxPut(tx, r, p.account, p.region, *r.NetworkInterfaceId)
	}
	e, err := get(tx, s.addresses, p, *in.AllocationId, func(id string) error {
		return aws.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
	})
	if err != nil {
		return n, err
	}
	if e.AssociationId != nil {
		return n, aws.Errorf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", *e.AllocationId, *e.AssociationId)
	}
	gateways, err := s.gateways.TxList(tx, p.account, p.region)
	if err != nil {
		return n, err
	}
	attached := false
	for _, g := range gateways {
		attached = attached || g.VPC() == *r.VpcId
	}
	if !attached {
		s.releasePrivate(tx, p, *r.SubnetId, *r.PrivateIpAddress)
		n.State, n.FailureCode, n.FailureMessage = aws.Ptr(ec2api.NatGatewayStateFailed), aws.Ptr("Gateway.NotAttached"), aws.Ptr("Network "+*r.VpcId+" has no Internet gateway attached")
		n.NatGatewayAddresses, n.DeleteTime = nil, s.now()
		return n, nil
	}
	association := s.attachAddress(p, &e, &r)
	n.NatGatewayAddresses[0].AllocationId, n.NatGatewayAddresses[0].PublicIp, n.NatGatewayAddresses[0].AssociationId = e.AllocationId, e.PublicIp, &association
	return n, errFirst(s.addresses.TxPut(tx, e, p.account, p.region, *e.AllocationId), s.interfaces.TxPut(tx, r, p.account, p.region, *r.NetworkInterfaceId))
}

// DeleteNatGateway lets a gateway go; the network reconciler gives its interface
// and address back when no packet takes that way any more.
func (s *Service) DeleteNatGateway(ctx context.Context, in *ec2api.DeleteNatGatewayInput) (*ec2api.DeleteNatGatewayOutput, error) {
	return &ec2api.DeleteNatGatewayOutput{NatGatewayId: in.NatGatewayId}, update(ctx, s, s.nats, aws.Val(in.NatGatewayId), noNAT, func(n *record.NATGateway) error {
		switch aws.Val(n.State) {
		case ec2api.NatGatewayStatePending, ec2api.NatGatewayStateAvailable:
			n.State = aws.Ptr(ec2api.NatGatewayStateDeleting)
		case ec2api.NatGatewayStateFailed:
			n.State = aws.Ptr(ec2api.NatGatewayStateDeleted)
		}
		return nil
	})
}

// natAvailable notes that the network has a gateway.
func (s *Service) natAvailable(ctx context.Context, account, region, id string) error {
	_, err := s.nats.Update(ctx, func(n *record.NATGateway) error {
		if aws.Val(n.State) == ec2api.NatGatewayStatePending {
			n.State = aws.Ptr(ec2api.NatGatewayStateAvailable)
		}
		return nil
	}, account, region, id)
	return err
}

// natDeleted gives back what a deleting gateway had, once the network has it no more.
func (s *Service) natDeleted(ctx context.Context, account, region, id string) error {
	p := place{account, region}
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		n, found, err := s.nats.TxGet(tx, account, region, id)
		if err != nil || !found || aws.Val(n.State) != ec2api.NatGatewayStateDeleting {
			return err
		}
		r, found, err := s.interfaces.TxGet(tx, account, region, n.Interface())
		if err != nil {
			return err
		}
		if found {
			if err := s.dropInterface(tx, p, &r); err != nil {
				return err
			}
		}
		n.State, n.DeleteTime = aws.Ptr(ec2api.NatGatewayStateDeleted), s.now()
		return s.nats.TxPut(tx, n, account, region, id)
	})
}

// natForgotten removes the record of a gateway that was deleted long enough ago.
func (s *Service) natForgotten(ctx context.Context, n *record.NATGateway) error {
	if n.DeleteTime == nil || s.Clock.Now().Sub(*n.DeleteTime) < keepDeleted {
		return nil
	}
	return s.nats.Delete(ctx, n.Account, n.Region, *n.NatGatewayId)
}

// DescribeNatGateways lists gateways, the deleted ones for a while too.
func (s *Service) DescribeNatGateways(ctx context.Context, in *ec2api.DescribeNatGatewaysInput) (*ec2api.DescribeNatGatewaysOutput, error) {
	all, err := list(ctx, s.nats)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.NatGatewayIds, in.Filter, func(r *record.NATGateway) string { return aws.Val(r.NatGatewayId) }, func(r *record.NATGateway) []ec2api.Tag { return r.Tags }, (*record.NATGateway).Attribute, noNAT)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeNatGatewaysOutput{NextToken: next}
	for _, r := range all {
		out.NatGateways = append(out.NatGateways, r.NatGateway)
	}
	return out, err
}
