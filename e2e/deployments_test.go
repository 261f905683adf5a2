package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// deploymentLimit bounds each wait; what is waited for takes seconds.
const deploymentLimit = 5 * time.Minute

// TestDeployments is what can be done with a deployment while people visit the
// service: looked at, stopped, rolled back by the circuit breaker, shifted at
// once and in steps. Debian's CLI knows none of these calls, so the SDK makes
// them. Nobody's request fails.
func TestDeployments(t *testing.T) {
	w := newSoakWorld(t)
	d := &deployments{soakWorld: w, ctx: t.Context(), name: soakName}
	crowd := visit(w.url)
	t.Run("History", d.history)
	t.Run("Stop", d.stop)
	t.Run("CircuitBreaker", d.breaker)
	t.Run("Unchecked", d.unchecked)
	t.Run("Alarms", d.alarms)
	d.prepareShift(t)
	t.Run("BlueGreen", d.blueGreen)
	t.Run("Linear", d.linear)
	t.Run("Daemon", d.daemon)
	requests, failures := crowd.end()
	t.Logf("%d requests", requests)
	if requests < 100 || len(failures) > 0 {
		t.Errorf("%d requests, %d failed: %v", requests, len(failures), failures)
	}
}

// deployments are the steps of TestDeployments, in their order.
type deployments struct {
	*soakWorld
	ctx       context.Context
	name      string                  // the service
	balancers []ecstypes.LoadBalancer // with what shifting needs
	testURL   string
}

func (d *deployments) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (d *deployments) service(t *testing.T) ecstypes.Service {
	t.Helper()
	out, err := d.ecs.DescribeServices(d.ctx, &ecs.DescribeServicesInput{Cluster: aws.String(soakName), Services: []string{d.name}})
	d.must(t, err)
	return out.Services[0]
}

func (d *deployments) update(t *testing.T, change func(in *ecs.UpdateServiceInput)) {
	t.Helper()
	in := &ecs.UpdateServiceInput{Cluster: aws.String(soakName), Service: &d.name}
	change(in)
	_, err := d.ecs.UpdateService(d.ctx, in)
	d.must(t, err)
}

// define registers a revision whose containers run something else.
func (d *deployments) define(t *testing.T, entry ...string) *string {
	t.Helper()
	have, err := d.ecs.DescribeTaskDefinition(d.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(soakName)})
	d.must(t, err)
	c := have.TaskDefinition.ContainerDefinitions[0]
	c.EntryPoint = append([]string{"/server"}, entry...)
	out, err := d.ecs.RegisterTaskDefinition(d.ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(soakName), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"), RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ExecutionRoleArn: have.TaskDefinition.ExecutionRoleArn, ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	})
	d.must(t, err)
	return out.TaskDefinition.TaskDefinitionArn
}

// last is the newest service deployment, whole.
func (d *deployments) last() (ecstypes.ServiceDeployment, error) {
	list, err := d.ecs.ListServiceDeployments(d.ctx, &ecs.ListServiceDeploymentsInput{Cluster: aws.String(soakName), Service: &d.name})
	if err != nil {
		return ecstypes.ServiceDeployment{}, err
	}
	out, err := d.ecs.DescribeServiceDeployments(d.ctx, &ecs.DescribeServiceDeploymentsInput{ServiceDeploymentArns: []string{*list.ServiceDeployments[0].ServiceDeploymentArn}})
	if err != nil {
		return ecstypes.ServiceDeployment{}, err
	}
	return out.ServiceDeployments[0], nil
}

// ends waits for the end of the newest service deployment.
func (d *deployments) ends(t *testing.T, want ecstypes.ServiceDeploymentStatus) ecstypes.ServiceDeployment {
	t.Helper()
	var last ecstypes.ServiceDeployment
	if err := soakUntil(deploymentLimit, func() (err error) {
		if last, err = d.last(); err != nil {
			return err
		}
		if last.Status != want || last.FinishedAt == nil {
			return fmt.Errorf("the deployment is %s, stage %s: %s", last.Status, last.LifecycleStage, aws.ToString(last.StatusReason))
		}
		return nil
	}); err != nil {
		t.Fatalf("%v\n%s", err, soakEvents(d.service(t)))
	}
	return last
}

func (d *deployments) tasks(t *testing.T) []string {
	t.Helper()
	out, err := d.ecs.ListTasks(d.ctx, &ecs.ListTasksInput{Cluster: aws.String(soakName), ServiceName: &d.name})
	d.must(t, err)
	slices.Sort(out.TaskArns)
	return out.TaskArns
}

// history looks at the service's first deployment and its revision.
func (d *deployments) history(t *testing.T) {
	last := d.ends(t, ecstypes.ServiceDeploymentStatusSuccessful)
	if last.TargetServiceRevision.RunningTaskCount != soakTasks || len(last.SourceServiceRevisions) != 0 {
		t.Errorf("%+v", last.TargetServiceRevision)
	}
	out, err := d.ecs.DescribeServiceRevisions(d.ctx, &ecs.DescribeServiceRevisionsInput{ServiceRevisionArns: []string{*last.TargetServiceRevision.Arn}})
	d.must(t, err)
	r := out.ServiceRevisions[0]
	if !strings.HasPrefix(aws.ToString(r.ContainerImages[0].ImageDigest), "sha256:") || *r.LoadBalancers[0].TargetGroupArn != d.group {
		t.Errorf("%+v", r)
	}
	if s := d.service(t); *s.CurrentServiceRevisions[0].Arn != *r.ServiceRevisionArn || *s.CurrentServiceDeployment != *last.ServiceDeploymentArn {
		t.Errorf("%s, %+v", *s.CurrentServiceDeployment, s.CurrentServiceRevisions)
	}
}

// stop stops a deployment that cannot end: one of its tasks would never be
// healthy. The tasks from before are the ones after.
func (d *deployments) stop(t *testing.T) {
	before := d.tasks(t)
	talk := d.define(t, "talk", "10") // listens nowhere
	d.update(t, func(in *ecs.UpdateServiceInput) { in.TaskDefinition = talk })
	d.must(t, soakUntil(deploymentLimit, func() error {
		if s := d.service(t); len(s.Deployments) < 2 || s.Deployments[0].RunningCount == 0 {
			return errors.New("no new task runs")
		}
		return nil
	}))
	last, err := d.last()
	d.must(t, err)
	_, err = d.ecs.StopServiceDeployment(d.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: last.ServiceDeploymentArn, StopType: ecstypes.StopServiceDeploymentStopTypeRollback})
	d.must(t, err)
	last = d.ends(t, ecstypes.ServiceDeploymentStatusRollbackSuccessful)
	if last.Rollback == nil || *last.Rollback.ServiceRevisionArn != *last.SourceServiceRevisions[0].Arn {
		t.Errorf("%+v", last.Rollback)
	}
	if after := d.tasks(t); !slices.Equal(before, after) {
		t.Errorf("other tasks than before: %v, were %v", after, before)
	}
	_, err = d.ecs.StopServiceDeployment(d.ctx, &ecs.StopServiceDeploymentInput{ServiceDeploymentArn: last.ServiceDeploymentArn})
	if conflict := new(ecstypes.ConflictException); !errors.As(err, &conflict) {
		t.Errorf("stopping it again: %v", err)
	}
}

// breaker rolls out what ends at once.
func (d *deployments) breaker(t *testing.T) {
	before := d.tasks(t)
	exit := d.define(t, "exit", "1")
	d.update(t, func(in *ecs.UpdateServiceInput) {
		in.TaskDefinition = exit
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true}}
	})
	last := d.ends(t, ecstypes.ServiceDeploymentStatusRollbackSuccessful)
	if b := last.DeploymentCircuitBreaker; b.Status != ecstypes.ServiceDeploymentRollbackMonitorsStatusTriggered || b.Threshold != 3 || b.FailureCount < 3 {
		t.Errorf("%+v", b)
	}
	if reason := aws.ToString(last.StatusReason); reason != "Service deployment rolled back because the circuit breaker threshold was exceeded." {
		t.Error(reason)
	}
	if after := d.tasks(t); !slices.Equal(before, after) {
		t.Errorf("other tasks than before: %v, were %v", after, before)
	}
}

// unchecked does the same with a service that nobody checks: neither does the
// program that ends at once replace the one that works, nor is its deployment
// ever complete.
func (d *deployments) unchecked(t *testing.T) {
	have := d.service(t)
	_, err := d.ecs.CreateService(d.ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(soakName), ServiceName: aws.String("worker"), TaskDefinition: have.TaskDefinition, DesiredCount: aws.Int32(2),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: have.NetworkConfiguration,
	})
	d.must(t, err)
	w := *d
	w.name = "worker"
	w.ends(t, ecstypes.ServiceDeploymentStatusSuccessful)
	w.breaker(t)
	_, err = d.ecs.DeleteService(d.ctx, &ecs.DeleteServiceInput{Cluster: aws.String(soakName), Service: &w.name, Force: aws.Bool(true)})
	d.must(t, err)
}

// alarms rolls out what never gets healthy, and an alarm takes it back.
func (d *deployments) alarms(t *testing.T) {
	before := d.tasks(t)
	env, err := d.in.Env()
	d.must(t, err)
	cw := cloudwatch.New(cloudwatch.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]), Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	})
	_, err = cw.PutMetricAlarm(d.ctx, &cloudwatch.PutMetricAlarmInput{
		AlarmName: aws.String("errors"), Namespace: aws.String("Chat"), MetricName: aws.String("Errors"), Statistic: cwtypes.StatisticSum, Period: aws.Int32(60),
		EvaluationPeriods: aws.Int32(1), Threshold: aws.Float64(1), ComparisonOperator: cwtypes.ComparisonOperatorGreaterThanOrEqualToThreshold, TreatMissingData: aws.String("ignore"),
	})
	d.must(t, err)
	talk := d.define(t, "talk", "10")
	d.update(t, func(in *ecs.UpdateServiceInput) {
		in.TaskDefinition = talk
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{
			DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{},
			Alarms:                   &ecstypes.DeploymentAlarms{Enable: true, Rollback: true, AlarmNames: []string{"errors"}},
		}
	})
	d.must(t, soakUntil(deploymentLimit, func() error {
		last, err := d.last()
		if err == nil && (last.Status != ecstypes.ServiceDeploymentStatusInProgress || last.Alarms.Status != ecstypes.ServiceDeploymentRollbackMonitorsStatusMonitoring) {
			err = fmt.Errorf("the deployment is %s, its alarms %s", last.Status, last.Alarms.Status)
		}
		return err
	}))
	_, err = cw.SetAlarmState(d.ctx, &cloudwatch.SetAlarmStateInput{AlarmName: aws.String("errors"), StateValue: cwtypes.StateValueAlarm, StateReason: aws.String("a test")})
	d.must(t, err)
	last := d.ends(t, ecstypes.ServiceDeploymentStatusRollbackSuccessful)
	if !slices.Equal(last.Alarms.TriggeredAlarmNames, []string{"errors"}) || last.Alarms.Status != ecstypes.ServiceDeploymentRollbackMonitorsStatusTriggered {
		t.Errorf("%+v", last.Alarms)
	}
	if after := d.tasks(t); !slices.Equal(before, after) {
		t.Errorf("other tasks than before: %v, were %v", after, before)
	}
	d.update(t, func(in *ecs.UpdateServiceInput) {
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{Alarms: &ecstypes.DeploymentAlarms{AlarmNames: []string{}}}
	})
}

// prepareShift makes the second target group, the test listener and the role.
func (d *deployments) prepareShift(t *testing.T) {
	t.Helper()
	tg, err := d.elb.CreateTargetGroup(d.ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("other"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: &d.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2), UnhealthyThresholdCount: aws.Int32(5),
	})
	d.must(t, err)
	group := tg.TargetGroups[0].TargetGroupArn
	_, err = d.elb.ModifyTargetGroupAttributes(d.ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbtypes.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("20")},
	}})
	d.must(t, err)
	lbs, err := d.elb.DescribeLoadBalancers(d.ctx, &elb.DescribeLoadBalancersInput{Names: []string{soakName}})
	d.must(t, err)
	lb := lbs.LoadBalancers[0]
	_, err = d.ec2.AuthorizeSecurityGroupIngress(d.ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &lb.SecurityGroups[0], IpProtocol: aws.String("tcp"), FromPort: aws.Int32(81), ToPort: aws.Int32(81), CidrIp: aws.String("0.0.0.0/0"),
	})
	d.must(t, err)
	_, err = d.elb.CreateListener(d.ctx, &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(81),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &d.group}},
	})
	d.must(t, err)
	d.testURL = strings.TrimSuffix(d.url, "/") + ":81/"
	listeners, err := d.elb.DescribeListeners(d.ctx, &elb.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn})
	d.must(t, err)
	rules := map[int32]*string{}
	for _, l := range listeners.Listeners {
		out, err := d.elb.DescribeRules(d.ctx, &elb.DescribeRulesInput{ListenerArn: l.ListenerArn})
		d.must(t, err)
		rules[*l.Port] = out.Rules[0].RuleArn
		_, err = d.elb.ModifyListener(d.ctx, &elb.ModifyListenerInput{ListenerArn: l.ListenerArn, DefaultActions: []elbtypes.Action{{
			Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{
				{TargetGroupArn: &d.group, Weight: aws.Int32(1)}, {TargetGroupArn: group, Weight: aws.Int32(0)},
			}},
		}}})
		d.must(t, err)
	}
	role, err := d.iam.CreateRole(d.ctx, &iam.CreateRoleInput{RoleName: aws.String("balancers"), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	d.must(t, err)
	_, err = d.iam.AttachRolePolicy(d.ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("balancers"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AmazonECSInfrastructureRolePolicyForLoadBalancers")})
	d.must(t, err)
	d.balancers = []ecstypes.LoadBalancer{{
		TargetGroupArn: &d.group, ContainerName: aws.String(soakName), ContainerPort: aws.Int32(80),
		AdvancedConfiguration: &ecstypes.AdvancedConfiguration{AlternateTargetGroupArn: group, ProductionListenerRule: rules[80], TestListenerRule: rules[81], RoleArn: role.Role.Arn},
	}}
}

// blueGreen shifts the traffic to a new revision at once, after it was to be
// seen at the test listener: whenever production has it, that has it too.
func (d *deployments) blueGreen(t *testing.T) {
	before := d.tasks(t)
	green := d.define(t, "serve", "green")
	d.update(t, func(in *ecs.UpdateServiceInput) {
		in.TaskDefinition, in.LoadBalancers = green, d.balancers
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{Strategy: ecstypes.DeploymentStrategyBlueGreen, BakeTimeInMinutes: aws.Int32(1)}
	})
	var stages []ecstypes.ServiceDeploymentLifecycleStage
	seen := map[string]bool{}
	var last ecstypes.ServiceDeployment
	d.must(t, soakUntil(deploymentLimit, func() (err error) {
		if last, err = d.last(); err != nil {
			return err
		}
		if s := last.LifecycleStage; s != "" && !slices.Contains(stages, s) {
			stages = append(stages, s)
		}
		production, err := get(d.url)
		if err != nil {
			return err
		}
		test, err := get(d.testURL)
		if err != nil {
			return err
		}
		if seen[test] = true; production == "green" && test != "green" {
			t.Fatalf("in stage %s production answers %s, and after it the test listener %s", last.LifecycleStage, production, test)
		}
		if last.FinishedAt == nil {
			return fmt.Errorf("the deployment is %s, stage %s", last.Status, last.LifecycleStage)
		}
		return nil
	}))
	if last.Status != ecstypes.ServiceDeploymentStatusSuccessful || aws.ToFloat64(last.TargetServiceRevision.RequestedProductionTrafficWeight) != 100 {
		t.Errorf("%s: %s", last.Status, aws.ToString(last.StatusReason))
	}
	if baked := last.FinishedAt.Sub(*last.StartedAt); baked < time.Minute/20 { // the pace of the tests
		t.Errorf("the deployment took %s, and its bake time is longer", baked)
	}
	if !seen["green"] || !slices.IsSortedFunc(stages, func(a, b ecstypes.ServiceDeploymentLifecycleStage) int {
		all := a.Values()
		return slices.Index(all, a) - slices.Index(all, b)
	}) {
		t.Errorf("stages %v, the test listener answered %v", stages, seen)
	}
	for _, url := range []string{d.url, d.testURL} {
		if text, err := get(url); text != "green" {
			t.Errorf("%s: %q, %v", url, text, err)
		}
	}
	for _, task := range d.tasks(t) {
		if slices.Contains(before, task) {
			t.Errorf("the old task %s still runs", task)
		}
	}
	d.explained(t, soakName, "nothing is wrong")
}

// explained asks why about a service.
func (d *deployments) explained(t *testing.T, service, want string) {
	t.Helper()
	if err := soakUntil(deploymentLimit, func() error {
		out, err := exec.Command(binary(), "why", "--data-dir", d.in.DataDir, soakName+"/"+service).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			return fmt.Errorf("why says %s, %v", out, err)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// linear shifts the traffic by halves.
func (d *deployments) linear(t *testing.T) {
	teal := d.define(t, "serve", "teal")
	d.update(t, func(in *ecs.UpdateServiceInput) {
		in.TaskDefinition = teal
		in.DeploymentConfiguration = &ecstypes.DeploymentConfiguration{
			Strategy: ecstypes.DeploymentStrategyLinear, LinearConfiguration: &ecstypes.LinearConfiguration{StepPercent: aws.Float64(50), StepBakeTimeInMinutes: aws.Int32(3)},
		}
	})
	half := map[string]bool{}
	d.must(t, soakUntil(deploymentLimit, func() error {
		last, err := d.last()
		if err != nil {
			return err
		}
		if w := aws.ToFloat64(last.TargetServiceRevision.RequestedProductionTrafficWeight); w > 0 && w < 100 {
			for range 20 {
				text, err := get(d.url)
				if err != nil {
					return err
				}
				half[text] = true
			}
		}
		if last.FinishedAt == nil {
			return fmt.Errorf("the deployment is %s, stage %s", last.Status, last.LifecycleStage)
		}
		return nil
	}))
	if !half["green"] || !half["teal"] {
		t.Errorf("in the middle %v answered", half)
	}
	if text, err := get(d.url); text != "teal" {
		t.Errorf("%q, %v", text, err)
	}
	d.ends(t, ecstypes.ServiceDeploymentStatusSuccessful)
}

// daemon is what a cluster without instances makes of the strategies for them.
func (d *deployments) daemon(t *testing.T) {
	in := &ecs.CreateServiceInput{Cluster: aws.String(soakName), ServiceName: aws.String("agent"), TaskDefinition: aws.String("agent"), SchedulingStrategy: ecstypes.SchedulingStrategyDaemon, LaunchType: ecstypes.LaunchTypeFargate}
	_, err := d.ecs.RegisterTaskDefinition(d.ctx, &ecs.RegisterTaskDefinitionInput{Family: aws.String("agent"), ContainerDefinitions: []ecstypes.ContainerDefinition{{Name: aws.String("agent"), Image: aws.String("agent"), Memory: aws.Int32(64)}}})
	d.must(t, err)
	if _, err = d.ecs.CreateService(d.ctx, in); err == nil || !strings.Contains(err.Error(), "The daemon scheduling strategy is not supported for the FARGATE launch type.") {
		t.Error(err)
	}
	in.LaunchType = ecstypes.LaunchTypeEc2
	_, err = d.ecs.CreateService(d.ctx, in)
	d.must(t, err)
	var s ecstypes.Service
	d.must(t, soakUntil(deploymentLimit, func() error {
		out, err := d.ecs.DescribeServices(d.ctx, &ecs.DescribeServicesInput{Cluster: aws.String(soakName), Services: []string{"agent"}})
		if err != nil {
			return err
		}
		if s = out.Services[0]; s.Deployments[0].RolloutState != ecstypes.DeploymentRolloutStateCompleted {
			return errors.New(soakEvents(s))
		}
		return nil
	}))
	if s.DesiredCount != 0 {
		t.Errorf("%d tasks for no instance", s.DesiredCount)
	}
	_, err = d.ecs.DeleteService(d.ctx, &ecs.DeleteServiceInput{Cluster: aws.String(soakName), Service: aws.String("agent")})
	d.must(t, err)
	_, err = d.ecs.CreateService(d.ctx, &ecs.CreateServiceInput{Cluster: aws.String(soakName), ServiceName: aws.String("homeless"), TaskDefinition: aws.String("agent"), DesiredCount: aws.Int32(1)})
	d.must(t, err)
	d.explained(t, "homeless", "there are no container instances")
	_, err = d.ecs.DeleteService(d.ctx, &ecs.DeleteServiceInput{Cluster: aws.String(soakName), Service: aws.String("homeless"), Force: aws.Bool(true)})
	d.must(t, err)
}

func get(url string) (string, error) {
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	return fetch(c, url)
}

func fetch(c *http.Client, url string) (string, error) {
	res, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != 200 {
		err = errors.New(res.Status)
	}
	return string(b), err
}

// crowd are people who visit a page all the time.
type crowd struct {
	stop     context.CancelFunc
	people   sync.WaitGroup
	mu       sync.Mutex
	requests int
	failures []error
}

func visit(url string) *crowd {
	ctx, stop := context.WithCancel(context.Background())
	v := &crowd{stop: stop}
	for range 2 {
		v.people.Go(func() {
			c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for ctx.Err() == nil {
				_, err := fetch(c, url)
				v.mu.Lock()
				v.requests++
				if err != nil && len(v.failures) < 10 {
					v.failures = append(v.failures, fmt.Errorf("%s: %w", time.Now().Format("15:04:05.000"), err))
				}
				v.mu.Unlock()
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	return v
}

func (v *crowd) end() (int, []error) {
	v.stop()
	v.people.Wait()
	return v.requests, v.failures
}
