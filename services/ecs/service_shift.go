package ecs

import (
	"context"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/services/ecs/events"
	"minato/services/ecs/revision"
	"minato/services/ecs/shift"
)

// shiftSession is the name of ECS's sessions of a service's infrastructure role.
const shiftSession = "ECSNetworkingWithELB"

// shift takes a deployment whose traffic is shifted one stage further, and gives
// the listener rules the weights that they are to have. A rule that cannot be
// changed sends the deployment back.
func (p *pass) shift() error {
	if aws.Val(p.rec.Status) != statusActive {
		return nil
	}
	g := p.rec.Green()
	shifted, err := p.weigh()
	switch {
	case err != nil && aws.AsError(err).HTTPStatus() >= 500:
		return err
	case err != nil && g == nil:
		// Nothing is under way that could go back; the traffic stays as it is.
		p.Log.Warn("the service's listener rules are not as they should be", "service", aws.Val(p.rec.ServiceArn), "error", err)
		return nil
	case err != nil:
		p.giveUp(revision.Networking(aws.AsError(err).Message), true, events.Networking)
		return nil
	case g == nil:
		return nil
	}
	seen := shift.Seen{Shifted: shifted, Ready: p.rec.Healthy(aws.Val(g.Id), p.seen, p.health) >= int(aws.Val(p.rec.DesiredCount))}
	for i := range p.tasks {
		id := aws.Val(p.tasks[i].StartedBy)
		seen.Leftovers = seen.Leftovers || !p.tasks[i].Stopping() && id != aws.Val(g.Id) && id != g.Blue
	}
	state := *g.Shift
	state.Since = p.at(state.Since)
	next, wake := shift.Next(p.rec.ShiftPlan(p.Clock.Paced), state, seen, p.now)
	if next.Since.Equal(state.Since) {
		next.Since = g.Shift.Since
	}
	g.Shift, p.wake = &next, wake
	p.deployment.LifecycleStage = &next.Stage
	return nil
}

// weigh gives the service's listener rules their weights, and tells whether they
// had them.
func (p *pass) weigh() (shifted bool, err error) {
	shifted = true
	for _, rule := range p.rec.Rules() {
		ctx, err := p.asInfrastructure(rule.Role)
		if err != nil {
			return false, err
		}
		out, err := p.ELB.DescribeRules(ctx, &elbapi.DescribeRulesInput{RuleArns: []string{rule.ARN}})
		if err != nil || len(out.Rules) == 0 {
			return false, err
		}
		have := out.Rules[0]
		actions, changed, err := rule.Weigh(have.Actions)
		if err != nil {
			return false, err
		}
		if !changed {
			continue
		}
		shifted = false
		if aws.Val(have.IsDefault) {
			_, err = p.ELB.ModifyListener(ctx, &elbapi.ModifyListenerInput{ListenerArn: aws.Ptr(rule.Listener()), DefaultActions: actions})
		} else {
			_, err = p.ELB.ModifyRule(ctx, &elbapi.ModifyRuleInput{RuleArn: &rule.ARN, Actions: actions})
		}
		if err != nil {
			return false, err
		}
		p.rec.ShiftedAt = p.now
	}
	return shifted, nil
}

// asInfrastructure is the pass's context under the role that the service gives
// ECS for its load balancers.
func (p *pass) asInfrastructure(role string) (context.Context, error) {
	out, err := p.STS.AssumeRole(p.ctx, &stsapi.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.Ptr(shiftSession)})
	if err != nil {
		if aws.AsError(err).HTTPStatus() >= 500 {
			return nil, err
		}
		return nil, aws.AsError(invalid("ECS was unable to manage the ELB resources due to missing permissions on ECS Infrastructure Role '%s'.", role)).Because(err)
	}
	a, _ := arn.Parse(role)
	return identity.With(p.ctx, identity.Caller{
		Kind: identity.AssumedRole, Account: a.Account, Region: p.rec.Place.Region, Partition: p.rec.Place.Partition,
		ARN: *out.AssumedRoleUser.Arn, UserID: *out.AssumedRoleUser.AssumedRoleId, PrincipalID: role,
	}), nil
}
