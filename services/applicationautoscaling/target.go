package applicationautoscaling

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/store"
)

// target is the record of a scalable target.
type target struct {
	autoapi.ScalableTarget
	Place arn.Place
	Tags  map[string]string
	// Change is the change under way: the reconciler's.
	Change *change
}

// change is a change of the desired count that was decided.
type change struct {
	Activity string // its id
	From, To int
	Sent     bool // ECS was told
	At       time.Time
}

// roleARN is the service-linked role's.
func roleARN(p arn.Place) string {
	return p.Role("/aws-service-role/"+Principal+"/", "AWSServiceRoleForApplicationAutoScaling_ECSService")
}

// RegisterScalableTarget makes a service of ECS scalable between two bounds, or
// changes them.
func (s *Service) RegisterScalableTarget(ctx context.Context, in *autoapi.RegisterScalableTargetInput) (*autoapi.RegisterScalableTargetOutput, error) {
	resource := aws.Val(in.ResourceId)
	if err := served(*in.ServiceNamespace, *in.ScalableDimension, resource); err != nil {
		return nil, err
	}
	p := place(ctx)
	if _, err := s.service(own(ctx, p), resource); err != nil {
		return nil, err
	}
	var out target
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, found, err := s.targets.TxGet(tx, p.Account, p.Region, resource)
		if err != nil {
			return err
		}
		switch {
		case !found && in.MinCapacity == nil:
			return invalid("Minimum capacity is required when registering a new scalable target")
		case !found && in.MaxCapacity == nil:
			return invalid("Maximum capacity is required when registering a new scalable target")
		case !found:
			if err := checkTags(nil, in.Tags); err != nil {
				return err
			}
			t = target{Place: p, Tags: in.Tags, ScalableTarget: autoapi.ScalableTarget{
				CreationTime: aws.Ptr(s.now()), ResourceId: &resource, RoleARN: aws.Ptr(roleARN(p)), ScalableDimension: in.ScalableDimension, ServiceNamespace: in.ServiceNamespace,
				ScalableTargetARN: aws.Ptr(p.Of("application-autoscaling", "scalable-target/0ec5"+ids.Hex(32))),
				SuspendedState:    &autoapi.SuspendedState{DynamicScalingInSuspended: aws.Ptr(false), DynamicScalingOutSuspended: aws.Ptr(false), ScheduledScalingSuspended: aws.Ptr(false)},
			}}
		case len(in.Tags) > 0:
			return invalid("Tags can not be given when a scalable target is updated. Use TagResource.")
		}
		if in.MinCapacity != nil {
			t.MinCapacity = in.MinCapacity
		}
		if in.MaxCapacity != nil {
			t.MaxCapacity = in.MaxCapacity
		}
		if st := in.SuspendedState; st != nil {
			for from, to := range map[**bool]**bool{
				&st.DynamicScalingInSuspended: &t.SuspendedState.DynamicScalingInSuspended, &st.DynamicScalingOutSuspended: &t.SuspendedState.DynamicScalingOutSuspended,
				&st.ScheduledScalingSuspended: &t.SuspendedState.ScheduledScalingSuspended,
			} {
				if *from != nil {
					*to = *from
				}
			}
		}
		if err := checkBounds(t.MinCapacity, t.MaxCapacity); err != nil {
			return err
		}
		out = t
		return s.targets.TxPut(tx, t, p.Account, p.Region, resource)
	})
	if err != nil {
		return nil, err
	}
	return &autoapi.RegisterScalableTargetOutput{ScalableTargetARN: out.ScalableTargetARN}, nil
}

func checkBounds(least, most *int32) error {
	switch {
	case least != nil && *least < 0:
		return invalid("Minimum capacity must be greater than or equal to 0")
	case most != nil && *most < 0:
		return invalid("Maximum capacity must be greater than or equal to 0")
	case least != nil && most != nil && *least > *most:
		return invalid("Maximum capacity cannot be less than minimum capacity")
	}
	return nil
}

// service is the service of ECS that a resource id names.
func (s *Service) service(ctx context.Context, resource string) (*ecsapi.Service, error) {
	cluster, name, _ := serviceOf(resource)
	out, err := s.ECS.DescribeServices(ctx, &ecsapi.DescribeServicesInput{Cluster: &cluster, Services: []string{name}})
	switch {
	case aws.IsCode(err, "ClusterNotFoundException"), err == nil && (len(out.Services) == 0 || aws.Val(out.Services[0].Status) != "ACTIVE"):
		return nil, invalid("ECS service doesn't exist: %s", resource)
	case err != nil:
		return nil, err
	}
	return &out.Services[0], nil
}

// DeregisterScalableTarget forgets a target with its policies, their alarms and
// its scheduled actions.
func (s *Service) DeregisterScalableTarget(ctx context.Context, in *autoapi.DeregisterScalableTargetInput) (*autoapi.DeregisterScalableTargetOutput, error) {
	p, resource := place(ctx), aws.Val(in.ResourceId)
	if err := served(*in.ServiceNamespace, *in.ScalableDimension, resource); err != nil {
		return nil, err
	}
	var gone []policy
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		_, found, err := s.targets.TxGet(tx, p.Account, p.Region, resource)
		switch {
		case err != nil:
			return err
		case !found:
			return noTarget(resource)
		}
		s.targets.TxDelete(tx, p.Account, p.Region, resource)
		if gone, err = s.policies.TxList(tx, p.Account, p.Region, resource); err != nil {
			return err
		}
		for _, o := range gone {
			s.policies.TxDelete(tx, p.Account, p.Region, resource, aws.Val(o.PolicyName))
		}
		actions, err := s.scheduled.TxList(tx, p.Account, p.Region, resource)
		for _, a := range actions {
			s.scheduled.TxDelete(tx, p.Account, p.Region, resource, aws.Val(a.ScheduledActionName))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &autoapi.DeregisterScalableTargetOutput{}, s.dropAlarms(ctx, p, gone...)
}

// DescribeScalableTargets lists targets by resource.
func (s *Service) DescribeScalableTargets(ctx context.Context, in *autoapi.DescribeScalableTargetsInput) (*autoapi.DescribeScalableTargetsOutput, error) {
	p := place(ctx)
	out := &autoapi.DescribeScalableTargetsOutput{ScalableTargets: []autoapi.ScalableTarget{}}
	all, err := s.targets.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(t target) bool {
		return *in.ServiceNamespace != *t.ServiceNamespace || in.ScalableDimension != nil && *in.ScalableDimension != *t.ScalableDimension ||
			len(in.ResourceIds) > 0 && !slices.Contains(in.ResourceIds, *t.ResourceId)
	})
	slices.SortFunc(all, func(a, b target) int { return strings.Compare(*a.ResourceId, *b.ResourceId) })
	all, out.NextToken, err = page(all, func(t target) string { return *t.ResourceId }, in.NextToken, in.MaxResults)
	for _, t := range all {
		out.ScalableTargets = append(out.ScalableTargets, t.ScalableTarget)
	}
	return out, err
}

const maxTags = 50

func checkTags(have, add map[string]string) error {
	all := maps.Clone(have)
	if all == nil {
		all = map[string]string{}
	}
	for k, v := range add {
		if strings.HasPrefix(strings.ToLower(k), "aws:") && !strings.HasPrefix(k, "aws:cloudformation:") {
			return invalid("Tag keys that begin with aws: are reserved: %s", k)
		}
		all[k] = v
	}
	if len(all) > maxTags {
		return autoapi.TooManyTagsException("A scalable target can not have more than %d tags.", maxTags)
	}
	return nil
}

// tagged changes the tags of the target of an ARN.
func (s *Service) tagged(ctx context.Context, resource string, f func(t *target) error) error {
	p := place(ctx)
	all, err := s.targets.List(ctx, p.Account, p.Region)
	if err != nil {
		return aws.Internal(err)
	}
	for _, t := range all {
		if aws.Val(t.ScalableTargetARN) == resource {
			if found, err := s.targets.Update(ctx, f, p.Account, p.Region, *t.ResourceId); err != nil || found {
				return err
			}
		}
	}
	e := autoapi.ResourceNotFoundException("The resource doesn't exist.")
	e.Fields = map[string]any{"ResourceName": resource}
	return e
}

// TagResource adds tags to a scalable target.
func (s *Service) TagResource(ctx context.Context, in *autoapi.TagResourceInput) (*autoapi.TagResourceOutput, error) {
	return &autoapi.TagResourceOutput{}, s.tagged(ctx, *in.ResourceARN, func(t *target) error {
		if err := checkTags(t.Tags, in.Tags); err != nil {
			return err
		}
		if t.Tags == nil {
			t.Tags = map[string]string{}
		}
		maps.Copy(t.Tags, in.Tags)
		return nil
	})
}

// UntagResource removes tags from a scalable target.
func (s *Service) UntagResource(ctx context.Context, in *autoapi.UntagResourceInput) (*autoapi.UntagResourceOutput, error) {
	return &autoapi.UntagResourceOutput{}, s.tagged(ctx, *in.ResourceARN, func(t *target) error {
		for _, k := range in.TagKeys {
			delete(t.Tags, k)
		}
		return nil
	})
}

// ListTagsForResource lists the tags of a scalable target.
func (s *Service) ListTagsForResource(ctx context.Context, in *autoapi.ListTagsForResourceInput) (*autoapi.ListTagsForResourceOutput, error) {
	out := &autoapi.ListTagsForResourceOutput{Tags: map[string]string{}}
	err := s.tagged(ctx, *in.ResourceARN, func(t *target) error { maps.Copy(out.Tags, t.Tags); return nil })
	if err != nil {
		return nil, err
	}
	return out, nil
}
