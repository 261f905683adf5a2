package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"
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

// TestInside is what happens inside of tasks: AWS's own session-manager-plugin
// and CLI in terminals, the metadata endpoint, task protection.
func TestInside(t *testing.T) {
	w := newInsideWorld(t)
	t.Run("refused", w.testRefused)
	t.Run("terminal", w.testTerminal)
	t.Run("output", w.testOutput)
	t.Run("together", w.testTogether)
	t.Run("rights", w.testRights)
	t.Run("logged", w.testLogged)
	t.Run("metadata", w.testMetadata)
	t.Run("ends with the task", w.testEnds)
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
	return t, soakUntil(time.Minute, func() error {
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

// command is the aws CLI with the plugin on its PATH.
func (w *insideWorld) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := plugin()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("aws", append([]string{"--endpoint-url", w.env["AWS_ENDPOINT_URL"], "ecs", "execute-command", "--cluster", inside}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "AWS_PAGER=", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
	for k, v := range w.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd
}

// enter opens a terminal in a container of the task.
func (w *insideWorld) enter(t *testing.T, container, command string) *terminal {
	t.Helper()
	return openTerminal(t, w.command(t, "--task", w.task, "--container", container, "--interactive", "--command", command))
}

// run runs a command in a container of the task and returns what it shows.
func (w *insideWorld) run(t *testing.T, container, command string) string {
	t.Helper()
	x := w.enter(t, container, command)
	x.expect("Starting session with SessionId: ecs-execute-command-")
	x.expect("Exiting session with sessionId: ecs-execute-command-")
	if err := x.end(); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	_, out, _ := strings.Cut(x.shown(), "Starting session with SessionId: ")
	out, _, _ = strings.Cut(strings.ReplaceAll(out, "\r", ""), "\n\n\nExiting session")
	_, out, _ = strings.Cut(out, "\n")
	return strings.TrimSpace(out)
}

// refused expects an error of ECS with a code and a text.
func refused(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code || !strings.Contains(e.ErrorMessage(), text) {
		t.Errorf("%s: %v, not %s: %s", what, err, code, text)
	}
}

func (w *insideWorld) testRefused(t *testing.T) {
	ctx := t.Context()
	ask := func(change func(in *ecs.ExecuteCommandInput)) error {
		in := &ecs.ExecuteCommandInput{Cluster: aws.String(inside), Task: &w.task, Container: aws.String("web"), Command: aws.String("sh"), Interactive: true}
		change(in)
		_, err := w.ecs.ExecuteCommand(ctx, in)
		return err
	}
	refused(t, "not interactive", ask(func(in *ecs.ExecuteCommandInput) { in.Interactive = false }), "InvalidParameterException", "Interactive is the only mode supported currently.")
	refused(t, "no container", ask(func(in *ecs.ExecuteCommandInput) { in.Container = nil }), "InvalidParameterException", "container name")
	refused(t, "another container", ask(func(in *ecs.ExecuteCommandInput) { in.Container = aws.String("db") }), "InvalidParameterException", "'db'")
	refused(t, "another task", ask(func(in *ecs.ExecuteCommandInput) { in.Task = aws.String(strings.Repeat("0", 32)) }), "InvalidParameterException", "task was not found")
	refused(t, "another cluster", ask(func(in *ecs.ExecuteCommandInput) { in.Cluster = aws.String("none") }), "ClusterNotFoundException", "Cluster not found.")
	refused(t, "an empty command", ask(func(in *ecs.ExecuteCommandInput) { in.Command = aws.String(" ") }), "InvalidParameterException", "command")
	refused(t, "a role without ssmmessages", ask(func(in *ecs.ExecuteCommandInput) { in.Task, in.Container = &w.lonely, nil }),
		"TargetNotConnectedException", "The execute command failed due to an internal error. Try again later.")

	_, err := w.runInside(ctx, "inside-none", true)
	refused(t, "a task without a role", err, "InvalidParameterException", "The execute command failed because a valid task role is not being used.")
	service := &ecs.CreateServiceInput{
		Cluster: aws.String(inside), ServiceName: aws.String("none"), TaskDefinition: aws.String("inside-none"), DesiredCount: aws.Int32(0), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: w.placed(), EnableExecuteCommand: true,
	}
	_, err = w.ecs.CreateService(ctx, service)
	refused(t, "a service without a role", err, "InvalidParameterException", "The service couldn't be created because a valid taskRoleArn is not being used.")
	service.EnableExecuteCommand = false
	if _, err := w.ecs.CreateService(ctx, service); err != nil {
		t.Fatal(err)
	}
	_, err = w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(inside), Service: aws.String("none"), EnableExecuteCommand: aws.Bool(true)})
	refused(t, "an update without a role", err, "InvalidParameterException", "The service couldn't be updated because a valid taskRoleArn is not being used. Specify a valid task role in your task definition and try again.")

	plain, err := w.runInside(ctx, "inside-lonely", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.awaitInside(ctx, plain, "RUNNING"); err != nil {
		t.Fatal(err)
	}
	refused(t, "a task that was not enabled", ask(func(in *ecs.ExecuteCommandInput) { in.Task, in.Container = &plain, nil }),
		"InvalidParameterException", "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running.")
	if _, err := w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(inside), Task: &plain}); err != nil {
		t.Fatal(err)
	}

	for what, c := range map[string]*ecstypes.ExecuteCommandConfiguration{
		"kmsKeyId":  {KmsKeyId: aws.String("key")},
		"Amazon S3": {Logging: ecstypes.ExecuteCommandLoggingOverride, LogConfiguration: &ecstypes.ExecuteCommandLogConfiguration{S3BucketName: aws.String("b")}},
	} {
		_, err := w.ecs.UpdateCluster(ctx, &ecs.UpdateClusterInput{Cluster: aws.String(inside), Configuration: &ecstypes.ClusterConfiguration{ExecuteCommandConfiguration: c}})
		refused(t, what, err, "UnsupportedFeatureException", what)
	}
}

// testTerminal is a person at a terminal: size, Ctrl-C, a second size, the end.
func (w *insideWorld) testTerminal(t *testing.T) {
	x := w.enter(t, "web", "/bin/sh")
	x.expect("# ")
	x.write("stty size; id -u\r")
	x.expect("40 120")
	x.expect("\n0\r")
	x.write("sleep 1000\r")
	x.expect("sleep 1000")
	time.Sleep(300 * time.Millisecond) // until it sleeps; early, Ctrl-C ends nothing
	x.write("\x03")
	x.expect("# ")
	x.write("echo code $?\r")
	x.expect("\ncode 130")
	x.resize(100, 30)
	x.write("while [ \"$(stty size)\" != '30 100' ]; do sleep 0.1; done; echo res''ized\r")
	x.expect("resized")
	x.write("exit\r")
	x.expect("Exiting session with sessionId: ecs-execute-command-")
	if err := x.end(); err != nil {
		t.Error(err)
	}
}

// testOutput is a command that ends by itself: everything it wrote is shown.
func (w *insideWorld) testOutput(t *testing.T) {
	out := w.run(t, "side", `sh -c "echo 'two  words' $AWS_EXECUTION_ENV; seq 1 3000"`)
	lines := strings.Split(out, "\n")
	if len(lines) != 3001 || lines[0] != "two  words AWS_ECS_FARGATE" || lines[3000] != "3000" {
		t.Errorf("%d lines, from %q to %q", len(lines), lines[0], lines[len(lines)-1])
	}
	x := w.enter(t, "side", "/bin/bash")
	x.expect("----------ERROR-------")
	x.expect("Unable to start command: Failed to start pty: ")
	x.expect("/bin/bash")
	if err := x.end(); err != nil {
		t.Error(err)
	}
}

// testTogether is two people in one container, and in two.
func (w *insideWorld) testTogether(t *testing.T) {
	a, b := w.enter(t, "web", "/bin/sh"), w.enter(t, "side", "/bin/sh")
	a.expect("# ")
	b.expect("# ")
	a.write("echo fr''om-a\r")
	b.write("echo fr''om-b\r")
	a.expect("from-a")
	b.expect("from-b")
	if strings.Contains(a.shown(), "from-b") || strings.Contains(b.shown(), "from-a") {
		t.Error("one session shows what the other does")
	}
	a.write("exit\r")
	if err := a.end(); err != nil {
		t.Error(err)
	}
	b.write("echo sti''ll\r")
	b.expect("still")
	b.write("exit\r")
	if err := b.end(); err != nil {
		t.Error(err)
	}
}

// testRights: IAM decides by the container's name; and a token is not a right to
// another session.
func (w *insideWorld) testRights(t *testing.T) {
	visitor := ecs.New(w.ecs.Options(), func(o *ecs.Options) {
		o.Credentials = credentials.NewStaticCredentialsProvider(w.keyID, w.keySecret, "")
	})
	in := &ecs.ExecuteCommandInput{Cluster: aws.String(inside), Task: &w.task, Container: aws.String("side"), Command: aws.String("sh"), Interactive: true}
	out, err := visitor.ExecuteCommand(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^ecs-execute-command-[0-9a-f]{17}$`).MatchString(*out.Session.SessionId) || !strings.HasPrefix(*out.Session.StreamUrl, "ws://"+w.in.Listen+"/v1/data-channel/"+*out.Session.SessionId) || *out.ContainerName != "side" {
		t.Errorf("%+v %+v", out, out.Session)
	}
	in.Container = aws.String("web")
	_, err = visitor.ExecuteCommand(t.Context(), in)
	refused(t, "another container", err, "AccessDeniedException", "is not authorized to perform: ecs:ExecuteCommand on resource: arn:aws:ecs:us-east-1:000000000000:cluster/inside")
}

// testLogged: sessions are logged where the cluster says.
func (w *insideWorld) testLogged(t *testing.T) {
	ctx := t.Context()
	session := regexp.MustCompile(`ecs-execute-command-[0-9a-f]{17}`)
	log := func(c *ecstypes.ExecuteCommandConfiguration, group string) {
		t.Helper()
		if _, err := w.ecs.UpdateCluster(ctx, &ecs.UpdateClusterInput{Cluster: aws.String(inside), Configuration: &ecstypes.ClusterConfiguration{ExecuteCommandConfiguration: c}}); err != nil {
			t.Fatal(err)
		}
		x := w.enter(t, "web", `sh -c "echo who was here"`)
		x.expect("Exiting session")
		stream := session.FindString(x.shown())
		found := func() error {
			out, err := w.logs.FilterLogEvents(ctx, &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, LogStreamNames: []string{stream}})
			if err != nil {
				return err
			}
			if len(out.Events) != 1 || *out.Events[0].Message != "who was here" {
				return fmt.Errorf("the log of %s is %+v", stream, out.Events)
			}
			return nil
		}
		if group == "" {
			group = inside
			time.Sleep(time.Second) // what is not written now is not late
			if found() == nil {
				t.Error("a session is logged that is not to be")
			}
		} else if err := soakUntil(30*time.Second, found); err != nil {
			t.Error(err)
		}
	}
	log(&ecstypes.ExecuteCommandConfiguration{Logging: ecstypes.ExecuteCommandLoggingDefault}, inside)
	log(&ecstypes.ExecuteCommandConfiguration{
		Logging: ecstypes.ExecuteCommandLoggingOverride, LogConfiguration: &ecstypes.ExecuteCommandLogConfiguration{CloudWatchLogGroupName: aws.String(insideLogs)},
	}, insideLogs)
	log(&ecstypes.ExecuteCommandConfiguration{Logging: ecstypes.ExecuteCommandLoggingNone}, "")
}

// ask makes a request from inside of a container and returns status and answer.
func (w *insideWorld) ask(t *testing.T, container, request string) (string, string) {
	t.Helper()
	out := w.run(t, container, `sh -c '/server http "`+strings.ReplaceAll(request, `"`, `\"`)+`"'`)
	status, body, _ := strings.Cut(strings.TrimPrefix(out, "status "), "\n")
	return status, body
}

func (w *insideWorld) testMetadata(t *testing.T) {
	status, body := w.ask(t, "web", "GET $ECS_CONTAINER_METADATA_URI_V4/task")
	var task struct{ Cluster, TaskARN, Family string }
	if err := json.Unmarshal([]byte(body), &task); status != "200" || err != nil || task.TaskARN != w.task || task.Family != inside {
		t.Errorf("%s %s: %v", status, body, err)
	}
}

// testEnds: a session ends with its task, and nobody enters one that has ended.
func (w *insideWorld) testEnds(t *testing.T) {
	x := w.enter(t, "web", "/bin/sh")
	x.expect("# ")
	if _, err := w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String(inside), Task: &w.task}); err != nil {
		t.Fatal(err)
	}
	x.expect("Exiting session with sessionId: ecs-execute-command-")
	if err := x.end(); err != nil {
		t.Error(err)
	}
	_, err := w.ecs.ExecuteCommand(t.Context(), &ecs.ExecuteCommandInput{Cluster: aws.String(inside), Task: &w.task, Container: aws.String("web"), Command: aws.String("sh"), Interactive: true})
	refused(t, "a task that ends", err, "InvalidParameterException", "the execute command agent isn't running")
}
