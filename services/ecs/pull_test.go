package ecs

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
	"minato/services/ecs/secrets"
)

const outsideDigest = "sha256:2222222222222222222222222222222222222222222222222222222222222222"

// abroad stands in for other people's registries: their images by reference.
// It goes there by the way it is given, and hangs where it is told to.
type abroad struct {
	runtime *containertest.Fake

	mu      sync.Mutex
	digests map[string]string
	asked   []string // references
	pulled  []string // digests
	hang    bool
	fault   error
	login   *secrets.Login // of the last question
}

func (a *abroad) Resolve(ctx context.Context, from ImageSource) (string, error) {
	conn, err := from.Dial(ctx, "192.0.2.7:443")
	if err != nil {
		return "", &PullFailure{err}
	}
	conn.Close()
	a.mu.Lock()
	a.asked, a.login = append(a.asked, from.Ref), from.Login
	digest, hang, fault := a.digests[from.Ref], a.hang, a.fault
	a.mu.Unlock()
	if hang {
		<-ctx.Done()
		return "", &PullFailure{ctx.Err()}
	}
	switch {
	case fault != nil:
		return "", fault
	case from.VPC != "vpc-1":
		return "", errors.New("asked in " + from.VPC)
	case digest == "":
		return "", &PullFailure{errors.New("pull image manifest has been retried 1 time(s): failed to resolve ref " + from.Ref + ": not found")}
	}
	return digest, nil
}

func (a *abroad) Ensure(_ context.Context, _ ImageSource, digest string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pulled = append(a.pulled, digest)
	a.runtime.AddImage(container.Image{Digest: digest, Entrypoint: []string{"/program"}, Command: []string{"sleep"}})
	return nil
}

func (a *abroad) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// public is a definition of an image that is not in ECR, without a role.
func public(image string) *ecsapi.RegisterTaskDefinitionInput {
	d := chatDefinition("sleep")
	d.ExecutionRoleArn, d.ContainerDefinitions[0].LogConfiguration = nil, nil
	d.ContainerDefinitions[0].Image = &image
	return d
}

// Images of other registries need neither ECR nor a role, and come over the
// task's own route.
func TestPublicImage(t *testing.T) {
	q := newQuay(t)
	var dialled []string
	q.runtime.DialFunc = func(_ context.Context, group, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		here, there := net.Pipe()
		there.Close()
		return here, nil
	}
	q.abroad.digests["public.ecr.aws/x/y:1"] = outsideDigest
	task := q.until(q.run(public("public.ecr.aws/x/y:1")), life.Running)
	if got := aws.Val(task.Containers[0].ImageDigest); got != outsideDigest {
		t.Errorf("runs %s", got)
	}
	if !slices.Equal(dialled, []string{"192.0.2.7:443"}) {
		t.Errorf("dialled %v", dialled)
	}
}

func TestPublicImageThatDoesNotCome(t *testing.T) {
	q := newQuay(t)
	task := q.until(q.run(public("nginx:nope")), life.Stopped)
	if want := "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref nginx:nope: not found"; *task.StoppedReason != want {
		t.Errorf("%s, want %s", *task.StoppedReason, want)
	}
	q.runtime.DialFunc = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way") }
	task = q.until(q.run(public("nginx")), life.Stopped)
	if want := "CannotPullContainerError: no way"; *task.StoppedReason != want {
		t.Errorf("%s, want %s", *task.StoppedReason, want)
	}
}

// A fault of ours is not the image's: the task waits until it is over.
func TestPublicImageAfterAFault(t *testing.T) {
	q := newQuay(t)
	q.abroad.set(func() { q.abroad.digests["nginx"], q.abroad.fault = outsideDigest, errors.New("disk") })
	arn := q.run(public("nginx"))
	q.until(arn, life.Pending)
	time.Sleep(100 * time.Millisecond) // what is not given up by now is not given up
	if task := q.task(arn); *task.LastStatus != life.Pending {
		t.Fatalf("%s: %s", *task.LastStatus, aws.Val(task.StoppedReason))
	}
	q.abroad.set(func() { q.abroad.fault = nil })
	q.until(arn, life.Running)
}

// A task that is stopped does not wait for its images.
func TestStopDuringPull(t *testing.T) {
	q := newQuay(t)
	q.abroad.hang = true
	arn := q.run(public("nginx"))
	q.until(arn, life.Pending)
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &arn, Reason: aws.Ptr("enough")})))
	if task := q.until(arn, life.Stopped); *task.StoppedReason != "enough" {
		t.Errorf("%s", *task.StoppedReason)
	}
}

// What the first task of a deployment got is what its other tasks run.
func TestFirstPullSettles(t *testing.T) {
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	task := func(deployment, digest string, at *time.Time) record.Task {
		return record.Task{Task: ecsapi.Task{StartedBy: &deployment, PullStoppedAt: at, Containers: []ecsapi.Container{{Name: aws.Ptr("web"), ImageDigest: &digest}}}}
	}
	d := &record.TaskDefinition{TaskDefinition: ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{
		{Name: aws.Ptr("web"), Image: aws.Ptr("nginx")}, {Name: aws.Ptr("chat"), Image: aws.Ptr(repository + ":latest")},
	}}}
	p := &pass{tasks: []record.Task{task("old", "sha256:old", &early), task("new", "sha256:late", &late), task("new", "sha256:early", &early), task("new", "", nil)}}
	before := map[string]string{"chat": knownDigest}
	r := &rollout.Rollout{Deployment: ecsapi.Deployment{Id: aws.Ptr("new")}, Images: before}
	p.firstPulls(r, d)
	if r.Images["web"] != "sha256:early" || r.Images["chat"] != knownDigest || len(before) != 1 {
		t.Errorf("%v, %v", r.Images, before)
	}
	p.tasks = p.tasks[:2]
	p.firstPulls(r, d)
	if r.Images["web"] != "sha256:early" {
		t.Errorf("settled, and then %v", r.Images)
	}
}
