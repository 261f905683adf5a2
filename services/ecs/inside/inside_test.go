package inside

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func task() *Task {
	return &Task{
		Task: &ecsapi.Task{
			ClusterArn: aws.Ptr("arn:cluster"), TaskArn: aws.Ptr("arn:task"), TaskDefinitionArn: aws.Ptr("arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"),
			DesiredStatus: aws.Ptr("RUNNING"), LastStatus: aws.Ptr("RUNNING"), LaunchType: aws.Ptr("FARGATE"), AvailabilityZone: aws.Ptr("us-east-1a"),
			Cpu: aws.Ptr("256"), Memory: aws.Ptr("512"), Group: aws.Ptr("service:chat"), Tags: []ecsapi.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}}, PullStartedAt: &now,
			Containers: []ecsapi.Container{
				{Name: aws.Ptr("web"), RuntimeId: aws.Ptr("r1"), LastStatus: aws.Ptr("RUNNING"), HealthStatus: aws.Ptr("HEALTHY"), Image: aws.Ptr("image:1"), ImageDigest: aws.Ptr("sha256:1"), ContainerArn: aws.Ptr("arn:c")},
				{Name: aws.Ptr("init"), RuntimeId: aws.Ptr("r2"), LastStatus: aws.Ptr("STOPPED")},
				{Name: aws.Ptr("later"), RuntimeId: aws.Ptr("r3"), LastStatus: aws.Ptr("PENDING")},
			},
			Overrides: &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{Name: aws.Ptr("web"), Memory: aws.Ptr[int32](128)}}},
			Attachments: []ecsapi.Attachment{{Details: []ecsapi.KeyValuePair{
				{Name: aws.Ptr("macAddress"), Value: aws.Ptr("02:00:00:00:00:01")}, {Name: aws.Ptr("privateDnsName"), Value: aws.Ptr("ip-10-0-0-4.ec2.internal")},
			}}},
		},
		Definition: &ecsapi.TaskDefinition{Family: aws.Ptr("web"), Revision: aws.Ptr[int32](3), ContainerDefinitions: []ecsapi.ContainerDefinition{
			{
				Name: aws.Ptr("web"), Cpu: aws.Ptr[int32](64), Memory: aws.Ptr[int32](64), HealthCheck: &ecsapi.HealthCheck{Command: []string{"CMD", "true"}},
				DockerLabels: map[string]string{"team": "harbour", "com.amazonaws.ecs.cluster": "another"}, RestartPolicy: &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true)},
				LogConfiguration: &ecsapi.LogConfiguration{LogDriver: aws.Ptr("awslogs"), Options: map[string]string{"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"}},
			},
			{Name: aws.Ptr("init")},
			{Name: aws.Ptr("later")},
		}},
		Address: "10.0.0.4", Subnet: "10.0.0.0/24", Resolver: "169.254.169.253",
		Seen: map[string]container.Status{
			"web":  {State: container.Running, Created: now, Started: now.Add(time.Second), Restarts: 2},
			"init": {State: container.Ended, Created: now, Started: now, Ended: now.Add(time.Minute), ExitCode: 7},
		},
		LogStream: func(name string) string { return "p/" + name + "/1" },
	}
}

func TestMetadata(t *testing.T) {
	b, err := json.Marshal(task().Metadata())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	containers := got["Containers"].([]any)
	delete(got, "Containers")
	labels := func(name string) map[string]any {
		return map[string]any{
			"com.amazonaws.ecs.cluster": "arn:cluster", "com.amazonaws.ecs.container-name": name, "com.amazonaws.ecs.task-arn": "arn:task",
			"com.amazonaws.ecs.task-definition-family": "web", "com.amazonaws.ecs.task-definition-version": "3",
		}
	}
	network := []any{map[string]any{
		"NetworkMode": "awsvpc", "IPv4Addresses": []any{"10.0.0.4"}, "AttachmentIndex": 0.0, "MACAddress": "02:00:00:00:00:01", "IPv4SubnetCIDRBlock": "10.0.0.0/24",
		"DomainNameServers": []any{"169.254.169.253"}, "DomainNameSearchList": []any{"ec2.internal"}, "PrivateDNSName": "ip-10-0-0-4.ec2.internal", "SubnetGatewayIpv4Address": "10.0.0.1/24",
	}}
	web := labels("web")
	web["team"] = "harbour"
	for what, pair := range map[string][2]any{
		"task": {got, map[string]any{
			"Cluster": "arn:cluster", "TaskARN": "arn:task", "Family": "web", "Revision": "3", "ServiceName": "chat", "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
			"Limits": map[string]any{"CPU": 0.25, "Memory": 512.0}, "PullStartedAt": "2026-11-30T12:00:00Z", "AvailabilityZone": "us-east-1a", "LaunchType": "FARGATE", "FaultInjectionEnabled": false,
		}},
		"web": {containers[0], map[string]any{
			"DockerId": "r1", "Name": "web", "DockerName": "web", "Image": "image:1", "ImageID": "sha256:1", "Labels": web, "DesiredStatus": "RUNNING", "KnownStatus": "RUNNING",
			"Limits": map[string]any{"CPU": 64.0, "Memory": 128.0}, "CreatedAt": "2026-11-30T12:00:00Z", "StartedAt": "2026-11-30T12:00:01Z", "Type": "NORMAL", "Health": map[string]any{"status": "HEALTHY"},
			"LogDriver": "awslogs", "LogOptions": map[string]any{"awslogs-group": "g", "awslogs-region": "us-east-1", "awslogs-stream": "p/web/1"}, "ContainerARN": "arn:c", "Networks": network,
			"Snapshotter": "overlayfs", "RestartCount": 2.0,
		}},
		"init": {containers[1], map[string]any{
			"DockerId": "r2", "Name": "init", "DockerName": "init", "Image": "", "ImageID": "", "Labels": labels("init"), "DesiredStatus": "RUNNING", "KnownStatus": "STOPPED", "ExitCode": 7.0,
			"Limits": map[string]any{"CPU": 0.0}, "CreatedAt": "2026-11-30T12:00:00Z", "StartedAt": "2026-11-30T12:00:00Z", "FinishedAt": "2026-11-30T12:01:00Z", "Type": "NORMAL", "ContainerARN": "",
			"Networks": network, "Snapshotter": "overlayfs",
		}},
		"later": {containers[2], map[string]any{
			"DockerId": "r3", "Name": "later", "DockerName": "later", "Image": "", "ImageID": "", "Labels": labels("later"), "DesiredStatus": "RUNNING", "KnownStatus": "PENDING",
			"Limits": map[string]any{"CPU": 0.0}, "Type": "NORMAL", "ContainerARN": "", "Networks": network, "Snapshotter": "overlayfs",
		}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s:\n got %v\nwant %v", what, pair[0], pair[1])
		}
	}
}

func TestStats(t *testing.T) {
	m := &container.Stats{
		Time: now, CPU: 3 * time.Second, CPUUser: 2 * time.Second, CPUKernel: time.Second, SystemCPU: time.Minute, Throttling: container.Throttling{Periods: 4, Throttled: 2, Time: time.Millisecond},
		Memory: 400, MemoryUsage: 500, MemoryMax: 600, MemoryFails: 1, MemoryDetail: map[string]uint64{"anon": 5}, PIDs: 3,
		BlockIO: []container.BlockIO{{Major: 8, ReadBytes: 10, WriteBytes: 20, Reads: 1, Writes: 2}}, Networks: map[string]container.NetworkStats{"eth0": {RxBytes: 7, TxDropped: 9}},
	}
	b, err := json.Marshal(task().Stats("r1", m))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{
		`"read":"2026-11-30T12:00:00Z"`, `"name":"web"`, `"id":"r1"`, `"pids_stats":{"current":3}`,
		`"cpu_stats":{"cpu_usage":{"total_usage":3000000000,"usage_in_kernelmode":1000000000,"usage_in_usermode":2000000000},"system_cpu_usage":60000000000,`,
		`"throttling_data":{"periods":4,"throttled_periods":2,"throttled_time":1000000}`,
		`"memory_stats":{"usage":500,"max_usage":600,"stats":{"anon":5},"failcnt":1,"limit":536870912}`,
		`"io_service_bytes_recursive":[{"major":8,"minor":0,"op":"Read","value":10},{"major":8,"minor":0,"op":"Write","value":20},{"major":8,"minor":0,"op":"Total","value":30}]`,
		`"io_serviced_recursive":[{"major":8,"minor":0,"op":"Read","value":1},`, `"sectors_recursive":[]`,
		`"networks":{"eth0":{"rx_bytes":7,"rx_packets":0,"rx_errors":0,"rx_dropped":0,"tx_bytes":0,"tx_packets":0,"tx_errors":0,"tx_dropped":9}}`,
	} {
		if !strings.Contains(string(b), word) {
			t.Errorf("no %s in\n%s", word, b)
		}
	}
	m.MemoryLimit = 1000
	if got := task().Stats("r1", m).MemoryStats.Limit; got != 1000 {
		t.Errorf("a limit of its own: %d", got)
	}
}
