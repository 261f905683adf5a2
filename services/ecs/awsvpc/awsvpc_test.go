package awsvpc

import (
	"context"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
)

// sea is EC2 with two VPCs.
type sea struct {
	ec2api.API
	made []ec2api.NetworkInterface
}

func (s *sea) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	out := &ec2api.DescribeSubnetsOutput{}
	for _, id := range in.SubnetIds {
		if id == "subnet-x" {
			return nil, aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID 'subnet-x' does not exist")
		}
		vpc := "vpc-1"
		if id == "subnet-far" {
			vpc = "vpc-2"
		}
		out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: &id, VpcId: &vpc, AvailabilityZone: aws.Ptr("zone-" + id), CidrBlock: aws.Ptr("10.0.0.0/24")})
	}
	return out, nil
}

func (s *sea) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	return &ec2api.DescribeSecurityGroupsOutput{SecurityGroups: []ec2api.SecurityGroup{{GroupId: &in.GroupIds[0], VpcId: aws.Ptr("vpc-1")}}}, nil
}

func (s *sea) DescribeNetworkInterfaces(_ context.Context, in *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	out := &ec2api.DescribeNetworkInterfacesOutput{}
	for _, e := range s.made {
		if aws.Val(e.Description) == in.Filters[0].Values[0] {
			out.NetworkInterfaces = append(out.NetworkInterfaces, e)
		}
	}
	return out, nil
}

func (s *sea) CreateNetworkInterface(_ context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	s.made = append(s.made, ec2api.NetworkInterface{NetworkInterfaceId: aws.Ptr("eni-1"), SubnetId: in.SubnetId, Description: in.Description})
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: &s.made[len(s.made)-1]}, nil
}

func TestCheck(t *testing.T) {
	many := func(n int) []string { return slices.Repeat([]string{"x-1"}, n) }
	for name, c := range map[string]struct {
		mode            string
		subnets, groups []string
		none            bool
		code, want      string
	}{
		"fine":              {"awsvpc", []string{"subnet-a", "subnet-b"}, []string{"sg-1"}, false, "", ""},
		"nothing":           {"awsvpc", nil, nil, true, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		"another mode":      {"bridge", nil, nil, true, "UnsupportedFeatureException", "the network mode bridge: not served by minato"},
		"no subnets":        {"awsvpc", nil, nil, false, "InvalidParameterException", "subnets can not be empty."},
		"too many subnets":  {"awsvpc", many(17), nil, false, "InvalidParameterException", "subnets can have at most 16 items."},
		"too many groups":   {"awsvpc", many(1), many(6), false, "InvalidParameterException", "securityGroup can have at most 5 items."},
		"an unknown subnet": {"awsvpc", []string{"subnet-x"}, nil, false, "InvalidParameterException", "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)"},
		"two VPCs":          {"awsvpc", []string{"subnet-a", "subnet-far"}, nil, false, "InvalidParameterException", "The specified subnets are not in the same VPC."},
		"a group elsewhere": {"awsvpc", []string{"subnet-far"}, []string{"sg-1"}, false, "InvalidParameterException", "Security group sg-1 does not appear to belong to the same VPC as the input subnets."},
	} {
		in := &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: c.subnets, SecurityGroups: c.groups}}
		if c.none {
			in = nil
		}
		_, places, err := Check(t.Context(), &sea{}, &ecsapi.TaskDefinition{NetworkMode: &c.mode}, in)
		if c.want == "" {
			if err != nil || len(places) != len(c.subnets) {
				t.Errorf("%s: %v, %v", name, places, err)
			}
			continue
		}
		if e := aws.AsError(err); err == nil || e.Code != c.code || e.Message != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestSpread: no subnet is lost, and no zone has its turn again before the
// others that have subnets left.
func TestSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []rollout.Subnet
		for i, zone := range rapid.SliceOf(rapid.StringMatching(`[abc]`)).Draw(t, "zones") {
			in = append(in, rollout.Subnet{ID: string(rune('A' + i)), Zone: zone})
		}
		out := spread(slices.Clone(in))
		left, turns := map[string]int{}, map[string]int{}
		for _, s := range in {
			left[s.Zone]++
		}
		for _, s := range out {
			if !slices.Contains(in, s) {
				t.Fatalf("%v is not of %v", s, in)
			}
			for zone, n := range left {
				if n > 0 && turns[zone] < turns[s.Zone] {
					t.Fatalf("%s is before its turn in %v", s.ID, out)
				}
			}
			turns[s.Zone]++
			left[s.Zone]--
		}
		if len(out) != len(in) {
			t.Fatalf("%d of %d", len(out), len(in))
		}
	})
}

// TestCreateTwice: a task that lost sight of its interface in a crash finds it again.
func TestCreateTwice(t *testing.T) {
	s := &sea{}
	task := &record.Task{Place: arn.In("us-east-1", "000000000000"), VPC: &ecsapi.AwsVpcConfiguration{}, Subnet: rollout.Subnet{ID: "subnet-a"}}
	task.Attachments = []ecsapi.Attachment{{Id: aws.Ptr("0123")}}
	for range 2 {
		eni, err := Create(t.Context(), s, task)
		if err != nil || *eni.NetworkInterfaceId != "eni-1" {
			t.Fatalf("%v, %v", eni, err)
		}
	}
	if len(s.made) != 1 {
		t.Errorf("%d interfaces were made", len(s.made))
	}
}
