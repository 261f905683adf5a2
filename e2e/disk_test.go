package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	v1random "github.com/google/go-containerregistry/pkg/v1/random"
)

// disk is a small file system of a test's own.
type disk struct {
	t   *testing.T
	dir string
}

func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return &disk{t, dir}
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill takes what room is left, to the last page.
func (d *disk) fill() {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for _, piece := range [][]byte{make([]byte, 1<<20), make([]byte, 4<<10)} {
		for err = nil; err == nil; {
			_, err = f.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			d.t.Fatal(err)
		}
	}
}

// room gives back what fill took.
func (d *disk) room() {
	d.t.Helper()
	if err := os.Remove(d.ballast()); err != nil {
		d.t.Fatal(err)
	}
}

// TestDiskFull fills the file system of an instance that works: tasks run on and
// are reached, what is read is answered, what cannot be written is refused in
// AWS's shape, and what was acknowledged is there afterwards. With room, all goes
// on without a restart; and with one, after SIGKILL in the full state.
func TestDiskFull(t *testing.T) {
	if testing.Short() {
		t.Skip("an instance, filled twice, takes a minute")
	}
	d := newDisk(t, "320m")
	in := newInstance(t)
	in.DataDir = filepath.Join(d.dir, "data")
	w := newSoakWorldIn(t, in)
	f := &fullWorld{soakWorld: w, disk: d}
	f.talker()
	if _, err := w.logs.CreateLogStream(t.Context(), &cloudwatchlogs.CreateLogStreamInput{LogGroupName: aws.String(soakName), LogStreamName: aws.String("put")}); err != nil {
		t.Fatal(err)
	}
	visitors := startSoakVisitors(w.url)
	defer visitors.stop()
	unharmed := func(when string) {
		t.Helper()
		if failed := visitors.unexcused(); len(failed) > 0 {
			t.Fatalf("%s: %d requests failed:\n%s", when, len(failed), strings.Join(failed[:min(10, len(failed))], "\n"))
		}
	}

	d.fill()
	f.refused()
	f.read()
	unharmed("the disk is full")
	f.killOne(visitors)
	f.read()
	unharmed("the disk is full and a task was lost")
	d.room()
	f.goesOn("made room")
	unharmed("made room")

	d.fill()
	f.refused()
	excused := visitors.excuse("both")
	for _, pid := range processes(t, in, "daemon", "containerd") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := soakGone(pid, soakConverge); err != nil {
			t.Fatal(err)
		}
	}
	d.fill()
	if err := in.Up("--host-names=false"); err != nil {
		t.Fatalf("up on a full disk: %v", err)
	}
	if err := excused.answered(w.url); err != nil {
		t.Fatal(err)
	}
	excused.end()
	f.read()
	d.room()
	f.goesOn("killed while full")
	unharmed("killed while full")
}

// fullWorld is a world on a disk, and what was acknowledged there.
type fullWorld struct {
	*soakWorld
	disk        *disk
	definitions []string // ARNs
	events      []string
	talking     string // ARN of the task that logs all the time
	container   string // its runtime id
	n           int
}

// talker runs the task that logs.
func (f *fullWorld) talker() {
	t, ctx := f.t, f.t.Context()
	have, err := f.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(soakName)})
	if err != nil {
		t.Fatal(err)
	}
	c := have.TaskDefinition.ContainerDefinitions[0]
	c.EntryPoint, c.PortMappings = []string{"/server", "talk", "2000"}, nil
	c.LogConfiguration.Options["awslogs-stream-prefix"] = "talk"
	if _, err := f.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("talk"), NetworkMode: have.TaskDefinition.NetworkMode, Cpu: have.TaskDefinition.Cpu, Memory: have.TaskDefinition.Memory,
		RequiresCompatibilities: have.TaskDefinition.RequiresCompatibilities, ExecutionRoleArn: have.TaskDefinition.ExecutionRoleArn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("talk")}); err != nil {
		t.Fatal(err)
	}
	out, err := f.ecs.RunTask(ctx, &ecs.RunTaskInput{
		Cluster: aws.String("talk"), TaskDefinition: aws.String("talk"), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: f.subnets, AssignPublicIp: ecstypes.AssignPublicIpEnabled}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.talking = *out.Tasks[0].TaskArn
	f.other, f.others = "talk", []string{f.talking}
	if err := soakUntil(soakConverge, func() (err error) {
		f.container, err = f.talks()
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// talks is the runtime id of the talking task, which must run.
func (f *fullWorld) talks() (string, error) {
	out, err := f.ecs.DescribeTasks(f.t.Context(), &ecs.DescribeTasksInput{Cluster: aws.String("talk"), Tasks: []string{f.talking}})
	if err != nil {
		return "", err
	}
	if task := out.Tasks[0]; *task.LastStatus == "RUNNING" {
		return *task.Containers[0].RuntimeId, nil
	}
	return "", fmt.Errorf("the talking task is %s: %s", *out.Tasks[0].LastStatus, aws.ToString(out.Tasks[0].StoppedReason))
}

// refused writes until each kind of write has been refused once, in the shape of
// its service.
func (f *fullWorld) refused() {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	f.until("ServerException", func() error { return f.define(ctx) })
	f.until("ServiceUnavailableException", func() error { return f.log(ctx) })
	img, err := v1random.Image(2<<20, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.push(ctx, img, "refused"); err == nil {
		t.Error("2 MiB were pushed to a full disk")
	}
}

// until repeats a write, while the disk is topped up, until it is refused: the
// store may have room of its own.
func (f *fullWorld) until(code string, write func() error) {
	f.t.Helper()
	for range 500 {
		f.disk.fill()
		err := write()
		if err == nil {
			continue
		}
		var api smithy.APIError
		var resp *awshttp.ResponseError
		if !errors.As(err, &api) || !errors.As(err, &resp) || api.ErrorCode() != code || resp.HTTPStatusCode() < http.StatusInternalServerError {
			f.t.Fatalf("a write to a full disk is refused with %v, not with a %s of the server's", err, code)
		}
		return
	}
	f.t.Fatalf("500 writes to a full disk were acknowledged; none was refused with %s", code)
}

// define registers a task definition of some 60 KB.
func (f *fullWorld) define(ctx context.Context) error {
	f.n++
	var env []ecstypes.KeyValuePair
	for n := range 15 {
		env = append(env, ecstypes.KeyValuePair{Name: aws.String(fmt.Sprint("V", n)), Value: aws.String(strings.Repeat(fmt.Sprint(f.n%10), 4000))})
	}
	out, err := f.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("big"), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate},
		ContainerDefinitions:    []ecstypes.ContainerDefinition{{Name: aws.String("big"), Image: aws.String("big"), Environment: env}},
	})
	if err == nil {
		f.definitions = append(f.definitions, *out.TaskDefinition.TaskDefinitionArn)
	}
	return err
}

// log puts events of half a megabyte.
func (f *fullWorld) log(ctx context.Context) error {
	f.n++
	name := fmt.Sprintf("event %d", f.n)
	now := time.Now().UnixMilli()
	in := &cloudwatchlogs.PutLogEventsInput{LogGroupName: aws.String(soakName), LogStreamName: aws.String("put")}
	in.LogEvents = append(in.LogEvents, logstypes.InputLogEvent{Message: &name, Timestamp: &now})
	for range 5 {
		filler := make([]byte, 50_000)
		rand.Read(filler)
		in.LogEvents = append(in.LogEvents, logstypes.InputLogEvent{Message: aws.String(fmt.Sprintf("%x", filler)), Timestamp: &now})
	}
	_, err := f.logs.PutLogEvents(ctx, in)
	if err == nil {
		f.events = append(f.events, name)
	}
	return err
}

// read looks for all that was acknowledged, and for the tasks.
func (f *fullWorld) read() {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	for _, arn := range f.definitions {
		if _, err := f.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn}); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
		}
	}
	found := map[string]bool{}
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(soakName), LogStreamNames: []string{"put"}, FilterPattern: aws.String("event")}
	for pages := cloudwatchlogs.NewFilterLogEventsPaginator(f.logs, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			found[*e.Message] = true
		}
	}
	for _, name := range f.events {
		if !found[name] {
			t.Errorf("the log's %s was acknowledged and is lost", name)
		}
	}
	if id, err := f.talks(); err != nil || id != f.container {
		t.Errorf("the task that logs is now %s, was %s: %v", id, f.container, err)
	}
	if _, err := f.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(soakName), Services: []string{soakName}}); err != nil {
		t.Error(err)
	}
}

// killOne kills the process of one of the service's tasks, and gives the load
// balancer time to see it.
func (f *fullWorld) killOne(visitors *soakVisitors) {
	f.t.Helper()
	running, err := f.running()
	if err != nil {
		f.t.Fatal(err)
	}
	delete(running, f.container)
	for _, pid := range running {
		excused := visitors.excuse("first process")
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			f.t.Fatal(err)
		}
		if err := soakGone(pid, soakConverge); err != nil {
			f.t.Fatal(err)
		}
		excused.end()
		break
	}
	time.Sleep(2 * time.Second)
}

// goesOn waits until everything works again.
func (f *fullWorld) goesOn(when string) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	began := time.Now()
	if err := f.converged(); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	if err := errors.Join(f.define(ctx), f.log(ctx)); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	img, err := v1random.Image(2<<20, 1)
	if err == nil {
		err = f.push(ctx, img, "pushed")
	}
	if err == nil {
		err = f.roll()
	}
	if err == nil {
		err = f.converged()
	}
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	// What the talking task says now arrives.
	since := began.UnixMilli()
	if err := soakUntil(soakConverge, func() error {
		out, err := f.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(soakName), LogStreamNamePrefix: aws.String("talk"), StartTime: &since})
		if err == nil && len(out.Events) == 0 {
			err = errors.New("the task that logs is not heard any more")
		}
		return err
	}); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	f.read()
}
