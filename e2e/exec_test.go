package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go"
)

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
	t.Run("protection", w.testProtection)
	t.Run("ends with the task", w.testEnds)
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
	why := exec.Command(binary(), "why", "--data-dir", w.in.DataDir, w.lonely)
	if out, err := why.CombinedOutput(); !strings.Contains(string(out), "ssmmessages:OpenDataChannel") {
		t.Errorf("minato why does not name the right that is missing: %v\n%s", err, out)
	}

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
	x.write("sh -c 'echo asl''eep; exec sleep 1000'\r") // early, Ctrl-C ends nothing
	x.expect("asleep")
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
		} else if err := soakUntil(soakConverge, found); err != nil {
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

// testMetadata: what a task is told about itself, by both versions, and what it
// uses.
func (w *insideWorld) testMetadata(t *testing.T) {
	type container struct {
		DockerId, Name, Image, KnownStatus, ContainerARN, LogDriver string
		Labels, LogOptions                                          map[string]string
		Networks                                                    []struct {
			IPv4Addresses, DomainNameServers     []string
			MACAddress, SubnetGatewayIpv4Address string
		}
	}
	var task struct {
		Cluster, TaskARN, Family, Revision, KnownStatus, LaunchType, AvailabilityZone string
		Limits                                                                        struct{ CPU, Memory float64 }
		TaskTags                                                                      map[string]string
		Containers                                                                    []container
		FaultInjectionEnabled                                                         *bool
	}
	status, body := w.ask(t, "web", "GET $ECS_CONTAINER_METADATA_URI_V4/taskWithTags")
	if err := json.Unmarshal([]byte(body), &task); status != "200" || err != nil {
		t.Fatalf("%s %s: %v", status, body, err)
	}
	if task.TaskARN != w.task || task.Family != inside || task.Revision != "1" || task.KnownStatus != "RUNNING" || task.LaunchType != "FARGATE" || task.AvailabilityZone == "" ||
		task.Limits.CPU != 0.25 || task.Limits.Memory != 512 || task.TaskTags["stage"] != "test" || len(task.Containers) != 2 || task.FaultInjectionEnabled == nil {
		t.Errorf("the task: %s", body)
	}
	status, body = w.ask(t, "side", "GET $ECS_CONTAINER_METADATA_URI_V4")
	var c container
	if err := json.Unmarshal([]byte(body), &c); status != "200" || err != nil || c.Name != "side" || c.Labels["team"] != "harbour" || c.Labels["com.amazonaws.ecs.task-arn"] != w.task ||
		c.LogDriver != "awslogs" || !strings.HasPrefix(c.LogOptions["awslogs-stream"], "s/side/") || len(c.Networks) != 1 || c.Networks[0].MACAddress == "" || c.Networks[0].SubnetGatewayIpv4Address == "" {
		t.Errorf("a container: %s %s: %v", status, body, err)
	}
	status, body = w.ask(t, "side", "GET $ECS_CONTAINER_METADATA_URI/task")
	if status != "200" || strings.Contains(body, "LaunchType") || !strings.Contains(body, w.task) {
		t.Errorf("version 3: %s %s", status, body)
	}
	status, body = w.ask(t, "web", "GET $ECS_CONTAINER_METADATA_URI_V4/task/stats")
	stats := map[string]struct {
		Read, PreRead time.Time
		CPU           struct {
			Usage struct {
				Total uint64 `json:"total_usage"`
			} `json:"cpu_usage"`
			System uint64 `json:"system_cpu_usage"`
		} `json:"cpu_stats"`
		Memory   struct{ Usage, Limit uint64 } `json:"memory_stats"`
		Networks map[string]struct {
			Rx uint64 `json:"rx_bytes"`
		}
	}{}
	if err := json.Unmarshal([]byte(body), &stats); status != "200" || err != nil || len(stats) != 2 {
		t.Fatalf("stats: %s %s: %v", status, body, err)
	}
	for id, s := range stats {
		if !s.PreRead.Before(s.Read) || s.CPU.Usage.Total == 0 || s.CPU.System == 0 || s.Memory.Usage == 0 || s.Memory.Limit == 0 || len(s.Networks) != 1 {
			t.Errorf("the stats of %s: %s", id, body)
		}
		for name, n := range s.Networks {
			if n.Rx == 0 {
				t.Errorf("nothing came in at %s: %s", name, body)
			}
		}
	}
	// Another task's credentials are not to be had, whatever one knows of them.
	relative := w.run(t, "web", `sh -c 'echo $AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'`)
	if status, body = w.ask(t, "web", "GET http://169.254.170.2"+relative); status != "200" || !strings.Contains(body, w.roles["entered"]) {
		t.Errorf("credentials: %s %s", status, body)
	}
	stranger, err := w.runInside(t.Context(), inside, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.awaitInside(t.Context(), stranger, "RUNNING"); err != nil {
		t.Fatal(err)
	}
	mine := w.task
	w.task = stranger
	defer func() { w.task = mine }()
	for path, want := range map[string]string{relative: "400", "/v4/" + c.DockerId: "404"} {
		if status, body := w.ask(t, "side", "GET http://169.254.170.2"+path); status != want || strings.Contains(body, "SecretAccessKey") {
			t.Errorf("another task gets %s: %s %s", path, status, body)
		}
	}
	if _, err := w.ecs.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: aws.String(inside), Task: &stranger}); err != nil {
		t.Fatal(err)
	}
}

// testProtection: a task protects itself, and a service that is scaled to nothing
// keeps it; one whose role may not is told so.
func (w *insideWorld) testProtection(t *testing.T) {
	ctx := t.Context()
	const state = "$ECS_AGENT_URI/task-protection/v1/state"
	if status, body := w.ask(t, "web", "PUT "+state+` {"ProtectionEnabled":true}`); status != "200" || !strings.Contains(body, `"failure":{"Arn":"`+w.task+`"`) || !strings.Contains(body, `"Reason":"TASK_NOT_VALID"`) {
		t.Errorf("a task of no service: %s %s", status, body)
	}
	service := aws.String("guarded")
	if _, err := w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(inside), ServiceName: service, TaskDefinition: aws.String(inside), DesiredCount: aws.Int32(2), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: w.placed(), EnableExecuteCommand: true,
	}); err != nil {
		t.Fatal(err)
	}
	var tasks []string
	running := func(n int) {
		t.Helper()
		if err := soakUntil(soakConverge, func() error {
			out, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String(inside), ServiceName: service})
			if err != nil {
				return err
			}
			if tasks = out.TaskArns; len(tasks) != n {
				return fmt.Errorf("%d tasks", len(tasks))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			if _, err := w.awaitInside(ctx, task, "RUNNING"); err != nil {
				t.Fatal(err)
			}
		}
	}
	scale := func(n int32) {
		t.Helper()
		if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(inside), Service: service, DesiredCount: &n}); err != nil {
			t.Fatal(err)
		}
	}
	running(2)
	mine, guarded := w.task, tasks[1]
	w.task = guarded
	defer func() { w.task = mine }()
	if status, body := w.ask(t, "web", "PUT "+state+` {"ProtectionEnabled":true,"ExpiresInMinutes":60}`); status != "200" || !strings.Contains(body, `"ProtectionEnabled":true,"TaskArn":"`+guarded+`"`) {
		t.Fatalf("PUT: %s %s", status, body)
	}
	if status, body := w.ask(t, "side", "GET "+state); status != "200" || !strings.Contains(body, `"ProtectionEnabled":true`) || !strings.Contains(body, `"ExpirationDate":"20`) {
		t.Errorf("GET: %s %s", status, body)
	}
	if status, body := w.ask(t, "web", "PUT "+state+` {"ProtectionEnabled":true,"ExpiresInMinutes":3000}`); status != "400" || !strings.Contains(body, "InvalidParameterException") {
		t.Errorf("too long: %s %s", status, body)
	}
	scale(0)
	running(1)
	if tasks[0] != guarded {
		t.Errorf("%s was kept, %s is protected", tasks[0], guarded)
	}
	// Without the right to.
	if _, err := w.iam.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: aws.String(inside + "-entered"), PolicyName: aws.String("no"), PolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"ecs:UpdateTaskProtection","Resource":"*"}]}`)}); err != nil {
		t.Fatal(err)
	}
	if status, body := w.ask(t, "web", "PUT "+state+` {"ProtectionEnabled":false}`); status != "400" || !strings.Contains(body, `"Code":"AccessDeniedException"`) || !strings.Contains(body, "is not authorized to perform: ecs:UpdateTaskProtection") {
		t.Errorf("denied: %s %s", status, body)
	}
	// By its owner's hand it goes.
	out, err := w.ecs.UpdateTaskProtection(ctx, &ecs.UpdateTaskProtectionInput{Cluster: aws.String(inside), Tasks: []string{guarded}, ProtectionEnabled: false})
	if err != nil || len(out.ProtectedTasks) != 1 || out.ProtectedTasks[0].ProtectionEnabled {
		t.Errorf("%+v: %v", out, err)
	}
	running(0)
	got, err := w.ecs.GetTaskProtection(ctx, &ecs.GetTaskProtectionInput{Cluster: aws.String(inside), Tasks: []string{guarded, strings.Repeat("0", 32)}})
	if err != nil || len(got.Failures) != 2 || *got.Failures[0].Reason != "TASK_NOT_VALID" || *got.Failures[1].Reason != "MISSING" {
		t.Errorf("%+v: %v", got, err)
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
