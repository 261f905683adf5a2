package ecs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/record"
)

// deployments are the service's deployments, the newest first, whole.
func (y *yard) deployments() []ecsapi.ServiceDeployment {
	y.Helper()
	list, err := y.ecs.ListServiceDeployments(y.ctx, &ecsapi.ListServiceDeploymentsInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")})
	y.must(err)
	var arns []string
	for _, b := range list.ServiceDeployments {
		arns = append(arns, *b.ServiceDeploymentArn)
	}
	out, err := y.ecs.DescribeServiceDeployments(y.ctx, &ecsapi.DescribeServiceDeploymentsInput{ServiceDeploymentArns: arns})
	y.must(err)
	if len(out.Failures) > 0 {
		y.Errorf("%+v", out.Failures)
	}
	return out.ServiceDeployments
}

func (y *yard) revision(text *string) ecsapi.ServiceRevision {
	y.Helper()
	out, err := y.ecs.DescribeServiceRevisions(y.ctx, &ecsapi.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{aws.Val(text)}})
	y.must(err)
	if len(out.ServiceRevisions) != 1 {
		y.Fatalf("%s: %+v", aws.Val(text), out)
	}
	return out.ServiceRevisions[0]
}

func (y *yard) update(change func(in *ecsapi.UpdateServiceInput)) ecsapi.Service {
	y.Helper()
	in := &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")}
	change(in)
	out, err := y.ecs.UpdateService(y.ctx, in)
	y.must(err)
	return *out.Service
}

func force(in *ecsapi.UpdateServiceInput) { in.ForceNewDeployment = aws.Ptr(true) }

// breaker is a configuration with the circuit breaker on.
func breaker(rollback bool) *ecsapi.DeploymentConfiguration {
	return &ecsapi.DeploymentConfiguration{DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: aws.Ptr(true), Rollback: &rollback}}
}

func TestHistoryOfARollout(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	d := y.deployments()
	if len(d) != 1 || *d[0].Status != "PENDING" || len(d[0].SourceServiceRevisions) != 0 || d[0].StartedAt != nil {
		t.Fatalf("%+v", d)
	}
	y.step()
	if d = y.deployments(); *d[0].Status != "IN_PROGRESS" || *d[0].TargetServiceRevision.RequestedTaskCount != 2 || *d[0].TargetServiceRevision.PendingTaskCount != 2 {
		t.Errorf("%+v", d[0])
	}
	s := y.stable()
	d = y.deployments()
	if *d[0].Status != "SUCCESSFUL" || *d[0].TargetServiceRevision.RunningTaskCount != 2 || d[0].FinishedAt == nil || *d[0].DeploymentCircuitBreaker.Status != "DISABLED" || *s.CurrentServiceDeployment != *d[0].ServiceDeploymentArn {
		t.Errorf("%+v", d[0])
	}
	first := y.revision(d[0].TargetServiceRevision.Arn)
	if !strings.HasSuffix(*first.ServiceRevisionArn, "service-revision/chat/web/"+strings.TrimPrefix(*s.Deployments[0].Id, "ecs-svc/")) || !strings.HasSuffix(*first.TaskDefinition, "chat:1") ||
		*first.LoadBalancers[0].TargetGroupArn != groupARN || *first.ContainerImages[0].ImageDigest != "sha256:one" || *first.ContainerImages[0].Image != image {
		t.Errorf("%+v", first)
	}

	// Another in the middle of one: the first of them ends where it is.
	y.update(force)
	y.step()
	s = y.update(force)
	if len(s.CurrentServiceRevisions) != 3 {
		t.Errorf("%+v", s.CurrentServiceRevisions)
	}
	if d = y.deployments(); len(d) != 3 || *d[0].Status != "PENDING" || *d[1].Status != "STOPPED" || d[1].StoppedAt == nil || len(d[0].SourceServiceRevisions) != 2 || len(d[1].SourceServiceRevisions) != 1 {
		t.Errorf("%+v", d)
	}
	s = y.stable()
	if d = y.deployments(); *d[0].Status != "SUCCESSFUL" || *d[0].SourceServiceRevisions[0].RunningTaskCount != 0 || len(s.CurrentServiceRevisions) != 1 {
		t.Errorf("%+v", d[0])
	}
	list, err := y.ecs.ListServiceDeployments(y.ctx, &ecsapi.ListServiceDeploymentsInput{
		Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), Status: []string{"SUCCESSFUL"}, CreatedAt: &ecsapi.CreatedAt{After: d[2].CreatedAt},
	})
	y.must(err)
	if len(list.ServiceDeployments) != 1 || *list.ServiceDeployments[0].ServiceDeploymentArn != *d[0].ServiceDeploymentArn {
		t.Errorf("%+v", list.ServiceDeployments)
	}
}

func TestHistoryOfABreaker(t *testing.T) {
	for _, rollback := range []bool{true, false} {
		y := newYard(t)
		in := creation()
		in.DeploymentConfiguration = breaker(rollback)
		y.must(second(y.ecs.CreateService(y.ctx, in)))
		good := y.stable()
		y.define()
		y.failing = func(t *record.Task) bool { return strings.HasSuffix(*t.TaskDefinitionArn, ":2") }
		y.update(func(in *ecsapi.UpdateServiceInput) { in.TaskDefinition = aws.Ptr("chat:2") })
		for range 30 {
			y.step()
		}
		d, s := y.deployments()[0], y.service()
		if *d.DeploymentCircuitBreaker.Status != "TRIGGERED" || *d.DeploymentCircuitBreaker.Threshold != 3 || *d.DeploymentCircuitBreaker.FailureCount < 3 {
			t.Errorf("%+v", d.DeploymentCircuitBreaker)
		}
		if rollback {
			if *d.Status != "ROLLBACK_SUCCESSFUL" || *d.StatusReason != "Service deployment rolled back because the circuit breaker threshold was exceeded." ||
				!strings.HasSuffix(*d.Rollback.ServiceRevisionArn, strings.TrimPrefix(*good.Deployments[0].Id, "ecs-svc/")) || *s.Deployments[0].Id != *good.Deployments[0].Id {
				t.Errorf("%+v", d)
			}
			continue
		}
		if *d.Status != "STOPPED" || d.Rollback != nil || len(s.Deployments) != 2 || *s.Deployments[0].RolloutState != "FAILED" || *s.Deployments[0].RolloutStateReason != "ECS deployment circuit breaker: tasks failed to start." {
			t.Errorf("%+v %+v", d, s.Deployments)
		}
		if !slices.Equal(y.running(), y.running()) || len(y.running()) != 2 {
			t.Errorf("the old tasks are not what serves: %v", y.running())
		}
		// A new deployment leads out of it.
		y.failing = nil
		y.update(force)
		if s := y.stable(); !strings.HasSuffix(*s.TaskDefinition, ":2") {
			t.Errorf("%+v", s.Deployments)
		}
	}
}

// A rollback fails whose own tasks fail.
func TestRollbackFails(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.DeploymentConfiguration = breaker(true)
	in.DeploymentConfiguration.MinimumHealthyPercent, in.DeploymentConfiguration.MaximumPercent = aws.Ptr[int32](0), aws.Ptr[int32](100)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	y.stable()
	y.failing = func(*record.Task) bool { return true }
	y.update(force)
	for range 60 {
		y.step()
	}
	if d := y.deployments()[0]; *d.Status != "ROLLBACK_FAILED" || d.Rollback == nil || d.FinishedAt == nil {
		t.Errorf("%+v", d)
	}
}

func TestAlarms(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{Alarms: &ecsapi.DeploymentAlarms{Enable: aws.Ptr(true), Rollback: aws.Ptr(true), AlarmNames: []string{"latency", "errors"}}}
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	for range 20 {
		y.step()
	}
	// All tasks are there, and the alarms are watched for as long as they take.
	d := y.deployments()[0]
	if *d.Status != "IN_PROGRESS" || *d.Alarms.Status != "MONITORING" || *y.service().RunningCount != 2 {
		t.Errorf("%+v", d)
	}
	for range 60 { // two minutes
		y.step()
	}
	good := y.service()
	if d = y.deployments()[0]; *d.Status != "SUCCESSFUL" || *d.Alarms.Status != "MONITORING_COMPLETE" || !slices.Equal(d.Alarms.AlarmNames, []string{"latency", "errors"}) {
		t.Errorf("%+v", d)
	}
	y.update(force)
	for range 4 {
		y.step()
	}
	y.alarms.raised = []string{"errors"}
	s := y.stable()
	d = y.deployments()[0]
	if *d.Status != "ROLLBACK_SUCCESSFUL" || *d.Alarms.Status != "TRIGGERED" || !slices.Equal(d.Alarms.TriggeredAlarmNames, []string{"errors"}) || *s.Deployments[0].Id != *good.Deployments[0].Id {
		t.Errorf("%+v %+v", d, s.Deployments)
	}
	events := strings.Join(y.events(), "\n")
	if !strings.Contains(events, "(service web) (deployment ecs-svc/N) deployment failed: alarm detected.") {
		t.Error(events)
	}
	// What mends it begins while the alarm is raised: nothing is watched.
	y.update(force)
	y.stable()
	if d = y.deployments()[0]; *d.Status != "SUCCESSFUL" || *d.Alarms.Status != "DISABLED" {
		t.Errorf("%+v", d)
	}
	// A complete deployment is not taken back.
	for range 5 {
		y.step()
	}
	if d = y.deployments()[0]; *d.Status != "SUCCESSFUL" {
		t.Errorf("%+v", d)
	}
}

func TestStopServiceDeployment(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	stop := func(kind string) error {
		in := &ecsapi.StopServiceDeploymentInput{ServiceDeploymentArn: y.service().CurrentServiceDeployment}
		if kind != "" {
			in.StopType = &kind
		}
		return second(y.ecs.StopServiceDeployment(y.ctx, in))
	}
	fails(t, stop(""), "ConflictException", "The service deployment cannot be rolled back because the service has no earlier service revision that was deployed successfully.")
	good := y.stable()
	old := y.running()
	fails(t, stop(""), "ConflictException", "The service deployment cannot be stopped because it is in the SUCCESSFUL state.")

	y.update(force)
	y.step()
	y.least = 2
	y.must(stop(""))
	if d := y.deployments()[0]; *d.Status != "ROLLBACK_REQUESTED" {
		t.Errorf("%+v", d)
	}
	y.must(stop("ROLLBACK")) // goes on
	s := y.stable()
	d := y.deployments()[0]
	if *d.Status != "ROLLBACK_SUCCESSFUL" || *s.Deployments[0].Id != *good.Deployments[0].Id || y.least < 2 || !slices.Equal(old, y.running()) {
		t.Errorf("%+v %+v, %d at least", d, s.Deployments, y.least)
	}

	y.update(force)
	y.step()
	y.must(stop("ABORT"))
	y.step()
	if d, s := y.deployments()[0], y.service(); *d.Status != "STOPPED" || *s.Deployments[0].RolloutState != "FAILED" || len(s.Deployments) != 2 {
		t.Errorf("%+v %+v", d, s.Deployments)
	}
	unknown := "arn:aws:ecs:us-east-1:000000000000:service-deployment/chat/web/none"
	fails(t, second(y.ecs.StopServiceDeployment(y.ctx, &ecsapi.StopServiceDeploymentInput{ServiceDeploymentArn: &unknown})), "ServiceDeploymentNotFoundException", "Service deployment not found.")
	out, err := y.ecs.DescribeServiceDeployments(y.ctx, &ecsapi.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{unknown}})
	y.must(err)
	if len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%+v", out)
	}
}

// What an update changes, and whether a deployment begins with it.
func TestUpdates(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.PutClusterCapacityProviders(y.ctx, &ecsapi.PutClusterCapacityProvidersInput{Cluster: aws.Ptr("chat"), CapacityProviders: []string{"FARGATE_SPOT"}})))
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	other := &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"subnet-a"}}}
	for _, c := range []struct {
		name   string
		change func(in *ecsapi.UpdateServiceInput)
		took   func(s *ecsapi.Service) bool
		renews bool
	}{
		{"nothing", func(*ecsapi.UpdateServiceInput) {}, func(*ecsapi.Service) bool { return true }, false},
		{"desiredCount", func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = aws.Ptr[int32](3) }, func(s *ecsapi.Service) bool { return *s.DesiredCount == 3 }, false},
		{"the same definition", func(in *ecsapi.UpdateServiceInput) { in.TaskDefinition = aws.Ptr("chat:1") }, func(*ecsapi.Service) bool { return true }, false},
		{"the same network", func(in *ecsapi.UpdateServiceInput) { in.NetworkConfiguration = creation().NetworkConfiguration }, func(*ecsapi.Service) bool { return true }, false},
		{"grace", func(in *ecsapi.UpdateServiceInput) { in.HealthCheckGracePeriodSeconds = aws.Ptr[int32](7) }, func(s *ecsapi.Service) bool { return *s.HealthCheckGracePeriodSeconds == 7 }, false},
		{"percentages", func(in *ecsapi.UpdateServiceInput) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MaximumPercent: aws.Ptr[int32](170)}
		}, func(s *ecsapi.Service) bool {
			return *s.DeploymentConfiguration.MaximumPercent == 170 && *s.DeploymentConfiguration.MinimumHealthyPercent == 100
		}, false},
		{"propagateTags", func(in *ecsapi.UpdateServiceInput) { in.PropagateTags = aws.Ptr("SERVICE") }, func(s *ecsapi.Service) bool { return *s.PropagateTags == "SERVICE" }, false},
		{"managed tags", func(in *ecsapi.UpdateServiceInput) { in.EnableECSManagedTags = aws.Ptr(true) }, func(s *ecsapi.Service) bool { return *s.EnableECSManagedTags }, false},
		{"exec", func(in *ecsapi.UpdateServiceInput) { in.EnableExecuteCommand = aws.Ptr(true) }, func(s *ecsapi.Service) bool { return *s.EnableExecuteCommand }, false},
		{"rebalancing", func(in *ecsapi.UpdateServiceInput) { in.AvailabilityZoneRebalancing = aws.Ptr("DISABLED") }, func(s *ecsapi.Service) bool { return *s.AvailabilityZoneRebalancing == "DISABLED" }, false},
		{"network", func(in *ecsapi.UpdateServiceInput) { in.NetworkConfiguration = other }, func(s *ecsapi.Service) bool { return len(s.NetworkConfiguration.AwsvpcConfiguration.Subnets) == 1 }, true},
		{"platform", func(in *ecsapi.UpdateServiceInput) { in.PlatformVersion = aws.Ptr("LATEST") }, func(s *ecsapi.Service) bool { return *s.PlatformVersion == "LATEST" }, false},
		{"capacity", func(in *ecsapi.UpdateServiceInput) {
			force(in)
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("FARGATE_SPOT"), Weight: aws.Ptr[int32](1)}}
		}, func(s *ecsapi.Service) bool { return s.LaunchType == nil && len(s.CapacityProviderStrategy) == 1 }, true},
		{"no balancers", func(in *ecsapi.UpdateServiceInput) { in.LoadBalancers = []ecsapi.LoadBalancer{} }, func(s *ecsapi.Service) bool {
			return len(s.LoadBalancers) == 0 && s.HealthCheckGracePeriodSeconds == nil
		}, true},
		{"balancers again", func(in *ecsapi.UpdateServiceInput) { in.LoadBalancers = creation().LoadBalancers }, func(s *ecsapi.Service) bool { return len(s.LoadBalancers) == 1 }, true},
		{"force", force, func(*ecsapi.Service) bool { return true }, true},
	} {
		before := len(y.deployments())
		s := y.update(c.change)
		if !c.took(&s) {
			t.Errorf("%s: %+v", c.name, s)
		}
		if renewed := len(y.deployments()) > before; renewed != c.renews {
			t.Errorf("%s: a new deployment: %v, want %v", c.name, renewed, c.renews)
		}
		y.stable()
	}
	// Without balancers for a while, and with them again, nothing is left behind.
	if n := len(y.elb.targets); n != 3 {
		t.Errorf("%d targets", n)
	}
	for text, change := range map[string]func(in *ecsapi.UpdateServiceInput){
		"Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.": func(in *ecsapi.UpdateServiceInput) {
			in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{MaximumPercent: aws.Ptr[int32](100)}
		},
		"When switching from launch type to capacity provider strategy on an existing service, or making a change to a capacity provider strategy on a service that is already using one, you must force a new deployment.": func(in *ecsapi.UpdateServiceInput) {
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("FARGATE")}}
		},
		"Desired count must be non-negative.": func(in *ecsapi.UpdateServiceInput) { in.DesiredCount = aws.Ptr[int32](-1) },
	} {
		in := &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")}
		change(in)
		fails(t, second(y.ecs.UpdateService(y.ctx, in)), "InvalidParameterException", text)
	}
	fails(t, second(y.ecs.CreateTaskSet(y.ctx, &ecsapi.CreateTaskSetInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), TaskDefinition: aws.Ptr("chat")})),
		"InvalidParameterException", "Task sets are not supported for the service web, whose deployment controller is ECS. They belong to services of the deployment controllers EXTERNAL and CODE_DEPLOY.")
}

// Zones are evened out: a task comes before one goes.
func TestZonesAreEvenedOut(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.DesiredCount = aws.Ptr[int32](3)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	y.stable()
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	for _, task := range tasks {
		task.Subnet.Zone = "us-east-1a"
		y.must(y.ecs.tasks.Put(y.ctx, task, task.IDs()...))
	}
	before := len(y.events())
	y.least = 3
	for range 12 {
		y.step()
	}
	if y.least < 3 {
		t.Errorf("%d healthy in between", y.least)
	}
	got := y.events()[before:]
	for _, want := range []string{
		"(service web) is not AZ balanced with 3 tasks in us-east-1a, 0 tasks in us-east-1b. AZ Rebalancing in progress.",
		"(service web) has started 1 tasks in us-east-1b to AZ Rebalance: (task ID).",
		"(service web) has stopped 1 running tasks in us-east-1a to AZ Rebalance: (task ID).",
		"(service web) is AZ balanced with 2 tasks in us-east-1a, 1 tasks in us-east-1b.",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// A service of the launch type EC2 waits for instances, and a daemon has as many
// tasks as there are: none.
func TestWithoutInstances(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.LaunchType, in.DesiredCount = nil, aws.Ptr[int32](1)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	for range 3 {
		y.step()
	}
	expect(t, y.events(), "(service web) was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.")
	if s := y.service(); *s.LaunchType != "EC2" || *s.Status != "ACTIVE" || *s.RunningCount != 0 {
		t.Errorf("%+v", s)
	}

	y = newYard(t)
	in.SchedulingStrategy, in.DesiredCount = aws.Ptr("DAEMON"), nil
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	if s := y.stable(); *s.DesiredCount != 0 || *s.Deployments[0].RolloutState != "COMPLETED" || *s.DeploymentConfiguration.MaximumPercent != 100 {
		t.Errorf("%+v", s)
	}
	y.must(second(y.ecs.DeleteService(y.ctx, &ecsapi.DeleteServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")})))
}

func TestHistoryIsForgotten(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	y.update(force)
	y.stable()
	y.clock.Advance(90 * 24 * time.Hour)
	y.update(force)
	y.stable()
	y.step()
	if d := y.deployments(); len(d) != 1 {
		t.Errorf("%d deployments after ninety days", len(d))
	}
	revisions, err := y.ecs.revisions().List(y.ctx)
	y.must(err)
	if len(revisions) != 2 { // the one that is there, and the one it replaced
		t.Errorf("%d revisions", len(revisions))
	}
	y.must(second(y.ecs.DeleteService(y.ctx, &ecsapi.DeleteServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), Force: aws.Ptr(true)})))
	for range 5 {
		y.step()
	}
	y.clock.Advance(serviceKept)
	y.step()
	revisions, err = y.ecs.revisions().List(y.ctx)
	y.must(err)
	if len(revisions) != 0 {
		t.Errorf("%d revisions of no service", len(revisions))
	}
}

func TestCapacityProviders(t *testing.T) {
	y := newYard(t)
	one := func(name string, weight int32) []ecsapi.CapacityProviderStrategyItem {
		return []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: &name, Weight: &weight}}
	}
	put := func(providers []string, strategy []ecsapi.CapacityProviderStrategyItem) error {
		return second(y.ecs.PutClusterCapacityProviders(y.ctx, &ecsapi.PutClusterCapacityProvidersInput{Cluster: aws.Ptr("chat"), CapacityProviders: providers, DefaultCapacityProviderStrategy: strategy}))
	}
	y.must(put([]string{"FARGATE", "FARGATE_SPOT"}, one("FARGATE_SPOT", 1)))
	in := creation()
	in.LaunchType = nil
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	if s := y.stable(); *s.CapacityProviderStrategy[0].CapacityProvider != "FARGATE_SPOT" {
		t.Errorf("%+v", s)
	}
	run := &ecsapi.RunTaskInput{
		Cluster: aws.Ptr("chat"), TaskDefinition: in.TaskDefinition, NetworkConfiguration: in.NetworkConfiguration, Count: aws.Ptr[int32](8),
		CapacityProviderStrategy: []ecsapi.CapacityProviderStrategyItem{
			{CapacityProvider: aws.Ptr("FARGATE"), Base: aws.Ptr[int32](2), Weight: aws.Ptr[int32](1)}, {CapacityProvider: aws.Ptr("FARGATE_SPOT"), Weight: aws.Ptr[int32](2)},
		},
	}
	ran, err := y.ecs.RunTask(y.ctx, run)
	y.must(err)
	where := map[string]int{}
	for i := range ran.Tasks {
		where[*ran.Tasks[i].CapacityProviderName]++
	}
	if where["FARGATE"] != 4 || where["FARGATE_SPOT"] != 4 {
		t.Errorf("2 of 8, then 1 for each 2: %v", where)
	}
	y.must(put([]string{"FARGATE_SPOT"}, one("FARGATE_SPOT", 1)))
	fails(t, second(y.ecs.RunTask(y.ctx, run)), "InvalidParameterException", "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.")
	y.must(put([]string{"FARGATE", "FARGATE_SPOT"}, one("FARGATE_SPOT", 1)))
	fails(t, put([]string{"FARGATE"}, nil), "ResourceInUseException", "The specified capacity provider is in use and cannot be removed.")
	fails(t, put([]string{"mine"}, nil), "InvalidParameterException", "The specified capacity provider 'mine' was not found. Specify a valid name or ARN and try again.")
	out, err := y.ecs.DescribeCapacityProviders(y.ctx, &ecsapi.DescribeCapacityProvidersInput{CapacityProviders: []string{"FARGATE", "mine"}})
	y.must(err)
	if len(out.CapacityProviders) != 1 || *out.CapacityProviders[0].Status != "ACTIVE" || len(out.Failures) != 1 {
		t.Errorf("%+v", out)
	}
}
