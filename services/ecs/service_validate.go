package ecs

import (
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/definition"
	"minato/services/ecs/record"
)

func invalid(format string, args ...any) error {
	return ecsapi.InvalidParameterException(format, args...)
}

// checkBalancers checks the target groups of a service.
func (s *Service) checkBalancers(ctx context.Context, d *record.TaskDefinition, balancers []ecsapi.LoadBalancer) error {
	if len(balancers) > 5 {
		return invalid("loadBalancers can have at most 5 items.")
	}
	for i := range balancers {
		if err := s.checkBalancer(ctx, d, &balancers[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkBalancer checks one target group of a service.
func (s *Service) checkBalancer(ctx context.Context, d *record.TaskDefinition, lb *ecsapi.LoadBalancer) error {
	switch {
	case lb.LoadBalancerName != nil:
		return notServed("classic load balancers")
	case lb.TargetGroupArn == nil:
		return invalid("targetGroupArn can not be blank.")
	case lb.ContainerName == nil || lb.ContainerPort == nil:
		return invalid("containerName and containerPort must be specified for the load balancer.")
	}
	i := slices.IndexFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return aws.Val(c.Name) == *lb.ContainerName })
	if i < 0 {
		return invalid("The container %s does not exist in the task definition.", *lb.ContainerName)
	}
	if !slices.ContainsFunc(d.ContainerDefinitions[i].PortMappings, func(p ecsapi.PortMapping) bool { return aws.Val(p.ContainerPort) == *lb.ContainerPort }) {
		return invalid("The container %s did not have a container port %d defined.", *lb.ContainerName, *lb.ContainerPort)
	}
	if err := s.checkGroup(ctx, d, *lb.TargetGroupArn); err != nil || lb.AdvancedConfiguration == nil {
		return err
	}
	a := lb.AdvancedConfiguration
	for _, rule := range []*string{a.ProductionListenerRule, a.TestListenerRule} {
		if rule == nil {
			continue
		}
		if _, err := s.ELB.DescribeRules(own(ctx, at(ctx)), &elbapi.DescribeRulesInput{RuleArns: []string{*rule}}); err != nil {
			if e := aws.AsError(err); e.HTTPStatus() < 500 {
				return invalid("Unable to validate the specified listener rule %s: %s", *rule, e.Message)
			}
			return err
		}
	}
	return s.checkGroup(ctx, d, *a.AlternateTargetGroupArn)
}

// checkGroup checks that a target group can take a service's tasks.
func (s *Service) checkGroup(ctx context.Context, d *record.TaskDefinition, group string) error {
	out, err := s.ELB.DescribeTargetGroups(own(ctx, at(ctx)), &elbapi.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
	if err != nil {
		if e := aws.AsError(err); e.HTTPStatus() < 500 {
			return invalid("Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being passed has the proper permissions: %s", e.Message)
		}
		return err
	}
	if len(out.TargetGroups) == 0 {
		return invalid("The specified target group %s does not exist.", group)
	}
	g := out.TargetGroups[0]
	switch {
	case len(g.LoadBalancerArns) == 0:
		return invalid("The target group with targetGroupArn %s does not have an associated load balancer.", group)
	case (aws.Val(g.TargetType) == elbapi.TargetTypeEnumIp) != (aws.Val(d.NetworkMode) == definition.Awsvpc):
		return invalid("The provided target group %s has target type %s, which is incompatible with the %s network mode specified in the task definition.", group, aws.Val(g.TargetType), aws.Val(d.NetworkMode))
	}
	return nil
}
