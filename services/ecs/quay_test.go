package ecs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
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
	"minato/services/ecs/reach"
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
	settlingTime = time.Minute
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
	q.mu.Lock()
	unreal := q.unreal
	q.mu.Unlock()
	if unreal {
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
		Ways: reach.Only(netip.MustParseAddrPort("198.18.0.1:443")), Endpoint: "http://198.18.0.1:4566", VolumesDir: filepath.Join(q.TempDir(), "volumes"), FileSystemsDir: filepath.Join(q.TempDir(), "efs"),
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
