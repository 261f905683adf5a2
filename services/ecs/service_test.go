package ecs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/internal/clock"
	"minato/services/ecs/events"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
	"minato/store"
	"minato/store/memstore"
)

const (
	groupARN  = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/chat/0123456789abcdef"
	lonelyARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/lonely/0123456789abcdef"
	image     = "000000000000.dkr.ecr.us-east-1.amazonaws.com/chat:latest"
)

// vpcs stands in for EC2: two subnets in two zones.
type vpcs struct{ ec2api.API }

func (vpcs) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	out := &ec2api.DescribeSubnetsOutput{}
	for _, id := range in.SubnetIds {
		zone, ok := map[string]string{"subnet-a": "us-east-1a", "subnet-b": "us-east-1b"}[id]
		if !ok {
			return nil, aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		}
		out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: aws.Ptr(id), AvailabilityZone: &zone, VpcId: aws.Ptr("vpc-1")})
	}
	return out, nil
}

// images stands in for ECR: one repository whose tag points somewhere.
type images struct {
	ecrapi.API
	digest string
}

func (r *images) DescribeImages(context.Context, *ecrapi.DescribeImagesInput) (*ecrapi.DescribeImagesOutput, error) {
	if r.digest == "" {
		return nil, ecrapi.ImageNotFoundException("no")
	}
	return &ecrapi.DescribeImagesOutput{ImageDetails: []ecrapi.ImageDetail{{ImageDigest: &r.digest}}}, nil
}

// balancer stands in for ELB: targets become healthy, or drain, with a step.
type balancer struct {
	elbapi.API
	targets map[string]string // state by address, after the group if it is not the usual one
	sick    bool
	rules   map[string][]elbapi.Action
	wrong   error // of changing a rule
	refuse  error // of registering targets
}

// place is the key of a target.
func place(group, ip string) string {
	if group == groupARN {
		return ip
	}
	return group + " " + ip
}

func (b *balancer) DescribeRules(_ context.Context, in *elbapi.DescribeRulesInput) (*elbapi.DescribeRulesOutput, error) {
	actions, ok := b.rules[in.RuleArns[0]]
	if !ok {
		return nil, elbapi.RuleNotFoundException("One or more rules not found")
	}
	return &elbapi.DescribeRulesOutput{Rules: []elbapi.Rule{{RuleArn: &in.RuleArns[0], Actions: actions, IsDefault: aws.Ptr(strings.HasSuffix(in.RuleArns[0], "default"))}}}, nil
}

func (b *balancer) ModifyRule(_ context.Context, in *elbapi.ModifyRuleInput) (*elbapi.ModifyRuleOutput, error) {
	if b.wrong == nil {
		b.rules[*in.RuleArn] = in.Actions
	}
	return &elbapi.ModifyRuleOutput{}, b.wrong
}

func (b *balancer) ModifyListener(_ context.Context, in *elbapi.ModifyListenerInput) (*elbapi.ModifyListenerOutput, error) {
	b.rules[strings.Replace(*in.ListenerArn, ":listener/", ":listener-rule/", 1)+"/default"] = in.DefaultActions
	return &elbapi.ModifyListenerOutput{}, nil
}

func (b *balancer) DescribeTargetGroups(_ context.Context, in *elbapi.DescribeTargetGroupsInput) (*elbapi.DescribeTargetGroupsOutput, error) {
	g := elbapi.TargetGroup{TargetGroupArn: &in.TargetGroupArns[0], TargetType: aws.Ptr("ip"), LoadBalancerArns: []string{"arn"}}
	if in.TargetGroupArns[0] == lonelyARN {
		g.LoadBalancerArns = nil
	}
	return &elbapi.DescribeTargetGroupsOutput{TargetGroups: []elbapi.TargetGroup{g}}, nil
}

func (b *balancer) DescribeTargetHealth(_ context.Context, in *elbapi.DescribeTargetHealthInput) (*elbapi.DescribeTargetHealthOutput, error) {
	out := &elbapi.DescribeTargetHealthOutput{}
	for key, state := range b.targets {
		ip := key[strings.LastIndex(key, " ")+1:]
		if key != place(*in.TargetGroupArn, ip) {
			continue
		}
		h := elbapi.TargetHealthDescription{Target: &elbapi.TargetDescription{Id: aws.Ptr(ip), Port: aws.Ptr[int32](80)}, TargetHealth: &elbapi.TargetHealth{State: aws.Ptr(state)}}
		if state == "unhealthy" {
			h.TargetHealth.Description = aws.Ptr("Request timed out")
		}
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, h)
	}
	return out, nil
}

func (b *balancer) RegisterTargets(_ context.Context, in *elbapi.RegisterTargetsInput) (*elbapi.RegisterTargetsOutput, error) {
	if b.refuse != nil {
		return nil, b.refuse
	}
	for _, t := range in.Targets {
		b.targets[place(*in.TargetGroupArn, *t.Id)] = "initial"
	}
	return &elbapi.RegisterTargetsOutput{}, nil
}

func (b *balancer) DeregisterTargets(_ context.Context, in *elbapi.DeregisterTargetsInput) (*elbapi.DeregisterTargetsOutput, error) {
	for _, t := range in.Targets {
		b.targets[place(*in.TargetGroupArn, *t.Id)] = "draining"
	}
	return &elbapi.DeregisterTargetsOutput{}, nil
}

// roles stands in for STS: every role but one can be assumed.
type roles struct{ stsapi.API }

func (roles) AssumeRole(_ context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	if strings.HasSuffix(*in.RoleArn, "/closed") {
		return nil, aws.Errorf("AccessDenied", "no")
	}
	return &stsapi.AssumeRoleOutput{AssumedRoleUser: &stsapi.AssumedRoleUser{Arn: in.RoleArn, AssumedRoleId: in.RoleSessionName}}, nil
}

// alarms stands in for CloudWatch: names that are raised.
type alarms struct {
	cwapi.API
	raised []string
}

func (a *alarms) DescribeAlarms(_ context.Context, in *cwapi.DescribeAlarmsInput) (*cwapi.DescribeAlarmsOutput, error) {
	out := &cwapi.DescribeAlarmsOutput{}
	for _, name := range in.AlarmNames {
		state := cwapi.StateValueOk
		if slices.Contains(a.raised, name) {
			state = cwapi.StateValueAlarm
		}
		out.MetricAlarms = append(out.MetricAlarms, cwapi.MetricAlarm{AlarmName: &name, StateValue: &state, Period: aws.Ptr[int32](60), EvaluationPeriods: aws.Ptr[int32](2)})
	}
	return out, nil
}

// yard is ECS with everything around it standing still until step.
type yard struct {
	*testing.T
	store   store.Store
	clock   *clock.Fake
	elb     *balancer
	ecr     *images
	alarms  *alarms
	ecs     *Service
	ctx     context.Context
	address int
	failing func(*record.Task) bool // tasks that never start
	// least is how many healthy targets there were at least since it was set.
	least int
}

func newYard(t *testing.T) *yard {
	y := &yard{
		T: t, store: memstore.New(), clock: clock.NewFake(time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)),
		elb: &balancer{targets: map[string]string{}}, ecr: &images{digest: "sha256:one"}, alarms: &alarms{},
		ctx: identity.With(context.Background(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1", PrincipalID: "arn:aws:iam::000000000000:user/admin"}),
	}
	y.restart()
	y.must(second(y.ecs.CreateCluster(y.ctx, &ecsapi.CreateClusterInput{ClusterName: aws.Ptr("chat")})))
	y.define()
	return y
}

func second[T any](_ T, err error) error { return err }

func (y *yard) must(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// restart forgets everything but the store.
func (y *yard) restart() {
	y.ecs = New(Deps{Store: y.store, Clock: y.clock, EC2: vpcs{}, ECR: y.ecr, ELB: y.elb, STS: roles{}, Alarms: y.alarms})
}

func (y *yard) define() {
	y.must(second(y.ecs.RegisterTaskDefinition(y.ctx, &ecsapi.RegisterTaskDefinitionInput{
		Family: aws.Ptr("chat"), NetworkMode: aws.Ptr("awsvpc"), RequiresCompatibilities: []string{"FARGATE"}, Cpu: aws.Ptr("256"), Memory: aws.Ptr("512"),
		ExecutionRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/e"), TaskRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/t"),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: aws.Ptr("chat"), Image: aws.Ptr(image), PortMappings: []ecsapi.PortMapping{{ContainerPort: aws.Ptr[int32](80)}}}},
	})))
}

// creation is a CreateService that succeeds.
func creation() *ecsapi.CreateServiceInput {
	return &ecsapi.CreateServiceInput{
		Cluster: aws.Ptr("chat"), ServiceName: aws.Ptr("web"), TaskDefinition: aws.Ptr("chat"), DesiredCount: aws.Ptr[int32](2), LaunchType: aws.Ptr("FARGATE"),
		NetworkConfiguration: &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"subnet-a", "subnet-b"}}},
		LoadBalancers:        []ecsapi.LoadBalancer{{TargetGroupArn: aws.Ptr(groupARN), ContainerName: aws.Ptr("chat"), ContainerPort: aws.Ptr[int32](80)}},
	}
}

// step lets the machine get on by one step, and ECS look at the service, each
// time with nothing remembered but the store.
func (y *yard) step() {
	y.Helper()
	y.clock.Advance(2 * time.Second)
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	for ip, state := range y.elb.targets {
		switch {
		case state == "draining":
			delete(y.elb.targets, ip)
		case y.elb.sick && state != "draining":
			y.elb.targets[ip] = "unhealthy"
		default:
			y.elb.targets[ip] = "healthy"
		}
	}
	for _, t := range tasks {
		now := y.clock.Now()
		switch status := aws.Val(t.LastStatus); {
		case t.Stop != nil && status != life.Stopped:
			t.LastStatus, t.StoppedAt, t.StoppedReason = aws.Ptr(life.Stopped), &now, &t.Stop.Reason
		case status == life.Provisioning && y.failing != nil && y.failing(&t):
			t.LastStatus, t.DesiredStatus, t.StoppedAt, t.StoppedReason = aws.Ptr(life.Stopped), aws.Ptr(life.Stopped), &now, aws.Ptr("CannotPullContainerError: not found")
			t.StopCode = aws.Ptr(ecsapi.TaskStopCodeTaskFailedToStart)
		case status == life.Provisioning:
			y.address++
			t.LastStatus, t.StartedAt, t.Address = aws.Ptr(life.Running), &now, fmt.Sprintf("10.0.0.%d", y.address)
		}
		y.must(y.ecs.tasks.Put(y.ctx, t, t.IDs()...))
	}
	y.restart()
	y.must(second((&serviceLoop{y.ecs}).Reconcile(context.Background(), y.ecs.services().Key("000000000000", "us-east-1", "chat", "web"))))
	healthy := 0
	for _, state := range y.elb.targets {
		if state == "healthy" {
			healthy++
		}
	}
	y.least = min(y.least, healthy)
}

func (y *yard) service() ecsapi.Service {
	y.Helper()
	out, err := y.ecs.DescribeServices(y.ctx, &ecsapi.DescribeServicesInput{Cluster: aws.Ptr("chat"), Services: []string{"web"}})
	y.must(err)
	return out.Services[0]
}

// stable steps until what the CLI's waiter waits for, and the end of events.
func (y *yard) stable() ecsapi.Service {
	y.Helper()
	for range 40 {
		y.step()
		if s := y.service(); len(s.Deployments) == 1 && *s.RunningCount == *s.DesiredCount && strings.HasSuffix(*s.Events[0].Message, events.Steady) {
			return s
		}
	}
	y.Fatalf("not stable: %+v\n%s", y.service().Deployments, strings.Join(y.events(), "\n"))
	panic("unreachable")
}

// events are the messages, the oldest first, without what differs.
func (y *yard) events() []string {
	var out []string
	for _, e := range slices.Backward(y.service().Events) {
		m := *e.Message
		for _, f := range strings.Fields(m) {
			f = strings.Trim(f, "().")
			if len(f) == record.TaskIDLength {
				m = strings.ReplaceAll(m, f, "ID")
			}
			if strings.HasPrefix(f, "ecs-svc/") {
				m = strings.ReplaceAll(m, f, "ecs-svc/N")
			}
		}
		out = append(out, m)
	}
	return out
}

func (y *yard) running() []string {
	y.Helper()
	out, err := y.ecs.ListTasks(y.ctx, &ecsapi.ListTasksInput{Cluster: aws.Ptr("chat"), ServiceName: aws.Ptr("web")})
	y.must(err)
	return out.TaskArns
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const g = "(target-group " + groupARN + ")"

func TestAServiceComesUpAndIsRolled(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	s := y.stable()
	if *s.Deployments[0].RolloutState != "COMPLETED" || *s.PlatformVersion != "LATEST" || *s.Deployments[0].PlatformVersion != "1.4.0" {
		t.Errorf("%+v", s)
	}
	expect(t, y.events(),
		"(service web) has started 2 tasks: (task ID) (task ID).",
		"(service web) registered 2 targets in "+g,
		"(service web) (deployment ecs-svc/N) deployment completed.",
		"(service web) has reached a steady state.",
	)
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	if tasks[0].Subnet.Zone == tasks[1].Subnet.Zone || tasks[0].Digests["chat"] != "sha256:one" {
		t.Errorf("zones and digests: %+v", tasks)
	}

	// The tag moves; only a new deployment sees it.
	old := y.running()
	before := len(y.events())
	y.ecr.digest, y.least = "sha256:two", 2
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), ForceNewDeployment: aws.Ptr(true)})))
	if d := y.service().Deployments; len(d) != 2 || *d[0].Status != "PRIMARY" || *d[1].Status != "ACTIVE" {
		t.Fatalf("%+v", d)
	}
	y.stable()
	if y.least < 2 {
		t.Errorf("only %d healthy targets in between", y.least)
	}
	for _, a := range y.running() {
		if slices.Contains(old, a) {
			t.Errorf("%s is still there", a)
		}
		task, _, err := y.ecs.tasks.Get(y.ctx, "000000000000", "us-east-1", a[len(a)-record.TaskIDLength:])
		y.must(err)
		if task.Digests["chat"] != "sha256:two" {
			t.Errorf("an old image: %v", task.Digests)
		}
	}
	expect(t, y.events()[before:],
		"(service web) has started 2 tasks: (task ID) (task ID).",
		"(service web) registered 2 targets in "+g,
		"(service web) deregistered 2 targets in "+g,
		"(service web, taskSet ecs-svc/N) has begun draining connections on 2 tasks.",
		"(service web) has stopped 2 running tasks: (task ID) (task ID).",
		"(service web) (deployment ecs-svc/N) deployment completed.",
		"(service web) has reached a steady state.",
	)
}

func TestSickTasksAreReplaced(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	old := y.running()
	y.elb.sick = true
	for range 6 {
		y.step()
	}
	y.elb.sick = false
	y.stable()
	if events := y.events(); !slices.Contains(events, "(service web) (port 80) is unhealthy in "+g+" due to (reason Request timed out).") {
		t.Errorf("%s", strings.Join(events, "\n"))
	}
	reasons := 0
	for _, a := range old {
		task, _, err := y.ecs.tasks.Get(y.ctx, "000000000000", "us-east-1", a[len(a)-record.TaskIDLength:])
		y.must(err)
		if task.Stop != nil && task.Stop.Reason == "Task failed ELB health checks in "+g {
			reasons++
		}
	}
	if reasons == 0 {
		t.Error("no sick task was stopped for its health")
	}
}

func TestBreakerRollsBack(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.DeploymentConfiguration = &ecsapi.DeploymentConfiguration{DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: aws.Ptr(true), Rollback: aws.Ptr(true)}}
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	y.stable()
	good := y.running()
	y.define()
	y.failing = func(t *record.Task) bool { return strings.HasSuffix(*t.TaskDefinitionArn, ":2") }
	y.least = 2
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), TaskDefinition: aws.Ptr("chat:2")})))
	s := y.stable()
	if !strings.HasSuffix(*s.TaskDefinition, "chat:1") || y.least < 2 {
		t.Errorf("%s, %d healthy in between", *s.TaskDefinition, y.least)
	}
	events := y.events()
	for _, want := range []string{
		"(service web) was unable to place a task. Reason: CannotPullContainerError: not found.",
		"(service web) is unable to consistently start tasks successfully.",
		"(service web) (deployment ecs-svc/N) deployment failed: tasks failed to start.",
		"(service web) rolling back to deployment ecs-svc/N.",
	} {
		if !slices.Contains(events, want) {
			t.Errorf("no event %q in\n%s", want, strings.Join(events, "\n"))
		}
	}
	if !slices.Equal(y.running(), good) {
		t.Errorf("the tasks that were good are not there any more: %v, were %v", y.running(), good)
	}
}

// A task that nobody checks and that ends at once does not start again and
// again at the speed of the machine.
func TestACrashLoopIsSlowedDown(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.LoadBalancers, in.DesiredCount = nil, aws.Ptr[int32](1)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	for range 60 { // two minutes
		y.step()
		for _, a := range y.running() {
			_, err := y.ecs.tasks.Update(y.ctx, func(t *record.Task) error {
				if aws.Val(t.LastStatus) == life.Running {
					t.LastStatus, t.DesiredStatus, t.StoppedAt = aws.Ptr(life.Stopped), aws.Ptr(life.Stopped), aws.Ptr(y.clock.Now())
				}
				return nil
			}, "000000000000", "us-east-1", a[len(a)-record.TaskIDLength:])
			y.must(err)
		}
	}
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	if len(tasks) < 4 || len(tasks) > 8 {
		t.Errorf("%d tasks in two minutes", len(tasks))
	}
	if !slices.Contains(y.events(), "(service web) is unable to consistently start tasks successfully.") {
		t.Error(strings.Join(y.events(), "\n"))
	}
	if s := y.service(); *s.Deployments[0].FailedTasks < 3 {
		t.Errorf("%+v", s.Deployments[0])
	}
}

func TestDeletion(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	ask := &ecsapi.DeleteServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")}
	fails(t, second(y.ecs.DeleteService(y.ctx, ask)), "InvalidParameterException", "The service cannot be stopped while it is scaled above 0.")
	ask.Force = aws.Ptr(true)
	y.must(second(y.ecs.DeleteService(y.ctx, ask)))
	fails(t, second(y.ecs.CreateService(y.ctx, creation())), "InvalidParameterException", "Unable to Start a service that is still Draining.")
	for range 10 {
		y.step()
	}
	if s := y.service(); *s.Status != "INACTIVE" || len(y.elb.targets) != 0 || len(y.running()) != 0 {
		t.Errorf("%+v %v", s, y.elb.targets)
	}
	fails(t, second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")})), "ServiceNotActiveException", "Service was not ACTIVE.")
	y.must(second(y.ecs.DeleteCluster(y.ctx, &ecsapi.DeleteClusterInput{Cluster: aws.Ptr("chat")})))
	y.must(second(y.ecs.CreateCluster(y.ctx, &ecsapi.CreateClusterInput{ClusterName: aws.Ptr("chat")})))
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	if e := y.events(); len(e) != 4 {
		t.Errorf("events about tasks of the earlier service:\n%s", strings.Join(e, "\n"))
	}
}

func TestAnInactiveServiceIsForgotten(t *testing.T) {
	y := newYard(t)
	in := creation()
	in.DesiredCount = aws.Ptr[int32](0)
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	y.must(second(y.ecs.DeleteService(y.ctx, &ecsapi.DeleteServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web")})))
	y.step()
	y.clock.Advance(serviceKept)
	y.step()
	out, err := y.ecs.DescribeServices(y.ctx, &ecsapi.DescribeServicesInput{Cluster: aws.Ptr("chat"), Services: []string{"web"}})
	y.must(err)
	if len(out.Services) != 0 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%+v", out)
	}
}

func TestATargetOfATaskThatDiedIsTakenOut(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	dead := y.running()[0]
	id := dead[len(dead)-record.TaskIDLength:]
	_, err := y.ecs.tasks.Update(y.ctx, func(t *record.Task) error {
		t.LastStatus, t.DesiredStatus, t.StoppedAt = aws.Ptr(life.Stopped), aws.Ptr(life.Stopped), aws.Ptr(y.clock.Now())
		return nil
	}, "000000000000", "us-east-1", id)
	y.must(err)
	y.stable()
	task, _, err := y.ecs.tasks.Get(y.ctx, "000000000000", "us-east-1", id)
	y.must(err)
	y.step()
	if state, ok := y.elb.targets[task.Address]; ok {
		t.Errorf("its target is %s", state)
	}
}

func TestScaling(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	for _, n := range []int32{5, 1, 0, 2} {
		y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), DesiredCount: &n})))
		if s := y.stable(); int32(len(y.running())) != n || len(s.Deployments) != 1 || *s.Deployments[0].DesiredCount != n {
			t.Errorf("%d: %d tasks, %+v", n, len(y.running()), s.Deployments)
		}
	}
}

func fails(t *testing.T, err error, code, text string) {
	t.Helper()
	if !aws.IsCode(err, code) || aws.AsError(err).Message != text {
		t.Errorf("got  %v\nwant %s: %s", err, code, text)
	}
}

func TestWordsOfRefusals(t *testing.T) {
	y := newYard(t)
	for _, c := range []struct {
		change     func(in *ecsapi.CreateServiceInput)
		code, text string
	}{
		{func(in *ecsapi.CreateServiceInput) { in.LoadBalancers[0].TargetGroupArn = aws.Ptr(lonelyARN) }, "InvalidParameterException", "The target group with targetGroupArn " + lonelyARN + " does not have an associated load balancer."},
		{func(in *ecsapi.CreateServiceInput) { in.LoadBalancers[0].ContainerName = aws.Ptr("x") }, "InvalidParameterException", "The container x does not exist in the task definition."},
		{func(in *ecsapi.CreateServiceInput) { in.LoadBalancers[0].ContainerPort = aws.Ptr[int32](81) }, "InvalidParameterException", "The container chat did not have a container port 81 defined."},
		{func(in *ecsapi.CreateServiceInput) { in.NetworkConfiguration = nil }, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		{func(in *ecsapi.CreateServiceInput) {
			in.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"subnet-x"}
		}, "InvalidParameterException", "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)"},
		{func(in *ecsapi.CreateServiceInput) { in.Cluster = aws.Ptr("nope") }, "ClusterNotFoundException", "Cluster not found."},
		{func(in *ecsapi.CreateServiceInput) { in.TaskDefinition = aws.Ptr("nope") }, "ClientException", "TaskDefinition not found."},
		{func(in *ecsapi.CreateServiceInput) { in.SchedulingStrategy = aws.Ptr("DAEMON") }, "InvalidParameterException", "The daemon scheduling strategy is not supported for the FARGATE launch type."},
		{func(in *ecsapi.CreateServiceInput) {
			in.DeploymentController = &ecsapi.DeploymentController{Type: aws.Ptr("CODE_DEPLOY")}
		}, "UnsupportedFeatureException", "the deployment controller CODE_DEPLOY: not served by minato"},
		{func(in *ecsapi.CreateServiceInput) {
			in.LoadBalancers, in.HealthCheckGracePeriodSeconds = nil, aws.Ptr[int32](30)
		}, "InvalidParameterException", "Health check grace period is only valid for services configured to use load balancers"},
		{func(in *ecsapi.CreateServiceInput) {
			in.CapacityProviderStrategy = []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("FARGATE")}}
		}, "InvalidParameterException", "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."},
		{func(in *ecsapi.CreateServiceInput) { in.PlatformVersion = aws.Ptr("9.9.9") }, "PlatformUnknownException", "The specified platform does not exist."},
	} {
		in := creation()
		c.change(in)
		fails(t, second(y.ecs.CreateService(y.ctx, in)), c.code, c.text)
	}
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	other := creation()
	other.DesiredCount = aws.Ptr[int32](3)
	fails(t, second(y.ecs.CreateService(y.ctx, other)), "InvalidParameterException", "Creation of service was not idempotent.")
	fails(t, second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("nope")})), "ServiceNotFoundException", "Service not found.")
}

func BenchmarkDescribeServices(b *testing.B) {
	y := newYard(&testing.T{})
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	_, err := y.ecs.services().Update(y.ctx, func(r *rollout.Service) error {
		for range 100 {
			r.Say(y.clock.Now(), events.Event{Text: events.Registered(1, groupARN)})
		}
		return nil
	}, "000000000000", "us-east-1", "chat", "web")
	y.must(err)
	b.ReportAllocs()
	for b.Loop() {
		y.service()
	}
}
