package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	logsapi "minato/aws/api/logs"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/internal/clock"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/store"
	"minato/store/memstore"
)

const (
	account      = "000000000000"
	execution    = "arn:aws:iam::000000000000:role/execution"
	taskRoleARN  = "arn:aws:iam::000000000000:role/task"
	knownDigest  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	repository   = account + ".dkr.ecr.us-east-1.amazonaws.com/chat"
	sessionName  = "arn:aws:sts::000000000000:assumed-role/execution/"
	settlingTime = 10 * time.Second
)

// quay is ECS with a runtime whose containers are goroutines, and stand-ins for
// the services around it that keep an eye on who calls.
type quay struct {
	*testing.T
	ecrapi.API
	ecs     *Service
	runtime *containertest.Fake
	logs    *logBook
	abroad  *abroad
	vault   *vault
	store   store.Store
	ctx     context.Context
	stop    func()

	mu         sync.Mutex
	interfaces map[string]ec2api.NetworkInterface
	public     []string
	denied     map[string]error // operations that fail
	unreal     bool             // interfaces never become real
	pace       float64
}

// logBook stands in for CloudWatch Logs.
type logBook struct {
	logsapi.API
	mu      sync.Mutex
	groups  map[string]bool
	streams map[string][]string // messages
	refuse  error
	callers map[string]bool
}

func (l *logBook) CreateLogGroup(ctx context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.groups[*in.LogGroupName] = true
	return &logsapi.CreateLogGroupOutput{}, nil
}

func (l *logBook) CreateLogStream(ctx context.Context, in *logsapi.CreateLogStreamInput) (*logsapi.CreateLogStreamOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.callers[identity.From(ctx).PrincipalID] = true
	if !l.groups[*in.LogGroupName] {
		return nil, logsapi.ResourceNotFoundException("The specified log group does not exist.")
	}
	return &logsapi.CreateLogStreamOutput{}, nil
}

func (l *logBook) PutLogEvents(ctx context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	l.callers[identity.From(ctx).PrincipalID] = true
	for _, e := range in.LogEvents {
		l.streams[*in.LogStreamName] = append(l.streams[*in.LogStreamName], *e.Message)
	}
	return &logsapi.PutLogEventsOutput{}, nil
}

func (l *logBook) stream(name string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.streams[name])
}

// trust stands in for STS: every role but one trusts ECS's tasks.
type trust struct{ stsapi.API }

func (trust) AssumeRole(ctx context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	if c := identity.From(ctx); c.Service != TasksPrincipal || strings.HasSuffix(*in.RoleArn, "/strange") {
		return nil, aws.Errorf("AccessDenied", "not authorized to perform: sts:AssumeRole")
	}
	name := (*in.RoleArn)[strings.LastIndexByte(*in.RoleArn, '/')+1:]
	return &stsapi.AssumeRoleOutput{
		AssumedRoleUser: &stsapi.AssumedRoleUser{Arn: aws.Ptr("arn:aws:sts::" + account + ":assumed-role/" + name + "/" + *in.RoleSessionName), AssumedRoleId: aws.Ptr("AROA:x")},
		Credentials:     &stsapi.Credentials{AccessKeyId: aws.Ptr("ASIA" + name), SecretAccessKey: aws.Ptr("s"), SessionToken: aws.Ptr("t"), Expiration: aws.Ptr(time.Now().Add(time.Hour))},
	}, nil
}

// berths is a quay's EC2.
type berths struct {
	vpcs
	q *quay
}

func (b berths) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	out := &ec2api.DescribeSecurityGroupsOutput{}
	for _, id := range in.GroupIds {
		if id != "sg-web" {
			return nil, aws.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
		out.SecurityGroups = append(out.SecurityGroups, ec2api.SecurityGroup{GroupId: aws.Ptr(id), VpcId: aws.Ptr("vpc-1")})
	}
	return out, nil
}

func (b berths) DescribeNetworkInterfaces(_ context.Context, in *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	out := &ec2api.DescribeNetworkInterfacesOutput{}
	for _, eni := range b.q.interfaces {
		if *eni.Description == in.Filters[0].Values[0] {
			out.NetworkInterfaces = append(out.NetworkInterfaces, eni)
		}
	}
	return out, nil
}

func (b berths) CreateNetworkInterface(ctx context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	if c := identity.From(ctx); c.Service != Principal {
		return nil, fmt.Errorf("made as %+v", c)
	}
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	if err := b.q.denied["CreateNetworkInterface"]; err != nil {
		return nil, err
	}
	id := fmt.Sprintf("eni-%d", len(b.q.interfaces))
	eni := ec2api.NetworkInterface{
		NetworkInterfaceId: &id, SubnetId: in.SubnetId, Description: in.Description, MacAddress: aws.Ptr("02:00:00:00:00:01"),
		PrivateIpAddress: aws.Ptr(fmt.Sprintf("10.0.0.%d", 10+len(b.q.interfaces))), PrivateDnsName: aws.Ptr("ip-10-0-0-10.ec2.internal"),
	}
	b.q.interfaces[id] = eni
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: &eni}, nil
}

func (b berths) ModifyNetworkInterfaceAttribute(_ context.Context, in *ec2api.ModifyNetworkInterfaceAttributeInput) (*ec2api.ModifyNetworkInterfaceAttributeOutput, error) {
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	b.q.public = append(b.q.public, *in.NetworkInterfaceId)
	return &ec2api.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (b berths) DeleteNetworkInterface(_ context.Context, in *ec2api.DeleteNetworkInterfaceInput) (*ec2api.DeleteNetworkInterfaceOutput, error) {
	b.q.mu.Lock()
	defer b.q.mu.Unlock()
	if _, ok := b.q.interfaces[*in.NetworkInterfaceId]; !ok {
		return nil, aws.Errorf("InvalidNetworkInterfaceID.NotFound", "gone")
	}
	delete(b.q.interfaces, *in.NetworkInterfaceId)
	return &ec2api.DeleteNetworkInterfaceOutput{}, nil
}

// Wait and NetnsPath stand in for the network.
func (q *quay) Wait(ctx context.Context, _ string) error {
	if q.unreal {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (q *quay) NetnsPath(eni string) string { return "/netns/" + eni }

func (q *quay) GetAuthorizationToken(ctx context.Context, _ *ecrapi.GetAuthorizationTokenInput) (*ecrapi.GetAuthorizationTokenOutput, error) {
	if c := identity.From(ctx); c.PrincipalID != execution || !strings.HasPrefix(c.ARN, sessionName) {
		return nil, fmt.Errorf("logged in as %+v", c)
	}
	return &ecrapi.GetAuthorizationTokenOutput{}, q.denied["GetAuthorizationToken"]
}

func (q *quay) BatchGetImage(ctx context.Context, in *ecrapi.BatchGetImageInput) (*ecrapi.BatchGetImageOutput, error) {
	if err := q.denied["BatchGetImage"]; err != nil {
		return nil, err
	}
	if *in.RepositoryName != "chat" || identity.From(ctx).Region != "us-east-1" {
		return nil, ecrapi.RepositoryNotFoundException("no")
	}
	if tag := aws.Val(in.ImageIds[0].ImageTag); tag != "latest" && aws.Val(in.ImageIds[0].ImageDigest) != knownDigest {
		return &ecrapi.BatchGetImageOutput{Failures: []ecrapi.ImageFailure{{FailureCode: aws.Ptr("ImageNotFound")}}}, nil
	}
	return &ecrapi.BatchGetImageOutput{Images: []ecrapi.Image{{
		ImageId: &ecrapi.ImageIdentifier{ImageDigest: aws.Ptr(knownDigest)}, ImageManifest: aws.Ptr(`{"layers":[{"digest":"sha256:layer"}]}`),
	}}}, nil
}

func (q *quay) GetDownloadUrlForLayer(ctx context.Context, in *ecrapi.GetDownloadUrlForLayerInput) (*ecrapi.GetDownloadUrlForLayerOutput, error) {
	if c := identity.From(ctx); c.PrincipalID != execution || *in.LayerDigest != "sha256:layer" {
		return nil, fmt.Errorf("%s downloaded by %+v", *in.LayerDigest, c)
	}
	return &ecrapi.GetDownloadUrlForLayerOutput{}, q.denied["GetDownloadUrlForLayer"]
}

func newQuay(t *testing.T) *quay {
	q := &quay{
		T: t, runtime: containertest.NewFake(t), store: memstore.New(), interfaces: map[string]ec2api.NetworkInterface{}, denied: map[string]error{},
		logs: &logBook{groups: map[string]bool{"/chat": true}, streams: map[string][]string{}, callers: map[string]bool{}},
		ctx:  identity.With(context.Background(), identity.Caller{Kind: identity.User, Account: account, Region: "us-east-1", ARN: "arn:aws:iam::000000000000:user/admin", PrincipalID: "arn:aws:iam::000000000000:user/admin"}),
	}
	q.vault = newVault()
	q.abroad = &abroad{runtime: q.runtime, digests: map[string]string{}}
	q.runtime.AddImage(container.Image{Digest: knownDigest, Entrypoint: []string{"/program"}, Command: []string{"sleep"}})
	q.start()
	t.Cleanup(func() { q.stop() })
	q.must(second(q.ecs.CreateCluster(q.ctx, &ecsapi.CreateClusterInput{ClusterName: aws.Ptr("chat")})))
	return q
}

// start starts the daemon's part: everything but the store and what runs.
func (q *quay) start() {
	control := controller.New(clock.Real(1), slog.New(slog.DiscardHandler), controller.NewBus())
	control.WatchStore(q.store)
	q.ecs = New(Deps{
		Store: q.store, Clock: clock.Real(q.pace), EC2: berths{q: q}, ECR: q, Logs: q.logs, STS: trust{}, Secrets: q.vault, Parameters: q.vault, Buckets: q.vault, Runtime: q.runtime, Network: q, Images: q.abroad,
		Registry: netip.MustParseAddrPort("198.18.0.1:443"), Endpoint: "http://198.18.0.1:4566", VolumesDir: filepath.Join(q.TempDir(), "volumes"), FileSystemsDir: filepath.Join(q.TempDir(), "efs"),
	})
	q.ecs.AddReconcilers(control)
	control.Start()
	q.stop = func() { control.Stop(); q.ecs.Close() }
}

func (q *quay) must(err error) {
	q.Helper()
	if err != nil {
		q.Fatal(err)
	}
}

// chatDefinition is a task definition that registers.
func chatDefinition(command ...string) *ecsapi.RegisterTaskDefinitionInput {
	return &ecsapi.RegisterTaskDefinitionInput{
		Family: aws.Ptr("chat"), NetworkMode: aws.Ptr("awsvpc"), RequiresCompatibilities: []string{"FARGATE"}, Cpu: aws.Ptr("256"), Memory: aws.Ptr("512"),
		ExecutionRoleArn: aws.Ptr(execution),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{
			Name: aws.Ptr("chat"), Image: aws.Ptr(repository + ":latest"), Command: command,
			PortMappings: []ecsapi.PortMapping{{ContainerPort: aws.Ptr[int32](80)}},
			LogConfiguration: &ecsapi.LogConfiguration{LogDriver: aws.Ptr("awslogs"), Options: map[string]string{
				"awslogs-group": "/chat", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web",
			}},
		}},
	}
}

func runInput() *ecsapi.RunTaskInput {
	return &ecsapi.RunTaskInput{
		Cluster: aws.Ptr("chat"), TaskDefinition: aws.Ptr("chat"), LaunchType: aws.Ptr("FARGATE"),
		NetworkConfiguration: &ecsapi.NetworkConfiguration{AwsvpcConfiguration: &ecsapi.AwsVpcConfiguration{Subnets: []string{"subnet-a"}, SecurityGroups: []string{"sg-web"}}},
	}
}

// run registers a task definition and runs a task of it.
func (q *quay) run(d *ecsapi.RegisterTaskDefinitionInput) string {
	q.Helper()
	q.must(second(q.ecs.RegisterTaskDefinition(q.ctx, d)))
	out, err := q.ecs.RunTask(q.ctx, runInput())
	q.must(err)
	return *out.Tasks[0].TaskArn
}

func (q *quay) task(arn string) *ecsapi.Task {
	q.Helper()
	out, err := q.ecs.DescribeTasks(q.ctx, &ecsapi.DescribeTasksInput{Cluster: aws.Ptr("chat"), Tasks: []string{arn}})
	q.must(err)
	if len(out.Tasks) == 0 {
		q.Fatalf("%s is missing", arn)
	}
	return &out.Tasks[0]
}

// until waits for a task's status.
func (q *quay) until(arn, status string) *ecsapi.Task {
	q.Helper()
	end := time.Now().Add(settlingTime)
	for {
		t := q.task(arn)
		if *t.LastStatus == status {
			return t
		}
		if time.Now().After(end) || *t.LastStatus == life.Stopped {
			b, _ := json.MarshalIndent(t, "", " ")
			q.Fatalf("not %s: %s", status, b)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestTaskLife(t *testing.T) {
	q := newQuay(t)
	in := chatDefinition("sleep")
	in.TaskRoleArn = aws.Ptr(taskRoleARN)
	in.ContainerDefinitions[0].Environment = []ecsapi.KeyValuePair{{Name: aws.Ptr("DB_HOST"), Value: aws.Ptr("db")}}
	q.must(second(q.ecs.RegisterTaskDefinition(q.ctx, in)))
	run := runInput()
	run.NetworkConfiguration.AwsvpcConfiguration.AssignPublicIp = aws.Ptr("ENABLED")
	out, err := q.ecs.RunTask(q.ctx, run)
	q.must(err)
	first := out.Tasks[0]
	if *first.LastStatus != life.Provisioning || *first.DesiredStatus != life.Running || *first.Group != "family:chat" || *first.LaunchType != "FARGATE" || *first.AvailabilityZone != "us-east-1a" {
		t.Errorf("as answered: %+v", first)
	}
	arn := *first.TaskArn
	task := q.until(arn, life.Running)
	if task.PullStartedAt == nil || task.PullStoppedAt == nil || task.StartedAt == nil || task.ConnectivityAt == nil || task.StoppedAt != nil {
		t.Errorf("running: %+v", task)
	}
	details := map[string]string{}
	for _, d := range task.Attachments[0].Details {
		details[*d.Name] = *d.Value
	}
	if *task.Attachments[0].Status != "ATTACHED" || details["subnetId"] != "subnet-a" || details["networkInterfaceId"] != "eni-0" || details["macAddress"] == "" || details["privateIPv4Address"] != "10.0.0.10" {
		t.Errorf("attachment: %+v", details)
	}
	c := task.Containers[0]
	if *c.LastStatus != life.Running || *c.ImageDigest != knownDigest || *c.NetworkInterfaces[0].PrivateIpv4Address != "10.0.0.10" {
		t.Errorf("container: %+v", c)
	}
	if !slices.Equal(q.public, []string{"eni-0"}) {
		t.Errorf("public addresses: %v", q.public)
	}
	spec, _ := q.runtime.Container(*c.RuntimeId)
	group, _ := q.runtime.Group(spec.Group)
	if group.Netns != "/netns/eni-0" || group.Limits.CPUs != 0.25 || group.Limits.Memory != 512<<20 || group.Hostname != "ip-10-0-0-10.ec2.internal" {
		t.Errorf("group: %+v", group)
	}
	for _, want := range []string{"DB_HOST=db", "AWS_EXECUTION_ENV=AWS_ECS_FARGATE", "AWS_ENDPOINT_URL=http://198.18.0.1:4566", "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/" + *c.RuntimeId} {
		if !slices.Contains(spec.Env, want) {
			t.Errorf("no %s in %q", want, spec.Env)
		}
	}
	credentials := ""
	for _, e := range spec.Env {
		credentials += strings.TrimPrefix(e, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/")[:strings.Count(e, "RELATIVE_URI")*36]
	}
	if keys, err := q.ecs.TaskCredentials(q.ctx, "eni-0", credentials); err != nil || keys == nil || keys.AccessKeyID != "ASIAtask" || keys.RoleARN != taskRoleARN {
		t.Errorf("credentials: %+v, %v", keys, err)
	}
	if keys, err := q.ecs.TaskCredentials(q.ctx, "eni-1", credentials); err != nil || keys != nil {
		t.Errorf("credentials for another interface: %+v, %v", keys, err)
	}
	if m, err := q.ecs.Task(q.ctx, "eni-0", *c.RuntimeId); err != nil || m == nil || m.Family != "chat" || m.Containers[0].Networks[0].IPv4Addresses[0] != "10.0.0.10" {
		t.Errorf("metadata: %+v, %v", m, err)
	}

	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &arn, Reason: aws.Ptr("enough")})))
	task = q.until(arn, life.Stopped)
	if *task.StopCode != "UserInitiated" || *task.StoppedReason != "enough" || *task.Containers[0].ExitCode != 0 || task.StoppingAt == nil || task.ExecutionStoppedAt == nil || task.StoppedAt == nil {
		b, _ := json.Marshal(task)
		t.Errorf("stopped: %s", b)
	}
	if got := q.logs.stream("web/chat/" + arn[len(arn)-record.TaskIDLength:]); !slices.Equal(got, []string{"ready", "stopping"}) {
		t.Errorf("its last words: %q", got)
	}
	if len(q.interfaces) != 0 {
		t.Errorf("interfaces are left: %v", q.interfaces)
	}
	if groups, _ := q.runtime.Groups(q.ctx); len(groups) != 0 {
		t.Errorf("groups are left: %v", groups)
	}
	for who := range q.logs.callers {
		if who != execution {
			t.Errorf("logs were sent by %s", who)
		}
	}
}

// What keeps a task from starting is said in ECS's words, and nothing is left.
func TestTasksThatDoNotStart(t *testing.T) {
	const login = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried "
	for _, c := range []struct {
		name   string
		change func(q *quay, d *ecsapi.RegisterTaskDefinitionInput)
		want   string
	}{
		{"no way to ECR", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) {
			q.runtime.DialFunc = func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }
		}, login + `3 time(s): RequestError: send request failed caused by: Post "https://api.ecr.us-east-1.amazonaws.com/": dial tcp 198.18.0.1:443: i/o timeout. Please check your task network configuration.`},
		{"no right to log in", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) {
			q.denied["GetAuthorizationToken"] = aws.Errorf("AccessDeniedException", "User: x is not authorized to perform: ecr:GetAuthorizationToken on resource: *")
		}, login + "1 time(s): AccessDeniedException: User: x is not authorized to perform: ecr:GetAuthorizationToken on resource: *"},
		{"no such tag", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions[0].Image = aws.Ptr(repository + ":two")
		}, "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + repository + ":two: " + repository + ":two: not found"},
		{"no such repository", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions[0].Image = aws.Ptr(repository + "2")
		}, "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + repository + "2: " + repository + "2: not found"},
		{"a registry of another region", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions[0].Image = aws.Ptr("000000000000.dkr.ecr.eu-west-1.amazonaws.com/chat")
		}, "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref 000000000000.dkr.ecr.eu-west-1.amazonaws.com/chat: 000000000000.dkr.ecr.eu-west-1.amazonaws.com/chat: not found"},
		{"no right to pull", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) {
			q.denied["BatchGetImage"] = aws.Errorf("AccessDeniedException", "no")
		}, "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref " + repository + ":latest: pulling from host 000000000000.dkr.ecr.us-east-1.amazonaws.com failed with status code [manifests latest]: 403 Forbidden"},
		{"no right to layers", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) {
			q.denied["GetDownloadUrlForLayer"] = aws.Errorf("AccessDeniedException", "no")
		}, "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code https://000000000000.dkr.ecr.us-east-1.amazonaws.com/v2/chat/blobs/sha256:layer: 403 Forbidden"},
		{
			"no log group", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) { q.logs.groups = map[string]bool{} },
			"ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist. : exit status 1",
		},
		{"a role of somebody else's", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.TaskRoleArn = aws.Ptr("arn:aws:iam::000000000000:role/strange")
		}, "ECS was unable to assume the role 'arn:aws:iam::000000000000:role/strange' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role."},
		{"no such program", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.ContainerDefinitions[0].EntryPoint = []string{"/nothing"}
		}, "Task failed to start"},
		{"a dependency that fails", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			side := d.ContainerDefinitions[0]
			side.Name, side.Essential, side.Command, side.PortMappings = aws.Ptr("init"), aws.Ptr(false), []string{"exit", "7"}, nil
			d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("init"), Condition: aws.Ptr("SUCCESS")}}
			d.ContainerDefinitions = append(d.ContainerDefinitions, side)
		}, "Task failed to start"},
		{"another processor", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			other := map[string]string{"amd64": "ARM64", "arm64": "X86_64"}[runtime.GOARCH]
			d.RuntimePlatform = &ecsapi.RuntimePlatform{CpuArchitecture: &other}
		}, "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/" + map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH] + "'."},
		{"no such directory of a file system", func(_ *quay, d *ecsapi.RegisterTaskDefinitionInput) {
			d.Volumes = []ecsapi.Volume{{Name: aws.Ptr("v"), EfsVolumeConfiguration: &ecsapi.EFSVolumeConfiguration{FileSystemId: aws.Ptr("fs-01234567"), RootDirectory: aws.Ptr("/none")}}}
		}, "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: mount.nfs4: mounting fs-01234567:/none failed, reason given by server: No such file or directory : unsuccessful EFS utils command execution; code: 32"},
		{"no address", func(q *quay, _ *ecsapi.RegisterTaskDefinitionInput) {
			q.denied["CreateNetworkInterface"] = aws.Errorf("InsufficientFreeAddressesInSubnet", "full")
		}, "Unexpected EC2 error while attempting to Create Network Interface in subnet 'subnet-a': InsufficientFreeAddressesInSubnet: full"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			q := newQuay(t)
			d := chatDefinition("sleep")
			c.change(q, d)
			task := q.until(q.run(d), life.Stopped)
			want := map[string]string{
				"no such program":         `CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: exec: "/nothing": no such file or directory`,
				"a dependency that fails": fmt.Sprintf("CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [init(%[1]s:latest) (STOPPED->RUNNING) - Exit: 7] for target [chat(%[1]s:latest) (NONE->RUNNING)] as dependency did not exit successfully.", repository),
			}[c.name]
			if got := aws.Val(task.Containers[0].Reason); got != want {
				t.Errorf("the container's reason: %s, want %s", got, want)
			}
			if *task.StopCode != "TaskFailedToStart" || *task.StoppedReason != c.want || *task.DesiredStatus != life.Stopped || task.StartedAt != nil {
				t.Errorf("%s: %s, want %s", *task.StopCode, *task.StoppedReason, c.want)
			}
			if groups, _ := q.runtime.Groups(q.ctx); len(groups) != 0 || len(q.interfaces) != 0 {
				t.Errorf("left: %v %v", groups, q.interfaces)
			}
		})
	}
}

func TestEssentialContainers(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	side := d.ContainerDefinitions[0]
	side.Name, side.Essential, side.Command, side.PortMappings = aws.Ptr("init"), aws.Ptr(false), []string{"exit", "0"}, nil
	d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("init"), Condition: aws.Ptr("SUCCESS")}}
	d.ContainerDefinitions = append(d.ContainerDefinitions, side)
	arn := q.run(d)
	task := q.until(arn, life.Running)
	if c := task.Containers[1]; *c.LastStatus != life.Stopped || *c.ExitCode != 0 {
		t.Errorf("what is not essential: %+v", c)
	}
	q.must(q.runtime.End(*task.Containers[0].RuntimeId, container.Status{ExitCode: 137, OOMKilled: true}))
	task = q.until(arn, life.Stopped)
	if *task.StopCode != "EssentialContainerExited" || *task.StoppedReason != "Essential container in task exited" ||
		*task.Containers[0].ExitCode != 137 || *task.Containers[0].Reason != "OutOfMemoryError: Container killed due to memory usage" {
		b, _ := json.Marshal(task)
		t.Errorf("%s", b)
	}
}

// A restart policy has a container started again, its log goes on, and an exit
// code that it ignores ends the task.
func TestRestartPolicy(t *testing.T) {
	q := newQuay(t)
	q.stop()
	q.pace = 1000 // 60 s are 60 ms
	q.start()
	d := chatDefinition("sleep")
	d.ContainerDefinitions[0].RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true), IgnoredExitCodes: []int32{5}, RestartAttemptPeriod: aws.Ptr[int32](60)}
	arn := q.run(d)
	id := *q.until(arn, life.Running).Containers[0].RuntimeId
	for n := range 3 {
		time.Sleep(100 * time.Millisecond)
		q.must(q.runtime.End(id, container.Status{ExitCode: 1}))
		for end := time.Now().Add(settlingTime); ; time.Sleep(5 * time.Millisecond) {
			if s, err := q.runtime.Get(q.ctx, id); err == nil && s.Restarts == n+1 && s.State == container.Running {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("not started again: %+v", q.task(arn))
			}
		}
		if m, err := q.ecs.Task(q.ctx, "eni-0", id); err != nil || m == nil || aws.Val(m.Containers[0].Restarts) != n+1 {
			t.Errorf("its metadata: %+v, %v", m, err)
		}
		if c := q.task(arn).Containers[0]; *c.LastStatus != life.Running || c.ExitCode != nil {
			t.Errorf("while it was started again: %+v", c)
		}
	}
	time.Sleep(100 * time.Millisecond)
	q.must(q.runtime.End(id, container.Status{ExitCode: 5}))
	if task := q.until(arn, life.Stopped); *task.StopCode != "EssentialContainerExited" || *task.Containers[0].ExitCode != 5 {
		t.Errorf("%+v", task)
	}
	if got := q.logs.stream("web/chat/" + arn[len(arn)-record.TaskIDLength:]); !slices.Equal(got, []string{"ready", "ready", "ready", "ready"}) {
		t.Errorf("its log: %q", got)
	}
}

// A task that has written more than its ephemeral storage ends.
func TestStorageFull(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	arn := q.run(d)
	q.until(arn, life.Running)
	q.stop()
	q.runtime.SetWritten(25 << 30)
	q.start()
	if task := q.until(arn, life.Stopped); *task.StoppedReason != "no space left on device: the task has written 25.0 GiB and has 20 GiB of ephemeral storage" || *task.StopCode != "EssentialContainerExited" {
		t.Errorf("%s: %s", *task.StopCode, *task.StoppedReason)
	}
}

// A container that ends before it has run for its period is not started again.
func TestRestartTooSoon(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("exit", "4")
	d.ContainerDefinitions[0].RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true)}
	if task := q.until(q.run(d), life.Stopped); *task.Containers[0].ExitCode != 4 {
		t.Errorf("%+v", task)
	}
}

// Containers that others depend on are stopped after them.
func TestStopOrder(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	side := d.ContainerDefinitions[0]
	side.Name, side.Essential, side.PortMappings = aws.Ptr("side"), aws.Ptr(false), nil
	d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("side"), Condition: aws.Ptr("START")}}
	d.ContainerDefinitions = append(d.ContainerDefinitions, side)
	arn := q.run(d)
	task := q.until(arn, life.Running)
	var ends [2]container.Status
	var waits sync.WaitGroup
	for i := range ends {
		waits.Go(func() { ends[i], _ = q.runtime.Wait(q.ctx, *task.Containers[i].RuntimeId) })
	}
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &arn})))
	waits.Wait()
	q.until(arn, life.Stopped)
	if !ends[0].Ended.Before(ends[1].Ended) {
		t.Errorf("chat ended at %v, what it needs at %v", ends[0].Ended, ends[1].Ended)
	}
}

// A new daemon goes on where the old one was, in whatever state.
func TestRestart(t *testing.T) {
	q := newQuay(t)
	arn := q.run(chatDefinition("count", "1000", "1"))
	id := arn[len(arn)-record.TaskIDLength:]
	for range 5 {
		q.stop()
		q.start()
		time.Sleep(20 * time.Millisecond)
	}
	q.until(arn, life.Running)
	q.stop()
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &arn})))
	q.start()
	task := q.until(arn, life.Stopped)
	if *task.StoppedReason != "Task stopped by user" {
		t.Errorf("%s", *task.StoppedReason)
	}
	if len(q.interfaces) != 0 {
		t.Errorf("interfaces are left: %v", q.interfaces)
	}
	seen := map[string]bool{}
	lines := q.logs.stream("web/chat/" + id)
	for _, l := range lines {
		seen[l] = true
	}
	for i := range len(seen) {
		if !seen[fmt.Sprint("line ", i)] {
			t.Fatalf("line %d of %d is missing", i, len(seen))
		}
	}
}

// Logs that CloudWatch does not take for a while are not lost.
func TestLogsWait(t *testing.T) {
	q := newQuay(t)
	q.logs.refuse = errors.New("not now")
	arn := q.run(chatDefinition("count", "50", "0"))
	time.Sleep(300 * time.Millisecond)
	q.logs.mu.Lock()
	q.logs.refuse = nil
	q.logs.mu.Unlock()
	q.until(arn, life.Stopped)
	if got := q.logs.stream("web/chat/" + arn[len(arn)-record.TaskIDLength:]); len(got) != 50 || got[49] != "line 49" {
		t.Errorf("%d lines", len(got))
	}
}

func TestHealthCheck(t *testing.T) {
	q := newQuay(t)
	q.stop()
	q.pace = 100
	q.start()
	d := chatDefinition("sleep")
	d.ContainerDefinitions[0].HealthCheck = &ecsapi.HealthCheck{Command: []string{"CMD", "/program", "exit", "0"}, Interval: aws.Ptr[int32](5)}
	arn := q.run(d)
	q.until(arn, life.Running)
	for end := time.Now().Add(settlingTime); *q.task(arn).HealthStatus != "HEALTHY"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("health: %+v", q.task(arn))
		}
	}
}
