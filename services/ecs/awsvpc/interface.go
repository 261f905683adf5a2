package awsvpc

import (
	"context"
	"fmt"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/failure"
	"minato/services/ecs/record"
)

// Create makes a task's network interface. Made twice it is the same one.
func Create(ctx context.Context, ec2 ec2api.API, t *record.Task) (*ec2api.NetworkInterface, error) {
	// The description leads back from the interface, as on AWS: by it one that was
	// made before a crash is found again.
	description := t.Place.Of("ecs", "attachment/"+aws.Val(t.Attachments[0].Id))
	found, err := ec2.DescribeNetworkInterfaces(ctx, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("description"), Values: []string{description}}}})
	if err != nil {
		return nil, err
	}
	if len(found.NetworkInterfaces) > 0 {
		return &found.NetworkInterfaces[0], nil
	}
	made, err := ec2.CreateNetworkInterface(ctx, &ec2api.CreateNetworkInterfaceInput{
		SubnetId: &t.Subnet.ID, Groups: t.VPC.SecurityGroups, Description: &description,
	})
	if err != nil {
		return nil, err
	}
	return made.NetworkInterface, nil
}

// AssignPublicAddress gives a task's interface a public address if it is to have one.
func AssignPublicAddress(ctx context.Context, ec2 ec2api.API, t *record.Task) error {
	if aws.Val(t.VPC.AssignPublicIp) != ecsapi.AssignPublicIpEnabled {
		return nil
	}
	_, err := ec2.ModifyNetworkInterfaceAttribute(ctx, &ec2api.ModifyNetworkInterfaceAttributeInput{
		NetworkInterfaceId: &t.ENI, AssociatePublicIpAddress: aws.Ptr(true),
	})
	return err
}

// Delete removes a task's network interface.
func Delete(ctx context.Context, ec2 ec2api.API, t *record.Task) error {
	_, err := ec2.DeleteNetworkInterface(ctx, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: &t.ENI})
	if aws.IsCode(err, "InvalidNetworkInterfaceID.NotFound") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("network interface %s: %w", t.ENI, err)
	}
	return nil
}

// Failed is how ECS passes on what EC2 says of a task's interface.
func Failed(t *record.Task, err error) error {
	e := aws.AsError(err)
	return failure.Of(err, "Unexpected EC2 error while attempting to Create Network Interface in subnet '%s': %s: %s", t.Subnet.ID, e.Code, e.Message)
}
