package definition

import (
	"regexp"
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/awslogs"
)

var ecrImage = regexp.MustCompile(`^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/`)

// unsupported is how ECS refuses a member that Fargate does not have.
const unsupported = "Fargate compatible task definitions do not support "

// Storage that a task on Fargate may ask for, in GiB; 20 without asking.
const (
	DefaultStorage = 20
	minStorage     = 21
	maxStorage     = 200
)

// checkFargate holds what RequiresCompatibilities FARGATE asks for.
func checkFargate(d *ecsapi.TaskDefinition) error {
	switch {
	case d.Cpu == nil:
		return ecsapi.ClientException("Fargate requires that 'cpu' be defined at the task level.")
	case d.Memory == nil:
		return ecsapi.ClientException("Fargate requires that 'memory' be defined at the task level.")
	case aws.Val(d.NetworkMode) != Awsvpc:
		return ecsapi.ClientException("Fargate only supports network mode 'awsvpc'.")
	case len(d.PlacementConstraints) > 0:
		return ecsapi.ClientException(unsupported + "constraints")
	case d.IpcMode != nil:
		return ecsapi.ClientException(unsupported + "ipcMode")
	case aws.Val(d.PidMode) == ecsapi.PidModeHost:
		return ecsapi.ClientException("Tasks using the Fargate launch type do not support pidMode 'host'.")
	}
	if err := FargateSize(*d.Cpu, *d.Memory); err != nil {
		return err
	}
	if err := CheckStorage(d.EphemeralStorage); err != nil {
		return err
	}
	for _, v := range d.Volumes {
		switch {
		case v.Host != nil && v.Host.SourcePath != nil:
			return ecsapi.ClientException(unsupported + "sourcePath")
		case v.DockerVolumeConfiguration != nil:
			return ecsapi.ClientException(unsupported + "dockerVolumeConfiguration")
		case v.FsxWindowsFileServerVolumeConfiguration != nil:
			return ecsapi.ClientException(unsupported + "fsxWindowsFileServerVolumeConfiguration")
		}
	}
	for i := range d.ContainerDefinitions {
		if err := checkFargateContainer(d, &d.ContainerDefinitions[i]); err != nil {
			return err
		}
	}
	return nil
}

// CheckStorage holds the limits of a task's ephemeral storage.
func CheckStorage(s *ecsapi.EphemeralStorage) error {
	switch {
	case s == nil:
	case aws.Val(s.SizeInGiB) < minStorage:
		return ecsapi.ClientException("EphemeralStorage size should be at least %d.", minStorage)
	case *s.SizeInGiB > maxStorage:
		return ecsapi.ClientException("EphemeralStorage size should be at most %d.", maxStorage)
	}
	return nil
}

func checkFargateContainer(d *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) error {
	switch {
	case aws.Val(c.Privileged):
		return ecsapi.ClientException("Fargate requires that the 'privileged' setting be 'false'.")
	case len(c.DockerSecurityOptions) > 0:
		return ecsapi.ClientException(unsupported + "dockerSecurityOptions")
	case c.StopTimeout != nil && (*c.StopTimeout < 0 || *c.StopTimeout > 120):
		return ecsapi.ClientException("Invalid setting for container '%s'. The stopTimeout value must be between 0 and 120 seconds.", *c.Name)
	case c.StartTimeout != nil && (*c.StartTimeout < 2 || *c.StartTimeout > 120):
		return ecsapi.ClientException("Invalid setting for container '%s'. The startTimeout value must be between 2 and 120 seconds.", *c.Name)
	case ecrImage.MatchString(aws.Val(c.Image)) && d.ExecutionRoleArn == nil:
		return ecsapi.ClientException("Fargate requires task definition to have execution role ARN to support ECR images.")
	}
	if err := checkFargateLinux(c.LinuxParameters); err != nil {
		return err
	}
	l := c.LogConfiguration
	if l == nil {
		return nil
	}
	switch driver := aws.Val(l.LogDriver); driver {
	case ecsapi.LogDriverAwslogs:
		if d.ExecutionRoleArn == nil {
			return ecsapi.ClientException("Fargate requires task definition to have execution role ARN to support log driver awslogs.")
		}
		if l.Options[awslogs.OptionStreamPrefix] == "" {
			return ecsapi.ClientException("Log driver awslogs requires options: awslogs-stream-prefix")
		}
	case ecsapi.LogDriverSplunk, ecsapi.LogDriverAwsfirelens:
	default:
		return ecsapi.ClientException(unsupported+"log driver %s", driver)
	}
	return nil
}

func checkFargateLinux(p *ecsapi.LinuxParameters) error {
	if p == nil {
		return nil
	}
	if p.Capabilities != nil {
		for _, name := range p.Capabilities.Add {
			if name != "SYS_PTRACE" {
				return ecsapi.ClientException("%s is not allowed on Fargate.", name)
			}
		}
	}
	switch {
	case len(p.Devices) > 0:
		return ecsapi.ClientException(unsupported + "devices")
	case p.SharedMemorySize != nil:
		return ecsapi.ClientException(unsupported + "sharedMemorySize")
	case p.MaxSwap != nil:
		return ecsapi.ClientException(unsupported + "maxSwap")
	case p.Swappiness != nil:
		return ecsapi.ClientException(unsupported + "swappiness")
	}
	return nil
}

// tmpfsOptions are the mount options that ECS takes for a tmpfs; those with a
// value end with "=".
var tmpfsOptions = strings.Fields(`defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime
	diratime nodiratime bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime strictatime nostrictatime
	mode= uid= gid= nr_inodes= nr_blocks= mpol=`)

func checkTmpfs(c *ecsapi.ContainerDefinition) error {
	if c.LinuxParameters == nil {
		return nil
	}
	for _, m := range c.LinuxParameters.Tmpfs {
		for _, o := range m.MountOptions {
			name, _, valued := strings.Cut(o, "=")
			if valued {
				name += "="
			}
			if !slices.Contains(tmpfsOptions, name) {
				return ecsapi.ClientException("Invalid setting for container '%s'. The tmpfs mount option '%s' is not valid.", *c.Name, o)
			}
		}
	}
	return nil
}
