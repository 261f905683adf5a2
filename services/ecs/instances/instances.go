// Package instances answers for ECS's container instances, of which there are
// none: everything here runs as on Fargate. Lists are empty, what is described is
// missing, what is changed is not found, and a cluster that is not there is said
// to be so first.
package instances

import (
	"context"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// None is a cluster's container instances.
type None struct {
	// Active returns ECS's error if a call's cluster is not there.
	Active func(ctx context.Context, cluster *string) error
}

const maxDescribed = 100

// missing are failures for what was asked for by id or ARN.
func missing(asked []string) ([]ecsapi.Failure, error) {
	switch {
	case len(asked) == 0:
		return nil, ecsapi.InvalidParameterException("Container instances cannot be empty.")
	case len(asked) > maxDescribed:
		return nil, ecsapi.InvalidParameterException("Container instances can not have more than %d elements.", maxDescribed)
	}
	var out []ecsapi.Failure
	for _, id := range asked {
		out = append(out, ecsapi.Failure{Arn: &id, Reason: aws.Ptr("MISSING")})
	}
	return out, nil
}

// ListContainerInstances lists none.
func (n None) ListContainerInstances(ctx context.Context, in *ecsapi.ListContainerInstancesInput) (*ecsapi.ListContainerInstancesOutput, error) {
	return &ecsapi.ListContainerInstancesOutput{ContainerInstanceArns: []string{}}, n.Active(ctx, in.Cluster)
}

// DescribeContainerInstances says that each is missing.
func (n None) DescribeContainerInstances(ctx context.Context, in *ecsapi.DescribeContainerInstancesInput) (*ecsapi.DescribeContainerInstancesOutput, error) {
	if err := n.Active(ctx, in.Cluster); err != nil {
		return nil, err
	}
	failures, err := missing(in.ContainerInstances)
	return &ecsapi.DescribeContainerInstancesOutput{ContainerInstances: []ecsapi.ContainerInstance{}, Failures: failures}, err
}

// UpdateContainerInstancesState says that each is missing.
func (n None) UpdateContainerInstancesState(ctx context.Context, in *ecsapi.UpdateContainerInstancesStateInput) (*ecsapi.UpdateContainerInstancesStateOutput, error) {
	if err := n.Active(ctx, in.Cluster); err != nil {
		return nil, err
	}
	failures, err := missing(in.ContainerInstances)
	return &ecsapi.UpdateContainerInstancesStateOutput{ContainerInstances: []ecsapi.ContainerInstance{}, Failures: failures}, err
}

// ListAttributes lists none: only container instances have attributes.
func (n None) ListAttributes(ctx context.Context, in *ecsapi.ListAttributesInput) (*ecsapi.ListAttributesOutput, error) {
	return &ecsapi.ListAttributesOutput{Attributes: []ecsapi.Attribute{}}, n.Active(ctx, in.Cluster)
}

// PutAttributes finds nothing to put them on.
func (n None) PutAttributes(ctx context.Context, in *ecsapi.PutAttributesInput) (*ecsapi.PutAttributesOutput, error) {
	return nil, n.noTarget(ctx, in.Cluster)
}

// DeleteAttributes finds nothing to take them from.
func (n None) DeleteAttributes(ctx context.Context, in *ecsapi.DeleteAttributesInput) (*ecsapi.DeleteAttributesOutput, error) {
	return nil, n.noTarget(ctx, in.Cluster)
}

func (n None) noTarget(ctx context.Context, cluster *string) error {
	if err := n.Active(ctx, cluster); err != nil {
		return err
	}
	return ecsapi.TargetNotFoundException("The specified target was not found. You can view your available container instances with ListContainerInstances. Amazon ECS container instances are cluster-specific and Region-specific.")
}
