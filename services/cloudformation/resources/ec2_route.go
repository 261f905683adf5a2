package resources

import (
	"context"
	"strings"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// routeResources makes route tables, their routes and associations.
type routeResources struct{ api ec2.API }

func routeTypes(inv aws.Invoker) map[string]Type {
	v := routeResources{ec2.NewClient(inv)}
	return map[string]Type{
		"AWS::EC2::RouteTable": {Create: v.createTable, Ready: v.readyTable, Update: v.updateTable, Delete: v.deleteTable},
		"AWS::EC2::Route": {
			Create: v.createRoute, Ready: v.readyRoute, Update: v.updateRoute, Delete: v.deleteRoute,
			Retry: []string{"InvalidGatewayID.NotFound", "Gateway.NotAttached"},
		},
		"AWS::EC2::SubnetRouteTableAssociation": {Create: v.associate, Ready: v.readyAssociation, Delete: v.disassociate},
	}
}

func (v routeResources) createTable(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "route-table"); err != nil || id != "" {
		return id, err
	}
	out, err := v.api.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: r.ptr("VpcId"), ClientToken: r.token(), TagSpecifications: ec2Tags(r, "route-table")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.RouteTable.RouteTableId), nil
}

func (v routeResources) readyTable(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"RouteTableId": r.PhysicalID}, true, nil
}

func (v routeResources) updateTable(ctx context.Context, r *Request) error {
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

func (v routeResources) deleteTable(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: &r.PhysicalID})
	return gone(err, "InvalidRouteTableID.NotFound")
}

// target are the properties that say where a route leads.
func target(r *Request) ec2.CreateRouteInput {
	return ec2.CreateRouteInput{
		RouteTableId: r.ptr("RouteTableId"), DestinationCidrBlock: r.ptr("DestinationCidrBlock"), DestinationIpv6CidrBlock: r.ptr("DestinationIpv6CidrBlock"),
		DestinationPrefixListId: r.ptr("DestinationPrefixListId"), GatewayId: r.ptr("GatewayId"), NatGatewayId: r.ptr("NatGatewayId"), NetworkInterfaceId: r.ptr("NetworkInterfaceId"),
		InstanceId: r.ptr("InstanceId"), VpcPeeringConnectionId: r.ptr("VpcPeeringConnectionId"), TransitGatewayId: r.ptr("TransitGatewayId"), VpcEndpointId: r.ptr("VpcEndpointId"),
		EgressOnlyInternetGatewayId: r.ptr("EgressOnlyInternetGatewayId"), LocalGatewayId: r.ptr("LocalGatewayId"), CarrierGatewayId: r.ptr("CarrierGatewayId"),
	}
}

// destination is the route's destination, whichever kind it is.
func destination(r *Request) string {
	return r.str("DestinationCidrBlock") + r.str("DestinationIpv6CidrBlock") + r.str("DestinationPrefixListId")
}

func (v routeResources) createRoute(ctx context.Context, r *Request) (string, error) {
	in := target(r)
	if _, err := v.api.CreateRoute(ctx, &in); err != nil && (!r.Resumed || gone(err, "RouteAlreadyExists") != nil) {
		return "", err
	}
	return r.str("RouteTableId") + "|" + destination(r), nil
}

func (v routeResources) readyRoute(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"CidrBlock": destination(r)}, true, nil
}

func (v routeResources) updateRoute(ctx context.Context, r *Request) error {
	in, out := target(r), ec2.ReplaceRouteInput{}
	out.RouteTableId, out.DestinationCidrBlock, out.DestinationIpv6CidrBlock, out.DestinationPrefixListId = in.RouteTableId, in.DestinationCidrBlock, in.DestinationIpv6CidrBlock, in.DestinationPrefixListId
	out.GatewayId, out.NatGatewayId, out.NetworkInterfaceId, out.InstanceId = in.GatewayId, in.NatGatewayId, in.NetworkInterfaceId, in.InstanceId
	out.VpcPeeringConnectionId, out.TransitGatewayId, out.EgressOnlyInternetGatewayId = in.VpcPeeringConnectionId, in.TransitGatewayId, in.EgressOnlyInternetGatewayId
	out.LocalGatewayId, out.CarrierGatewayId = in.LocalGatewayId, in.CarrierGatewayId
	_, err := v.api.ReplaceRoute(ctx, &out)
	return err
}

func (v routeResources) deleteRoute(ctx context.Context, r *Request) error {
	table, _, _ := strings.Cut(r.PhysicalID, "|")
	_, err := v.api.DeleteRoute(ctx, &ec2.DeleteRouteInput{
		RouteTableId: &table, DestinationCidrBlock: r.ptr("DestinationCidrBlock"),
		DestinationIpv6CidrBlock: r.ptr("DestinationIpv6CidrBlock"), DestinationPrefixListId: r.ptr("DestinationPrefixListId"),
	})
	return gone(err, "InvalidRoute.NotFound", "InvalidRouteTableID.NotFound")
}

func (v routeResources) associate(ctx context.Context, r *Request) (string, error) {
	out, err := v.api.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: r.ptr("RouteTableId"), SubnetId: r.ptr("SubnetId")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.AssociationId), nil
}

func (v routeResources) readyAssociation(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v routeResources) disassociate(ctx context.Context, r *Request) error {
	_, err := v.api.DisassociateRouteTable(ctx, &ec2.DisassociateRouteTableInput{AssociationId: &r.PhysicalID})
	return gone(err, "InvalidAssociationID.NotFound")
}
