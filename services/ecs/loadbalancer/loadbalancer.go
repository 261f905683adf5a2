// Package loadbalancer checks the target groups and listener rules of a service, for
// which it asks Elastic Load Balancing; its contexts are ECS's own.
package loadbalancer

import (
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/definition"
)

func invalid(format string, args ...any) error {
	return ecsapi.InvalidParameterException(format, args...)
}

// Check checks the target groups of a service.
func Check(ctx context.Context, elb elbapi.API, d *ecsapi.TaskDefinition, balancers []ecsapi.LoadBalancer) error {
	if len(balancers) > 5 {
		return invalid("loadBalancers can have at most 5 items.")
	}
	for i := range balancers {
		if err := checkOne(ctx, elb, d, &balancers[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkOne checks one target group of a service.
func checkOne(ctx context.Context, elb elbapi.API, d *ecsapi.TaskDefinition, lb *ecsapi.LoadBalancer) error {
	switch {
	case lb.LoadBalancerName != nil:
		return ecsapi.UnsupportedFeatureException("classic load balancers: not served by minato")
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
	if err := checkGroup(ctx, elb, d, *lb.TargetGroupArn); err != nil || lb.AdvancedConfiguration == nil {
		return err
	}
	a := lb.AdvancedConfiguration
	for _, rule := range []*string{a.ProductionListenerRule, a.TestListenerRule} {
		if rule == nil {
			continue
		}
		if _, err := elb.DescribeRules(ctx, &elbapi.DescribeRulesInput{RuleArns: []string{*rule}}); err != nil {
			if e := aws.AsError(err); e.HTTPStatus() < 500 {
				return invalid("Unable to validate the specified listener rule %s: %s", *rule, e.Message)
			}
			return err
		}
	}
	return checkGroup(ctx, elb, d, *a.AlternateTargetGroupArn)
}

// checkGroup checks that a target group can take a service's tasks.
func checkGroup(ctx context.Context, elb elbapi.API, d *ecsapi.TaskDefinition, group string) error {
	out, err := elb.DescribeTargetGroups(ctx, &elbapi.DescribeTargetGroupsInput{TargetGroupArns: []string{group}})
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
