package ssm

import (
	"context"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	api "minato/aws/api/ssm"
	"minato/aws/identity"
)

// publicPrefix begins the names of what AWS publishes.
const publicPrefix = "/aws/service/"

// Principal is what the service calls others as.
const Principal = "ssm.amazonaws.com"

// images are the public parameters that have a true thing behind them: the
// image of a Cloud9 workspace. Others (Amazon Linux, ECS-optimized, Bottlerocket)
// would name images that nothing can be started of.
var images = []string{
	"/aws/service/cloud9/amis/amazonlinux-2-x86_64", "/aws/service/cloud9/amis/amazonlinux-2023-x86_64",
	"/aws/service/cloud9/amis/ubuntu-18.04-x86_64", "/aws/service/cloud9/amis/ubuntu-22.04-x86_64",
}

// public reads what AWS publishes.
func (s *Service) public(ctx context.Context, name, selector string) (*api.Parameter, error) {
	if !slices.Contains(images, name) || selector != "" && selector != "1" {
		return nil, notFound(name)
	}
	c := identity.From(ctx)
	as := identity.With(ctx, identity.ServiceCaller(Principal, c.Account, c.Region))
	found, err := s.EC2.DescribeImages(as, &ec2api.DescribeImagesInput{Owners: []string{"amazon"}})
	if err != nil {
		return nil, aws.Internal(err)
	}
	if len(found.Images) == 0 {
		return nil, notFound(name)
	}
	region := place(ctx)
	region.Account = "" // AWS's own: of no account
	return &api.Parameter{
		ARN: aws.Ptr(region.Parameter(name)), Name: &name, Type: aws.Ptr(api.ParameterTypeString), Value: found.Images[0].ImageId, Version: aws.Ptr[int64](1),
		DataType: aws.Ptr(imageType), LastModifiedDate: aws.Ptr(s.now()),
	}, nil
}
