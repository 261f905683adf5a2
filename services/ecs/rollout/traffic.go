package rollout

import (
	"slices"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/shift"
)

// Strategy is how the service's deployments take over: a DeploymentStrategy.
func (r *Service) Strategy() string {
	if c := r.DeploymentConfiguration; c != nil && c.Strategy != nil {
		return *c.Strategy
	}
	return ecsapi.DeploymentStrategyRolling
}

// Green is the primary rollout while traffic is being shifted to it; nil when
// nothing is shifted.
func (r *Service) Green() *Rollout {
	if p := r.Primary(); p != nil && p.Shift != nil && !p.Shift.Over() {
		return p
	}
	return nil
}

// serving is the rollout that has the traffic when another begins.
func (r *Service) serving() *Rollout {
	if g := r.Green(); g != nil {
		return r.Find(g.Blue)
	}
	return r.Primary()
}

// turn gives a new rollout its target groups: the other one of each pair where
// traffic is shifted, the one that has the traffic where tasks are rolled.
func (r *Service) turn(n *Rollout, now time.Time) {
	blue := r.serving()
	shifted := r.Strategy() != ecsapi.DeploymentStrategyRolling
	if shifted && blue != nil {
		n.Shift, n.Blue = aws.Ptr(shift.Begin(now)), aws.Val(blue.Id)
	}
	n.Configured, n.LoadBalancers = n.LoadBalancers, slices.Clone(n.LoadBalancers)
	for i := range n.LoadBalancers {
		lb := &n.LoadBalancers[i]
		if lb.AdvancedConfiguration == nil || blue == nil {
			continue
		}
		first, second := lb.TargetGroupArn, lb.AdvancedConfiguration.AlternateTargetGroupArn
		if onSecond := blue.in(aws.Val(second)); shifted != onSecond {
			lb.TargetGroupArn = second
		} else {
			lb.TargetGroupArn = first
		}
	}
}

// in tells whether the rollout's tasks are registered in a target group.
func (x *Rollout) in(group string) bool {
	return slices.ContainsFunc(x.LoadBalancers, func(lb ecsapi.LoadBalancer) bool { return aws.Val(lb.TargetGroupArn) == group })
}

// ResolvedBalancers says which target groups the rollout came to have; nil where
// that is what was asked for.
func (x *Rollout) ResolvedBalancers() *ecsapi.ResolvedConfiguration {
	var out ecsapi.ResolvedConfiguration
	for _, lb := range x.LoadBalancers {
		if a := lb.AdvancedConfiguration; a != nil {
			out.LoadBalancers = append(out.LoadBalancers, ecsapi.ServiceRevisionLoadBalancer{TargetGroupArn: lb.TargetGroupArn, ProductionListenerRule: a.ProductionListenerRule})
		}
	}
	if out.LoadBalancers == nil {
		return nil
	}
	return &out
}

// traffic is the percentage of the production and test traffic that a rollout is
// to have.
func (r *Service) traffic(x *Rollout) (production, test float64) {
	g := r.Green()
	switch id := aws.Val(x.Id); {
	case g == nil && aws.Val(x.Status) == Primary:
		return 100, 100
	case g == nil:
		return 0, 0
	case id == aws.Val(g.Id):
		return g.Shift.Production, g.Shift.Test
	case id == g.Blue:
		return 100 - g.Shift.Production, 100 - g.Shift.Test
	}
	return 0, 0
}

// Rule is a listener rule with the weights that its two target groups are to
// have.
type Rule struct {
	ARN     string
	Role    string // under which it is changed
	Test    bool   // it is for test traffic
	Groups  [2]string
	Weights [2]int32
}

// Rules are the listener rules that the service's traffic is shifted by.
func (r *Service) Rules() []Rule {
	p := r.Primary()
	if p == nil {
		return nil
	}
	production, test := r.traffic(p)
	var out []Rule
	for _, lb := range r.LoadBalancers {
		a := lb.AdvancedConfiguration
		if a == nil {
			continue
		}
		for _, rule := range []struct {
			arn     *string
			percent float64
			test    bool
		}{{a.ProductionListenerRule, production, false}, {a.TestListenerRule, test, true}} {
			if rule.arn == nil {
				continue
			}
			x := Rule{ARN: *rule.arn, Role: aws.Val(a.RoleArn), Test: rule.test, Groups: [2]string{aws.Val(lb.TargetGroupArn), aws.Val(a.AlternateTargetGroupArn)}}
			x.Weights[1], x.Weights[0] = shift.Weights(rule.percent)
			if p.in(x.Groups[1]) {
				x.Weights[0], x.Weights[1] = x.Weights[1], x.Weights[0]
			}
			out = append(out, x)
		}
	}
	return out
}

// Weigh are a rule's actions with the weights that its target groups are to
// have; one that forwards elsewhere is not ECS's to change.
func (rule *Rule) Weigh(actions []elbapi.Action) (out []elbapi.Action, changed bool, err error) {
	out = slices.Clone(actions)
	i := slices.IndexFunc(out, func(a elbapi.Action) bool { return aws.Val(a.Type) == elbapi.ActionTypeEnumForward })
	if i < 0 {
		return nil, false, ecsapi.InvalidParameterException("The listener rule %s does not forward to a target group.", rule.ARN)
	}
	have := map[string]int32{}
	var config elbapi.ForwardActionConfig
	if c := out[i].ForwardConfig; c != nil {
		config = *c
	}
	for _, g := range config.TargetGroups {
		have[aws.Val(g.TargetGroupArn)] = aws.Val(g.Weight)
		if !slices.Contains(rule.Groups[:], aws.Val(g.TargetGroupArn)) && aws.Val(g.Weight) > 0 {
			kind := "Production"
			if rule.Test {
				kind = "Test"
			}
			return nil, false, ecsapi.InvalidParameterException("%s listener rule is forwarding traffic to unexpected target group %s. Expected traffic to be forwarded to either targetGroupArn: %s or alternateTargetGroupArn: %s", kind, aws.Val(g.TargetGroupArn), rule.Groups[0], rule.Groups[1])
		}
	}
	want := func(k int) bool {
		w, there := have[rule.Groups[k]]
		return w == rule.Weights[k] && (there || rule.Weights[k] == 0)
	}
	// One group alone has all the traffic, whatever it weighs.
	only := len(have) == 1 && (have[rule.Groups[0]] > 0 && rule.Weights[1] == 0 || have[rule.Groups[1]] > 0 && rule.Weights[0] == 0)
	if only || want(0) && want(1) {
		return nil, false, nil
	}
	config.TargetGroups = nil
	for k := range rule.Groups {
		config.TargetGroups = append(config.TargetGroups, elbapi.TargetGroupTuple{TargetGroupArn: &rule.Groups[k], Weight: &rule.Weights[k]})
	}
	out[i].ForwardConfig, out[i].TargetGroupArn = &config, nil
	return out, true, nil
}

// Listener is the rule's listener, by their ARNs: listener-rule/app/web/1/2/3
// belongs to listener/app/web/1/2.
func (rule *Rule) Listener() string {
	text := strings.Replace(rule.ARN, ":listener-rule/", ":listener/", 1)
	return text[:strings.LastIndex(text, "/")]
}

// ShiftPlan is how the service's traffic is shifted.
func (r *Service) ShiftPlan(paced func(time.Duration) time.Duration) shift.Plan {
	c := r.DeploymentConfiguration
	minutes := func(n *int32) time.Duration { return paced(time.Duration(aws.Val(n)) * time.Minute) }
	out := shift.Plan{Strategy: r.Strategy(), Bake: minutes(c.BakeTimeInMinutes)}
	if x := c.LinearConfiguration; x != nil {
		out.Percent, out.StepBake = aws.Val(x.StepPercent), minutes(x.StepBakeTimeInMinutes)
	}
	if x := c.CanaryConfiguration; x != nil {
		out.Percent, out.StepBake = aws.Val(x.CanaryPercent), minutes(x.CanaryBakeTimeInMinutes)
	}
	out.Test = slices.ContainsFunc(r.LoadBalancers, func(lb ecsapi.LoadBalancer) bool {
		return lb.AdvancedConfiguration != nil && lb.AdvancedConfiguration.TestListenerRule != nil
	})
	return out
}
