// Package spec translates a task and the container definitions of its task
// definition, with what RunTask overrides of them, for the runtime. It is pure.
package spec

import (
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
)

// Resolver is the address of every VPC's resolver, as its tasks see it.
const Resolver = "169.254.169.253"

const (
	metadataHost = "http://169.254.170.2"

	noFileLimit = 65535 // Fargate's
	mib         = 1 << 20
)

// Task is what the containers of a task need to know of it.
type Task struct {
	Group    string // of its containers
	Netns    string
	Hostname string
	Address  string // private
	Labels   map[string]string

	CPU, Memory string // of all containers together, as ECS writes sizes
	Overrides   *ecsapi.TaskOverride

	Region        string
	Endpoint      string   // AWS_ENDPOINT_URL of its programs, "" for none
	Endpoints     []string // variables that name endpoints of single services
	CredentialsID string   // of its role at the metadata endpoint, "" for none

	Definition   *ecsapi.TaskDefinition
	Volumes      string              // the directory of its own volumes
	FileSystems  string              // the directory of file systems, by their ids
	ImageVolumes map[string][]string // what containers' images declare, by container
}

// ContainerGroup is the group of the task's containers.
func (t *Task) ContainerGroup() container.Group {
	g := container.Group{
		ID: t.Group, Netns: t.Netns, Hostname: t.Hostname, Labels: t.Labels,
		DNS:       container.DNS{Servers: []string{Resolver}},
		Hosts:     []container.HostEntry{{Addr: t.Address, Names: []string{t.Hostname}}},
		SharePIDs: t.Definition != nil && aws.Val(t.Definition.PidMode) == ecsapi.PidModeTask,
	}
	if _, domain, ok := strings.Cut(t.Hostname, "."); ok {
		g.DNS.Search = []string{domain}
	}
	if units, ok := definition.CPUUnits(t.CPU); ok {
		g.Limits.CPUs = float64(units) / 1024
	}
	if m, ok := definition.MemoryMiB(t.Memory); ok {
		g.Limits.Memory = int64(m) * mib
	}
	return g
}

// Container is a container of the task: its definition, and what is shown of it.
func (t *Task) Container(def *ecsapi.ContainerDefinition, shown *ecsapi.Container) container.Container {
	c := container.Container{
		ID: *shown.RuntimeId, Group: t.Group, Image: aws.Val(shown.ImageDigest), Labels: map[string]string{"name": *def.Name},
		Entrypoint: def.EntryPoint, Command: def.Command, User: aws.Val(def.User), WorkDir: aws.Val(def.WorkingDirectory),
		ReadOnlyRoot: aws.Val(def.ReadonlyRootFilesystem), TTY: aws.Val(def.PseudoTerminal),
		Ulimits: []container.Ulimit{{Name: "nofile", Soft: noFileLimit, Hard: noFileLimit}},
		NoLog:   def.LogConfiguration == nil,
		Env:     append(t.environment(*shown.RuntimeId), variables(def.Environment)...),
	}
	c.Limits.CPUShares = uint64(aws.Val(def.Cpu))
	c.Limits.Memory = int64(aws.Val(def.Memory)) * mib
	c.Limits.MemoryReservation = int64(aws.Val(def.MemoryReservation)) * mib
	if o := t.override(*def.Name); o != nil {
		override(&c, o)
	}
	for _, u := range def.Ulimits {
		c.Ulimits = append(c.Ulimits, container.Ulimit{Name: aws.Val(u.Name), Soft: uint64(aws.Val(u.SoftLimit)), Hard: uint64(aws.Val(u.HardLimit))})
	}
	for _, sc := range def.SystemControls {
		if c.Sysctls == nil {
			c.Sysctls = map[string]string{}
		}
		c.Sysctls[aws.Val(sc.Namespace)] = aws.Val(sc.Value)
	}
	linuxParameters(&c, def.LinuxParameters)
	c.Mounts = append(c.Mounts, t.volumes(def)...)
	return c
}

func variables(list []ecsapi.KeyValuePair) []string {
	var out []string
	for _, e := range list {
		out = append(out, aws.Val(e.Name)+"="+aws.Val(e.Value))
	}
	return out
}

func (t *Task) override(name string) *ecsapi.ContainerOverride {
	if t.Overrides == nil {
		return nil
	}
	i := slices.IndexFunc(t.Overrides.ContainerOverrides, func(o ecsapi.ContainerOverride) bool { return aws.Val(o.Name) == name })
	if i < 0 {
		return nil
	}
	return &t.Overrides.ContainerOverrides[i]
}

func override(c *container.Container, o *ecsapi.ContainerOverride) {
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
	c.Env = append(c.Env, variables(o.Environment)...)
}

// environment is what ECS adds for a container; what the task definition says
// comes after it and wins.
func (t *Task) environment(runtimeID string) []string {
	env := []string{
		"AWS_EXECUTION_ENV=AWS_ECS_FARGATE",
		"AWS_REGION=" + t.Region,
		"AWS_DEFAULT_REGION=" + t.Region,
		"ECS_CONTAINER_METADATA_URI=" + metadataHost + "/v3/" + runtimeID,
		"ECS_CONTAINER_METADATA_URI_V4=" + metadataHost + "/v4/" + runtimeID,
		"ECS_AGENT_URI=" + metadataHost + "/api/" + runtimeID,
	}
	if t.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+t.Endpoint)
	}
	env = append(env, t.Endpoints...)
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
		// What is said of it comes after docker's own, and wins.
		options := append([]string{"noexec"}, m.MountOptions...)
		c.Mounts = append(c.Mounts, container.Mount{Target: aws.Val(m.ContainerPath), Size: int64(aws.Val(m.Size)) * mib, Options: slices.DeleteFunc(options, func(o string) bool { return o == "defaults" })})
	}
}
