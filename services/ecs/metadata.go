package ecs

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"

	"minato/aws"
	"minato/aws/arn"
	"minato/dataplane/container"
	"minato/gateway/metadata"
	"minato/services/ecs/awslogs"
	"minato/services/ecs/definition"
	"minato/services/ecs/health"
	"minato/services/ecs/spec"
)

var _ metadata.Tasks = (*Service)(nil)

// behind finds the task behind a network interface that a filter takes.
func (s *Service) behind(ctx context.Context, eni string, is func(t *taskRecord) bool) (*taskRecord, error) {
	all, err := s.tasks.ReadAll(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if t := &all[i]; t.ENI == eni && aws.Val(t.LastStatus) != taskStopped && is(t) {
			return t, nil
		}
	}
	return nil, nil
}

// hasContainer tells whether a task has a container of a runtime id, which is
// what its metadata URI ends with.
func hasContainer(id string) func(t *taskRecord) bool {
	return func(t *taskRecord) bool {
		for i := range t.Containers {
			if aws.Val(t.Containers[i].RuntimeId) == id {
				return true
			}
		}
		return false
	}
}

// Task implements metadata.Tasks.
func (s *Service) Task(ctx context.Context, eni, metadataID string) (*metadata.Task, error) {
	t, err := s.behind(ctx, eni, hasContainer(metadataID))
	if err != nil || t == nil {
		return nil, err
	}
	d, _, err := s.definition(ctx, t.Place, *t.TaskDefinitionArn)
	if err != nil {
		return nil, err
	}
	family, revision, _ := splitDefinition(*t.TaskDefinitionArn)
	out := &metadata.Task{
		Cluster: *t.ClusterArn, TaskARN: *t.TaskArn, Family: family, Revision: itoa(int64(revision)),
		DesiredStatus: *t.DesiredStatus, KnownStatus: *t.LastStatus, PullStartedAt: t.PullStartedAt, PullStoppedAt: t.PullStoppedAt,
		AvailabilityZone: aws.Val(t.AvailabilityZone), LaunchType: *t.LaunchType, TaskTags: map[string]string{},
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
	for i := range t.Containers {
		c, err := s.metadataOf(ctx, t, &d, i)
		if err != nil {
			return nil, err
		}
		out.Containers = append(out.Containers, c)
	}
	return out, nil
}

// metadataOf is what the metadata endpoint says of a task's container.
func (s *Service) metadataOf(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, i int) (metadata.Container, error) {
	shown := &t.Containers[i]
	name := *shown.Name
	out := metadata.Container{
		MetadataID: *shown.RuntimeId, DockerID: *shown.RuntimeId, Name: name, DockerName: name, Type: "NORMAL",
		Image: aws.Val(shown.Image), ImageID: aws.Val(shown.ImageDigest), ContainerARN: *shown.ContainerArn, Snapshotter: "overlayfs",
		DesiredStatus: *t.DesiredStatus, KnownStatus: *shown.LastStatus, Networks: []metadata.TaskNetwork{networkOf(t)},
		Labels: map[string]string{
			"com.amazonaws.ecs.cluster": *t.ClusterArn, "com.amazonaws.ecs.container-name": name, "com.amazonaws.ecs.task-arn": *t.TaskArn,
			"com.amazonaws.ecs.task-definition-family": aws.Val(d.Family), "com.amazonaws.ecs.task-definition-version": itoa(int64(aws.Val(d.Revision))),
		},
	}
	for j := range d.ContainerDefinitions {
		def := &d.ContainerDefinitions[j]
		if *def.Name != name {
			continue
		}
		out.Limits = metadata.Limits{CPU: float64(aws.Val(def.Cpu)), Memory: int64(aws.Val(def.Memory))}
		for k, v := range def.DockerLabels {
			out.Labels[k] = v
		}
		if options := logOptions(&d.TaskDefinition, name); options != nil {
			out.LogDriver, out.LogOptions = "awslogs", map[string]string{
				awslogs.OptionGroup: options[awslogs.OptionGroup], awslogs.OptionRegion: options[awslogs.OptionRegion], "awslogs-stream": logStream(t, options, name),
			}
		}
		if health.Defined(def.HealthCheck) {
			out.Health = &metadata.Health{Status: aws.Val(shown.HealthStatus)}
		}
	}
	status, err := s.Runtime.Get(ctx, *shown.RuntimeId)
	if errors.Is(err, container.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.CreatedAt = &status.Created
	if !status.Started.IsZero() {
		out.StartedAt = &status.Started
	}
	if status.State == container.Ended {
		out.FinishedAt, out.ExitCode = &status.Ended, &status.ExitCode
	}
	return out, nil
}

// networkOf is a task's place in its VPC.
func networkOf(t *taskRecord) metadata.TaskNetwork {
	n := metadata.TaskNetwork{NetworkMode: definition.Awsvpc, IPv4Addresses: []string{t.Address}, DomainNameServers: []string{spec.Resolver}, IPv4SubnetCIDRBlock: t.Subnet.CIDR}
	if subnet, err := netip.ParsePrefix(t.Subnet.CIDR); err == nil {
		n.SubnetGatewayIpv4Address = netip.PrefixFrom(subnet.Masked().Addr().Next(), subnet.Bits()).String()
	}
	for _, d := range t.Attachments[0].Details {
		switch aws.Val(d.Name) {
		case "macAddress":
			n.MACAddress = aws.Val(d.Value)
		case "privateDnsName":
			n.PrivateDNSName = aws.Val(d.Value)
		}
	}
	return n
}

// Stats implements metadata.Tasks.
func (s *Service) Stats(ctx context.Context, eni, metadataID string) (*metadata.Stats, error) {
	t, err := s.behind(ctx, eni, hasContainer(metadataID))
	if err != nil || t == nil {
		return nil, err
	}
	m, err := s.Runtime.Stats(ctx, metadataID)
	if errors.Is(err, container.ErrNotRunning) || errors.Is(err, container.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := &metadata.Stats{Read: m.Time, ID: metadataID}
	for i := range t.Containers {
		if *t.Containers[i].RuntimeId == metadataID {
			out.Name = *t.Containers[i].Name
		}
	}
	out.CPUStats.CPUUsage.TotalUsage, out.CPUStats.OnlineCPUs = uint64(m.CPU), runtime.NumCPU()
	out.MemoryStats.Usage, out.MemoryStats.Limit = uint64(m.Memory), uint64(m.MemoryLimit)
	out.PIDsStats.Current = uint64(m.PIDs)
	return out, nil
}

// TaskCredentials implements metadata.Tasks.
func (s *Service) TaskCredentials(ctx context.Context, eni, id string) (*metadata.Credentials, error) {
	t, err := s.behind(ctx, eni, func(t *taskRecord) bool { return id != "" && t.CredentialsID == id })
	if err != nil || t == nil {
		return nil, err
	}
	d, _, err := s.definition(ctx, t.Place, *t.TaskDefinitionArn)
	if err != nil {
		return nil, err
	}
	role := t.taskRole(&d)
	if !arn.Is(role) {
		return nil, nil
	}
	session, err := s.session(ctx, t, role)
	if err != nil {
		return nil, err
	}
	k := session.keys
	return &metadata.Credentials{
		RoleARN: role, AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, Token: *k.SessionToken,
		Expiration: *k.Expiration, LastUpdated: session.made,
	}, nil
}
