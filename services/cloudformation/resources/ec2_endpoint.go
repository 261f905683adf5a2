package resources

import (
	"context"
	"slices"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// endpointResources makes VPC endpoints.
type endpointResources struct{ api ec2.API }

func endpointTypes(inv aws.Invoker) map[string]Type {
	v := endpointResources{ec2.NewClient(inv)}
	return map[string]Type{"AWS::EC2::VPCEndpoint": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone}}
}

func (v endpointResources) create(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "vpc-endpoint"); err != nil || id != "" {
		return id, err
	}
	in := &ec2.CreateVpcEndpointInput{
		VpcId: r.ptr("VpcId"), ServiceName: r.ptr("ServiceName"), VpcEndpointType: r.ptr("VpcEndpointType"), PolicyDocument: endpointPolicy(r),
		RouteTableIds: list(r.Properties, "RouteTableIds"), SubnetIds: list(r.Properties, "SubnetIds"), SecurityGroupIds: list(r.Properties, "SecurityGroupIds"),
		IpAddressType: specified(r.ptr("IpAddressType")), ResourceConfigurationArn: r.ptr("ResourceConfigurationArn"), ServiceNetworkArn: r.ptr("ServiceNetworkArn"),
		ServiceRegion: r.ptr("ServiceRegion"), ClientToken: r.token(), TagSpecifications: ec2Tags(r, "vpc-endpoint"),
	}
	if in.VpcEndpointType != nil && *in.VpcEndpointType == ec2.VpcEndpointTypeInterface {
		// The API's default is the other one.
		private, _ := boolean(r.Properties, "PrivateDnsEnabled")
		in.PrivateDnsEnabled = &private
	} else if private, given := boolean(r.Properties, "PrivateDnsEnabled"); given {
		in.PrivateDnsEnabled = &private
	}
	var err error
	if in.DnsOptions, err = endpointDNS(r); err != nil {
		return "", err
	}
	out, err := v.api.CreateVpcEndpoint(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.VpcEndpoint.VpcEndpointId), nil
}

// endpointPolicy is the policy of a template, nil for none.
func endpointPolicy(r *Request) *string {
	if r.Properties["PolicyDocument"] == nil {
		return nil
	}
	return aws.Ptr(document(r.Properties["PolicyDocument"]))
}

// specified makes of CloudFormation's word for nothing nothing.
func specified(s *string) *string {
	if s != nil && *s == "not-specified" {
		return nil
	}
	return s
}

// endpointDNS are the options of a template. One that says of inbound resolvers
// what is so without it says nothing.
func endpointDNS(r *Request) (*ec2.DnsOptionsSpecification, error) {
	given, ok := r.Properties["DnsOptions"].(map[string]any)
	if !ok {
		return nil, nil
	}
	options := map[string]any{}
	for k, v := range given {
		switch text(v) {
		case "not-specified", "NotSpecified":
		case "OnlyInboundResolver", "AllResolvers":
			options[k] = text(v) == "OnlyInboundResolver"
		default:
			options[k] = v
		}
	}
	return into(options, &ec2.DnsOptionsSpecification{})
}

// describe returns the endpoint, nil when there is none any more.
func (v endpointResources) describe(ctx context.Context, id string) (*ec2.VpcEndpoint, error) {
	out, err := v.api.DescribeVpcEndpoints(ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
	if err != nil || len(out.VpcEndpoints) == 0 {
		return nil, gone(err, "InvalidVpcEndpointId.NotFound")
	}
	return &out.VpcEndpoints[0], nil
}

func (v endpointResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	e, err := v.describe(ctx, r.PhysicalID)
	if err != nil || e == nil {
		return nil, false, err
	}
	names, interfaces := []any{}, []any{}
	for _, n := range e.DnsEntries {
		names = append(names, aws.Val(n.HostedZoneId)+":"+aws.Val(n.DnsName))
	}
	for _, id := range e.NetworkInterfaceIds {
		interfaces = append(interfaces, id)
	}
	return map[string]any{
		"Id": r.PhysicalID, "CreationTimestamp": e.CreationTimestamp.UTC().Format("Mon Jan 02 15:04:05 UTC 2006"), "DnsEntries": names, "NetworkInterfaceIds": interfaces,
	}, aws.Val(e.State) == "available", nil
}

func (v endpointResources) update(ctx context.Context, r *Request) error {
	e, err := v.describe(ctx, r.PhysicalID)
	if err != nil || e == nil {
		return err
	}
	in := &ec2.ModifyVpcEndpointInput{VpcEndpointId: &r.PhysicalID}
	// By what the endpoint has now: half an update may have been done before.
	var groups []string
	for _, g := range e.Groups {
		groups = append(groups, aws.Val(g.GroupId))
	}
	in.AddRouteTableIds, in.RemoveRouteTableIds = difference(e.RouteTableIds, list(r.Properties, "RouteTableIds"))
	in.AddSubnetIds, in.RemoveSubnetIds = difference(e.SubnetIds, list(r.Properties, "SubnetIds"))
	if want := list(r.Properties, "SecurityGroupIds"); len(want) > 0 || r.changed("SecurityGroupIds") {
		in.AddSecurityGroupIds, in.RemoveSecurityGroupIds = difference(groups, want)
	}
	if r.changed("PolicyDocument") {
		if in.PolicyDocument = endpointPolicy(r); in.PolicyDocument == nil {
			in.ResetPolicy = aws.Ptr(true)
		}
	}
	if aws.Val(e.VpcEndpointType) == ec2.VpcEndpointTypeInterface && r.changed("PrivateDnsEnabled") {
		private, _ := boolean(r.Properties, "PrivateDnsEnabled")
		in.PrivateDnsEnabled = &private
	}
	if r.changed("DnsOptions") {
		if in.DnsOptions, err = endpointDNS(r); err != nil {
			return err
		}
	}
	if r.changed("IpAddressType") {
		in.IpAddressType = specified(r.ptr("IpAddressType"))
	}
	if _, err := v.api.ModifyVpcEndpoint(ctx, in); err != nil {
		return err
	}
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

// difference is what is to come and to go.
func difference(have, want []string) (add, remove []string) {
	for _, id := range want {
		if !slices.Contains(have, id) {
			add = append(add, id)
		}
	}
	for _, id := range have {
		if !slices.Contains(want, id) {
			remove = append(remove, id)
		}
	}
	return add, remove
}

func (v endpointResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteVpcEndpoints(ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{r.PhysicalID}})
	return err // one that is gone is named in the answer, which is no error
}

func (v endpointResources) gone(ctx context.Context, r *Request) (bool, error) {
	e, err := v.describe(ctx, r.PhysicalID)
	return err == nil && e == nil, err
}
