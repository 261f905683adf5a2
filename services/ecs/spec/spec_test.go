package spec

import (
	"reflect"
	"slices"
	"testing"

	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

func ptr[T any](v T) *T { return &v }

func task(d *ecsapi.TaskDefinition) *Task {
	return &Task{
		Group: "g", Hostname: "ip-10-0-0-9.ec2.internal", Address: "10.0.0.9", CPU: "256", Memory: "512", Region: "eu-west-1",
		Definition: d, Volumes: "/v/task", FileSystems: "/efs",
	}
}

func TestGroup(t *testing.T) {
	x := task(&ecsapi.TaskDefinition{PidMode: ptr("task")})
	g := x.ContainerGroup()
	if !g.SharePIDs || g.Limits.CPUs != 0.25 || g.Limits.Memory != 512<<20 || !slices.Equal(g.DNS.Servers, []string{Resolver}) || !slices.Equal(g.DNS.Search, []string{"ec2.internal"}) ||
		!reflect.DeepEqual(g.Hosts, []container.HostEntry{{Addr: "10.0.0.9", Names: []string{"ip-10-0-0-9.ec2.internal"}}}) {
		t.Errorf("%+v", g)
	}
}

// What RunTask overrides wins over the definition, which wins over what ECS adds.
func TestOverrides(t *testing.T) {
	def := ecsapi.ContainerDefinition{
		Name: ptr("app"), Command: []string{"serve"}, Cpu: ptr[int32](10), Memory: ptr[int32](64),
		Environment: []ecsapi.KeyValuePair{{Name: ptr("A"), Value: ptr("1")}, {Name: ptr("AWS_REGION"), Value: ptr("mine")}},
	}
	x := task(&ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{def}})
	x.Overrides = &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{
		Name: ptr("app"), Command: []string{"migrate"}, Cpu: ptr[int32](20), Memory: ptr[int32](96), MemoryReservation: ptr[int32](32),
		Environment: []ecsapi.KeyValuePair{{Name: ptr("A"), Value: ptr("2")}},
	}}}
	c := x.Container(&def, &ecsapi.Container{RuntimeId: ptr("id"), ImageDigest: ptr("sha256:1")})
	last := map[string]string{}
	for _, e := range c.Env {
		for i := range e {
			if e[i] == '=' {
				last[e[:i]] = e[i+1:]
				break
			}
		}
	}
	if !slices.Equal(c.Command, []string{"migrate"}) || c.Limits.CPUShares != 20 || c.Limits.Memory != 96<<20 || c.Limits.MemoryReservation != 32<<20 ||
		last["A"] != "2" || last["AWS_REGION"] != "mine" || last["AWS_DEFAULT_REGION"] != "eu-west-1" {
		t.Errorf("%+v", c)
	}
}

func TestLinuxParameters(t *testing.T) {
	def := ecsapi.ContainerDefinition{
		Name: ptr("app"), SystemControls: []ecsapi.SystemControl{{Namespace: ptr("net.core.somaxconn"), Value: ptr("1024")}},
		Ulimits: []ecsapi.Ulimit{{Name: ptr("nproc"), SoftLimit: ptr[int32](10), HardLimit: ptr[int32](20)}},
		LinuxParameters: &ecsapi.LinuxParameters{
			InitProcessEnabled: ptr(true), Capabilities: &ecsapi.KernelCapabilities{Add: []string{"SYS_PTRACE"}, Drop: []string{"ALL"}},
			Tmpfs: []ecsapi.Tmpfs{{ContainerPath: ptr("/run"), Size: ptr[int32](8), MountOptions: []string{"defaults", "exec", "mode=700"}}},
		},
	}
	x := task(&ecsapi.TaskDefinition{})
	c := x.Container(&def, &ecsapi.Container{RuntimeId: ptr("id")})
	want := []container.Mount{{Target: "/run", Size: 8 << 20, Options: []string{"noexec", "exec", "mode=700"}}}
	if !c.Init || !slices.Equal(c.AddCaps, []string{"SYS_PTRACE"}) || !slices.Equal(c.DropCaps, []string{"ALL"}) || c.Sysctls["net.core.somaxconn"] != "1024" ||
		!reflect.DeepEqual(c.Mounts, want) || !reflect.DeepEqual(c.Ulimits, []container.Ulimit{{Name: "nofile", Soft: 65535, Hard: 65535}, {Name: "nproc", Soft: 10, Hard: 20}}) {
		t.Errorf("%+v", c)
	}
}

func TestVolumes(t *testing.T) {
	d := &ecsapi.TaskDefinition{
		Volumes: []ecsapi.Volume{
			{Name: ptr("data")},
			{Name: ptr("shared"), EfsVolumeConfiguration: &ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("fs-01234567"), RootDirectory: ptr("/../a/b")}},
		},
		ContainerDefinitions: []ecsapi.ContainerDefinition{
			{
				Name: ptr("app"),
				MountPoints: []ecsapi.MountPoint{
					{SourceVolume: ptr("data"), ContainerPath: ptr("/data")},
					{SourceVolume: ptr("shared"), ContainerPath: ptr("/shared"), ReadOnly: ptr(true)},
				},
				VolumesFrom: []ecsapi.VolumeFrom{{SourceContainer: ptr("side"), ReadOnly: ptr(true)}},
			},
			{
				Name: ptr("side"), MountPoints: []ecsapi.MountPoint{{SourceVolume: ptr("data"), ContainerPath: ptr("/data/")}, {SourceVolume: ptr("data"), ContainerPath: ptr("/again")}},
				VolumesFrom: []ecsapi.VolumeFrom{{SourceContainer: ptr("app")}},
			},
		},
	}
	x := task(d)
	x.ImageVolumes = map[string][]string{"side": {"/var/lib/side", "/data"}}
	for i, want := range [][]container.Mount{
		{
			{Source: "/v/task/data", Target: "/data", Seed: true},
			{Source: "/efs/fs-01234567/a/b", Target: "/shared", ReadOnly: true},
			{Source: "/v/task/data", Target: "/again", Seed: true, ReadOnly: true},
			{Source: "/v/task/.side/0", Target: "/var/lib/side", Seed: true, ReadOnly: true},
		},
		{
			{Source: "/v/task/data", Target: "/data/", Seed: true},
			{Source: "/v/task/data", Target: "/again", Seed: true},
			{Source: "/v/task/.side/0", Target: "/var/lib/side", Seed: true},
			{Source: "/efs/fs-01234567/a/b", Target: "/shared", ReadOnly: true},
		},
	} {
		if got := x.Container(&d.ContainerDefinitions[i], &ecsapi.Container{RuntimeId: ptr("id")}).Mounts; !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
	}
}
