package resources

import (
	"context"
	"strings"

	"minato/aws"
	scaling "minato/aws/api/applicationautoscaling"
)

// scalingResources makes scalable targets and scaling policies.
type scalingResources struct{ api scaling.API }

func scalingTypes(inv aws.Invoker) map[string]Type {
	v := scalingResources{scaling.NewClient(inv)}
	return map[string]Type{
		"AWS::ApplicationAutoScaling::ScalableTarget": {Create: v.register, Ready: v.ready, Update: v.change, Delete: v.deregister},
		"AWS::ApplicationAutoScaling::ScalingPolicy":  {Create: v.createPolicy, Ready: v.policyReady, Update: v.putPolicy, Delete: v.deletePolicy, Named: "PolicyName"},
	}
}

// register makes a target with its scheduled actions. Its physical id has three
// parts: resource|dimension|namespace.
func (v scalingResources) register(ctx context.Context, r *Request) (string, error) {
	id := strings.Join([]string{r.str("ResourceId"), r.str("ScalableDimension"), r.str("ServiceNamespace")}, "|")
	in, err := into(without(r.Properties, "ScheduledActions"), new(scaling.RegisterScalableTargetInput))
	if err != nil {
		return "", err
	}
	if len(r.Tags) > 0 && !r.Resumed {
		in.Tags = r.Tags
	}
	if _, err := v.api.RegisterScalableTarget(ctx, in); err != nil {
		return "", err
	}
	return id, v.putActions(ctx, r)
}

func (v scalingResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

// change brings bounds and scheduled actions to what they are now.
func (v scalingResources) change(ctx context.Context, r *Request) error {
	in, err := into(without(r.Properties, "ScheduledActions"), new(scaling.RegisterScalableTargetInput))
	if err != nil {
		return err
	}
	if _, err := v.api.RegisterScalableTarget(ctx, in); err != nil {
		return err
	}
	now := map[string]bool{}
	for _, name := range actionNames(r.Properties) {
		now[name] = true
	}
	for _, name := range actionNames(r.Previous) {
		if now[name] {
			continue
		}
		_, err := v.api.DeleteScheduledAction(ctx, &scaling.DeleteScheduledActionInput{
			ScheduledActionName: &name, ResourceId: in.ResourceId, ScalableDimension: in.ScalableDimension, ServiceNamespace: in.ServiceNamespace,
		})
		if err := gone(err, "ObjectNotFoundException"); err != nil {
			return err
		}
	}
	return v.putActions(ctx, r)
}

func actionNames(properties map[string]any) []string {
	items, _ := properties["ScheduledActions"].([]any)
	var out []string
	for _, item := range items {
		if a, ok := item.(map[string]any); ok {
			out = append(out, text(a["ScheduledActionName"]))
		}
	}
	return out
}

func (v scalingResources) putActions(ctx context.Context, r *Request) error {
	items, _ := r.Properties["ScheduledActions"].([]any)
	for _, item := range items {
		a, ok := item.(map[string]any)
		if !ok {
			return aws.Errorf("InvalidRequest", "ScheduledActions must be a list of objects")
		}
		in, err := into(a, new(scaling.PutScheduledActionInput))
		if err != nil {
			return err
		}
		in.ResourceId, in.ScalableDimension, in.ServiceNamespace = r.ptr("ResourceId"), r.ptr("ScalableDimension"), r.ptr("ServiceNamespace")
		if _, err := v.api.PutScheduledAction(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (v scalingResources) deregister(ctx context.Context, r *Request) error {
	resource, dimension, namespace := targetParts(r.PhysicalID)
	_, err := v.api.DeregisterScalableTarget(ctx, &scaling.DeregisterScalableTargetInput{ResourceId: &resource, ScalableDimension: &dimension, ServiceNamespace: &namespace})
	return gone(err, "ObjectNotFoundException")
}

func targetParts(id string) (resource, dimension, namespace string) {
	p := append(strings.Split(id, "|"), "", "")
	return p[0], p[1], p[2]
}

// policy is the input for a policy; its target is named by ScalingTargetId or by
// its three parts.
func (v scalingResources) policy(r *Request) (*scaling.PutScalingPolicyInput, error) {
	in, err := into(without(r.Properties, "ScalingTargetId"), new(scaling.PutScalingPolicyInput))
	if err != nil {
		return nil, err
	}
	if id := r.str("ScalingTargetId"); id != "" {
		resource, dimension, namespace := targetParts(id)
		in.ResourceId, in.ScalableDimension, in.ServiceNamespace = &resource, &dimension, &namespace
	}
	return in, nil
}

func (v scalingResources) createPolicy(ctx context.Context, r *Request) (string, error) {
	in, err := v.policy(r)
	if err != nil {
		return "", err
	}
	out, err := v.api.PutScalingPolicy(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.PolicyARN), nil
}

func (v scalingResources) policyReady(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Arn": r.PhysicalID}, true, nil
}

func (v scalingResources) putPolicy(ctx context.Context, r *Request) error {
	in, err := v.policy(r)
	if err == nil {
		_, err = v.api.PutScalingPolicy(ctx, in)
	}
	return err
}

func (v scalingResources) deletePolicy(ctx context.Context, r *Request) error {
	in, err := v.policy(r)
	if err != nil {
		return err
	}
	_, err = v.api.DeleteScalingPolicy(ctx, &scaling.DeleteScalingPolicyInput{
		PolicyName: in.PolicyName, ResourceId: in.ResourceId, ScalableDimension: in.ScalableDimension, ServiceNamespace: in.ServiceNamespace,
	})
	return gone(err, "ObjectNotFoundException")
}
