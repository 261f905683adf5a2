// Package inside is what a task is told about itself at the metadata endpoint:
// gateway/metadata's forms, filled from ECS's records and from what the runtime
// sees. It is pure.
package inside

import (
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/gateway/metadata"
	"minato/services/ecs/definition"
	"minato/services/ecs/health"
	"minato/services/ecs/reference"
)

const mib = 1 << 20

// snapshotter is the one that images are unpacked with.
const snapshotter = "overlayfs"

// Task is a task with what belongs to it.
type Task struct {
	*ecsapi.Task
	Definition *ecsapi.TaskDefinition
	Address    string // private
	Subnet     string // its CIDR
	Resolver   string
	// Seen are the containers that were made, by name.
	Seen map[string]container.Status
	// LogStream is where a container's awslogs go, by its name.
	LogStream func(name string) string
}

// Metadata is what the task is told of itself.
func (t *Task) Metadata() *metadata.Task {
	family, revision, _ := reference.Definition(aws.Val(t.TaskDefinitionArn))
	out := &metadata.Task{
		Cluster: aws.Val(t.ClusterArn), TaskARN: aws.Val(t.TaskArn), Family: family, Revision: strconv.Itoa(int(revision)),
		DesiredStatus: aws.Val(t.DesiredStatus), KnownStatus: aws.Val(t.LastStatus), PullStartedAt: t.PullStartedAt, PullStoppedAt: t.PullStoppedAt,
		ExecutionStoppedAt: t.ExecutionStoppedAt, AvailabilityZone: aws.Val(t.AvailabilityZone), LaunchType: aws.Val(t.LaunchType), TaskTags: map[string]string{},
	}
	if name, ok := strings.CutPrefix(aws.Val(t.Group), "service:"); ok {
		out.ServiceName = name
	}
	for _, tag := range t.Tags {
		out.TaskTags[aws.Val(tag.Key)] = aws.Val(tag.Value)
	}
	units, _ := definition.CPUUnits(aws.Val(t.Cpu))
	memory, _ := definition.MemoryMiB(aws.Val(t.Memory))
	out.Limits = &metadata.Limits{CPU: float64(units) / 1024, Memory: int64(memory)}
	network := t.network()
	for i := range t.Containers {
		out.Containers = append(out.Containers, t.container(&t.Containers[i], network))
	}
	return out
}

// container is what the task is told of one of its containers.
func (t *Task) container(shown *ecsapi.Container, network metadata.TaskNetwork) metadata.Container {
	name := aws.Val(shown.Name)
	out := metadata.Container{
		MetadataID: aws.Val(shown.RuntimeId), DockerID: aws.Val(shown.RuntimeId), Name: name, DockerName: name, Type: "NORMAL",
		Image: aws.Val(shown.Image), ImageID: aws.Val(shown.ImageDigest), ContainerARN: aws.Val(shown.ContainerArn), Snapshotter: snapshotter,
		DesiredStatus: aws.Val(t.DesiredStatus), KnownStatus: aws.Val(shown.LastStatus), Networks: []metadata.TaskNetwork{network}, Labels: map[string]string{},
	}
	if def := definition.Container(t.Definition, name); def != nil {
		t.define(&out, shown, def)
	}
	for k, v := range map[string]string{
		"cluster": aws.Val(t.ClusterArn), "container-name": name, "task-arn": aws.Val(t.TaskArn),
		"task-definition-family": aws.Val(t.Definition.Family), "task-definition-version": strconv.Itoa(int(aws.Val(t.Definition.Revision))),
	} {
		out.Labels["com.amazonaws.ecs."+k] = v
	}
	seen, made := t.Seen[name]
	if !made {
		return out
	}
	out.CreatedAt = &seen.Created
	if !seen.Started.IsZero() {
		out.StartedAt = &seen.Started
	}
	if seen.State == container.Ended {
		out.FinishedAt, out.ExitCode = &seen.Ended, &seen.ExitCode
	}
	if out.Restarts != nil {
		out.Restarts = &seen.Restarts
	}
	return out
}

// define adds what the task definition, and overrides of it, say of a container.
func (t *Task) define(out *metadata.Container, shown *ecsapi.Container, def *ecsapi.ContainerDefinition) {
	out.Limits = metadata.Limits{CPU: float64(aws.Val(def.Cpu)), Memory: int64(aws.Val(def.Memory))}
	if t.Overrides != nil {
		for _, o := range t.Overrides.ContainerOverrides {
			if aws.Val(o.Name) != out.Name {
				continue
			}
			if o.Cpu != nil {
				out.Limits.CPU = float64(*o.Cpu)
			}
			if o.Memory != nil {
				out.Limits.Memory = int64(*o.Memory)
			}
		}
	}
	for k, v := range def.DockerLabels {
		out.Labels[k] = v
	}
	if l := def.LogConfiguration; l != nil {
		out.LogDriver, out.LogOptions = aws.Val(l.LogDriver), map[string]string{}
		for k, v := range l.Options {
			out.LogOptions[k] = v
		}
		if out.LogDriver == ecsapi.LogDriverAwslogs {
			// The driver was given the stream that came of the prefix.
			delete(out.LogOptions, "awslogs-stream-prefix")
			out.LogOptions["awslogs-stream"] = t.LogStream(out.Name)
		}
	}
	if health.Defined(def.HealthCheck) {
		out.Health = &metadata.Health{Status: aws.Val(shown.HealthStatus)}
	}
	if p := def.RestartPolicy; p != nil && aws.Val(p.Enabled) {
		out.Restarts = new(int)
	}
}

// network is the task's place in its VPC.
func (t *Task) network() metadata.TaskNetwork {
	n := metadata.TaskNetwork{NetworkMode: definition.Awsvpc, DomainNameServers: []string{t.Resolver}, IPv4SubnetCIDRBlock: t.Subnet}
	if t.Address != "" {
		n.IPv4Addresses = []string{t.Address}
	}
	if subnet, err := netip.ParsePrefix(t.Subnet); err == nil {
		n.SubnetGatewayIpv4Address = netip.PrefixFrom(subnet.Masked().Addr().Next(), subnet.Bits()).String()
	}
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			switch aws.Val(d.Name) {
			case "macAddress":
				n.MACAddress = aws.Val(d.Value)
			case "privateDnsName":
				n.PrivateDNSName = aws.Val(d.Value)
			}
		}
	}
	if _, domain, ok := strings.Cut(n.PrivateDNSName, "."); ok {
		n.DomainNameSearchList = []string{domain}
	}
	return n
}

// Stats is what a container of the task is told of what it uses, in docker's
// form. The limit of one that has none of its own is its task's.
func (t *Task) Stats(id string, m *container.Stats) *metadata.Stats {
	out := &metadata.Stats{Read: m.Time, ID: id, Networks: map[string]metadata.NetworkStats{}}
	for i := range t.Containers {
		if aws.Val(t.Containers[i].RuntimeId) == id {
			out.Name = aws.Val(t.Containers[i].Name)
		}
	}
	c := &out.CPUStats
	c.CPUUsage = metadata.CPUUsage{TotalUsage: uint64(m.CPU), UsageInKernelmode: uint64(m.CPUKernel), UsageInUsermode: uint64(m.CPUUser)}
	c.SystemCPUUsage, c.OnlineCPUs = uint64(m.SystemCPU), runtime.NumCPU()
	c.ThrottlingData = metadata.ThrottlingData{Periods: m.Throttling.Periods, ThrottledPeriods: m.Throttling.Throttled, ThrottledTime: uint64(m.Throttling.Time)}
	out.MemoryStats = metadata.MemoryStats{Usage: uint64(m.MemoryUsage), MaxUsage: uint64(m.MemoryMax), Stats: m.MemoryDetail, FailCount: uint64(m.MemoryFails), Limit: uint64(m.MemoryLimit)}
	if m.MemoryLimit == 0 {
		limit, _ := definition.MemoryMiB(aws.Val(t.Memory))
		out.MemoryStats.Limit = uint64(limit) * mib
	}
	out.PIDsStats = metadata.PIDsStats{Current: uint64(m.PIDs), Limit: uint64(m.PIDsLimit)}
	out.BlkioStats = metadata.NewBlkioStats()
	for _, d := range m.BlockIO {
		out.BlkioStats.Add(d.Major, d.Minor, metadata.ReadWrite{Read: d.ReadBytes, Write: d.WriteBytes}, metadata.ReadWrite{Read: d.Reads, Write: d.Writes})
	}
	for name, n := range m.Networks {
		out.Networks[name] = metadata.NetworkStats{
			RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
			TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
		}
	}
	return out
}
