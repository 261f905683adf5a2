package ec2

import (
	"context"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// CreateInternetGateway makes a gateway that is attached to nothing.
func (s *Service) CreateInternetGateway(ctx context.Context, in *ec2api.CreateInternetGatewayInput) (*ec2api.CreateInternetGatewayOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "internet-gateway")
	if err != nil {
		return nil, err
	}
	p, id := at(ctx), ids.EC2("igw")
	r := record.InternetGateway{InternetGateway: ec2api.InternetGateway{InternetGatewayId: &id, OwnerId: &p.account, Tags: tags}}
	return &ec2api.CreateInternetGatewayOutput{InternetGateway: &r.InternetGateway}, s.gateways.Put(ctx, r, p.account, p.region, id)
}

// AttachInternetGateway attaches a gateway to a VPC that has none.
func (s *Service) AttachInternetGateway(ctx context.Context, in *ec2api.AttachInternetGatewayInput) (*ec2api.AttachInternetGatewayOutput, error) {
	p, id, vpc := at(ctx), aws.Val(in.InternetGatewayId), aws.Val(in.VpcId)
	return &ec2api.AttachInternetGatewayOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.gateways, p, id, noGateway)
		if err != nil {
			return err
		}
		v, err := get(tx, s.vpcs, p, vpc, noVPC)
		if err != nil {
			return err
		}
		if r.VPC() != "" {
			return aws.Errorf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", id, r.VPC())
		}
		all, err := s.gateways.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(o record.InternetGateway) bool { return o.VPC() == vpc }); i >= 0 {
			return aws.Errorf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", *all[i].InternetGatewayId, vpc)
		}
		r.Attachments = []ec2api.InternetGatewayAttachment{{State: aws.Ptr("available"), VpcId: &vpc}}
		// The VPC is written again, so that of two attachments at once one fails.
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, vpc), s.gateways.TxPut(tx, r, p.account, p.region, id))
	})
}

// DetachInternetGateway detaches a gateway; while the VPC has public addresses
// that is refused, as on AWS.
func (s *Service) DetachInternetGateway(ctx context.Context, in *ec2api.DetachInternetGatewayInput) (*ec2api.DetachInternetGatewayOutput, error) {
	p, id, vpc := at(ctx), aws.Val(in.InternetGatewayId), aws.Val(in.VpcId)
	return &ec2api.DetachInternetGatewayOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.gateways, p, id, noGateway)
		if err != nil {
			return err
		}
		if r.VPC() != vpc {
			return aws.Errorf("Gateway.NotAttached", "resource %s is not attached to network %s", id, vpc)
		}
		enis, err := s.interfaces.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(enis, func(e record.NetworkInterface) bool { return *e.VpcId == vpc && e.Association != nil }) {
			return aws.Errorf("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", vpc)
		}
		r.Attachments = nil
		return s.gateways.TxPut(tx, r, p.account, p.region, id)
	})
}

// DeleteInternetGateway removes a gateway that is attached to nothing.
func (s *Service) DeleteInternetGateway(ctx context.Context, in *ec2api.DeleteInternetGatewayInput) (*ec2api.DeleteInternetGatewayOutput, error) {
	p, id := at(ctx), aws.Val(in.InternetGatewayId)
	return &ec2api.DeleteInternetGatewayOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.gateways, p, id, noGateway)
		if err != nil {
			return err
		}
		if r.VPC() != "" {
			return dependency("internetGateway", id)
		}
		s.gateways.TxDelete(tx, p.account, p.region, id)
		return nil
	})
}

// DescribeInternetGateways lists gateways.
func (s *Service) DescribeInternetGateways(ctx context.Context, in *ec2api.DescribeInternetGatewaysInput) (*ec2api.DescribeInternetGatewaysOutput, error) {
	all, err := list(ctx, s.gateways)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.InternetGatewayIds, in.Filters, func(r *record.InternetGateway) string { return aws.Val(r.InternetGatewayId) }, func(r *record.InternetGateway) []ec2api.Tag { return r.Tags }, (*record.InternetGateway).Attribute, noGateway)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeInternetGatewaysOutput{NextToken: next}
	for _, r := range all {
		out.InternetGateways = append(out.InternetGateways, r.InternetGateway)
	}
	return out, err
}
