package cloudformation

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/cloudformation/template"
)

// missing says, in the words of events, which parameter of an AWS-specific type
// names something that is not there; "" when all are. Who may not look is not
// told: the call that uses the value will say what is wrong with it.
func (s *Service) missing(ctx context.Context, t *template.Template, values map[string]string) string {
	for _, name := range sortedKeys(values) {
		p := t.Parameters[name]
		if p == nil {
			continue
		}
		there := s.lookup(p.ItemType())
		if there == nil {
			continue
		}
		for _, item := range strings.Split(values[name], ",") {
			if item = strings.TrimSpace(item); item == "" || !there(ctx, item) {
				return fmt.Sprintf("Parameter validation failed: parameter value %s for parameter name %s does not exist", item, name)
			}
		}
	}
	return ""
}

// lookup is how to see whether there is a thing of an AWS-specific type, nil for
// types that name no thing.
func (s *Service) lookup(typ string) func(ctx context.Context, value string) bool {
	switch typ {
	case "AWS::EC2::VPC::Id":
		return func(ctx context.Context, id string) bool {
			_, err := s.ec2.DescribeVpcs(ctx, &ec2api.DescribeVpcsInput{VpcIds: []string{id}})
			return !notThere(err)
		}
	case "AWS::EC2::Subnet::Id":
		return func(ctx context.Context, id string) bool {
			_, err := s.ec2.DescribeSubnets(ctx, &ec2api.DescribeSubnetsInput{SubnetIds: []string{id}})
			return !notThere(err)
		}
	case "AWS::EC2::SecurityGroup::Id":
		return func(ctx context.Context, id string) bool {
			_, err := s.ec2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{GroupIds: []string{id}})
			return !notThere(err)
		}
	case "AWS::EC2::SecurityGroup::GroupName":
		return func(ctx context.Context, name string) bool {
			out, err := s.ec2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{Filters: []ec2api.Filter{{Name: aws.Ptr("group-name"), Values: []string{name}}}})
			return err != nil || len(out.SecurityGroups) > 0
		}
	case "AWS::EC2::Instance::Id":
		return func(ctx context.Context, id string) bool {
			_, err := s.ec2.DescribeInstances(ctx, &ec2api.DescribeInstancesInput{InstanceIds: []string{id}})
			return !notThere(err)
		}
	case "AWS::EC2::Image::Id":
		return func(ctx context.Context, id string) bool {
			_, err := s.ec2.DescribeImages(ctx, &ec2api.DescribeImagesInput{ImageIds: []string{id}})
			return !notThere(err)
		}
	case "AWS::EC2::AvailabilityZone::Name":
		return func(ctx context.Context, name string) bool {
			_, p := place(ctx)
			zones, err := s.zones(ctx, p.Region)
			return err != nil || slices.Contains(zones, name)
		}
	case "AWS::EC2::KeyPair::KeyName", "AWS::EC2::Volume::Id", "AWS::Route53::HostedZone::Id":
		return func(context.Context, string) bool { return false } // minato has none of these
	}
	return nil
}

// notThere tells whether EC2 knows no thing of that id, or cannot read the id.
func notThere(err error) bool {
	if err == nil {
		return false
	}
	code := aws.AsError(err).Code
	return strings.HasSuffix(code, ".NotFound") || strings.HasSuffix(code, ".Malformed")
}
