package resources

import (
	"context"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// natResources makes elastic addresses and NAT gateways.
type natResources struct{ api ec2.API }

func natTypes(inv aws.Invoker) map[string]Type {
	v := natResources{ec2.NewClient(inv)}
	return map[string]Type{
		"AWS::EC2::EIP": {Create: v.allocate, Ready: v.readyAddress, Update: v.updateAddress, Delete: v.release},
		// A template seldom says that the gateway must be attached first.
		"AWS::EC2::NatGateway": {
			Create: v.createNAT, Ready: v.readyNAT, Update: v.updateNAT, Delete: v.deleteNAT, Gone: v.goneNAT,
			Retry: []string{"Gateway.NotAttached"},
		},
	}
}

// allocate makes an elastic address; its physical id is the address itself.
func (v natResources) allocate(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "elastic-ip"); err != nil {
		return "", err
	} else if id != "" {
		out, err := v.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{id}})
		if err == nil && len(out.Addresses) == 1 {
			return aws.Val(out.Addresses[0].PublicIp), nil
		}
		return "", err
	}
	out, err := v.api.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: aws.Ptr("vpc"), TagSpecifications: ec2Tags(r, "elastic-ip")})
	if err != nil {
		return "", err
	}
	ip := aws.Val(out.PublicIp)
	if r.str("InstanceId") != "" {
		_, err = v.api.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: out.AllocationId, InstanceId: r.ptr("InstanceId")})
	}
	return ip, err
}

// address finds the elastic address by its address.
func (v natResources) address(ctx context.Context, ip string) (*ec2.Address, error) {
	out, err := v.api.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{PublicIps: []string{ip}})
	if err != nil || len(out.Addresses) == 0 {
		return nil, gone(err, "InvalidAddress.NotFound")
	}
	return &out.Addresses[0], nil
}

func (v natResources) readyAddress(ctx context.Context, r *Request) (map[string]any, bool, error) {
	a, err := v.address(ctx, r.PhysicalID)
	if err != nil || a == nil {
		return nil, false, err
	}
	return map[string]any{"AllocationId": aws.Val(a.AllocationId), "PublicIp": r.PhysicalID}, true, nil
}

func (v natResources) updateAddress(ctx context.Context, r *Request) error {
	a, err := v.address(ctx, r.PhysicalID)
	if err != nil || a == nil {
		return err
	}
	return updateEC2Tags(ctx, v.api, r, aws.Val(a.AllocationId))
}

func (v natResources) release(ctx context.Context, r *Request) error {
	a, err := v.address(ctx, r.PhysicalID)
	if err != nil || a == nil {
		return err
	}
	_, err = v.api.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: a.AllocationId})
	return gone(err, "InvalidAllocationID.NotFound")
}

func (v natResources) createNAT(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "natgateway"); err != nil || id != "" {
		return id, err
	}
	out, err := v.api.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
		SubnetId: r.ptr("SubnetId"), AllocationId: r.ptr("AllocationId"), ConnectivityType: r.ptr("ConnectivityType"),
		PrivateIpAddress: r.ptr("PrivateIpAddress"), ClientToken: r.token(), TagSpecifications: ec2Tags(r, "natgateway"),
	})
	if err != nil {
		return "", err
	}
	return aws.Val(out.NatGateway.NatGatewayId), nil
}

// nat describes the gateway, nil when there is none any more.
func (v natResources) nat(ctx context.Context, id string) (*ec2.NatGateway, error) {
	out, err := v.api.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{id}})
	if err != nil || len(out.NatGateways) == 0 {
		return nil, gone(err, "NatGatewayNotFound", "InvalidNatGatewayID.NotFound")
	}
	return &out.NatGateways[0], nil
}

func (v natResources) readyNAT(ctx context.Context, r *Request) (map[string]any, bool, error) {
	n, err := v.nat(ctx, r.PhysicalID)
	if err != nil || n == nil {
		return nil, false, err
	}
	if aws.Val(n.State) == ec2.NatGatewayStateFailed {
		if aws.Val(n.FailureCode) == "Gateway.NotAttached" {
			return nil, false, aws.Errorf("Gateway.NotAttached", "%s", aws.Val(n.FailureMessage))
		}
		return nil, false, NotStabilized("NatGateway %s is in state failed and hence failed to stabilize. Detailed failure message: %s", r.PhysicalID, aws.Val(n.FailureMessage))
	}
	return map[string]any{"NatGatewayId": r.PhysicalID}, aws.Val(n.State) == ec2.NatGatewayStateAvailable, nil
}

func (v natResources) updateNAT(ctx context.Context, r *Request) error {
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

func (v natResources) deleteNAT(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &r.PhysicalID})
	return gone(err, "NatGatewayNotFound", "InvalidNatGatewayID.NotFound")
}

func (v natResources) goneNAT(ctx context.Context, r *Request) (bool, error) {
	n, err := v.nat(ctx, r.PhysicalID)
	return err == nil && (n == nil || aws.Val(n.State) == ec2.NatGatewayStateDeleted), err
}
