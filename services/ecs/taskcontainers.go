package ecs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
)

const (
	metadataHost       = "http://169.254.170.2"
	resolver           = "169.254.169.253" // of every VPC
	defaultStopTimeout = 30 * time.Second
	noFileLimit        = 65535 // Fargate's
	mib                = 1 << 20
)

// containerGroup is the group of a task's containers.
func (s *Service) containerGroup(t *taskRecord) container.Group {
	g := container.Group{
		ID: t.group(), Netns: s.Network.NetnsPath(t.ENI), Hostname: hostName(t),
		DNS:    container.DNS{Servers: []string{resolver}},
		Labels: map[string]string{"task": *t.TaskArn},
	}
	if _, domain, ok := strings.Cut(g.Hostname, "."); ok {
		g.DNS.Search = []string{domain}
	}
	g.Hosts = []container.HostEntry{{Addr: t.Address, Names: []string{g.Hostname}}}
	if units, ok := definition.CPUUnits(aws.Val(t.Cpu)); ok {
		g.Limits.CPUs = float64(units) / 1024
	}
	if m, ok := definition.MemoryMiB(aws.Val(t.Memory)); ok {
		g.Limits.Memory = int64(m) * mib
	}
	return g
}

// hostName is "ip-10-0-2-15.us-east-1.compute.internal", as the interface's
// private name says.
func hostName(t *taskRecord) string {
	for _, d := range t.Attachments[0].Details {
		if aws.Val(d.Name) == "privateDnsName" {
			return aws.Val(d.Value)
		}
	}
	return t.ID
}

// startContainers makes and starts containers; one that cannot start is noted.
func (s *Service) startContainers(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, names []string) error {
	for _, name := range names {
		spec, err := s.containerOf(t, d, name)
		if err == nil {
			err = s.Runtime.Ensure(ctx, spec)
		}
		if err == nil {
			err = s.Runtime.Start(ctx, spec.ID)
		}
		if errors.Is(err, container.ErrStart) {
			_, text, _ := strings.Cut(err.Error(), container.ErrStart.Error()+": ")
			reason := "CannotStartContainerError: Error response from daemon: " + text
			return s.change(ctx, t, func(t *taskRecord) {
				if t.Failed == nil {
					t.Failed = map[string]string{}
				}
				t.Failed[name] = reason
				c := t.containerOf(name)
				c.LastStatus, c.Reason = aws.Ptr(taskStopped), &reason
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// containerOf translates a container of the task definition for the runtime.
func (s *Service) containerOf(t *taskRecord, d *taskDefinitionRecord, name string) (container.Container, error) {
	def := d.ContainerDefinitions[slices.IndexFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return *c.Name == name })]
	shown := t.containerOf(name)
	c := container.Container{
		ID: *shown.RuntimeId, Group: t.group(), Image: aws.Val(shown.ImageDigest), Labels: map[string]string{"name": name},
		Entrypoint: def.EntryPoint, Command: def.Command, User: aws.Val(def.User), WorkDir: aws.Val(def.WorkingDirectory),
		ReadOnlyRoot: aws.Val(def.ReadonlyRootFilesystem), TTY: aws.Val(def.PseudoTerminal),
		Ulimits: []container.Ulimit{{Name: "nofile", Soft: noFileLimit, Hard: noFileLimit}},
		NoLog:   def.LogConfiguration == nil,
	}
	c.Limits.CPUShares = uint64(aws.Val(def.Cpu))
	c.Limits.Memory = int64(aws.Val(def.Memory)) * mib
	c.Limits.MemoryReservation = int64(aws.Val(def.MemoryReservation)) * mib
	env := s.environment(t, shown)
	for _, e := range def.Environment {
		env = append(env, aws.Val(e.Name)+"="+aws.Val(e.Value))
	}
	if o := overrideOf(t, name); o != nil {
		if o.Command != nil {
			c.Command = o.Command
		}
		if o.Cpu != nil {
			c.Limits.CPUShares = uint64(*o.Cpu)
		}
		if o.Memory != nil {
			c.Limits.Memory = int64(*o.Memory) * mib
		}
		if o.MemoryReservation != nil {
			c.Limits.MemoryReservation = int64(*o.MemoryReservation) * mib
		}
		for _, e := range o.Environment {
			env = append(env, aws.Val(e.Name)+"="+aws.Val(e.Value))
		}
	}
	c.Env = env
	for _, u := range def.Ulimits {
		c.Ulimits = append(c.Ulimits, container.Ulimit{Name: aws.Val(u.Name), Soft: uint64(aws.Val(u.SoftLimit)), Hard: uint64(aws.Val(u.HardLimit))})
	}
	for _, h := range def.ExtraHosts {
		c.ExtraHosts = append(c.ExtraHosts, container.HostEntry{Addr: aws.Val(h.IpAddress), Names: []string{aws.Val(h.Hostname)}})
	}
	for _, sc := range def.SystemControls {
		if c.Sysctls == nil {
			c.Sysctls = map[string]string{}
		}
		c.Sysctls[aws.Val(sc.Namespace)] = aws.Val(sc.Value)
	}
	linuxParameters(&c, def.LinuxParameters)
	var err error
	c.Mounts, err = s.volumes(t, &def)
	return c, err
}

func overrideOf(t *taskRecord, name string) *ecsapi.ContainerOverride {
	if t.Overrides == nil {
		return nil
	}
	for i := range t.Overrides.ContainerOverrides {
		if o := &t.Overrides.ContainerOverrides[i]; aws.Val(o.Name) == name {
			return o
		}
	}
	return nil
}

// environment is what ECS adds; what the task definition says comes after it and
// wins.
func (s *Service) environment(t *taskRecord, c *ecsapi.Container) []string {
	env := []string{
		"AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
		"AWS_REGION=" + t.Place.Region,
		"AWS_DEFAULT_REGION=" + t.Place.Region,
		"ECS_CONTAINER_METADATA_URI=" + metadataHost + "/v3/" + *c.RuntimeId,
		"ECS_CONTAINER_METADATA_URI_V4=" + metadataHost + "/v4/" + *c.RuntimeId,
		"ECS_AGENT_URI=" + metadataHost + "/api/" + *c.RuntimeId,
	}
	if s.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+s.Endpoint)
	}
	if t.CredentialsID != "" {
		env = append(env, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/"+t.CredentialsID)
	}
	return env
}

func linuxParameters(c *container.Container, p *ecsapi.LinuxParameters) {
	if p == nil {
		return
	}
	c.Init = aws.Val(p.InitProcessEnabled)
	c.ShmSize = int64(aws.Val(p.SharedMemorySize)) * mib
	if p.Capabilities != nil {
		c.AddCaps, c.DropCaps = p.Capabilities.Add, p.Capabilities.Drop
	}
	for _, m := range p.Tmpfs {
		c.Mounts = append(c.Mounts, container.Mount{Target: aws.Val(m.ContainerPath), Size: int64(aws.Val(m.Size)) * mib})
	}
}

// volumes are the mounts of a container, with the directories of the task's
// ephemeral volumes made.
func (s *Service) volumes(t *taskRecord, def *ecsapi.ContainerDefinition) ([]container.Mount, error) {
	var out []container.Mount
	for _, m := range def.MountPoints {
		dir := filepath.Join(s.VolumesDir, t.ID, aws.Val(m.SourceVolume))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		out = append(out, container.Mount{Source: dir, Target: aws.Val(m.ContainerPath), ReadOnly: aws.Val(m.ReadOnly)})
	}
	return out, nil
}

// stopInBackground stops a container: its stop signal, and after its time-out
// SIGKILL. It outlasts a reconcile; after a restart it is begun again.
func (s *Service) stopInBackground(t *taskRecord, d *taskDefinitionRecord, name string) {
	timeout := defaultStopTimeout
	for _, c := range d.ContainerDefinitions {
		if *c.Name == name && c.StopTimeout != nil {
			timeout = time.Duration(*c.StopTimeout) * time.Second
		}
	}
	id := *t.containerOf(name).RuntimeId
	s.once("stop "+id, func(ctx context.Context) {
		if err := s.Runtime.Stop(ctx, id, 0, timeout); err != nil && ctx.Err() == nil {
			s.Log.Warn("a container does not stop", "container", id, "error", err)
		}
	})
}

// once runs f in the background unless it runs already, and wakes nobody: what f
// waits for does.
func (s *Service) once(what string, f func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[what] || s.bgCtx.Err() != nil {
		return
	}
	s.busy[what] = true
	s.bg.Go(func() {
		f(s.bgCtx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, what)
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
