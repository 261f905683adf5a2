package ec2

import (
	"context"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/block"
	"minato/store"
)

// newRoute makes a route from where CreateRoute and ReplaceRoute want it to
// lead; the target must be there and fit the table's VPC.
func (s *Service) newRoute(tx *store.Tx, p place, vpc string, in *ec2api.CreateRouteInput) (ec2api.Route, error) {
	r := ec2api.Route{Origin: aws.Ptr("CreateRoute"), State: aws.Ptr(ec2api.RouteStateActive)}
	if in.DestinationIpv6CidrBlock != nil || in.DestinationPrefixListId != nil {
		return r, unsupported("a route to an IPv6 block or a prefix list")
	}
	if in.DestinationCidrBlock == nil {
		return r, aws.Errorf("MissingParameter", "The request must contain the parameter destinationCidrBlock or destinationIpv6CidrBlock or destinationPrefixListId")
	}
	dst, err := block.Parse(*in.DestinationCidrBlock)
	if err != nil {
		return r, err
	}
	r.DestinationCidrBlock = aws.Ptr(dst.String())
	// The CLI's --gateway-id takes a NAT gateway too, as EC2 does.
	if isID(aws.Val(in.GatewayId), "nat") && in.NatGatewayId == nil {
		in.NatGatewayId, in.GatewayId = in.GatewayId, nil
	}
	targets := 0
	for _, t := range []*string{in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId, in.TransitGatewayId, in.VpcPeeringConnectionId, in.VpcEndpointId, in.EgressOnlyInternetGatewayId, in.CarrierGatewayId, in.LocalGatewayId, in.CoreNetworkArn} {
		if t != nil {
			targets++
		}
	}
	if targets != 1 {
		return r, aws.Errorf("InvalidParameterCombination", "The request must contain exactly one of gatewayId, natGatewayId, networkInterfaceId, vpcPeeringConnectionId, egressOnlyInternetGatewayId, transitGatewayId, localGatewayId, carrierGatewayId, vpcEndpointId, coreNetworkArn or instanceId")
	}
	switch {
	case in.GatewayId != nil && isID(*in.GatewayId, "igw"):
		g, err := get(tx, s.gateways, p, *in.GatewayId, noGateway)
		if err == nil && g.VPC() != vpc {
			err = aws.Errorf("InvalidParameterValue", "route table and network gateway %s belong to different networks", *in.GatewayId)
		}
		r.GatewayId = in.GatewayId
		return r, err
	case in.GatewayId != nil:
		return r, aws.Errorf("InvalidGatewayID.NotFound", "The gateway ID '%s' does not exist", *in.GatewayId)
	case in.NatGatewayId != nil:
		n, err := get(tx, s.nats, p, *in.NatGatewayId, func(id string) error {
			return aws.Errorf("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", id)
		})
		if err == nil && *n.VpcId != vpc {
			err = aws.Errorf("InvalidParameterValue", "route table and NAT gateway %s belong to different networks", *in.NatGatewayId)
		}
		r.NatGatewayId = in.NatGatewayId
		return r, err
	case in.NetworkInterfaceId != nil:
		e, err := get(tx, s.interfaces, p, *in.NetworkInterfaceId, noInterface)
		if err == nil && *e.VpcId != vpc {
			err = aws.Errorf("InvalidParameterValue", "route table and interface %s belong to different networks", *in.NetworkInterfaceId)
		}
		r.NetworkInterfaceId = in.NetworkInterfaceId
		return r, err
	}
	return r, unsupported("a route to that kind of target")
}

// CreateRoute adds a route to a destination that has none.
func (s *Service) CreateRoute(ctx context.Context, in *ec2api.CreateRouteInput) (*ec2api.CreateRouteOutput, error) {
	p, id := at(ctx), aws.Val(in.RouteTableId)
	return &ec2api.CreateRouteOutput{Return: aws.Ptr(true)}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, err := get(tx, s.tables, p, id, noRouteTable)
		if err != nil {
			return err
		}
		r, err := s.newRoute(tx, p, *t.VpcId, in)
		if err != nil {
			return err
		}
		if i := t.Route(*r.DestinationCidrBlock); i >= 0 {
			if sameTarget(t.Routes[i], r) {
				return nil
			}
			return aws.Errorf("RouteAlreadyExists", "The route identified by %s already exists.", *r.DestinationCidrBlock)
		}
		t.Routes = append(t.Routes, r)
		return s.tables.TxPut(tx, t, p.account, p.region, id)
	})
}

func sameTarget(a, b ec2api.Route) bool {
	return aws.Val(a.GatewayId) == aws.Val(b.GatewayId) && aws.Val(a.NatGatewayId) == aws.Val(b.NatGatewayId) && aws.Val(a.NetworkInterfaceId) == aws.Val(b.NetworkInterfaceId)
}

// ReplaceRoute leads an existing route elsewhere.
func (s *Service) ReplaceRoute(ctx context.Context, in *ec2api.ReplaceRouteInput) (*ec2api.ReplaceRouteOutput, error) {
	p, id := at(ctx), aws.Val(in.RouteTableId)
	return &ec2api.ReplaceRouteOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, err := get(tx, s.tables, p, id, noRouteTable)
		if err != nil {
			return err
		}
		r, err := s.newRoute(tx, p, *t.VpcId, &ec2api.CreateRouteInput{
			DestinationCidrBlock: in.DestinationCidrBlock, DestinationIpv6CidrBlock: in.DestinationIpv6CidrBlock, DestinationPrefixListId: in.DestinationPrefixListId,
			GatewayId: in.GatewayId, NatGatewayId: in.NatGatewayId, NetworkInterfaceId: in.NetworkInterfaceId, InstanceId: in.InstanceId,
			TransitGatewayId: in.TransitGatewayId, VpcPeeringConnectionId: in.VpcPeeringConnectionId, VpcEndpointId: in.VpcEndpointId,
		})
		if err != nil {
			return err
		}
		i := t.Route(*r.DestinationCidrBlock)
		if i < 0 || aws.Val(t.Routes[i].GatewayId) == "local" {
			return aws.Errorf("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", *r.DestinationCidrBlock)
		}
		t.Routes[i] = r
		return s.tables.TxPut(tx, t, p.account, p.region, id)
	})
}

// DeleteRoute removes a route; the local one stays.
func (s *Service) DeleteRoute(ctx context.Context, in *ec2api.DeleteRouteInput) (*ec2api.DeleteRouteOutput, error) {
	p, id := at(ctx), aws.Val(in.RouteTableId)
	return &ec2api.DeleteRouteOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, err := get(tx, s.tables, p, id, noRouteTable)
		if err != nil {
			return err
		}
		dst := aws.Val(in.DestinationCidrBlock)
		i := t.Route(dst)
		if i < 0 {
			return aws.Errorf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", dst, id)
		}
		if aws.Val(t.Routes[i].GatewayId) == "local" {
			return aws.Errorf("InvalidParameterValue", "cannot remove local route %s in route table %s", dst, id)
		}
		t.Routes = slices.Delete(t.Routes, i, i+1)
		return s.tables.TxPut(tx, t, p.account, p.region, id)
	})
}
