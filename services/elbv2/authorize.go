package elbv2

import (
	"context"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/gateway"
)

// checks is what IAM is asked for a call: the operation's own action on what it
// changes, with its tags; describing is for everything ("*"), as on AWS.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	action := op.Action()
	var tags []elbapi.Tag
	var resources []*string
	switch in := in.(type) {
	case *elbapi.CreateLoadBalancerInput:
		tags, resources = in.Tags, []*string{aws.Ptr(at(ctx).LoadBalancer(kindOf(aws.Val(in.Type)), aws.Val(in.Name), "*"))}
	case *elbapi.CreateTargetGroupInput:
		tags, resources = in.Tags, []*string{aws.Ptr(at(ctx).TargetGroup(aws.Val(in.Name), "*"))}
	case *elbapi.CreateListenerInput:
		tags, resources = in.Tags, []*string{in.LoadBalancerArn}
	case *elbapi.CreateRuleInput:
		tags, resources = in.Tags, []*string{in.ListenerArn}
	case *elbapi.AddTagsInput:
		tags, resources = in.Tags, pointers(in.ResourceArns)
	case *elbapi.RemoveTagsInput:
		resources = pointers(in.ResourceArns)
	case *elbapi.SetRulePrioritiesInput:
		for _, r := range in.RulePriorities {
			resources = append(resources, r.RuleArn)
		}
	default:
		resources = one(in)
	}
	if len(resources) == 0 {
		return []gateway.Check{{Action: action, Resource: "*"}}
	}
	var out []gateway.Check
	for _, r := range resources {
		c := gateway.Check{Action: action, Resource: aws.Val(r), Context: map[string][]string{}}
		if existing, err := s.tagsOf(ctx, aws.Val(r)); err == nil { // else the operation says what is wrong
			for _, t := range existing {
				c.Context["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
				c.Context["elasticloadbalancing:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			}
		}
		for _, t := range tags {
			c.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			c.Context["aws:TagKeys"] = append(c.Context["aws:TagKeys"], aws.Val(t.Key))
		}
		out = append(out, c)
		if len(tags) > 0 && op.Name != "AddTags" {
			c.Action = "elasticloadbalancing:AddTags"
			out = append(out, c)
		}
	}
	return out
}

// one is the resource of an operation that changes a single thing.
func one(in any) []*string {
	switch in := in.(type) {
	case *elbapi.AddListenerCertificatesInput:
		return []*string{in.ListenerArn}
	case *elbapi.RemoveListenerCertificatesInput:
		return []*string{in.ListenerArn}
	case *elbapi.DeleteListenerInput:
		return []*string{in.ListenerArn}
	case *elbapi.DeleteLoadBalancerInput:
		return []*string{in.LoadBalancerArn}
	case *elbapi.DeleteRuleInput:
		return []*string{in.RuleArn}
	case *elbapi.DeleteTargetGroupInput:
		return []*string{in.TargetGroupArn}
	case *elbapi.DeregisterTargetsInput:
		return []*string{in.TargetGroupArn}
	case *elbapi.ModifyListenerInput:
		return []*string{in.ListenerArn}
	case *elbapi.ModifyListenerAttributesInput:
		return []*string{in.ListenerArn}
	case *elbapi.ModifyCapacityReservationInput:
		return []*string{in.LoadBalancerArn}
	case *elbapi.ModifyLoadBalancerAttributesInput:
		return []*string{in.LoadBalancerArn}
	case *elbapi.ModifyRuleInput:
		return []*string{in.RuleArn}
	case *elbapi.ModifyTargetGroupInput:
		return []*string{in.TargetGroupArn}
	case *elbapi.ModifyTargetGroupAttributesInput:
		return []*string{in.TargetGroupArn}
	case *elbapi.RegisterTargetsInput:
		return []*string{in.TargetGroupArn}
	case *elbapi.SetIpAddressTypeInput:
		return []*string{in.LoadBalancerArn}
	case *elbapi.SetSecurityGroupsInput:
		return []*string{in.LoadBalancerArn}
	case *elbapi.SetSubnetsInput:
		return []*string{in.LoadBalancerArn}
	}
	return nil
}

func pointers(all []string) []*string {
	var out []*string
	for i := range all {
		out = append(out, &all[i])
	}
	return out
}
