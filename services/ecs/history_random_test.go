package ecs

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/record"
)

// Whatever happens to a service, when it is left alone it comes to rest: its
// tasks are of the primary deployment, its targets are theirs, the traffic is
// where they are, and every service deployment has ended in a way that fits.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 7))
		y := newYard(t)
		in := creation()
		if seed%2 == 0 {
			in = shifted(y, []*ecsapi.DeploymentConfiguration{
				{Strategy: aws.Ptr("BLUE_GREEN"), BakeTimeInMinutes: aws.Ptr[int32](1)},
				{Strategy: aws.Ptr("LINEAR"), LinearConfiguration: &ecsapi.LinearConfiguration{StepPercent: aws.Ptr(40.0), StepBakeTimeInMinutes: aws.Ptr[int32](0)}},
				{Strategy: aws.Ptr("CANARY"), CanaryConfiguration: &ecsapi.CanaryConfiguration{CanaryBakeTimeInMinutes: aws.Ptr[int32](0)}},
			}[seed/2%3])
		} else {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MinimumHealthyPercent: aws.Ptr[int32](0), MaximumPercent: aws.Ptr([]int32{100, 150, 200}[seed%3])}
		}
		in.DeploymentConfiguration.DeploymentCircuitBreaker = breaker(r.IntN(2) == 0).DeploymentCircuitBreaker
		y.must(second(y.ecs.CreateService(y.ctx, in)))
		desired := int32(2)
		var told []string
		for range 60 {
			switch what := r.IntN(14); what {
			case 0, 1:
				y.update(force)
				told = append(told, "force")
			case 2:
				desired = int32(r.IntN(5))
				y.update(func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = &desired })
				told = append(told, fmt.Sprint("scale ", desired))
			case 3:
				kind := []string{"ROLLBACK", "ABORT"}[r.IntN(2)]
				err := second(y.ecs.StopServiceDeployment(y.ctx, &ecsapi.StopServiceDeploymentInput{ServiceDeploymentArn: y.service().CurrentServiceDeployment, StopType: &kind}))
				if err != nil && !aws.IsCode(err, "ConflictException") {
					t.Fatal(err)
				}
				told = append(told, fmt.Sprint(kind, " ", err == nil))
			case 4:
				y.failing = func(*record.Task) bool { return r.IntN(2) == 0 }
				told = append(told, "failing")
			case 5:
				y.elb.sick = true
				told = append(told, "sick")
			case 6, 7, 8:
				y.failing, y.elb.sick = nil, false
				told = append(told, "well")
			case 9:
				for _, key := range slices.Sorted(maps.Keys(y.elb.targets)) {
					delete(y.elb.targets, key) // somebody deregistered it
					break
				}
				told = append(told, "lost")
			}
			y.step()
			ongoing := 0
			for _, d := range y.deployments() {
				if d.FinishedAt == nil {
					ongoing++
				}
			}
			if ongoing > 1 {
				t.Fatalf("seed %d: %d deployments under way after %v", seed, ongoing, told)
			}
		}
		y.failing, y.elb.sick = nil, false
		// A deployment that was given up stays so until the next one.
		y.update(force)
		rest := false
		for range 400 {
			y.step()
			s := y.service()
			if rest = len(s.Deployments) == 1 && *s.Deployments[0].RolloutState == "COMPLETED" && *s.RunningCount == desired; rest {
				break
			}
		}
		y.step()
		s := y.service()
		if !rest || int32(len(y.running())) != desired || int32(len(y.elb.targets)) != desired {
			t.Fatalf("seed %d, desired %d: %d tasks, targets %v, %+v\nafter %v", seed, desired, len(y.running()), y.elb.targets, s.Deployments, told)
		}
		for i, d := range y.deployments() {
			if d.FinishedAt == nil || i == 0 && *d.Status != "SUCCESSFUL" || d.Rollback == nil && strings.HasPrefix(*d.Status, "ROLLBACK") {
				t.Errorf("seed %d: %+v\nafter %v", seed, d, told)
			}
			y.revision(d.TargetServiceRevision.Arn)
		}
		if seed%2 == 0 {
			w := y.weights(ruleARN)
			for key := range y.elb.targets {
				if onOther := strings.HasPrefix(key, otherARN); onOther != strings.HasPrefix(w, "0:") {
					t.Errorf("seed %d: a target at %s, the rule's weights are %s\nafter %v", seed, key, w, told)
				}
			}
		}
	}
}

// Health is what all checks say: of the container, and of every target group.
func TestGates(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.LoadBalancers = append(in.LoadBalancers, ecsapi.LoadBalancer{TargetGroupArn: aws.Ptr(otherARN), ContainerName: aws.Ptr("chat"), ContainerPort: aws.Ptr[int32](80)})
	in.HealthCheckGracePeriodSeconds = aws.Ptr[int32](30)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	y.stable()
	if len(y.elb.targets) != 4 {
		t.Fatalf("%v", y.elb.targets)
	}
	// A definition with a container check: as long as it says nothing, nobody goes.
	y.must(second(y.ecs.RegisterTaskDefinition(y.ctx, &ecsapi.RegisterTaskDefinitionInput{
		Family: aws.Ptr("chat"), NetworkMode: aws.Ptr("awsvpc"), RequiresCompatibilities: []string{"FARGATE"}, Cpu: aws.Ptr("256"), Memory: aws.Ptr("512"), ExecutionRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/e"),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{
			Name: aws.Ptr("chat"), Image: aws.Ptr(image), PortMappings: []ecsapi.PortMapping{{ContainerPort: aws.Ptr[int32](80)}}, HealthCheck: &ecsapi.HealthCheck{Command: []string{"CMD", "true"}},
		}},
	})))
	old := y.running()
	y.update(func(in *ecsapi.UpdateServiceInput) { in.TaskDefinition = aws.Ptr("chat:2") })
	health := func(status string) {
		tasks, err := y.ecs.tasks.List(y.ctx)
		y.must(err)
		for _, task := range tasks {
			if strings.HasSuffix(*task.TaskDefinitionArn, ":2") {
				task.HealthStatus = &status
				y.must(y.ecs.tasks.Put(y.ctx, task, task.IDs()...))
			}
		}
	}
	kept := func(when string) {
		t.Helper()
		for _, a := range old {
			if !slices.Contains(y.running(), a) {
				t.Errorf("%s: the old task %s is gone", when, a)
			}
		}
	}
	for range 6 {
		y.step()
	}
	kept("the container's check says nothing")
	health("UNHEALTHY")
	y.step()
	kept("it failed within the grace period")
	if n := len(y.running()); n != 4 {
		t.Errorf("%d tasks: one was replaced within the grace period", n)
	}
	// The count changes in the middle: both deployments follow.
	y.update(func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = aws.Ptr[int32](3) })
	y.step()
	if s := y.service(); *s.Deployments[0].DesiredCount != 3 || *s.DesiredCount != 3 || len(s.Deployments) != 2 {
		t.Errorf("%+v", s.Deployments)
	}
	for range 10 {
		health("HEALTHY")
		y.step()
	}
	if s := y.stable(); len(y.running()) != 3 || len(y.elb.targets) != 6 || *s.Deployments[0].RolloutState != "COMPLETED" {
		t.Errorf("%v, %v, %+v", y.running(), y.elb.targets, s.Deployments)
	}
}
