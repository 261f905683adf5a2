package ecs

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
)

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
