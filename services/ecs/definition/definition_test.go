package definition

import (
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

func TestFargateSizes(t *testing.T) {
	for _, x := range []struct {
		cpu, memory string
		ok          bool
	}{
		{"256", "512", true},
		{"256", "1024", true},
		{"256", "2048", true},
		{"256", "1536", false},
		{".25 vCPU", "0.5 GB", true},
		{"512", "1024", true},
		{"512", "512", false},
		{"512", "5120", false},
		{"1024", "8192", true},
		{"1 vcpu", "8gb", true},
		{"4096", "30720", true},
		{"4096", "31744", false},
		{"8192", "20480", true},
		{"8192", "17408", false},
		{"16384", "122880", true},
		{"32768", "61440", true},
		{"32768", "65536", false},
		{"32768", "249856", true},
	} {
		if err := FargateSize(x.cpu, x.memory); (err == nil) != x.ok {
			t.Errorf("%s, %s: %v", x.cpu, x.memory, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// fargate is a definition that registers, of the containers app and side.
func fargate() *ecsapi.TaskDefinition {
	return &ecsapi.TaskDefinition{
		Family: ptr("web"), NetworkMode: ptr("awsvpc"), RequiresCompatibilities: []string{"FARGATE"}, Cpu: ptr("256"), Memory: ptr("512"),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: ptr("app"), Image: ptr("nginx")}, {Name: ptr("side"), Image: ptr("nginx"), Essential: ptr(false)}},
		Volumes:              []ecsapi.Volume{{Name: ptr("data")}},
	}
}

// What ECS refuses of single members, in its words.
func TestRefused(t *testing.T) {
	type d = ecsapi.TaskDefinition
	app := func(x *d) *ecsapi.ContainerDefinition { return &x.ContainerDefinitions[0] }
	linux := func(p ecsapi.LinuxParameters) func(x *d) {
		return func(x *d) { app(x).LinuxParameters = &p }
	}
	efs := func(e ecsapi.EFSVolumeConfiguration) func(x *d) {
		return func(x *d) { x.Volumes[0].EfsVolumeConfiguration = &e }
	}
	depends := func(on, condition string) func(x *d) {
		return func(x *d) {
			app(x).DependsOn = []ecsapi.ContainerDependency{{ContainerName: &on, Condition: &condition}}
		}
	}
	health := func(h ecsapi.HealthCheck) func(x *d) { return func(x *d) { app(x).HealthCheck = &h } }
	for _, c := range []struct {
		want   string // "" when it is taken
		change func(x *d)
	}{
		{"", func(*d) {}},
		{"", linux(ecsapi.LinuxParameters{Capabilities: &ecsapi.KernelCapabilities{Add: []string{"SYS_PTRACE"}, Drop: []string{"ALL"}}})},
		{"Invalid 'containerPort' setting for container 'app'. It must be between 0 and 65535.", func(x *d) { app(x).PortMappings = []ecsapi.PortMapping{{ContainerPort: ptr[int32](80000)}} }},
		{"Invalid setting for container 'app'. One of 'containerPort' and 'containerPortRange' must be specified in a port mapping.", func(x *d) { app(x).PortMappings = []ecsapi.PortMapping{{}} }},
		{"Port mapping names must be unique within a task definition: a.", func(x *d) {
			app(x).PortMappings = []ecsapi.PortMapping{{ContainerPort: ptr[int32](80), Name: ptr("a")}, {ContainerPort: ptr[int32](81), Name: ptr("a")}}
		}},
		{"NET_ADMIN is not allowed on Fargate.", linux(ecsapi.LinuxParameters{Capabilities: &ecsapi.KernelCapabilities{Add: []string{"SYS_PTRACE", "NET_ADMIN"}}})},
		{"Fargate compatible task definitions do not support devices", linux(ecsapi.LinuxParameters{Devices: []ecsapi.Device{{HostPath: ptr("/dev/null")}}})},
		{"Fargate compatible task definitions do not support sharedMemorySize", linux(ecsapi.LinuxParameters{SharedMemorySize: ptr[int32](64)})},
		{"Fargate compatible task definitions do not support maxSwap", linux(ecsapi.LinuxParameters{MaxSwap: ptr[int32](64)})},
		{"Fargate compatible task definitions do not support swappiness", linux(ecsapi.LinuxParameters{Swappiness: ptr[int32](0)})},
		{"", linux(ecsapi.LinuxParameters{Tmpfs: []ecsapi.Tmpfs{{ContainerPath: ptr("/tmp"), Size: ptr[int32](8), MountOptions: []string{"noexec", "mode=700"}}}})},
		{"Invalid setting for container 'app'. The tmpfs mount option 'size=1' is not valid.", linux(ecsapi.LinuxParameters{Tmpfs: []ecsapi.Tmpfs{{ContainerPath: ptr("/tmp"), Size: ptr[int32](8), MountOptions: []string{"size=1"}}}})},
		{"Fargate compatible task definitions do not support dockerSecurityOptions", func(x *d) { app(x).DockerSecurityOptions = []string{"no-new-privileges"} }},
		{"Fargate compatible task definitions do not support dockerVolumeConfiguration", func(x *d) { x.Volumes[0].DockerVolumeConfiguration = &ecsapi.DockerVolumeConfiguration{} }},
		{"Fargate compatible task definitions do not support sourcePath", func(x *d) { x.Volumes[0].Host = &ecsapi.HostVolumeProperties{SourcePath: ptr("/etc")} }},
		{"Fargate compatible task definitions do not support ipcMode", func(x *d) { x.IpcMode = ptr("task") }},
		{"Tasks using the Fargate launch type do not support pidMode 'host'.", func(x *d) { x.PidMode = ptr("host") }},
		{"", func(x *d) { x.PidMode = ptr("task") }},
		{"Fargate compatible task definitions do not support constraints", func(x *d) { x.PlacementConstraints = []ecsapi.TaskDefinitionPlacementConstraint{{}} }},
		{"Fargate requires that the 'privileged' setting be 'false'.", func(x *d) { app(x).Privileged = ptr(true) }},
		{"EphemeralStorage size should be at least 21.", func(x *d) { x.EphemeralStorage = &ecsapi.EphemeralStorage{SizeInGiB: ptr[int32](20)} }},
		{"EphemeralStorage size should be at most 200.", func(x *d) { x.EphemeralStorage = &ecsapi.EphemeralStorage{SizeInGiB: ptr[int32](201)} }},
		{"Tasks using the EC2 launch type do not support EphemeralStorage.", func(x *d) {
			x.RequiresCompatibilities, x.EphemeralStorage = nil, &ecsapi.EphemeralStorage{SizeInGiB: ptr[int32](21)}
		}},
		{"hostname is not supported on container when networkMode=awsvpc.", func(x *d) { app(x).Hostname = ptr("x") }},
		{"DNS servers are not supported on container when networkMode=awsvpc.", func(x *d) { app(x).DnsServers = []string{"1.1.1.1"} }},
		{"DNS search domains are not supported on container when networkMode=awsvpc.", func(x *d) { app(x).DnsSearchDomains = []string{"x"} }},
		{"Extra hosts are not supported on container when networkMode=awsvpc.", func(x *d) { app(x).ExtraHosts = []ecsapi.HostEntry{{}} }},
		{"Disable Networking is not supported on container when networkMode=awsvpc.", func(x *d) { app(x).DisableNetworking = ptr(true) }},
		{"Links are not supported when networkMode=awsvpc.", func(x *d) { app(x).Links = []string{"side"} }},
		{"Unknown volume 'none'.", func(x *d) {
			app(x).MountPoints = []ecsapi.MountPoint{{SourceVolume: ptr("none"), ContainerPath: ptr("/x")}}
		}},
		{"", func(x *d) {
			app(x).MountPoints = []ecsapi.MountPoint{{SourceVolume: ptr("data"), ContainerPath: ptr("/x")}}
		}},
		{"Invalid volume name: ../x. Up to 255 letters (uppercase and lowercase), hyphens, underscores, and numbers are allowed.", func(x *d) { x.Volumes[0].Name = ptr("../x") }},
		{"Invalid 'volumesFrom' setting. Unknown container: 'none'.", func(x *d) { app(x).VolumesFrom = []ecsapi.VolumeFrom{{SourceContainer: ptr("none")}} }},
		{"", efs(ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("fs-0123456789abcdef0"), RootDirectory: ptr("/a")})},
		{"Invalid EFS file system id: ../etc", efs(ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("../etc")})},
		{"TransitEncryptionPort requires that TransitEncryption is enabled.", efs(ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("fs-01234567"), TransitEncryptionPort: ptr[int32](1)})},
		{"EFS IAM authorization requires TransitEncryption to be enabled.", efs(ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("fs-01234567"), AuthorizationConfig: &ecsapi.EFSAuthorizationConfig{Iam: ptr("ENABLED")}})},
		{`When using an EFS access point, the root directory must either be set to "/" or be omitted.`, efs(ecsapi.EFSVolumeConfiguration{FileSystemId: ptr("fs-01234567"), RootDirectory: ptr("/a"), AuthorizationConfig: &ecsapi.EFSAuthorizationConfig{AccessPointId: ptr("fsap-1")}})},
		{"A dependency container with SUCCESS or COMPLETE condition cannot be an essential container", func(x *d) {
			x.ContainerDefinitions[1].DependsOn = []ecsapi.ContainerDependency{{ContainerName: ptr("app"), Condition: ptr("COMPLETE")}}
		}},
		{"A dependency container with HEALTHY condition must have health check configured", depends("side", "HEALTHY")},
		{"Cannot depend on container none because it does not exist", depends("none", "START")},
		{"Container dependencies must not be circular.", depends("app", "START")},
		{"", depends("side", "SUCCESS")},
		{"Container names must be unique within a task definition.", func(x *d) { x.ContainerDefinitions[1].Name = ptr("app") }},
		{"Too many containers.", func(x *d) { x.ContainerDefinitions = make([]ecsapi.ContainerDefinition, 11) }},
		{"The 'memory' setting for container 'app' is greater than for the task.", func(x *d) { app(x).Memory = ptr[int32](513) }},
		{"the 'restartAttemptPeriod' setting for container 'app' must be between 60 and 1800", func(x *d) {
			app(x).RestartPolicy = &ecsapi.ContainerRestartPolicy{RestartAttemptPeriod: ptr[int32](59)}
		}},
		{"When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.", func(x *d) { app(x).Secrets = []ecsapi.Secret{{}} }},
		{"Invalid arn syntax.", func(x *d) { app(x).EnvironmentFiles = []ecsapi.EnvironmentFile{{Value: ptr("s3://b/k.env")}} }},
		{"Invalid setting for container 'app'. The system control 'kernel.hostname' is not supported.", func(x *d) { app(x).SystemControls = []ecsapi.SystemControl{{Namespace: ptr("kernel.hostname")}} }},
		{"", func(x *d) { app(x).SystemControls = []ecsapi.SystemControl{{Namespace: ptr("net.core.somaxconn")}} }},
		{"Invalid setting for container 'app'. The health check's command must begin with CMD or CMD-SHELL.", health(ecsapi.HealthCheck{Command: []string{"curl"}})},
		{"Invalid setting for container 'app'. The health check's interval must be between 5 and 300.", health(ecsapi.HealthCheck{Command: []string{"CMD", "x"}, Interval: ptr[int32](4)})},
		{"Invalid setting for container 'app'. The health check's retries must be between 1 and 10.", health(ecsapi.HealthCheck{Command: []string{"CMD", "x"}, Retries: ptr[int32](11)})},
		{"", health(ecsapi.HealthCheck{Command: []string{"CMD", "x"}, Interval: ptr[int32](5), StartPeriod: ptr[int32](300)})},
		{"Invalid setting for container 'app'. The startTimeout value must be between 2 and 120 seconds.", func(x *d) { app(x).StartTimeout = ptr[int32](121) }},
		{"Invalid setting for container 'app'. The stopTimeout value must be between 0 and 120 seconds.", func(x *d) { app(x).StopTimeout = ptr[int32](121) }},
	} {
		x := fargate()
		c.change(x)
		if err := Check(x); (err != nil) != (c.want != "") || err != nil && aws.AsError(err).Message != c.want {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// A definition is compatible with Fargate when it would be taken as Fargate's.
func TestCompatibilities(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(x *ecsapi.TaskDefinition)
	}{
		{"EC2 FARGATE MANAGED_INSTANCES", func(*ecsapi.TaskDefinition) {}},
		{"EC2", func(x *ecsapi.TaskDefinition) { x.NetworkMode = nil }},
		{"EC2", func(x *ecsapi.TaskDefinition) {
			x.Volumes[0].Host = &ecsapi.HostVolumeProperties{SourcePath: ptr("/srv")}
		}},
		{"EC2", func(x *ecsapi.TaskDefinition) { x.Memory = ptr("100") }},
	} {
		x := fargate()
		x.RequiresCompatibilities = nil
		c.change(x)
		Fill(x)
		if got := strings.Join(x.Compatibilities, " "); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// The attributes that ECS asked for in recorded answers of RegisterTaskDefinition.
func TestAttributes(t *testing.T) {
	secret := ecsapi.Secret{Name: aws.Ptr("PASSWORD"), ValueFrom: aws.Ptr("arn:aws:secretsmanager:us-east-1:000000000000:secret:db-1S78mu:password::")}
	web := ecsapi.ContainerDefinition{
		Name: aws.Ptr("web"), Image: aws.Ptr("000000000000.dkr.ecr.us-east-1.amazonaws.com/web:v1"), Secrets: []ecsapi.Secret{secret},
		LogConfiguration: &ecsapi.LogConfiguration{LogDriver: aws.Ptr("awslogs")},
	}
	role := aws.Ptr("arn:aws:iam::000000000000:role/r")
	for name, c := range map[string]struct {
		d    ecsapi.TaskDefinition
		want string
	}{
		"bare":   {ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{{Image: aws.Ptr("nginx")}}}, ""},
		"awsvpc": {ecsapi.TaskDefinition{NetworkMode: aws.Ptr("awsvpc")}, "com.amazonaws.ecs.capability.docker-remote-api.1.18 ecs.capability.task-eni"},
		"workshop": {
			ecsapi.TaskDefinition{NetworkMode: aws.Ptr("awsvpc"), ExecutionRoleArn: role, TaskRoleArn: role, ContainerDefinitions: []ecsapi.ContainerDefinition{web, web}},
			"com.amazonaws.ecs.capability.docker-remote-api.1.18 com.amazonaws.ecs.capability.docker-remote-api.1.19 com.amazonaws.ecs.capability.ecr-auth " +
				"com.amazonaws.ecs.capability.logging-driver.awslogs com.amazonaws.ecs.capability.task-iam-role ecs.capability.execution-role-awslogs " +
				"ecs.capability.execution-role-ecr-pull ecs.capability.secrets.asm.environment-variables ecs.capability.task-eni",
		},
	} {
		t.Run(name, func(t *testing.T) {
			Fill(&c.d)
			var got []string
			for _, a := range c.d.RequiresAttributes {
				got = append(got, *a.Name)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("%s\nwant %s", s, c.want)
			}
		})
	}
}
