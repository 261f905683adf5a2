package resources

import (
	"context"

	"minato/aws"
	ec2 "minato/aws/api/ec2"
)

// vpcResources makes VPCs, subnets and internet gateways.
type vpcResources struct{ api ec2.API }

func vpcTypes(inv aws.Invoker) map[string]Type {
	v := vpcResources{ec2.NewClient(inv)}
	return map[string]Type{
		"AWS::EC2::VPC":                  {Create: v.createVPC, Ready: v.readyVPC, Update: v.updateVPC, Delete: v.deleteVPC},
		"AWS::EC2::Subnet":               {Create: v.createSubnet, Ready: v.readySubnet, Update: v.updateSubnet, Delete: v.deleteSubnet},
		"AWS::EC2::InternetGateway":      {Create: v.createGateway, Ready: v.readyGateway, Update: v.updateTags, Delete: v.deleteGateway},
		"AWS::EC2::VPCGatewayAttachment": {Create: v.attach, Update: v.reattach, Delete: v.detach, DeleteFirst: true},
	}
}

// The tags by which CloudFormation knows its own again.
const (
	tagLogicalID = "aws:cloudformation:logical-id"
	tagStackID   = "aws:cloudformation:stack-id"
)

// left finds the resource that a creation made whose answer was lost, "" for
// none. EC2's resources have no names and most of their operations no token, so
// they are known by their tags.
func left(ctx context.Context, api ec2.API, r *Request, kind string) (string, error) {
	if !r.Resumed {
		return "", nil
	}
	count := map[string]int{}
	for key, value := range map[string]string{tagLogicalID: r.LogicalID, tagStackID: r.StackID} {
		out, err := api.DescribeTags(ctx, &ec2.DescribeTagsInput{Filters: []ec2.Filter{
			{Name: aws.Ptr("resource-type"), Values: []string{kind}},
			{Name: aws.Ptr("key"), Values: []string{key}},
			{Name: aws.Ptr("value"), Values: []string{value}},
		}})
		if err != nil {
			return "", err
		}
		for _, t := range out.Tags {
			id := aws.Val(t.ResourceId)
			if count[id]++; count[id] == 2 && id != r.Old {
				return id, nil
			}
		}
	}
	return "", nil
}

// ec2Tags are the tags of a new resource.
func ec2Tags(r *Request, kind string) []ec2.TagSpecification {
	t := tags(r, func(k, v string) ec2.Tag { return ec2.Tag{Key: &k, Value: &v} })
	for _, own := range [][2]string{{tagLogicalID, r.LogicalID}, {tagStackID, r.StackID}, {"aws:cloudformation:stack-name", r.StackName}} {
		t = append(t, ec2.Tag{Key: aws.Ptr(own[0]), Value: aws.Ptr(own[1])})
	}
	return []ec2.TagSpecification{{ResourceType: &kind, Tags: t}}
}

// updateTags brings the tags of any EC2 resource up to date.
func (v vpcResources) updateTags(ctx context.Context, r *Request) error {
	return updateEC2Tags(ctx, v.api, r, r.PhysicalID)
}

func updateEC2Tags(ctx context.Context, api ec2.API, r *Request, id string) error {
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		in := &ec2.DeleteTagsInput{Resources: []string{id}}
		for _, k := range gone {
			in.Tags = append(in.Tags, ec2.Tag{Key: aws.Ptr(k)})
		}
		if _, err := api.DeleteTags(ctx, in); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &ec2.CreateTagsInput{Resources: []string{id}}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, ec2.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := api.CreateTags(ctx, in)
	return err
}

func (v vpcResources) createVPC(ctx context.Context, r *Request) (string, error) {
	id, err := left(ctx, v.api, r, "vpc")
	if err != nil {
		return "", err
	}
	if id == "" {
		out, err := v.api.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: r.ptr("CidrBlock"), InstanceTenancy: r.ptr("InstanceTenancy"), TagSpecifications: ec2Tags(r, "vpc")})
		if err != nil {
			return "", err
		}
		id = aws.Val(out.Vpc.VpcId)
	}
	return id, v.dns(ctx, id, nil, r.Properties)
}

// dns sets the two DNS attributes where they change.
func (v vpcResources) dns(ctx context.Context, id string, before, after map[string]any) error {
	for _, a := range []struct {
		name string
		set  func(*ec2.ModifyVpcAttributeInput, *ec2.AttributeBooleanValue)
		none bool // what it is when it is not given
	}{
		{"EnableDnsSupport", func(in *ec2.ModifyVpcAttributeInput, b *ec2.AttributeBooleanValue) { in.EnableDnsSupport = b }, true},
		{"EnableDnsHostnames", func(in *ec2.ModifyVpcAttributeInput, b *ec2.AttributeBooleanValue) { in.EnableDnsHostnames = b }, false},
	} {
		want, given := boolean(after, a.name)
		had, was := boolean(before, a.name)
		if !given {
			want = a.none
		}
		if !was {
			had = a.none
		}
		if want == had {
			continue
		}
		in := &ec2.ModifyVpcAttributeInput{VpcId: &id}
		a.set(in, &ec2.AttributeBooleanValue{Value: &want})
		if _, err := v.api.ModifyVpcAttribute(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (v vpcResources) updateVPC(ctx context.Context, r *Request) error {
	if err := v.dns(ctx, r.PhysicalID, r.Previous, r.Properties); err != nil {
		return err
	}
	return v.updateTags(ctx, r)
}

func (v vpcResources) readyVPC(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{r.PhysicalID}})
	if err != nil || len(out.Vpcs) == 0 {
		return nil, false, err
	}
	vpc := out.Vpcs[0]
	attributes := map[string]any{"VpcId": r.PhysicalID, "CidrBlock": aws.Val(vpc.CidrBlock)}
	var blocks []any
	for _, a := range vpc.CidrBlockAssociationSet {
		blocks = append(blocks, aws.Val(a.AssociationId))
	}
	attributes["CidrBlockAssociations"] = blocks
	groups, err := v.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2.Filter{
		{Name: aws.Ptr("vpc-id"), Values: []string{r.PhysicalID}}, {Name: aws.Ptr("group-name"), Values: []string{"default"}},
	}})
	if err != nil {
		return nil, false, err
	}
	for _, g := range groups.SecurityGroups {
		attributes["DefaultSecurityGroup"] = aws.Val(g.GroupId)
	}
	return attributes, aws.Val(vpc.State) == "available", nil
}

func (v vpcResources) deleteVPC(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &r.PhysicalID})
	return gone(err, "InvalidVpcID.NotFound")
}

func (v vpcResources) createSubnet(ctx context.Context, r *Request) (string, error) {
	id, err := left(ctx, v.api, r, "subnet")
	if err != nil {
		return "", err
	}
	if id == "" {
		out, err := v.api.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: r.ptr("VpcId"), CidrBlock: r.ptr("CidrBlock"), AvailabilityZone: r.ptr("AvailabilityZone"),
			AvailabilityZoneId: r.ptr("AvailabilityZoneId"), TagSpecifications: ec2Tags(r, "subnet"),
		})
		if err != nil {
			return "", err
		}
		id = aws.Val(out.Subnet.SubnetId)
	}
	r.PhysicalID = id
	return r.PhysicalID, v.mapPublicIP(ctx, r, false)
}

// mapPublicIP sets whether instances get a public address.
func (v vpcResources) mapPublicIP(ctx context.Context, r *Request, had bool) error {
	want, _ := boolean(r.Properties, "MapPublicIpOnLaunch")
	if want == had {
		return nil
	}
	_, err := v.api.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &r.PhysicalID, MapPublicIpOnLaunch: &ec2.AttributeBooleanValue{Value: &want}})
	return err
}

func (v vpcResources) updateSubnet(ctx context.Context, r *Request) error {
	had, _ := boolean(r.Previous, "MapPublicIpOnLaunch")
	if err := v.mapPublicIP(ctx, r, had); err != nil {
		return err
	}
	return v.updateTags(ctx, r)
}

func (v vpcResources) readySubnet(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{r.PhysicalID}})
	if err != nil || len(out.Subnets) == 0 {
		return nil, false, err
	}
	s := out.Subnets[0]
	return map[string]any{
		"SubnetId": r.PhysicalID, "VpcId": aws.Val(s.VpcId), "CidrBlock": aws.Val(s.CidrBlock), "AvailabilityZone": aws.Val(s.AvailabilityZone),
		"AvailabilityZoneId": aws.Val(s.AvailabilityZoneId), "Ipv6CidrBlocks": []any{},
	}, aws.Val(s.State) == "available", nil
}

func (v vpcResources) deleteSubnet(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &r.PhysicalID})
	return gone(err, "InvalidSubnetID.NotFound")
}

func (v vpcResources) createGateway(ctx context.Context, r *Request) (string, error) {
	if id, err := left(ctx, v.api, r, "internet-gateway"); err != nil || id != "" {
		return id, err
	}
	out, err := v.api.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: ec2Tags(r, "internet-gateway")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.InternetGateway.InternetGatewayId), nil
}

func (v vpcResources) readyGateway(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"InternetGatewayId": r.PhysicalID}, true, nil
}

func (v vpcResources) deleteGateway(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &r.PhysicalID})
	return gone(err, "InvalidInternetGatewayID.NotFound")
}

// attach attaches an internet gateway; the physical id is CloudFormation's.
func (v vpcResources) attach(ctx context.Context, r *Request) (string, error) {
	if r.str("VpnGatewayId") != "" {
		return "", aws.Errorf("InvalidRequest", "VPN gateways are not supported by minato")
	}
	_, err := v.api.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: r.ptr("InternetGatewayId"), VpcId: r.ptr("VpcId")})
	if gone(err, "Resource.AlreadyAssociated") != nil || err != nil && !r.Resumed {
		return "", err
	}
	return "IGW|" + r.str("VpcId"), nil
}

// reattach moves the attachment to another gateway of the same VPC.
func (v vpcResources) reattach(ctx context.Context, r *Request) error {
	if !r.changed("InternetGatewayId") {
		return nil
	}
	if err := v.detachFrom(ctx, r.Previous); err != nil {
		return err
	}
	_, err := v.attach(ctx, r)
	return err
}

func (v vpcResources) detach(ctx context.Context, r *Request) error {
	return v.detachFrom(ctx, r.Properties)
}

func (v vpcResources) detachFrom(ctx context.Context, properties map[string]any) error {
	_, err := v.api.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: aws.Ptr(text(properties["InternetGatewayId"])), VpcId: aws.Ptr(text(properties["VpcId"]))})
	return gone(err, "Gateway.NotAttached", "InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound")
}
