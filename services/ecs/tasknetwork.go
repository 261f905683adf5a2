package ecs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/definition"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
)

// network checks the network configuration of a task or service, and returns it
// with the places of its subnets, in an order that differs from call to call.
func (s *Service) network(ctx context.Context, d *record.TaskDefinition, in *ecsapi.NetworkConfiguration) (*ecsapi.AwsVpcConfiguration, []rollout.Subnet, error) {
	if in == nil || in.AwsvpcConfiguration == nil {
		if aws.Val(d.NetworkMode) == definition.Awsvpc {
			return nil, nil, ecsapi.InvalidParameterException("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
		}
		return nil, nil, notServed("the network mode " + aws.Val(d.NetworkMode))
	}
	vpc := in.AwsvpcConfiguration
	switch {
	case len(vpc.Subnets) == 0:
		return nil, nil, ecsapi.InvalidParameterException("subnets can not be empty.")
	case len(vpc.Subnets) > 16:
		return nil, nil, ecsapi.InvalidParameterException("subnets can have at most 16 items.")
	case len(vpc.SecurityGroups) > 5:
		return nil, nil, ecsapi.InvalidParameterException("securityGroup can have at most 5 items.")
	}
	asECS := own(ctx, at(ctx))
	subnets, err := s.EC2.DescribeSubnets(asECS, &ec2api.DescribeSubnetsInput{SubnetIds: vpc.Subnets})
	if err != nil {
		return nil, nil, retrieving("subnet", vpc.Subnets, err)
	}
	var out []rollout.Subnet
	for _, sub := range subnets.Subnets {
		out = append(out, rollout.Subnet{ID: *sub.SubnetId, Zone: *sub.AvailabilityZone, VPC: *sub.VpcId, CIDR: aws.Val(sub.CidrBlock)})
		if out[0].VPC != *sub.VpcId {
			return nil, nil, ecsapi.InvalidParameterException("The specified subnets are not in the same VPC.")
		}
	}
	if len(out) == 0 {
		return nil, nil, ecsapi.InvalidParameterException("subnets can not be empty.")
	}
	if len(vpc.SecurityGroups) > 0 {
		groups, err := s.EC2.DescribeSecurityGroups(asECS, &ec2api.DescribeSecurityGroupsInput{GroupIds: vpc.SecurityGroups})
		if err != nil {
			return nil, nil, retrieving("security group", vpc.SecurityGroups, err)
		}
		for _, g := range groups.SecurityGroups {
			if aws.Val(g.VpcId) != out[0].VPC {
				return nil, nil, ecsapi.InvalidParameterException("Security group %s does not appear to belong to the same VPC as the input subnets.", aws.Val(g.GroupId))
			}
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return vpc, spread(out), nil
}

// spread orders subnets so that zones take turns.
func spread(subnets []rollout.Subnet) []rollout.Subnet {
	var zones []string
	by := map[string][]rollout.Subnet{}
	for _, sub := range subnets {
		if by[sub.Zone] == nil {
			zones = append(zones, sub.Zone)
		}
		by[sub.Zone] = append(by[sub.Zone], sub)
	}
	out := make([]rollout.Subnet, 0, len(subnets))
	for i := 0; len(out) < len(subnets); i++ {
		for _, z := range zones {
			if i < len(by[z]) {
				out = append(out, by[z][i])
			}
		}
	}
	return out
}

// retrieving is how ECS passes on what EC2 says of subnets and groups.
func retrieving(what string, ids []string, err error) error {
	e := aws.AsError(err)
	return ecsapi.InvalidParameterException("Error retrieving %s information for [%s]: %s (ErrorCode: %s)", what, strings.Join(ids, ", "), e.Message, e.Code).Because(err)
}

// createInterface makes a task's network interface, as ECS.
func (s *Service) createInterface(ctx context.Context, t *record.Task) (*ec2api.NetworkInterface, error) {
	asECS := own(ctx, t.Place)
	// The description leads back from the interface, as on AWS: by it one that was
	// made before a crash is found again.
	description := t.Place.Of("ecs", "attachment/"+aws.Val(t.Attachments[0].Id))
	found, err := s.EC2.DescribeNetworkInterfaces(asECS, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("description"), Values: []string{description}}}})
	if err != nil {
		return nil, err
	}
	if len(found.NetworkInterfaces) > 0 {
		return &found.NetworkInterfaces[0], nil
	}
	made, err := s.EC2.CreateNetworkInterface(asECS, &ec2api.CreateNetworkInterfaceInput{
		SubnetId: &t.Subnet.ID, Groups: t.VPC.SecurityGroups, Description: &description,
	})
	if err != nil {
		return nil, err
	}
	return made.NetworkInterface, nil
}

// assignPublicIP gives a task's interface a public address if it is to have one.
func (s *Service) assignPublicIP(ctx context.Context, t *record.Task) error {
	if aws.Val(t.VPC.AssignPublicIp) != ecsapi.AssignPublicIpEnabled {
		return nil
	}
	_, err := s.EC2.ModifyNetworkInterfaceAttribute(own(ctx, t.Place), &ec2api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &t.ENI, AssociatePublicIpAddress: aws.Ptr(true),
	})
	return err
}

// deleteInterface removes a task's network interface.
func (s *Service) deleteInterface(ctx context.Context, t *record.Task) error {
	_, err := s.EC2.DeleteNetworkInterface(own(ctx, t.Place), &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: &t.ENI})
	if aws.IsCode(err, "InvalidNetworkInterfaceID.NotFound") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("network interface %s: %w", t.ENI, err)
	}
	return nil
}
