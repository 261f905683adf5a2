package loadbalancer

import (
	"context"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
)

// lock is ELB with a few target groups.
type lock struct{ elbapi.API }

func (lock) DescribeTargetGroups(_ context.Context, in *elbapi.DescribeTargetGroupsInput) (*elbapi.DescribeTargetGroupsOutput, error) {
	g := elbapi.TargetGroup{TargetGroupArn: &in.TargetGroupArns[0], TargetType: aws.Ptr("ip"), LoadBalancerArns: []string{"lb"}}
	switch *g.TargetGroupArn {
	case "gone":
		return nil, aws.Errorf("TargetGroupNotFound", "One or more target groups not found")
	case "broken":
		return nil, aws.Internal(context.DeadlineExceeded)
	case "idle":
		g.LoadBalancerArns = nil
	case "instances":
		g.TargetType = aws.Ptr("instance")
	}
	return &elbapi.DescribeTargetGroupsOutput{TargetGroups: []elbapi.TargetGroup{g}}, nil
}

func (lock) DescribeRules(_ context.Context, in *elbapi.DescribeRulesInput) (*elbapi.DescribeRulesOutput, error) {
	if in.RuleArns[0] == "gone" {
		return nil, aws.Errorf("RuleNotFound", "One or more rules not found")
	}
	return &elbapi.DescribeRulesOutput{}, nil
}

func TestCheck(t *testing.T) {
	d := &ecsapi.TaskDefinition{NetworkMode: aws.Ptr("awsvpc"), ContainerDefinitions: []ecsapi.ContainerDefinition{
		{Name: aws.Ptr("web"), PortMappings: []ecsapi.PortMapping{{ContainerPort: aws.Ptr[int32](80)}}},
	}}
	for name, c := range map[string]struct {
		change func(lb *ecsapi.LoadBalancer)
		want   string
	}{
		"fine":             {func(*ecsapi.LoadBalancer) {}, ""},
		"a classic one":    {func(lb *ecsapi.LoadBalancer) { lb.LoadBalancerName = aws.Ptr("old") }, "classic load balancers: not served by minato"},
		"no group":         {func(lb *ecsapi.LoadBalancer) { lb.TargetGroupArn = nil }, "targetGroupArn can not be blank."},
		"no container":     {func(lb *ecsapi.LoadBalancer) { lb.ContainerName = nil }, "containerName and containerPort must be specified for the load balancer."},
		"another":          {func(lb *ecsapi.LoadBalancer) { lb.ContainerName = aws.Ptr("x") }, "The container x does not exist in the task definition."},
		"another port":     {func(lb *ecsapi.LoadBalancer) { lb.ContainerPort = aws.Ptr[int32](81) }, "The container web did not have a container port 81 defined."},
		"an unknown group": {func(lb *ecsapi.LoadBalancer) { lb.TargetGroupArn = aws.Ptr("gone") }, "Unable to assume role and validate the specified targetGroupArn. Please verify that the ECS service role being passed has the proper permissions: One or more target groups not found"},
		"an idle group":    {func(lb *ecsapi.LoadBalancer) { lb.TargetGroupArn = aws.Ptr("idle") }, "The target group with targetGroupArn idle does not have an associated load balancer."},
		"of instances":     {func(lb *ecsapi.LoadBalancer) { lb.TargetGroupArn = aws.Ptr("instances") }, "The provided target group instances has target type instance, which is incompatible with the awsvpc network mode specified in the task definition."},
		"an unknown rule": {func(lb *ecsapi.LoadBalancer) {
			lb.AdvancedConfiguration = &ecsapi.AdvancedConfiguration{ProductionListenerRule: aws.Ptr("gone"), AlternateTargetGroupArn: aws.Ptr("b")}
		}, "Unable to validate the specified listener rule gone: One or more rules not found"},
		"an idle alternate": {func(lb *ecsapi.LoadBalancer) {
			lb.AdvancedConfiguration = &ecsapi.AdvancedConfiguration{ProductionListenerRule: aws.Ptr("rule"), AlternateTargetGroupArn: aws.Ptr("idle")}
		}, "The target group with targetGroupArn idle does not have an associated load balancer."},
	} {
		lb := ecsapi.LoadBalancer{TargetGroupArn: aws.Ptr("a"), ContainerName: aws.Ptr("web"), ContainerPort: aws.Ptr[int32](80)}
		c.change(&lb)
		err := Check(t.Context(), lock{}, d, []ecsapi.LoadBalancer{lb})
		if c.want == "" && err != nil || c.want != "" && (err == nil || aws.AsError(err).Message != c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	broken := ecsapi.LoadBalancer{TargetGroupArn: aws.Ptr("broken"), ContainerName: aws.Ptr("web"), ContainerPort: aws.Ptr[int32](80)}
	if err := Check(t.Context(), lock{}, d, []ecsapi.LoadBalancer{broken}); err == nil || aws.AsError(err).HTTPStatus() < 500 {
		t.Errorf("a fault of ours is said to be the caller's: %v", err)
	}
	if err := Check(t.Context(), lock{}, d, make([]ecsapi.LoadBalancer, 6)); err == nil || aws.AsError(err).Message != "loadBalancers can have at most 5 items." {
		t.Errorf("six: %v", err)
	}
}
