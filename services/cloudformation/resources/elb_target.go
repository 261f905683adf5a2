package resources

import (
	"context"

	"minato/aws"
	elb "minato/aws/api/elbv2"
	"minato/aws/arn"
)

// targetResources makes target groups, listeners and rules.
type targetResources struct{ api elb.API }

func targetTypes(inv aws.Invoker) map[string]Type {
	v := targetResources{elb.NewClient(inv)}
	return map[string]Type{
		"AWS::ElasticLoadBalancingV2::TargetGroup":  {Create: v.createGroup, Ready: v.readyGroup, Update: v.updateGroup, Delete: v.deleteGroup, Named: "Name"},
		"AWS::ElasticLoadBalancingV2::Listener":     {Create: v.createListener, Ready: v.readyListener, Update: v.updateListener, Delete: v.deleteListener},
		"AWS::ElasticLoadBalancingV2::ListenerRule": {Create: v.createRule, Ready: v.readyRule, Update: v.updateRule, Delete: v.deleteRule},
	}
}

func (v targetResources) createGroup(ctx context.Context, r *Request) (string, error) {
	in, err := into(without(r.Properties, "Tags", "Targets", "TargetGroupAttributes"), new(elb.CreateTargetGroupInput))
	if err != nil {
		return "", err
	}
	in.Name, in.Tags = aws.Ptr(r.name("Name", 32)), elbTags(r)
	out, err := v.api.CreateTargetGroup(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.TargetGroups) == 0 {
		return "", NotStabilized("no target group was made")
	}
	r.PhysicalID = aws.Val(out.TargetGroups[0].TargetGroupArn)
	if err := v.setGroupAttributes(ctx, r); err != nil {
		return r.PhysicalID, err
	}
	return r.PhysicalID, v.register(ctx, r, attributesOf[elb.TargetDescription](r.Properties, "Targets"))
}

func (v targetResources) setGroupAttributes(ctx context.Context, r *Request) error {
	attributes := attributesOf[elb.TargetGroupAttribute](r.Properties, "TargetGroupAttributes")
	if len(attributes) == 0 {
		return nil
	}
	_, err := v.api.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &r.PhysicalID, Attributes: attributes})
	return err
}

func (v targetResources) register(ctx context.Context, r *Request, targets []elb.TargetDescription) error {
	if len(targets) == 0 {
		return nil
	}
	_, err := v.api.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: &r.PhysicalID, Targets: targets})
	return err
}

func (v targetResources) readyGroup(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{r.PhysicalID}})
	if err != nil || len(out.TargetGroups) == 0 {
		return nil, false, err
	}
	balancers := []any{}
	for _, lb := range out.TargetGroups[0].LoadBalancerArns {
		balancers = append(balancers, lb)
	}
	a, _ := arn.Parse(r.PhysicalID)
	return map[string]any{"TargetGroupArn": r.PhysicalID, "TargetGroupName": aws.Val(out.TargetGroups[0].TargetGroupName), "TargetGroupFullName": a.Resource, "LoadBalancerArns": balancers}, true, nil
}

func (v targetResources) updateGroup(ctx context.Context, r *Request) error {
	in, err := into(without(r.Properties, "Tags", "Targets", "TargetGroupAttributes"), new(elb.ModifyTargetGroupInput))
	if err != nil {
		return err
	}
	in.TargetGroupArn = &r.PhysicalID
	if _, err := v.api.ModifyTargetGroup(ctx, in); err != nil {
		return err
	}
	if r.changed("TargetGroupAttributes") {
		if err := v.setGroupAttributes(ctx, r); err != nil {
			return err
		}
	}
	if r.changed("Targets") {
		if old := attributesOf[elb.TargetDescription](r.Previous, "Targets"); len(old) > 0 {
			if _, err := v.api.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: &r.PhysicalID, Targets: old}); err != nil {
				return err
			}
		}
		if err := v.register(ctx, r, attributesOf[elb.TargetDescription](r.Properties, "Targets")); err != nil {
			return err
		}
	}
	return updateELBTags(ctx, v.api, r)
}

func (v targetResources) deleteGroup(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: &r.PhysicalID})
	return gone(err, "TargetGroupNotFound")
}

func (v targetResources) createListener(ctx context.Context, r *Request) (string, error) {
	in, err := into(without(r.Properties, "AlpnPolicy", "ListenerAttributes"), new(elb.CreateListenerInput))
	if err != nil {
		return "", err
	}
	in.AlpnPolicy = list(r.Properties, "AlpnPolicy")
	out, err := v.api.CreateListener(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.Listeners) == 0 {
		return "", NotStabilized("no listener was made")
	}
	r.PhysicalID = aws.Val(out.Listeners[0].ListenerArn)
	return r.PhysicalID, v.setListenerAttributes(ctx, r)
}

func (v targetResources) setListenerAttributes(ctx context.Context, r *Request) error {
	attributes := attributesOf[elb.ListenerAttribute](r.Properties, "ListenerAttributes")
	if len(attributes) == 0 {
		return nil
	}
	_, err := v.api.ModifyListenerAttributes(ctx, &elb.ModifyListenerAttributesInput{ListenerArn: &r.PhysicalID, Attributes: attributes})
	return err
}

func (v targetResources) readyListener(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"ListenerArn": r.PhysicalID}, true, nil
}

func (v targetResources) updateListener(ctx context.Context, r *Request) error {
	in, err := into(without(r.Properties, "AlpnPolicy", "ListenerAttributes", "LoadBalancerArn"), new(elb.ModifyListenerInput))
	if err != nil {
		return err
	}
	in.ListenerArn, in.AlpnPolicy = &r.PhysicalID, list(r.Properties, "AlpnPolicy")
	if _, err := v.api.ModifyListener(ctx, in); err != nil || !r.changed("ListenerAttributes") {
		return err
	}
	return v.setListenerAttributes(ctx, r)
}

func (v targetResources) deleteListener(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: &r.PhysicalID})
	return gone(err, "ListenerNotFound", "LoadBalancerNotFound")
}

func (v targetResources) createRule(ctx context.Context, r *Request) (string, error) {
	in, err := into(r.Properties, new(elb.CreateRuleInput))
	if err != nil {
		return "", err
	}
	out, err := v.api.CreateRule(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.Rules) == 0 {
		return "", NotStabilized("no rule was made")
	}
	return aws.Val(out.Rules[0].RuleArn), nil
}

func (v targetResources) readyRule(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"RuleArn": r.PhysicalID, "IsDefault": false}, true, nil
}

func (v targetResources) updateRule(ctx context.Context, r *Request) error {
	if r.changed("Priority") {
		var p struct{ Priority *int32 }
		if _, err := into(map[string]any{"Priority": r.Properties["Priority"]}, &p); err != nil {
			return err
		}
		if _, err := v.api.SetRulePriorities(ctx, &elb.SetRulePrioritiesInput{RulePriorities: []elb.RulePriorityPair{{RuleArn: &r.PhysicalID, Priority: p.Priority}}}); err != nil {
			return err
		}
	}
	in, err := into(without(r.Properties, "Priority", "ListenerArn"), new(elb.ModifyRuleInput))
	if err != nil {
		return err
	}
	in.RuleArn = &r.PhysicalID
	_, err = v.api.ModifyRule(ctx, in)
	return err
}

func (v targetResources) deleteRule(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteRule(ctx, &elb.DeleteRuleInput{RuleArn: &r.PhysicalID})
	return gone(err, "RuleNotFound", "ListenerNotFound")
}
