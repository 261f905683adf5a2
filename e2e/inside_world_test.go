package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// plugin builds AWS's session-manager-plugin, once, and returns its directory.
var plugin = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "plugin")
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "session-manager-plugin"), "github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main")
	cmd.Dir = filepath.Join(root(), "e2e", "plugin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("session-manager-plugin: %w\n%s", err, out)
	}
	return dir, nil
})

// The names of what the tests of ECS Exec make.
const (
	inside     = "inside"      // cluster, repository, family, log group of tasks
	insideLogs = "inside-exec" // log group of sessions
)

// insideWorld is an instance with a task that can be entered.
type insideWorld struct {
	*soakWorld
	env       map[string]string
	roles     map[string]string // ARNs
	task      string            // a task with two containers, "web" and "side"
	lonely    string            // one whose role may not speak to ssmmessages
	keyID     string            // of a user that may do little
	keySecret string
}

func newInsideWorld(t *testing.T) *insideWorld {
	w := &insideWorld{soakWorld: &soakWorld{t: t, in: newInstance(t)}, roles: map[string]string{}}
	for _, step := range []func(context.Context) error{w.connect, w.network, w.insideImage, w.insideRoles, w.insideDefinitions, w.insideTasks} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// insideImage has a shell too.
func (w *insideWorld) insideImage(ctx context.Context) error {
	program, err := testServer()
	if err != nil {
		return err
	}
	shell, err := exec.LookPath("busybox")
	if err != nil {
		return fmt.Errorf("%w: scripts/setup tests", err)
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	for name, from := range map[string]string{"server": program, "bin/busybox": shell} {
		b, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(b)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		if _, err := tw.Write(b); err != nil {
			return err
		}
	}
	for _, name := range []string{"sh", "stty", "sleep", "seq", "id", "cat"} {
		if err := tw.WriteHeader(&tar.Header{Name: "bin/" + name, Linkname: "busybox", Typeflag: tar.TypeSymlink}); err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{Architecture: "amd64", OS: "linux", RootFS: config.RootFS, Config: v1.Config{
		Entrypoint: []string{"/server", "serve", "hello"}, Env: []string{"PATH=/bin"},
	}})
	if err != nil {
		return err
	}
	if _, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String(soakName)}); err != nil {
		return err
	}
	return w.push(ctx, img, "inside")
}

// insideRoles makes the tasks' roles, and a user.
func (w *insideWorld) insideRoles(ctx context.Context) error {
	const trust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	allow := func(actions ...string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
	}
	for name, policy := range map[string]string{
		"execution": allow("ecr:*", "logs:CreateLogStream", "logs:PutLogEvents"),
		"entered":   allow("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel", "logs:CreateLogStream", "logs:PutLogEvents", "ecs:GetTaskProtection", "ecs:UpdateTaskProtection"),
		"lonely":    allow("ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel", "ssmmessages:OpenControlChannel"),
	} {
		role, err := w.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(inside + "-" + name), AssumeRolePolicyDocument: aws.String(trust)})
		if err != nil {
			return err
		}
		if _, err := w.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role.Role.RoleName, PolicyName: aws.String("p"), PolicyDocument: &policy}); err != nil {
			return err
		}
		w.roles[name] = *role.Role.Arn
	}
	user := aws.String("visitor")
	if _, err := w.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: user}); err != nil {
		return err
	}
	// Any container of any task that is called "side".
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecs:ExecuteCommand"],"Resource":"*","Condition":{"StringEquals":{"ecs:container-name":"side"}}}]}`
	if _, err := w.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: user, PolicyName: aws.String("p"), PolicyDocument: &policy}); err != nil {
		return err
	}
	key, err := w.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: user})
	if err != nil {
		return err
	}
	w.keyID, w.keySecret = *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey
	return nil
}

func (w *insideWorld) insideDefinitions(ctx context.Context) error {
	for _, group := range []string{inside, insideLogs} {
		if _, err := w.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &group}); err != nil {
			return err
		}
	}
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(inside)}); err != nil {
		return err
	}
	container := func(name string) ecstypes.ContainerDefinition {
		return ecstypes.ContainerDefinition{
			Name: &name, Image: aws.String(registryName + "/" + soakName + ":inside"), Essential: aws.Bool(name == "web"), DockerLabels: map[string]string{"team": "harbour"},
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{"awslogs-group": inside, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "s"}},
		}
	}
	web, side := container("web"), container("side")
	web.PortMappings = []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}}
	side.Command, side.EntryPoint = []string{"100000"}, []string{"/bin/sleep"}
	side.User = aws.String("1000:1000")
	for family, d := range map[string]struct {
		role       string
		containers []ecstypes.ContainerDefinition
	}{
		inside:          {w.roles["entered"], []ecstypes.ContainerDefinition{web, side}},
		"inside-lonely": {w.roles["lonely"], []ecstypes.ContainerDefinition{web}},
		"inside-none":   {"", []ecstypes.ContainerDefinition{web}},
	} {
		in := &ecs.RegisterTaskDefinitionInput{
			Family: &family, NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
			RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate}, ExecutionRoleArn: aws.String(w.roles["execution"]), ContainerDefinitions: d.containers,
		}
		if d.role != "" {
			in.TaskRoleArn = &d.role
		}
		if _, err := w.ecs.RegisterTaskDefinition(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

func (w *insideWorld) placed() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{Subnets: w.subnets, AssignPublicIp: ecstypes.AssignPublicIpEnabled}}
}

// runInside runs a task and returns its ARN.
func (w *insideWorld) runInside(ctx context.Context, family string, enable bool) (string, error) {
	out, err := w.ecs.RunTask(ctx, &ecs.RunTaskInput{
		Cluster: aws.String(inside), TaskDefinition: &family, LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: w.placed(), EnableExecuteCommand: enable,
		Tags: []ecstypes.Tag{{Key: aws.String("stage"), Value: aws.String("test")}},
	})
	if err != nil {
		return "", err
	}
	return *out.Tasks[0].TaskArn, nil
}

// awaitInside waits for a task's status.
func (w *insideWorld) awaitInside(ctx context.Context, task, status string) (ecstypes.Task, error) {
	var t ecstypes.Task
	return t, soakUntil(soakConverge, func() error {
		out, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(inside), Tasks: []string{task}})
		if err != nil {
			return err
		}
		if t = out.Tasks[0]; *t.LastStatus != status {
			return fmt.Errorf("task %s is %s: %s", task, *t.LastStatus, aws.ToString(t.StoppedReason))
		}
		return nil
	})
}

func (w *insideWorld) insideTasks(ctx context.Context) (err error) {
	if w.env, err = w.in.Env(); err != nil {
		return err
	}
	if w.task, err = w.runInside(ctx, inside, true); err != nil {
		return err
	}
	if w.lonely, err = w.runInside(ctx, "inside-lonely", true); err != nil {
		return err
	}
	for _, task := range []string{w.task, w.lonely} {
		t, err := w.awaitInside(ctx, task, "RUNNING")
		if err != nil {
			return err
		}
		for _, c := range t.Containers {
			if len(c.ManagedAgents) != 1 || c.ManagedAgents[0].Name != ecstypes.ManagedAgentNameExecuteCommandAgent || *c.ManagedAgents[0].LastStatus != "RUNNING" || c.ManagedAgents[0].LastStartedAt == nil {
				return fmt.Errorf("the agents of %s: %+v", *c.Name, c.ManagedAgents)
			}
		}
	}
	return nil
}
