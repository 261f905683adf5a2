package cloud9

import (
	"context"
	"slices"
	"strings"
	"time"

	"minato/aws"
	cloud9api "minato/aws/api/cloud9"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/store"
)

// environment is the record of an environment. Operations write what is wanted,
// the reconciler Lifecycle, Instance, Group and Status.
type environment struct {
	cloud9api.Environment
	Account, Region string
	UserID          string
	Tags            []cloud9api.Tag
	Token           string // clientRequestToken
	InstanceType    string
	Image           string // as RunInstances takes it
	Subnet          string
	VPC             string
	StopAfter       time.Duration // without a terminal; 0: never
	Created         time.Time
	Deleted         bool // wanted: to be deleted

	Group    string // id of its security group, once made
	Instance string // id of its instance, once made
	Status   string // of the instance, in Cloud9's words
	Message  string
}

// images are the names of Cloud9's images that are taken; each is the image
// that services/ec2 has.
var images = []string{"amazonlinux-2-x86_64", "amazonlinux-2023-x86_64", "ubuntu-18.04-x86_64", "ubuntu-22.04-x86_64"}

const imageParameter = "resolve:ssm:/aws/service/cloud9/amis/"

func imageFor(id string) (string, error) {
	name := strings.TrimPrefix(id, imageParameter)
	if !slices.Contains(images, name) {
		return "", cloud9api.BadRequestException("The image %s is not valid. Valid images are: %s", id, strings.Join(images, ", "))
	}
	return imageParameter + name, nil
}

// CreateEnvironmentEC2 makes an environment; its instance follows.
func (s *Service) CreateEnvironmentEC2(ctx context.Context, in *cloud9api.CreateEnvironmentEC2Input) (*cloud9api.CreateEnvironmentEC2Output, error) {
	image, err := imageFor(aws.Val(in.ImageId))
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	subnet, err := s.subnet(ctx, in.SubnetId)
	if err != nil {
		return nil, err
	}
	if aws.Val(in.DryRun) {
		return nil, &aws.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: 412}
	}
	p, caller := place(ctx), identity.From(ctx)
	id := ids.Hex(32)
	e := environment{
		Environment: cloud9api.Environment{
			Id: &id, Arn: aws.Ptr(p.Environment(id)), Name: in.Name, Description: aws.Ptr(aws.Val(in.Description)), Type: aws.Ptr(cloud9api.EnvironmentTypeEc2),
			ConnectionType: in.ConnectionType, OwnerArn: in.OwnerArn, ManagedCredentialsStatus: aws.Ptr(cloud9api.ManagedCredentialsStatusDisabledByDefault),
			Lifecycle: &cloud9api.EnvironmentLifecycle{Status: aws.Ptr(cloud9api.EnvironmentLifecycleStatusCreating)},
		},
		Account: p.Account, Region: p.Region, UserID: caller.UserID, Tags: in.Tags, Token: aws.Val(in.ClientRequestToken),
		InstanceType: aws.Val(in.InstanceType), Image: image, Subnet: aws.Val(subnet.SubnetId), VPC: aws.Val(subnet.VpcId),
		StopAfter: time.Duration(aws.Val(in.AutomaticStopTimeMinutes)) * time.Minute, Created: s.clock.Now(), Status: cloud9api.EnvironmentStatusCreating,
	}
	if e.OwnerArn == nil {
		e.OwnerArn = &caller.ARN
	}
	if e.ConnectionType == nil {
		e.ConnectionType = aws.Ptr(cloud9api.ConnectionTypeConnectSsh)
	}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		all, err := s.environments.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		for _, o := range all {
			if e.Token != "" && o.Token == e.Token {
				id = *o.Id
				return nil
			}
			if *o.Name == *e.Name && *o.OwnerArn == *e.OwnerArn && !o.Deleted {
				return cloud9api.ConflictException("An environment with the name %s already exists.", *e.Name)
			}
		}
		return s.environments.TxPut(tx, e, p.Account, p.Region, id)
	})
	return &cloud9api.CreateEnvironmentEC2Output{EnvironmentId: &id}, err
}

// asSelf is ctx for calls that Cloud9 makes under its service-linked role.
func asSelf(ctx context.Context, account, region string) context.Context {
	return identity.With(ctx, identity.ServiceCaller(principal, account, region))
}

// subnet is the subnet asked for, or one of the default VPC.
func (s *Service) subnet(ctx context.Context, id *string) (*ec2api.Subnet, error) {
	p := place(ctx)
	in := &ec2api.DescribeSubnetsInput{Filters: []ec2api.Filter{{Name: aws.Ptr("default-for-az"), Values: []string{"true"}}}}
	if id != nil {
		in = &ec2api.DescribeSubnetsInput{SubnetIds: []string{*id}}
	}
	out, err := s.ec2.DescribeSubnets(asSelf(ctx, p.Account, p.Region), in)
	switch e := aws.AsError(err); {
	case err != nil && e.HTTPStatus() < 500:
		return nil, cloud9api.BadRequestException("%s", e.Message)
	case err != nil:
		return nil, err
	case len(out.Subnets) == 0:
		return nil, cloud9api.BadRequestException("There is no default VPC. Specify a subnet.")
	}
	return &out.Subnets[0], nil
}

func (s *Service) find(ctx context.Context, id string) (environment, error) {
	p := place(ctx)
	e, found, err := s.environments.Get(ctx, p.Account, p.Region, id)
	if err == nil && !found {
		err = noEnvironment(id)
	}
	return e, err
}

// change changes the record of one of the caller's environments.
func (s *Service) change(ctx context.Context, id string, f func(e *environment) error) error {
	p := place(ctx)
	found, err := s.environments.Update(ctx, f, p.Account, p.Region, id)
	if err == nil && !found {
		err = noEnvironment(id)
	}
	return err
}

// DescribeEnvironments describes environments by id.
func (s *Service) DescribeEnvironments(ctx context.Context, in *cloud9api.DescribeEnvironmentsInput) (*cloud9api.DescribeEnvironmentsOutput, error) {
	out := &cloud9api.DescribeEnvironmentsOutput{Environments: []cloud9api.Environment{}}
	for _, id := range in.EnvironmentIds {
		e, err := s.find(ctx, id)
		if err != nil {
			return nil, err
		}
		out.Environments = append(out.Environments, e.Environment)
	}
	return out, nil
}

// ListEnvironments lists the ids of environments, the newest last.
func (s *Service) ListEnvironments(ctx context.Context, in *cloud9api.ListEnvironmentsInput) (*cloud9api.ListEnvironmentsOutput, error) {
	p := place(ctx)
	limit := int(aws.Val(in.MaxResults))
	if limit == 0 {
		limit = 25
	}
	after := ""
	if in.NextToken != nil {
		after = s.environments.Key(p.Account, p.Region, *in.NextToken)
	}
	list, next, err := s.environments.Page(ctx, after, limit, p.Account, p.Region)
	out := &cloud9api.ListEnvironmentsOutput{EnvironmentIds: []string{}}
	for _, e := range list {
		out.EnvironmentIds = append(out.EnvironmentIds, *e.Id)
	}
	if next != "" {
		out.NextToken = aws.Ptr(out.EnvironmentIds[len(list)-1])
	}
	return out, err
}

// DescribeEnvironmentStatus tells whether an environment can be used.
func (s *Service) DescribeEnvironmentStatus(ctx context.Context, in *cloud9api.DescribeEnvironmentStatusInput) (*cloud9api.DescribeEnvironmentStatusOutput, error) {
	e, err := s.find(ctx, aws.Val(in.EnvironmentId))
	if err != nil {
		return nil, err
	}
	return &cloud9api.DescribeEnvironmentStatusOutput{Status: &e.Status, Message: &e.Message}, nil
}

// UpdateEnvironment changes an environment's name and description.
func (s *Service) UpdateEnvironment(ctx context.Context, in *cloud9api.UpdateEnvironmentInput) (*cloud9api.UpdateEnvironmentOutput, error) {
	if aws.Val(in.ManagedCredentialsAction) == cloud9api.ManagedCredentialsActionEnable {
		return nil, cloud9api.BadRequestException("AWS managed temporary credentials are not supported by minato; give the environment's instance a profile (aws ec2 associate-iam-instance-profile).")
	}
	return &cloud9api.UpdateEnvironmentOutput{}, s.change(ctx, aws.Val(in.EnvironmentId), func(e *environment) error {
		if in.Name != nil {
			e.Name = in.Name
		}
		if in.Description != nil {
			e.Description = in.Description
		}
		if in.ManagedCredentialsAction != nil {
			e.ManagedCredentialsStatus = aws.Ptr(cloud9api.ManagedCredentialsStatusDisabledByOwner)
		}
		return nil
	})
}

// DeleteEnvironment deletes an environment with its instance and home.
func (s *Service) DeleteEnvironment(ctx context.Context, in *cloud9api.DeleteEnvironmentInput) (*cloud9api.DeleteEnvironmentOutput, error) {
	return &cloud9api.DeleteEnvironmentOutput{}, s.change(ctx, aws.Val(in.EnvironmentId), func(e *environment) error {
		e.Deleted, e.Status = true, cloud9api.EnvironmentStatusDeleting
		e.Lifecycle = &cloud9api.EnvironmentLifecycle{Status: aws.Ptr(cloud9api.EnvironmentLifecycleStatusDeleting)}
		return nil
	})
}

// DescribeEnvironmentMemberships lists who may use environments: their owners.
func (s *Service) DescribeEnvironmentMemberships(ctx context.Context, in *cloud9api.DescribeEnvironmentMembershipsInput) (*cloud9api.DescribeEnvironmentMembershipsOutput, error) {
	p := place(ctx)
	var all []environment
	if in.EnvironmentId != nil {
		e, err := s.find(ctx, *in.EnvironmentId)
		if err != nil {
			return nil, err
		}
		all = []environment{e}
	} else {
		var err error
		if all, err = s.environments.List(ctx, p.Account, p.Region); err != nil {
			return nil, err
		}
	}
	out := &cloud9api.DescribeEnvironmentMembershipsOutput{Memberships: []cloud9api.EnvironmentMember{}}
	for _, e := range all {
		if in.UserArn != nil && *in.UserArn != *e.OwnerArn || len(in.Permissions) > 0 && !slices.Contains(in.Permissions, cloud9api.PermissionsOwner) {
			continue
		}
		out.Memberships = append(out.Memberships, cloud9api.EnvironmentMember{EnvironmentId: e.Id, Permissions: aws.Ptr(cloud9api.PermissionsOwner), UserArn: e.OwnerArn, UserId: &e.UserID})
	}
	return out, nil
}
