package ecs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/dataplane/container"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/store"
)

// between does something right before the next commit of a store.
type between struct {
	store.Store
	do func()
}

func (b *between) Commit(ctx context.Context, txn store.Txn) (store.Revision, error) {
	if do := b.do; do != nil {
		b.do = nil
		do()
	}
	return b.Store.Commit(ctx, txn)
}

// kill ends tasks that f picks, as if their program had ended.
func (y *yard) kill(f func(*record.Task) bool) {
	y.Helper()
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	now := y.clock.Now()
	for _, t := range tasks {
		if aws.Val(t.LastStatus) != life.Stopped && f(&t) {
			t.LastStatus, t.DesiredStatus, t.StoppedAt = aws.Ptr(life.Stopped), aws.Ptr(life.Stopped), &now
			y.must(y.ecs.tasks.Put(y.ctx, t, t.IDs()...))
		}
	}
}

// TestTwoUpdatesAtOnce: an update that is written between another's reading and
// writing is not taken back by it.
func TestTwoUpdatesAtOnce(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	y.define()
	first := &between{Store: y.store}
	y.store = first
	y.restart()
	update := func(in ecsapi.UpdateServiceInput) {
		in.Cluster, in.Service = aws.Ptr("chat"), aws.Ptr("web")
		y.must(second(y.ecs.UpdateService(y.ctx, &in)))
	}
	one := &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"subnet-a"}}}
	first.do = func() {
		update(ecsapi.UpdateServiceInput{TaskDefinition: aws.Ptr("chat:2"), NetworkConfiguration: one})
	}
	update(ecsapi.UpdateServiceInput{ForceNewDeployment: aws.Ptr(true)})
	s := y.service()
	if p := s.Deployments[0]; !strings.HasSuffix(*s.TaskDefinition, ":2") || !strings.HasSuffix(*p.TaskDefinition, ":2") || len(p.NetworkConfiguration.AwsvpcConfiguration.Subnets) != 1 {
		t.Errorf("%s, %+v", *s.TaskDefinition, p)
	}
}

// TestBlueInOtherSubnets: a task of blue that is lost while green comes up
// elsewhere is replaced where blue is.
func TestBlueInOtherSubnets(t *testing.T) {
	y := newYard(t)
	in := shifted(y, &ecsapi.DeploymentConfiguration{Strategy: aws.Ptr("BLUE_GREEN")})
	in.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"subnet-a"}
	y.must(second(y.ecs.CreateService(y.ctx, in)))
	blue := *y.stable().Deployments[0].Id
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{
		Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"),
		NetworkConfiguration: &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"subnet-b"}}},
	})))
	one := true
	y.kill(func(t *record.Task) bool {
		kill := one && aws.Val(t.StartedBy) == blue
		one = one && !kill
		return kill
	})
	y.stable()
	tasks, err := y.ecs.tasks.List(y.ctx)
	y.must(err)
	zones := map[string]int{}
	for i := range tasks {
		if aws.Val(tasks[i].StartedBy) == blue {
			zones[tasks[i].Subnet.Zone]++
		}
	}
	if zones["us-east-1a"] != 3 || len(zones) != 1 {
		t.Errorf("blue's tasks were in %v", zones)
	}
}

// TestAFailedDeploymentStaysFailed: one that an alarm ended without a way back is
// not completed because its tasks are all there.
func TestAFailedDeploymentStaysFailed(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{
		Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), ForceNewDeployment: aws.Ptr(true),
		DeploymentConfiguration: &ecsapi.DeploymentConfiguration{Alarms: &ecsapi.DeploymentAlarms{AlarmNames: []string{"errors"}, Enable: aws.Ptr(true), Rollback: aws.Ptr(false)}},
	})))
	for range 20 { // all new tasks are there, the alarms are still watched
		if y.step(); len(y.service().Deployments) == 1 {
			break
		}
	}
	y.alarms.raised = []string{"errors"}
	for range 60 {
		y.step()
	}
	s := y.service()
	if len(s.Deployments) != 1 || *s.Deployments[0].RolloutState != "FAILED" || *y.deployments()[0].Status != "STOPPED" {
		t.Errorf("%+v, %s", s.Deployments, *y.deployments()[0].Status)
	}
	if got := y.events(); slices.Contains(got[len(got)-3:], "(service web) (deployment ecs-svc/N) deployment completed.") {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	// It is still a service: the next deployment is as any.
	y.alarms.raised = nil
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), ForceNewDeployment: aws.Ptr(true)})))
	for range 80 { // as long as the alarms are watched
		y.step()
	}
	if s := y.service(); len(s.Deployments) != 1 || *s.Deployments[0].RolloutState != "COMPLETED" {
		t.Errorf("%+v", s.Deployments)
	}
}

// TestTargetsThatAreRefused: what the load balancer says of targets that it does
// not take is told once, and the service goes on.
func TestTargetsThatAreRefused(t *testing.T) {
	y := newYard(t)
	y.elb.refuse = elbapi.InvalidTargetException("The IP address '10.0.0.1' is not within a range of the VPC")
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	for range 6 {
		y.step()
	}
	told := "(service web) failed to register targets in " + g + " with (error The IP address '10.0.0.1' is not within a range of the VPC)"
	if got := y.events(); strings.Count(strings.Join(got, "\n"), told) != 1 {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
	if s := y.service(); *s.RunningCount != 0 || *s.PendingCount != 2 {
		t.Errorf("%d running, %d pending", *s.RunningCount, *s.PendingCount)
	}
	y.elb.refuse = nil
	y.stable()
}

// TestAnAddressThatIsTakenAgain: once the target of a task that ended is gone, one
// at the same address is somebody else's.
func TestAnAddressThatIsTakenAgain(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	var ip string
	y.kill(func(t *record.Task) bool {
		if ip != "" {
			return false
		}
		ip = t.Address
		return true
	})
	y.stable()
	if y.elb.targets[ip] != "" {
		t.Fatalf("the lost task's target is %s", y.elb.targets[ip])
	}
	y.elb.targets[ip] = "healthy"
	for range 3 {
		y.step()
	}
	if y.elb.targets[ip] != "healthy" {
		t.Errorf("another's target is %q", y.elb.targets[ip])
	}
}

// TestADeletedDefinitionIsKeptWhileItIsUsed: services and tasks go on with a
// definition that is being deleted, and it goes when they have.
func TestADeletedDefinitionIsKeptWhileItIsUsed(t *testing.T) {
	y := newYard(t)
	y.must(second(y.ecs.CreateService(y.ctx, creation())))
	y.stable()
	y.must(second(y.ecs.DeregisterTaskDefinition(y.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: aws.Ptr("chat:1")})))
	y.must(second(y.ecs.DeleteTaskDefinitions(y.ctx, &ecsapi.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"chat:1"}})))
	sweep := func() {
		y.clock.Advance(2 * definitionKept)
		l := &definitionLoop{y.ecs}
		keys, err := l.Keys(y.ctx)
		y.must(err)
		for _, key := range keys {
			y.must(second(l.Reconcile(context.Background(), key)))
		}
	}
	status := func() string {
		out, err := y.ecs.DescribeTaskDefinition(y.ctx, &ecsapi.DescribeTaskDefinitionInput{TaskDefinition: aws.Ptr("chat:1")})
		if err != nil {
			return err.Error()
		}
		return *out.TaskDefinition.Status
	}
	sweep()
	if got := status(); got != "DELETE_IN_PROGRESS" {
		t.Errorf("while a service uses it: %s", got)
	}
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), DesiredCount: aws.Ptr[int32](3)})))
	y.stable()
	if _, err := y.ecs.RunTask(y.ctx, func() *ecsapi.RunTaskInput { in := runInput(); in.TaskDefinition = aws.Ptr("chat:1"); return in }()); !aws.IsCode(err, "ClientException") {
		t.Errorf("a task of one that is being deleted: %v", err)
	}
	y.define()
	y.must(second(y.ecs.UpdateService(y.ctx, &ecsapi.UpdateServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), TaskDefinition: aws.Ptr("chat:2")})))
	y.stable()
	sweep()
	if got := status(); !strings.Contains(got, "Unable to describe task definition.") {
		t.Errorf("when nobody uses it: %s", got)
	}
}

// TestManyThatWait: a task is stopped while more others wait for their interfaces
// than there used to be workers.
func TestManyThatWait(t *testing.T) {
	q := newQuay(t)
	first := q.run(chatDefinition("sleep"))
	q.until(first, life.Running)
	q.mu.Lock()
	q.unreal = true
	q.mu.Unlock()
	in := runInput()
	in.Count = aws.Ptr[int32](10)
	for range 6 {
		q.must(second(q.ecs.RunTask(q.ctx, in)))
	}
	for waiting := 0; waiting < 32; { // the others have no worker yet, or wait too
		q.mu.Lock()
		waiting = len(q.interfaces) - 1
		q.mu.Unlock()
		time.Sleep(5 * time.Millisecond)
	}
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &first})))
	q.until(first, life.Stopped)
	// And so is one of those that wait.
	out, err := q.ecs.RunTask(q.ctx, runInput())
	q.must(err)
	waits := *out.Tasks[0].TaskArn
	for attached := false; !attached; time.Sleep(5 * time.Millisecond) {
		attached = *q.task(waits).Attachments[0].Status == "ATTACHED"
	}
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &waits, Reason: aws.Ptr("enough")})))
	if stopped := q.until(waits, life.Stopped); *stopped.StoppedReason != "enough" || *stopped.StopCode != "UserInitiated" {
		t.Errorf("%s: %s", *stopped.StopCode, *stopped.StoppedReason)
	}
}

// unwilling is a runtime that at first lets go of no image.
type unwilling struct {
	container.Runtime
	refuse   bool
	released []string
}

func (r *unwilling) ReleaseImage(_ context.Context, digest string) error {
	if r.refuse {
		return errors.New("containerd is down")
	}
	r.released = append(r.released, digest)
	return nil
}

// TestImagesAreLetGoOf: an image goes with the last task that had it, also when
// several are forgotten at once, and when it does not work the first time.
func TestImagesAreLetGoOf(t *testing.T) {
	y := newYard(t)
	r := &unwilling{refuse: true}
	y.ecs.Runtime = r
	long, now := y.clock.Now().Add(-2*life.Retention), y.clock.Now()
	stopped := func(id string, at time.Time, digests ...string) *record.Task {
		x := record.Task{ID: id, Place: arn.In("us-east-1", account), Task: ecsapi.Task{LastStatus: aws.Ptr(life.Stopped), StoppedAt: &at}}
		for i := range digests {
			x.Containers = append(x.Containers, ecsapi.Container{ImageDigest: &digests[i]})
		}
		y.must(y.ecs.tasks.Put(y.ctx, x, x.IDs()...))
		return &x
	}
	a, b := stopped("a", long, "shared", "kept"), stopped("b", long, "shared")
	stopped("c", now, "kept")
	if err := y.ecs.forget(y.ctx, a); err == nil {
		t.Error("an image that cannot be let go of is forgotten")
	}
	r.refuse = false
	y.must(y.ecs.forget(y.ctx, a))
	y.must(y.ecs.forget(y.ctx, b))
	if left, err := y.ecs.tasks.List(y.ctx); err != nil || len(left) != 1 || !slices.Equal(r.released, []string{"shared", "shared"}) {
		t.Errorf("%d tasks are left, %q were let go of, %v", len(left), r.released, err)
	}
}

// TestWhatGetsIntoAClusterThatGoes: what was let into a cluster while it was looked
// at keeps it from being deleted; and nothing is let in after that.
func TestWhatGetsIntoAClusterThatGoes(t *testing.T) {
	y := newYard(t)
	first := &between{Store: y.store}
	y.store = first
	y.restart()
	remove := func() error {
		return second(y.ecs.DeleteCluster(y.ctx, &ecsapi.DeleteClusterInput{Cluster: aws.Ptr("chat")}))
	}
	first.do = func() { y.must(second(y.ecs.CreateService(y.ctx, creation()))) }
	fails(t, remove(), "ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
	y.stable()
	y.must(second(y.ecs.DeleteService(y.ctx, &ecsapi.DeleteServiceInput{Cluster: aws.Ptr("chat"), Service: aws.Ptr("web"), Force: aws.Ptr(true)})))
	for range 20 {
		y.step()
	}
	first.do = func() {
		first.do = func() {
			fails(t, second(y.ecs.CreateService(y.ctx, creation())), "ClusterNotFoundException", "Cluster not found.")
			fails(t, second(y.ecs.RunTask(y.ctx, func() *ecsapi.RunTaskInput {
				in := runInput()
				in.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = nil
				return in
			}())), "ClusterNotFoundException", "Cluster not found.")
		}
	}
	y.must(remove())
	fails(t, remove(), "ClusterNotFoundException", "Cluster not found.")
}
