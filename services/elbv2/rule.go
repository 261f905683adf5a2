package elbv2

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/internal/ids"
	"minato/store"
)

// CreateRule adds a rule to a listener.
func (s *Service) CreateRule(ctx context.Context, in *elbapi.CreateRuleInput) (*elbapi.CreateRuleOutput, error) {
	if err := checkTransforms(in.Transforms); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	conditions, err := checkConditions(in.Conditions)
	if err != nil {
		return nil, err
	}
	actions, err := checkActions(in.Actions)
	if err != nil {
		return nil, err
	}
	p, id := at(ctx), ids.Hex(16)
	var r rule
	err = s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, b *balancer, l *listener) error {
		if b.network() {
			return elbapi.OperationNotPermittedException("Rules are unsupported for Network Load Balancer listeners")
		}
		n := int(aws.Val(in.Priority))
		if l.taken(n, "") {
			return elbapi.PriorityInUseException("Priority '%d' is currently in use", n)
		}
		count := 0
		for i := range b.Listeners {
			count += len(b.Listeners[i].Rules)
		}
		if count >= maxRules {
			return elbapi.TooManyRulesException("The maximum number of rules has been reached on load balancer '%s'", aws.Val(b.LoadBalancerArn))
		}
		if err := l.may(actions); err != nil {
			return err
		}
		parts, _ := arnParts(aws.Val(l.ListenerArn), "listener", 4)
		r = rule{Rule: elbapi.Rule{
			RuleArn: aws.Ptr(p.ListenerRule(parts[0], parts[1], parts[2], parts[3], id)), Priority: aws.Ptr(strconv.Itoa(n)), Conditions: conditions, Actions: actions, IsDefault: aws.Ptr(false),
			Transforms: in.Transforms,
		}, Number: n, Tags: in.Tags}
		l.Rules = append(l.Rules, r)
		return r.transforms()
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.CreateRuleOutput{Rules: []elbapi.Rule{r.Rule}}, nil
}

// taken tells whether a rule other than except has the priority.
func (l *listener) taken(priority int, except string) bool {
	return slices.ContainsFunc(l.Rules, func(r rule) bool { return r.Number == priority && aws.Val(r.RuleArn) != except })
}

// changeRule changes a rule that is not the default one; what says what is
// wrong with trying that on the default.
func (s *Service) changeRule(ctx context.Context, text *string, what string, f func(l *listener, r *rule) error) error {
	_, err := s.changeBalancer(ctx, text, rulesGone, func(_ *store.Tx, b *balancer) error {
		l := b.ruleListener(aws.Val(text))
		if l == nil {
			return rulesGone()
		}
		r := l.rule(aws.Val(text))
		if r == nil {
			return elbapi.OperationNotPermittedException("Default rule '%s' cannot be %s", aws.Val(text), what)
		}
		return f(l, r)
	})
	return err
}

// ModifyRule changes a rule's conditions or actions.
func (s *Service) ModifyRule(ctx context.Context, in *elbapi.ModifyRuleInput) (*elbapi.ModifyRuleOutput, error) {
	if err := checkTransforms(in.Transforms); err != nil {
		return nil, err
	}
	reset := aws.Val(in.ResetTransforms)
	if reset && len(in.Transforms) > 0 {
		return nil, invalid("You cannot specify both 'Transforms' and 'ResetTransforms'")
	}
	var out elbapi.Rule
	err := s.changeRule(ctx, in.RuleArn, "modified", func(l *listener, r *rule) (err error) {
		if len(in.Conditions) > 0 {
			if r.Conditions, err = checkConditions(in.Conditions); err != nil {
				return err
			}
		}
		if len(in.Actions) > 0 {
			if r.Actions, err = checkActions(in.Actions); err != nil {
				return err
			}
		}
		if reset || len(in.Transforms) > 0 {
			r.Transforms = in.Transforms
		}
		out = r.Rule
		return cmp.Or(l.may(r.Actions), r.transforms())
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.ModifyRuleOutput{Rules: []elbapi.Rule{out}}, nil
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, in *elbapi.DeleteRuleInput) (*elbapi.DeleteRuleOutput, error) {
	err := s.changeRule(ctx, in.RuleArn, "deleted", func(l *listener, r *rule) error {
		gone := aws.Val(r.RuleArn)
		l.Rules = slices.DeleteFunc(l.Rules, func(o rule) bool { return aws.Val(o.RuleArn) == gone })
		return nil
	})
	return &elbapi.DeleteRuleOutput{}, err
}

// SetRulePriorities gives rules of one listener other priorities, all at once.
func (s *Service) SetRulePriorities(ctx context.Context, in *elbapi.SetRulePrioritiesInput) (*elbapi.SetRulePrioritiesOutput, error) {
	if len(in.RulePriorities) == 0 {
		return nil, invalid("At least one rule priority must be specified")
	}
	var out []elbapi.Rule
	_, err := s.changeBalancer(ctx, in.RulePriorities[0].RuleArn, rulesGone, func(_ *store.Tx, b *balancer) error {
		out = nil
		first := b.ruleListener(aws.Val(in.RulePriorities[0].RuleArn))
		for _, want := range in.RulePriorities {
			text, n := aws.Val(want.RuleArn), int(aws.Val(want.Priority))
			l := b.ruleListener(text)
			if l == nil {
				return rulesGone()
			}
			if l != first {
				return invalid("All rules must belong to the same listener")
			}
			r := l.rule(text)
			if r == nil {
				return elbapi.OperationNotPermittedException("Default rule '%s' cannot have its priority set", text)
			}
			r.Number, r.Priority = n, aws.Ptr(strconv.Itoa(n))
		}
		for i := range first.Rules {
			r := &first.Rules[i]
			if first.taken(r.Number, aws.Val(r.RuleArn)) {
				return elbapi.PriorityInUseException("Priority '%d' is currently in use", r.Number)
			}
		}
		for _, want := range in.RulePriorities {
			out = append(out, first.rule(aws.Val(want.RuleArn)).Rule)
		}
		return nil
	})
	return &elbapi.SetRulePrioritiesOutput{Rules: out}, err
}

// rules lists a listener's rules by priority, the default last.
func (l *listener) rules() []elbapi.Rule {
	sorted := slices.Clone(l.Rules)
	slices.SortFunc(sorted, func(x, y rule) int { return x.Number - y.Number })
	var all []elbapi.Rule
	for i := range sorted {
		all = append(all, sorted[i].Rule)
	}
	return append(all, elbapi.Rule{RuleArn: aws.Ptr(l.defaultRule()), Priority: aws.Ptr("default"), Actions: l.DefaultActions, IsDefault: aws.Ptr(true)})
}

// DescribeRules shows a listener's rules, or those named.
func (s *Service) DescribeRules(ctx context.Context, in *elbapi.DescribeRulesInput) (*elbapi.DescribeRulesOutput, error) {
	var out []elbapi.Rule
	switch {
	case in.ListenerArn != nil && len(in.RuleArns) > 0:
		return nil, invalid("A listener ARN and rule ARNs cannot be specified at the same time")
	case in.ListenerArn != nil:
		b, err := s.readBalancer(ctx, in.ListenerArn, listenersGone)
		if err != nil {
			return nil, err
		}
		l := b.listener(*in.ListenerArn)
		if l == nil {
			return nil, listenersGone()
		}
		out = l.rules()
	case len(in.RuleArns) > 0:
		for _, a := range in.RuleArns {
			b, err := s.readBalancer(ctx, &a, rulesGone)
			if err != nil {
				return nil, err
			}
			l := b.ruleListener(a)
			if l == nil {
				return nil, rulesGone()
			}
			for _, r := range l.rules() {
				if aws.Val(r.RuleArn) == a {
					out = append(out, r)
				}
			}
		}
	default:
		return nil, invalid("You must specify either a listener ARN or rule ARNs")
	}
	items, next, err := page(out, func(r *elbapi.Rule) *string { return r.RuleArn }, in.Marker, in.PageSize)
	return &elbapi.DescribeRulesOutput{Rules: items, NextMarker: next}, err
}
