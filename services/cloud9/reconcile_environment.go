package cloud9

import (
	"context"
	"errors"
	"time"

	"minato/aws"
	cloud9api "minato/aws/api/cloud9"
	ec2api "minato/aws/api/ec2"
	"minato/controller"
	"minato/internal/ids"
	"minato/store"
)

// poll is how soon an instance on its way is looked at again.
const poll = 100 * time.Millisecond

// reconciler brings environments to what is wanted.
type reconciler struct{ *Service }

// Keys is part of controller.Reconciler.
func (r *reconciler) Keys(ctx context.Context) ([]string, error) { return r.environments.Keys(ctx) }

// Reconcile is part of controller.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	e, found, err := r.environments.GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	ctx = asSelf(ctx, e.Account, e.Region)
	if e.Deleted {
		return r.remove(ctx, key, &e)
	}
	if aws.Val(e.Lifecycle.Status) == cloud9api.EnvironmentLifecycleStatusCreateFailed {
		return controller.Result{}, nil
	}
	if err := r.ensure(ctx, key, &e); err != nil {
		var refused *aws.Error
		if errors.As(err, &refused) && refused.HTTPStatus() < 500 && aws.Val(e.Lifecycle.Status) == cloud9api.EnvironmentLifecycleStatusCreating {
			return controller.Result{}, r.write(ctx, key, func(e *environment) {
				e.Status, e.Message = cloud9api.EnvironmentStatusError, refused.Message
				e.Lifecycle = &cloud9api.EnvironmentLifecycle{
					Status: aws.Ptr(cloud9api.EnvironmentLifecycleStatusCreateFailed), Reason: &refused.Message, FailureResource: aws.Ptr("AWS::EC2::Instance"),
				}
			})
		}
		return controller.Result{}, err
	}
	in, err := r.instance(ctx, e.Instance)
	if err != nil {
		return controller.Result{}, err
	}
	p := planEnvironment(&e, stateOf(in), r.usage(*e.Id), r.clock.Now())
	if p.stop {
		if _, err := r.ec2.StopInstances(ctx, &ec2api.StopInstancesInput{InstanceIds: []string{e.Instance}}); err != nil {
			return controller.Result{}, err
		}
		return controller.Result{After: poll}, nil
	}
	return controller.Result{After: p.after}, r.write(ctx, key, func(e *environment) {
		e.Status, e.Message = p.status, p.message
		if p.created {
			e.Lifecycle = &cloud9api.EnvironmentLifecycle{Status: aws.Ptr(cloud9api.EnvironmentLifecycleStatusCreated)}
		}
	})
}

func (r *reconciler) write(ctx context.Context, key string, f func(e *environment)) error {
	_, err := r.environments.UpdateKey(ctx, key, func(e *environment) error {
		if !e.Deleted { // what is being deleted has its own status
			f(e)
		}
		return nil
	})
	return err
}

// ensure makes the security group and the instance, each once: what a crash
// kept from being written down is found by its tag or its token.
func (r *reconciler) ensure(ctx context.Context, key string, e *environment) error {
	if e.Group == "" {
		group, err := r.group(ctx, e)
		if err != nil {
			return err
		}
		e.Group = group
		if err := r.write(ctx, key, func(v *environment) { v.Group = group }); err != nil {
			return err
		}
	}
	if e.Instance != "" {
		return nil
	}
	network := ec2api.InstanceNetworkInterfaceSpecification{DeviceIndex: aws.Ptr[int32](0), SubnetId: &e.Subnet, Groups: []string{e.Group}}
	if aws.Val(e.ConnectionType) == cloud9api.ConnectionTypeConnectSsh {
		network.AssociatePublicIpAddress = aws.Ptr(true) // Cloud9 itself would come in from outside
	}
	out, err := r.ec2.RunInstances(ctx, &ec2api.RunInstancesInput{
		ImageId: &e.Image, InstanceType: &e.InstanceType, MinCount: aws.Ptr[int32](1), MaxCount: aws.Ptr[int32](1), ClientToken: e.Id,
		NetworkInterfaces: []ec2api.InstanceNetworkInterfaceSpecification{network},
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: aws.Ptr("instance"), Tags: e.ec2Tags()}},
	})
	if err != nil {
		return err
	}
	e.Instance = aws.Val(out.Instances[0].InstanceId)
	return r.write(ctx, key, func(v *environment) { v.Instance = e.Instance })
}

// stackName is what Cloud9 names what it makes after.
func (e *environment) stackName() string { return "aws-cloud9-" + *e.Name + "-" + *e.Id }

func (e *environment) ec2Tags() []ec2api.Tag {
	tags := []ec2api.Tag{
		{Key: aws.Ptr("Name"), Value: aws.Ptr(e.stackName())}, {Key: aws.Ptr("aws:cloud9:environment"), Value: e.Id}, {Key: aws.Ptr("aws:cloud9:owner"), Value: &e.UserID},
	}
	for _, t := range e.Tags {
		tags = append(tags, ec2api.Tag{Key: t.Key, Value: t.Value})
	}
	return tags
}

// group finds or makes the environment's own security group.
func (r *reconciler) group(ctx context.Context, e *environment) (string, error) {
	found, err := r.ec2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{Filters: []ec2api.Filter{
		{Name: aws.Ptr("tag:aws:cloud9:environment"), Values: []string{*e.Id}}, {Name: aws.Ptr("vpc-id"), Values: []string{e.VPC}},
	}})
	if err != nil {
		return "", err
	}
	if len(found.SecurityGroups) > 0 {
		return aws.Val(found.SecurityGroups[0].GroupId), nil
	}
	made, err := r.ec2.CreateSecurityGroup(ctx, &ec2api.CreateSecurityGroupInput{
		VpcId: &e.VPC, GroupName: aws.Ptr(e.stackName() + "-InstanceSecurityGroup-" + ids.Base32(12)),
		Description:       aws.Ptr("Security group for AWS Cloud9 environment " + e.stackName()),
		TagSpecifications: []ec2api.TagSpecification{{ResourceType: aws.Ptr("security-group"), Tags: e.ec2Tags()}},
	})
	if err != nil {
		return "", err
	}
	return aws.Val(made.GroupId), nil
}

// instance is the environment's instance; nil when it is gone.
func (s *Service) instance(ctx context.Context, id string) (*ec2api.Instance, error) {
	out, err := s.ec2.DescribeInstances(ctx, &ec2api.DescribeInstancesInput{InstanceIds: []string{id}})
	if aws.IsCode(err, "InvalidInstanceID.NotFound") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			return &i, nil
		}
	}
	return nil, nil
}

func stateOf(in *ec2api.Instance) state {
	if in == nil {
		return state{name: "terminated"}
	}
	s := state{name: aws.Val(in.State.Name)}
	if in.StateReason != nil {
		s.reason = aws.Val(in.StateReason.Message)
	}
	return s
}

// remove terminates the instance, then deletes the group, then the record. It
// looks for what a crash kept from being written down.
func (r *reconciler) remove(ctx context.Context, key string, e *environment) (controller.Result, error) {
	out, err := r.ec2.DescribeInstances(ctx, &ec2api.DescribeInstancesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("tag:aws:cloud9:environment"), Values: []string{*e.Id}}}})
	if err != nil {
		return controller.Result{}, err
	}
	waiting := false
	for _, res := range out.Reservations {
		for _, i := range res.Instances {
			switch aws.Val(i.State.Name) {
			case "terminated":
				continue
			case "shutting-down":
			default:
				if _, err := r.ec2.TerminateInstances(ctx, &ec2api.TerminateInstancesInput{InstanceIds: []string{*i.InstanceId}}); err != nil {
					return controller.Result{}, r.deleteFailed(ctx, key, err)
				}
			}
			waiting = true
		}
	}
	if waiting {
		return controller.Result{After: poll}, nil
	}
	groups, err := r.ec2.DescribeSecurityGroups(ctx, &ec2api.DescribeSecurityGroupsInput{Filters: []ec2api.Filter{{Name: aws.Ptr("tag:aws:cloud9:environment"), Values: []string{*e.Id}}}})
	if err != nil {
		return controller.Result{}, err
	}
	for _, g := range groups.SecurityGroups {
		_, err := r.ec2.DeleteSecurityGroup(ctx, &ec2api.DeleteSecurityGroupInput{GroupId: g.GroupId})
		if err != nil && !aws.IsCode(err, "InvalidGroup.NotFound") {
			return controller.Result{}, r.deleteFailed(ctx, key, err)
		}
	}
	r.forget(*e.Id)
	_, err = r.store.Commit(ctx, store.Txn{Deletes: []string{key}})
	return controller.Result{}, err
}

// deleteFailed shows why an environment cannot be deleted; it is tried again.
func (r *reconciler) deleteFailed(ctx context.Context, key string, cause error) error {
	e := aws.AsError(cause)
	_, err := r.environments.UpdateKey(ctx, key, func(v *environment) error {
		v.Lifecycle = &cloud9api.EnvironmentLifecycle{Status: aws.Ptr(cloud9api.EnvironmentLifecycleStatusDeleteFailed), Reason: &e.Message, FailureResource: aws.Ptr("AWS::EC2::SecurityGroup")}
		return nil
	})
	return errors.Join(cause, err)
}
