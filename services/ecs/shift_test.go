package ecs

import (
	"fmt"
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
)

const (
	otherARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/other/0123456789abcdef"
	ruleARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/1/2/default"
	testARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener-rule/app/web/1/3/4"
)

// shifted is a CreateService whose deployments shift traffic.
func shifted(y *yard, c *ecsapi.DeploymentConfiguration) *ecsapi.CreateServiceInput {
	y.elb.rules = map[string][]elbapi.Action{}
	for _, rule := range []string{ruleARN, testARN} {
		y.elb.rules[rule] = []elbapi.Action{{Type: aws.Ptr("forward"), ForwardConfig: &elbapi.ForwardActionConfig{TargetGroups: []elbapi.TargetGroupTuple{{TargetGroupArn: aws.Ptr(groupARN), Weight: aws.Ptr[int32](1)}}}}}
	}
	in := creation()
	in.DeploymentConfiguration = c
	in.LoadBalancers[0].AdvancedConfiguration = &ecsapi.AdvancedConfiguration{
		AlternateTargetGroupArn: aws.Ptr(otherARN), ProductionListenerRule: aws.Ptr(ruleARN), TestListenerRule: aws.Ptr(testARN), RoleArn: aws.Ptr("arn:aws:iam::000000000000:role/balancers"),
	}
	return in
}

// weights are those of the first and the second target group of a rule.
func (y *yard) weights(rule string) string {
	out := map[string]int32{}
	for _, g := range y.elb.rules[rule][0].ForwardConfig.TargetGroups {
		out[*g.TargetGroupArn] = *g.Weight
	}
	return fmt.Sprintf("%d:%d", out[groupARN], out[otherARN])
}

// walk steps until the deployment is over and writes down every stage with the
// weights at its end, and how many targets each group has.
func (y *yard) walk() []string {
	y.Helper()
	var out []string
	for range 400 {
		y.step()
		d := y.deployments()[0]
		first, second := 0, 0
		for key := range y.elb.targets {
			if strings.HasPrefix(key, otherARN) {
				second++
			} else {
				first++
			}
		}
		line := fmt.Sprintf("%s production %s test %s targets %d:%d", aws.Val(d.LifecycleStage), y.weights(ruleARN), y.weights(testARN), first, second)
		if len(out) == 0 || out[len(out)-1] != line {
			out = append(out, line)
		}
		if d.FinishedAt != nil {
			return out
		}
	}
	y.Fatalf("not over: %s", strings.Join(out, "\n"))
	return nil
}

func TestBlueGreen(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, shifted(y, &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("BLUE_GREEN"), BakeTimeInMinutes: aws.Ptr[int32](1)}))))
	y.stable()
	if y.weights(ruleARN) != "1:0" || len(y.elb.targets) != 2 {
		t.Errorf("%s, %v", y.weights(ruleARN), y.elb.targets)
	}
	y.least = 2
	y.update(force)
	expect(t, y.walk(),
		"PRE_SCALE_UP production 1:0 test 1:0 targets 2:0",
		"SCALE_UP production 1:0 test 1:0 targets 2:0",
		"SCALE_UP production 1:0 test 1:0 targets 2:2",
		"POST_SCALE_UP production 1:0 test 1:0 targets 2:2",
		"TEST_TRAFFIC_SHIFT production 1:0 test 1:0 targets 2:2",
		"TEST_TRAFFIC_SHIFT production 1:0 test 0:100 targets 2:2",
		"POST_TEST_TRAFFIC_SHIFT production 1:0 test 0:100 targets 2:2",
		"PRODUCTION_TRAFFIC_SHIFT production 1:0 test 0:100 targets 2:2",
		"PRODUCTION_TRAFFIC_SHIFT production 0:100 test 0:100 targets 2:2",
		"POST_PRODUCTION_TRAFFIC_SHIFT production 0:100 test 0:100 targets 2:2",
		"BAKE_TIME production 0:100 test 0:100 targets 2:2",
		"CLEAN_UP production 0:100 test 0:100 targets 2:2",
		"CLEAN_UP production 0:100 test 0:100 targets 0:2",
		" production 0:100 test 0:100 targets 0:2",
	)
	d := y.deployments()[0]
	if *d.Status != "SUCCESSFUL" || y.least < 2 || *d.TargetServiceRevision.RequestedProductionTrafficWeight != 100 {
		t.Errorf("%+v, %d at least", d, y.least)
	}
	r := y.revision(d.TargetServiceRevision.Arn)
	if *r.LoadBalancers[0].TargetGroupArn != groupARN || *r.ResolvedConfiguration.LoadBalancers[0].TargetGroupArn != otherARN {
		t.Errorf("%+v", r)
	}

	// The next one comes back to the first group, and is stopped while it bakes.
	y.update(force)
	for range 40 {
		y.step()
		if aws.Val(y.deployments()[0].LifecycleStage) == "BAKE_TIME" {
			break
		}
	}
	if y.weights(ruleARN) != "100:0" {
		t.Fatalf("%s in %s", y.weights(ruleARN), aws.Val(y.deployments()[0].LifecycleStage))
	}
	before := y.service()
	y.must(second(y.ecs.StopServiceDeployment(y.ctx, &ecsapi.StopServiceDeploymentInput{ServiceDeploymentArn: before.CurrentServiceDeployment})))
	s := y.stable()
	if *s.Deployments[0].Id != *before.Deployments[1].Id || y.weights(ruleARN) != "0:100" || y.weights(testARN) != "0:100" || y.least < 2 || len(y.elb.targets) != 2 {
		t.Errorf("%+v, %s %s, %d at least, %v", s.Deployments, y.weights(ruleARN), y.weights(testARN), y.least, y.elb.targets)
	}
	if *s.LoadBalancers[0].TargetGroupArn != groupARN {
		t.Errorf("the service's own target group is %s", *s.LoadBalancers[0].TargetGroupArn)
	}

	// Rolled from now on: the tasks come where the traffic is.
	y.update(func(in *ecsapi.UpdateServiceInput) {
		force(in)
		in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("ROLLING")}
	})
	y.stable()
	for key := range y.elb.targets {
		if !strings.HasPrefix(key, otherARN) {
			t.Errorf("a target at %s", key)
		}
	}
	if y.weights(ruleARN) != "0:100" {
		t.Error(y.weights(ruleARN))
	}
}

func TestLinearAndCanary(t *testing.T) {
	for _, c := range []struct {
		configuration *ecsapi.DeploymentConfiguration
		want          []string // weights in production
	}{
		{&ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("LINEAR"), LinearConfiguration: &ecsapi.LinearConfiguration{StepPercent: aws.Ptr(40.0), StepBakeTimeInMinutes: aws.Ptr[int32](1)}}, []string{"1:0", "60:40", "20:80", "0:100"}},
		{&ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("CANARY"), CanaryConfiguration: &ecsapi.CanaryConfiguration{CanaryPercent: aws.Ptr(2.5), CanaryBakeTimeInMinutes: aws.Ptr[int32](1)}}, []string{"1:0", "974:25", "0:100"}},
	} {
		y := newYard(t)
		y.must(second(y.ecs.CreateService(y.ctx, shifted(y, c.configuration))))
		y.stable()
		y.update(force)
		var got []string
		for range 200 {
			y.step()
			if w := y.weights(ruleARN); len(got) == 0 || got[len(got)-1] != w {
				got = append(got, w)
			}
		}
		expect(t, got, c.want...)
		if d := y.deployments()[0]; *d.Status != "SUCCESSFUL" {
			t.Errorf("%+v", d)
		}
	}
}

// What goes wrong while traffic is shifted gives it back.
func TestShiftGoesBack(t *testing.T) {
	y := newYard(t)
	in := shifted(y, &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("BLUE_GREEN"), DeploymentCircuitBreaker: breaker(true).DeploymentCircuitBreaker})
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	good := y.stable()
	back := func(reason string) {
		t.Helper()
		y.least = 2
		y.walk()
		s := y.stable()
		if d := y.deployments()[0]; *d.Status != "ROLLBACK_SUCCESSFUL" || *d.StatusReason != reason || *s.Deployments[0].Id != *good.Deployments[0].Id || y.least < 2 || strings.HasPrefix(y.weights(ruleARN), "0") {
			t.Errorf("%s, %s\n%+v, %d at least, %s", *d.Status, aws.Val(d.StatusReason), s.Deployments, y.least, y.weights(ruleARN))
		}
	}
	y.define()
	y.failing = func(t *record.Task) bool { return strings.HasSuffix(*t.TaskDefinitionArn, ":2") }
	y.update(func(in *ecsapi.UpdateServiceInput) { in.TaskDefinition = aws.Ptr("chat:2") })
	back("Service deployment rolled back because the circuit breaker threshold was exceeded.")
	y.failing = nil

	y.elb.wrong = aws.Errorf("AccessDenied", "User: x is not authorized")
	y.update(force)
	for range 10 {
		y.step()
	}
	y.elb.wrong = nil
	back("Service deployment rolled back because of invalid networking configuration. User: x is not authorized")

	y.elb.rules[ruleARN][0].ForwardConfig.TargetGroups[0].TargetGroupArn = aws.Ptr(lonelyARN)
	y.update(force)
	y.step()
	y.elb.rules[ruleARN][0].ForwardConfig.TargetGroups[0].TargetGroupArn = aws.Ptr(groupARN)
	back("Service deployment rolled back because of invalid networking configuration. Production listener rule is forwarding traffic to unexpected target group " + lonelyARN + ". Expected traffic to be forwarded to either targetGroupArn: " + groupARN + " or alternateTargetGroupArn: " + otherARN)

	// Another deployment in the middle: what the first one began is taken back.
	y.update(force)
	for range 5 {
		y.step()
	}
	y.update(force)
	y.least = 2
	stages := y.walk()
	if d := y.deployments(); *d[0].Status != "SUCCESSFUL" || *d[1].Status != "STOPPED" || y.least < 2 || !strings.HasPrefix(stages[0], "RECONCILE_SERVICE") || len(y.elb.targets) != 2 {
		t.Errorf("%s %s, %d at least, %v\n%s", *d[0].Status, *d[1].Status, y.least, y.elb.targets, strings.Join(stages, "\n"))
	}
	if a, ok := arn.Parse((&rollout.Rule{ARN: testARN}).Listener()); !ok || a.Resource != "listener/app/web/1/3" {
		t.Error((&rollout.Rule{ARN: testARN}).Listener())
	}
}

func TestWordsOfShifting(t *testing.T) {
	y := newYard(t)
	for text, change := range map[string]func(in *ecsapi.CreateServiceInput){
		"advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy": func(in *ecsapi.CreateServiceInput) { in.LoadBalancers[0].AdvancedConfiguration = nil },
		"The following rules cannot be used as both production and test listener rules: " + ruleARN: func(in *ecsapi.CreateServiceInput) {
			in.LoadBalancers[0].AdvancedConfiguration.TestListenerRule = aws.Ptr(ruleARN)
		},
		"Duplicate targetGroupArn found: " + groupARN: func(in *ecsapi.CreateServiceInput) {
			in.LoadBalancers[0].AdvancedConfiguration.AlternateTargetGroupArn = aws.Ptr(groupARN)
		},
		"productionListenerRule has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/app/web/1/2": func(in *ecsapi.CreateServiceInput) {
			in.LoadBalancers[0].AdvancedConfiguration.ProductionListenerRule = aws.Ptr((&rollout.Rule{ARN: ruleARN}).Listener())
		},
		"linearConfiguration is only supported for the LINEAR deployment strategy.": func(in *ecsapi.CreateServiceInput) {
			in.DeploymentConfiguration.LinearConfiguration = &ecsapi.LinearConfiguration{}
		},
		"bakeTimeInMinutes must be between 0 and 1440.": func(in *ecsapi.CreateServiceInput) {
			in.DeploymentConfiguration.BakeTimeInMinutes = aws.Ptr[int32](1441)
		},
		"bakeTimeInMinutes, linearConfiguration and canaryConfiguration are not supported for the ROLLING deployment strategy.": func(in *ecsapi.CreateServiceInput) {
			in.DeploymentConfiguration.Strategy, in.DeploymentConfiguration.BakeTimeInMinutes = nil, aws.Ptr[int32](1)
		},
	} {
		in := shifted(y, &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("BLUE_GREEN")})
		change(in)
		fails(t, second(y.ecs.CreateService(y.ctx, in)), "InvalidParameterException", text)
	}
	in := shifted(y, &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("BLUE_GREEN"), LifecycleHooks: []ecsapi.DeploymentLifecycleHook{{}}})
	fails(t, second(y.ecs.CreateService(y.ctx, in)), "UnsupportedFeatureException", "deployment lifecycle hooks: not served by minato")
}
