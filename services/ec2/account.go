package ec2

import (
	"context"
	"slices"
	"strconv"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// DescribeAccountAttributes tells the account's default VPC and its limits.
func (s *Service) DescribeAccountAttributes(ctx context.Context, in *ec2api.DescribeAccountAttributesInput) (*ec2api.DescribeAccountAttributesOutput, error) {
	vpcs, err := list(ctx, s.vpcs)
	if err != nil {
		return nil, err
	}
	defaultVPC := "none"
	for _, v := range vpcs {
		if aws.Val(v.IsDefault) {
			defaultVPC = *v.VpcId
		}
	}
	out := &ec2api.DescribeAccountAttributesOutput{}
	for _, a := range [][2]string{{"supported-platforms", "VPC"}, {"default-vpc", defaultVPC}, {"vpc-max-security-groups-per-interface", strconv.Itoa(maxGroups)}, {"vpc-max-elastic-ips", strconv.Itoa(maxAddresses)}} {
		if len(in.AttributeNames) > 0 && !slices.Contains(in.AttributeNames, a[0]) {
			continue
		}
		out.AccountAttributes = append(out.AccountAttributes, ec2api.AccountAttribute{AttributeName: &a[0], AttributeValues: []ec2api.AccountAttributeValue{{AttributeValue: &a[1]}}})
	}
	return out, nil
}
