// Package awsvpc is the network mode awsvpc, in which every task has a network
// interface of its own: it checks what callers configure, and makes and removes
// the interfaces through EC2's API. Its contexts are ECS's own.
package awsvpc

import (
	"context"
	"math/rand/v2"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/definition"
	"minato/services/ecs/rollout"
)

// Check checks the network configuration of a task or service, and returns it
// with the places of its subnets, in an order that differs from call to call.
func Check(ctx context.Context, ec2 ec2api.API, d *ecsapi.TaskDefinition, in *ecsapi.NetworkConfiguration) (*ecsapi.AwsVpcConfiguration, []rollout.Subnet, error) {
	if in == nil || in.AwsvpcConfiguration == nil {
		if aws.Val(d.NetworkMode) == definition.Awsvpc {
			return nil, nil, ecsapi.InvalidParameterException("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
		}
		return nil, nil, ecsapi.UnsupportedFeatureException("the network mode %s: not served by minato", aws.Val(d.NetworkMode))
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
	subnets, err := ec2.DescribeSubnets(ctx, &ec2api.DescribeSubnetsInput{SubnetIds: vpc.Subnets})
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
		groups, err := ec2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{GroupIds: vpc.SecurityGroups})
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
