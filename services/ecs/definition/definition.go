// Package definition is what ECS asks of a task definition before it registers
// it, in ECS's words, and how it reads sizes.
package definition

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/awslogs"
)

// RestartAttemptPeriod is how long a container must have run to be started
// again, in seconds, where its restart policy does not say.
const RestartAttemptPeriod = 300

// Awsvpc is the network mode in which a task has an interface of its own.
const Awsvpc = "awsvpc"

var (
	vcpuPattern = regexp.MustCompile(`(?i)^(\d*\.?\d+)\s*vcpu$`)
	ecrImage    = regexp.MustCompile(`^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/`)
	gbPattern   = regexp.MustCompile(`(?i)^(\d*\.?\d+)\s*gb$`)
)

// CPUUnits reads a task's cpu: units or "1 vCPU".
func CPUUnits(text string) (int, bool) {
	if m := vcpuPattern.FindStringSubmatch(text); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		return int(f * 1024), err == nil && f > 0
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// MemoryMiB reads a task's memory: MiB or "2 GB".
func MemoryMiB(text string) (int, bool) {
	if m := gbPattern.FindStringSubmatch(text); m != nil {
		f, err := strconv.ParseFloat(m[1], 64)
		return int(f * 1024), err == nil && f > 0
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0
}

// fargateSizes are Fargate's sizes: CPU units, and memory from, to, in steps of.
var fargateSizes = []struct{ cpu, from, to, step int }{
	{512, 1024, 4096, 1024},
	{1024, 2048, 8192, 1024},
	{2048, 4096, 16384, 1024},
	{4096, 8192, 30720, 1024},
	{8192, 16384, 61440, 4096},
	{16384, 32768, 122880, 8192},
	{32768, 61440, 249856, 4096}, // 60 GB, 128 GB to 244 GB; see FargateSize
}

const troubleshooting = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

// FargateSize checks a task's size against those that Fargate has.
func FargateSize(cpu, memory string) error {
	c, ok := CPUUnits(cpu)
	if !ok {
		return ecsapi.ClientException("Invalid 'cpu' setting for task. " + troubleshooting)
	}
	m, ok := MemoryMiB(memory)
	if !ok {
		return ecsapi.ClientException("Invalid 'memory' setting for task. " + troubleshooting)
	}
	if c == 256 && slices.Contains([]int{512, 1024, 2048}, m) {
		return nil
	}
	for _, size := range fargateSizes {
		if c == size.cpu && m >= size.from && m <= size.to && (m-size.from)%size.step == 0 &&
			(c != 32768 || m == 61440 || m >= 131072) {
			return nil
		}
	}
	return ecsapi.ClientException("No Fargate configuration exists for given values.")
}

var familyPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

// Check refuses what ECS refuses, in its words.
func Check(d *ecsapi.TaskDefinition) error {
	if !familyPattern.MatchString(aws.Val(d.Family)) {
		return ecsapi.ClientException("Family contains invalid characters.")
	}
	if len(d.ContainerDefinitions) == 0 {
		return ecsapi.ClientException("Container list cannot be empty.")
	}
	if d.Cpu != nil {
		if _, ok := CPUUnits(*d.Cpu); !ok {
			return ecsapi.ClientException("Invalid 'cpu' setting for task. " + troubleshooting)
		}
	}
	if d.Memory != nil {
		if _, ok := MemoryMiB(*d.Memory); !ok {
			return ecsapi.ClientException("Invalid 'memory' setting for task. " + troubleshooting)
		}
	}
	fargate := slices.Contains(d.RequiresCompatibilities, ecsapi.CompatibilityFargate)
	if fargate {
		if err := checkFargate(d); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	essential := false
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if err := checkContainer(d, c); err != nil {
			return err
		}
		if names[*c.Name] {
			return ecsapi.ClientException("Container names must be unique. Container name '%s' is used more than once.", *c.Name)
		}
		names[*c.Name] = true
		essential = essential || c.Essential == nil || *c.Essential
	}
	if !essential {
		return ecsapi.ClientException("At least one container in the task definition must be marked as essential.")
	}
	if err := checkSums(d); err != nil {
		return err
	}
	return checkDependencies(d.ContainerDefinitions, names)
}

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
		return ecsapi.ClientException("Fargate does not support task placement constraints.")
	}
	if err := FargateSize(*d.Cpu, *d.Memory); err != nil {
		return err
	}
	for _, v := range d.Volumes {
		if v.Host != nil && v.Host.SourcePath != nil {
			return ecsapi.ClientException("Fargate compatible task definitions do not support sourcePath")
		}
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		switch {
		case aws.Val(c.Privileged):
			return ecsapi.ClientException("Fargate compatible task definitions do not support privileged")
		case len(c.Links) > 0:
			return ecsapi.ClientException("Links are not supported when networkMode=awsvpc.")
		case ecrImage.MatchString(aws.Val(c.Image)) && d.ExecutionRoleArn == nil:
			return ecsapi.ClientException("Fargate requires task definition to have execution role ARN to support ECR images.")
		}
		if l := c.LogConfiguration; l != nil {
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
				return ecsapi.ClientException("Fargate compatible task definitions do not support log driver %s", driver)
			}
		}
	}
	return nil
}

// checkContainer holds what is asked of every container.
func checkContainer(d *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) error {
	switch {
	case aws.Val(c.Name) == "":
		return ecsapi.ClientException("Container.name should not be null or empty.")
	case !familyPattern.MatchString(*c.Name):
		return ecsapi.ClientException("Invalid container name: %s. Up to 255 letters (uppercase and lowercase), hyphens, underscores, and numbers are allowed.", *c.Name)
	case aws.Val(c.Image) == "":
		return ecsapi.ClientException("Container.image should not be null or empty.")
	case strings.ContainsAny(*c.Image, " \t\n"):
		return ecsapi.ClientException("Container.image contains invalid characters.")
	case d.Memory == nil && c.Memory == nil && c.MemoryReservation == nil:
		return ecsapi.ClientException("Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", *c.Name)
	case c.Memory != nil && *c.Memory < 6:
		return ecsapi.ClientException("Invalid setting for container '%s'. 'memory' must be at least 6 MiB.", *c.Name)
	case c.Memory != nil && c.MemoryReservation != nil && *c.Memory < *c.MemoryReservation:
		return ecsapi.ClientException("Invalid setting for container '%s'. 'memory' must be greater than or equal to 'memoryReservation'.", *c.Name)
	case c.StopTimeout != nil && (*c.StopTimeout < 0 || *c.StopTimeout > 120) && slices.Contains(d.RequiresCompatibilities, ecsapi.CompatibilityFargate):
		return ecsapi.ClientException("Invalid setting for container '%s'. The stopTimeout value must be between 0 and 120 seconds.", *c.Name)
	}
	if aws.Val(d.NetworkMode) == Awsvpc {
		for _, m := range c.PortMappings {
			if m.HostPort != nil && *m.HostPort != 0 && *m.HostPort != aws.Val(m.ContainerPort) {
				return ecsapi.ClientException("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
			}
		}
	}
	if l := c.LogConfiguration; l != nil && aws.Val(l.LogDriver) == ecsapi.LogDriverAwslogs {
		var missing []string
		for _, o := range []string{awslogs.OptionGroup, awslogs.OptionRegion} {
			if l.Options[o] == "" {
				missing = append(missing, o)
			}
		}
		if missing != nil {
			return ecsapi.ClientException("Log driver awslogs requires options: %s", strings.Join(missing, ", "))
		}
	}
	return nil
}

// checkSums compares what the containers ask for with what the task has.
func checkSums(d *ecsapi.TaskDefinition) error {
	cpu, memory := 0, 0
	for _, c := range d.ContainerDefinitions {
		cpu += int(aws.Val(c.Cpu))
		if c.MemoryReservation != nil {
			memory += int(*c.MemoryReservation)
		} else {
			memory += int(aws.Val(c.Memory))
		}
	}
	if d.Cpu != nil {
		if units, _ := CPUUnits(*d.Cpu); cpu > units {
			return ecsapi.ClientException("The total cpu of all containers must not exceed the cpu of the task: %d > %d.", cpu, units)
		}
	}
	if d.Memory != nil {
		if mib, _ := MemoryMiB(*d.Memory); memory > mib {
			return ecsapi.ClientException("Invalid setting for task. The total memory of all containers must not exceed the memory of the task: %d > %d.", memory, mib)
		}
	}
	return nil
}

// checkDependencies refuses what could never start.
func checkDependencies(containers []ecsapi.ContainerDefinition, names map[string]bool) error {
	after := map[string][]string{}
	for _, c := range containers {
		for _, dep := range c.DependsOn {
			on := aws.Val(dep.ContainerName)
			if !names[on] || on == *c.Name {
				return ecsapi.ClientException("Container '%s' has an invalid dependency on container '%s'.", *c.Name, on)
			}
			target := containers[slices.IndexFunc(containers, func(x ecsapi.ContainerDefinition) bool { return *x.Name == on })]
			switch aws.Val(dep.Condition) {
			case ecsapi.ContainerConditionHealthy:
				if target.HealthCheck == nil {
					return ecsapi.ClientException("Container '%s' has a HEALTHY dependency on container '%s', which has no health check.", *c.Name, on)
				}
			case ecsapi.ContainerConditionComplete, ecsapi.ContainerConditionSuccess:
				if target.Essential == nil || *target.Essential {
					return ecsapi.ClientException("A container with a dependency condition of COMPLETE or SUCCESS must not be essential: '%s'.", on)
				}
			}
			after[*c.Name] = append(after[*c.Name], on)
		}
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var cyclic func(name string) bool
	cyclic = func(name string) bool {
		switch state[name] {
		case visiting:
			return true
		case done:
			return false
		}
		state[name] = visiting
		if slices.ContainsFunc(after[name], cyclic) {
			return true
		}
		state[name] = done
		return false
	}
	for name := range names {
		if cyclic(name) {
			return ecsapi.ClientException("Container dependencies must not be circular.")
		}
	}
	return nil
}
