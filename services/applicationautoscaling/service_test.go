package applicationautoscaling

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	cwapi "minato/aws/api/cloudwatch"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/internal/clock"
	"minato/store/memstore"
)

// cluster is ECS with one service, which has what it is told at once.
type cluster struct {
	ecsapi.API
	desired int32
	slow    bool // tasks do not start
	fails   error
	callers map[string]bool
}

func (c *cluster) DescribeServices(_ context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	out := &ecsapi.DescribeServicesOutput{}
	if in.Services[0] == "web" {
		running := c.desired
		if c.slow {
			running = 0
		}
		out.Services = append(out.Services, ecsapi.Service{Status: aws.Ptr("ACTIVE"), DesiredCount: aws.Ptr(c.desired), RunningCount: &running, Deployments: make([]ecsapi.Deployment, 1)})
	}
	return out, nil
}

func (c *cluster) UpdateService(ctx context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	c.callers[identity.From(ctx).Service] = true
	if c.fails != nil {
		return nil, c.fails
	}
	c.desired = *in.DesiredCount
	return &ecsapi.UpdateServiceOutput{}, nil
}

// watch is CloudWatch: alarms as they were put, one value for every metric.
type watch struct {
	cwapi.API
	alarms map[string]*cwapi.MetricAlarm
	value  float64
}

func (w *watch) PutMetricAlarm(_ context.Context, in *cwapi.PutMetricAlarmInput) (*cwapi.PutMetricAlarmOutput, error) {
	w.alarms[*in.AlarmName] = &cwapi.MetricAlarm{
		AlarmName: in.AlarmName, AlarmArn: in.AlarmName, AlarmActions: in.AlarmActions, AlarmDescription: in.AlarmDescription, ActionsEnabled: aws.Ptr(true), StateValue: aws.Ptr("OK"),
		Threshold: in.Threshold, Period: in.Period, MetricName: in.MetricName, Namespace: in.Namespace, Dimensions: in.Dimensions, Statistic: in.Statistic, EvaluationPeriods: in.EvaluationPeriods,
	}
	return &cwapi.PutMetricAlarmOutput{}, nil
}

func (w *watch) DescribeAlarms(_ context.Context, in *cwapi.DescribeAlarmsInput) (*cwapi.DescribeAlarmsOutput, error) {
	out := &cwapi.DescribeAlarmsOutput{}
	for name, a := range w.alarms {
		if strings.HasPrefix(name, aws.Val(in.AlarmNamePrefix)) && (in.ActionPrefix == nil || strings.HasPrefix(strings.Join(a.AlarmActions, ""), *in.ActionPrefix)) {
			out.MetricAlarms = append(out.MetricAlarms, *a)
		}
	}
	return out, nil
}

func (w *watch) DeleteAlarms(_ context.Context, in *cwapi.DeleteAlarmsInput) (*cwapi.DeleteAlarmsOutput, error) {
	for _, name := range in.AlarmNames {
		if w.alarms[name] == nil {
			return nil, cwapi.ResourceNotFound("Unknown")
		}
		delete(w.alarms, name)
	}
	return &cwapi.DeleteAlarmsOutput{}, nil
}

func (w *watch) GetMetricData(context.Context, *cwapi.GetMetricDataInput) (*cwapi.GetMetricDataOutput, error) {
	return &cwapi.GetMetricDataOutput{MetricDataResults: []cwapi.MetricDataResult{{Values: []float64{w.value}}}}, nil
}

// set puts the alarms of a kind into a state.
func (w *watch) set(kind, state string) {
	for name, a := range w.alarms {
		if strings.Contains(name, kind) {
			a.StateValue = &state
		}
	}
}

// TestPacedAlarms: periods become shorter as long as CloudWatch has shorter ones,
// and then fewer.
func TestPacedAlarms(t *testing.T) {
	for pace, want := range map[float64]string{1: "60x3 60x15", 2: "30x3 30x15", 6: "10x3 10x15", 20: "10x1 10x5", 60: "10x1 10x2", 1000: "10x1 10x1"} {
		f := setup(t, pace)
		f.track()
		var got [2]string
		for name, a := range f.watch.alarms {
			i := 0
			if strings.Contains(name, "AlarmLow") {
				i = 1
			}
			got[i] = fmt.Sprintf("%dx%d", *a.Period, *a.EvaluationPeriods)
		}
		if strings.Join(got[:], " ") != want {
			t.Errorf("pace %v: %v, want %s", pace, got, want)
		}
	}
}

type fixture struct {
	*Service
	t     *testing.T
	ctx   context.Context
	clock *clock.Fake
	ecs   *cluster
	watch *watch
}

var namespace, dimension, web = aws.Ptr("ecs"), aws.Ptr("ecs:service:DesiredCount"), aws.Ptr("service/chat/web")

func setup(t *testing.T, pace float64) *fixture {
	f := &fixture{t: t, clock: clock.NewFake(now), ecs: &cluster{desired: 2, callers: map[string]bool{}}, watch: &watch{alarms: map[string]*cwapi.MetricAlarm{}}}
	f.clock.SetPace(pace)
	f.Service = New(Deps{Store: memstore.New(), Clock: f.clock, ECS: f.ecs, CloudWatch: f.watch})
	f.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.Root, Account: "000000000000", Region: "us-east-1"})
	_, err := f.RegisterScalableTarget(f.ctx, &autoapi.RegisterScalableTargetInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, MinCapacity: aws.Ptr(int32(1)), MaxCapacity: aws.Ptr(int32(10))})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) track() *autoapi.PutScalingPolicyOutput {
	f.t.Helper()
	out, err := f.PutScalingPolicy(f.ctx, &autoapi.PutScalingPolicyInput{
		ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, PolicyName: aws.Ptr("cpu"), PolicyType: aws.Ptr(autoapi.PolicyTypeTargetTrackingScaling),
		TargetTrackingScalingPolicyConfiguration: &autoapi.TargetTrackingScalingPolicyConfiguration{
			TargetValue: aws.Ptr(50.0), PredefinedMetricSpecification: &autoapi.PredefinedMetricSpecification{PredefinedMetricType: aws.Ptr(autoapi.MetricTypeECSServiceAverageCPUUtilization)},
		},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// settle reconciles until nothing changes at this moment.
func (f *fixture) settle() {
	f.t.Helper()
	r := &reconciler{f.Service}
	for range 6 {
		keys, err := r.Keys(f.ctx)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, k := range keys {
			if _, err := r.Reconcile(f.ctx, k); err != nil {
				f.t.Fatal(err)
			}
		}
	}
}

func (f *fixture) last() string {
	f.t.Helper()
	out, err := f.DescribeScalingActivities(f.ctx, &autoapi.DescribeScalingActivitiesInput{ServiceNamespace: namespace})
	if err != nil {
		f.t.Fatal(err)
	}
	if len(out.ScalingActivities) == 0 {
		return "none"
	}
	a := out.ScalingActivities[0]
	return fmt.Sprintf("%d %s: %s", len(out.ScalingActivities), *a.StatusCode, *a.StatusMessage)
}

func TestTargetTracking(t *testing.T) {
	f := setup(t, 1)
	out := f.track()
	if len(out.Alarms) != 2 || len(f.watch.alarms) != 2 {
		t.Fatalf("alarms %v", out.Alarms)
	}
	f.settle()
	if f.last() != "none" {
		t.Error(f.last())
	}
	f.watch.set("AlarmHigh", "ALARM")
	f.watch.value = 90
	f.settle()
	if f.ecs.desired != 4 || f.last() != "1 Successful: Successfully set desired count to 4. Change successfully fulfilled by ecs." {
		t.Errorf("%d, %s", f.ecs.desired, f.last())
	}
	if !f.ecs.callers[Principal] {
		t.Errorf("ECS was called by %v", f.ecs.callers)
	}
	// In again, when the alarm says so and the cool-down is over.
	f.watch.set("AlarmHigh", "OK")
	f.watch.set("AlarmLow", "ALARM")
	f.watch.value = 10
	f.settle()
	if f.ecs.desired != 1 {
		t.Errorf("scaled in to %d", f.ecs.desired)
	}
	// An alarm that somebody has deleted comes back; those of a policy that is gone go.
	for name := range f.watch.alarms {
		delete(f.watch.alarms, name)
	}
	f.settle()
	if len(f.watch.alarms) != 2 {
		t.Errorf("%d alarms", len(f.watch.alarms))
	}
	orphan := "TargetTracking-service/chat/web-AlarmLow-x"
	f.watch.alarms[orphan] = &cwapi.MetricAlarm{AlarmName: &orphan, AlarmDescription: aws.Ptr("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy p.")}
	f.settle()
	if len(f.watch.alarms) != 2 {
		t.Errorf("%d alarms after the sweep", len(f.watch.alarms))
	}
	if _, err := f.DeregisterScalableTarget(f.ctx, &autoapi.DeregisterScalableTargetInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web}); err != nil {
		t.Fatal(err)
	}
	if len(f.watch.alarms) != 0 {
		t.Errorf("%d alarms are left", len(f.watch.alarms))
	}
}

// TestPace: the alarms' periods are divided, and thresholds of sums with them.
func TestPace(t *testing.T) {
	f := setup(t, 60)
	f.track()
	for _, a := range f.watch.alarms {
		if *a.Period != 10 {
			t.Errorf("%s: %d", *a.AlarmName, *a.Period)
		}
	}
	o := policy{ScalingPolicy: autoapi.ScalingPolicy{ResourceId: web, TargetTrackingScalingPolicyConfiguration: &autoapi.TargetTrackingScalingPolicyConfiguration{
		TargetValue: aws.Ptr(600.0), PredefinedMetricSpecification: &autoapi.PredefinedMetricSpecification{PredefinedMetricType: aws.Ptr(autoapi.MetricTypeALBRequestCountPerTarget), ResourceLabel: aws.Ptr("app/lb/1/targetgroup/tg/2")},
	}}}
	if v := o.target(10); v != 100 {
		t.Errorf("600 a minute are %v in 10 s", v)
	}
	m, _, _, _ := o.metric()
	if *m.Dimensions[0].Value != "app/lb/1" || *m.Dimensions[1].Value != "targetgroup/tg/2" {
		t.Errorf("%v", m)
	}
}

func second[T any](_ T, err error) error { return err }

func TestFailureAndSuspension(t *testing.T) {
	f := setup(t, 1)
	f.track()
	f.watch.set("AlarmHigh", "ALARM")
	f.watch.value = 90
	_, err := f.RegisterScalableTarget(f.ctx, &autoapi.RegisterScalableTargetInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, SuspendedState: &autoapi.SuspendedState{DynamicScalingOutSuspended: aws.Ptr(true)}})
	if err != nil {
		t.Fatal(err)
	}
	f.settle()
	if f.ecs.desired != 2 {
		t.Errorf("suspended, and %d", f.ecs.desired)
	}
	if _, err := f.RegisterScalableTarget(f.ctx, &autoapi.RegisterScalableTargetInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, SuspendedState: &autoapi.SuspendedState{DynamicScalingOutSuspended: aws.Ptr(false)}}); err != nil {
		t.Fatal(err)
	}
	// What is wrong with us, and not with the service, is no failure of the change.
	f.ecs.fails = aws.Internal(errors.New("the disk is full"))
	look := func() error {
		return second((&reconciler{f.Service}).Reconcile(f.ctx, f.targets.Key("000000000000", "us-east-1", *web)))
	}
	if begun, err := look(), look(); begun != nil || err == nil || !strings.HasSuffix(f.last(), "InProgress: Setting desired count to 4.") {
		t.Errorf("%v, %v, %s", begun, err, f.last())
	}
	f.ecs.fails = ecsapi.ServiceNotActiveException("Service was not ACTIVE.")
	if err := look(); err != nil {
		t.Error(err)
	}
	f.settle()
	if !strings.HasSuffix(f.last(), "Failed: Failed to set desired count to 4. Reason: Service was not ACTIVE.") {
		t.Error(f.last())
	}
	f.ecs.fails, f.ecs.slow = nil, true
	f.clock.Advance(10 * time.Minute)
	f.settle()
	if !strings.HasSuffix(f.last(), "InProgress: Setting desired count to 4.") {
		t.Error(f.last())
	}
	f.ecs.slow = false
	f.settle()
	if !strings.Contains(f.last(), " Successful: ") {
		t.Error(f.last())
	}
	// What was done stays known for a while, also of a target that is gone.
	if _, err := f.DeregisterScalableTarget(f.ctx, &autoapi.DeregisterScalableTargetInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web}); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if f.last() == "none" {
		t.Error("forgotten with the target")
	}
	f.clock.Advance(kept + time.Hour)
	f.settle()
	if f.last() != "none" {
		t.Errorf("after six weeks: %s", f.last())
	}
}

func TestScheduled(t *testing.T) {
	f := setup(t, 1)
	put := func(name, schedule string, least, most *int32) error {
		_, err := f.PutScheduledAction(f.ctx, &autoapi.PutScheduledActionInput{
			ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, ScheduledActionName: &name, Schedule: &schedule,
			ScalableTargetAction: &autoapi.ScalableTargetAction{MinCapacity: least, MaxCapacity: most},
		})
		return err
	}
	if err := put("evening", "cron(0 18 * * ? *)", nil, aws.Ptr(int32(1))); err != nil {
		t.Fatal(err)
	}
	if err := put("morning", "at(2026-12-01T08:00:00)", aws.Ptr(int32(5)), aws.Ptr(int32(20))); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"cron(0 18 * * * *)", "tomorrow"} {
		if err := put("bad", bad, aws.Ptr(int32(1)), nil); !aws.IsCode(err, "ValidationException") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if err := put("a:b", "rate(1 day)", aws.Ptr(int32(1)), nil); !aws.IsCode(err, "ValidationException") {
		t.Errorf("a name with a colon: %v", err)
	}
	f.settle()
	if f.ecs.desired != 2 {
		t.Errorf("too early: %d", f.ecs.desired)
	}
	f.clock.Advance(6*time.Hour + time.Second)
	f.settle()
	if f.ecs.desired != 1 {
		t.Errorf("in the evening: %d", f.ecs.desired)
	}
	f.clock.Advance(14 * time.Hour)
	f.settle()
	if f.ecs.desired != 5 {
		t.Errorf("in the morning: %d", f.ecs.desired)
	}
	out, err := f.DescribeScalableTargets(f.ctx, &autoapi.DescribeScalableTargetsInput{ServiceNamespace: namespace})
	if err != nil || *out.ScalableTargets[0].MinCapacity != 5 || *out.ScalableTargets[0].MaxCapacity != 20 {
		t.Errorf("%+v %v", out, err)
	}
}

func TestRefused(t *testing.T) {
	f := setup(t, 1)
	for want, in := range map[string]*autoapi.RegisterScalableTargetInput{
		"ValidationException: ECS service doesn't exist: service/chat/none":               {ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: aws.Ptr("service/chat/none")},
		"ValidationException: The service namespace dynamodb is not supported by minato.": {ServiceNamespace: aws.Ptr("dynamodb"), ScalableDimension: dimension, ResourceId: web},
		"ValidationException: Maximum capacity cannot be less than minimum capacity":      {ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, MinCapacity: aws.Ptr(int32(11))},
		"ValidationException: Minimum capacity must be greater than or equal to 0":        {ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, MinCapacity: aws.Ptr(int32(-1))},
	} {
		if _, err := f.RegisterScalableTarget(f.ctx, in); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	step := func(c *autoapi.StepScalingPolicyConfiguration) error {
		_, err := f.PutScalingPolicy(f.ctx, &autoapi.PutScalingPolicyInput{ServiceNamespace: namespace, ScalableDimension: dimension, ResourceId: web, PolicyName: aws.Ptr("s"), StepScalingPolicyConfiguration: c})
		return err
	}
	for name, c := range map[string]*autoapi.StepScalingPolicyConfiguration{
		"no steps":       steps("ChangeInCapacity", 0),
		"overlap":        steps("ChangeInCapacity", 0, between(0, 10, 1), between(5, 1000, 2)),
		"upside down":    steps("ChangeInCapacity", 0, between(10, 0, 1)),
		"magnitude":      steps("ChangeInCapacity", 2, between(0, 1000, 1)),
		"configured not": nil,
	} {
		if err := step(c); !aws.IsCode(err, "ValidationException") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := step(steps("ChangeInCapacity", 0, between(0, 10, 1), between(10, 1000, 2))); err != nil {
		t.Error(err)
	}
	if err := f.Alarmed(f.ctx, "arn:none"); err == nil {
		t.Error("a policy that is not there was told of an alarm")
	}
}
