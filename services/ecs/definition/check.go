package definition

import (
	"regexp"
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/awslogs"
)

var familyPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

// Bounds of lists.
const (
	maxContainers       = 10
	maxEnvironmentFiles = 10
	maxIgnoredExitCodes = 50
)

// Check refuses what ECS refuses, in its words.
func Check(d *ecsapi.TaskDefinition) error {
	switch {
	case !familyPattern.MatchString(aws.Val(d.Family)):
		return ecsapi.ClientException("Family contains invalid characters.")
	case len(d.ContainerDefinitions) == 0:
		return ecsapi.ClientException("Container list cannot be empty.")
	case len(d.ContainerDefinitions) > maxContainers:
		return ecsapi.ClientException("Too many containers.")
	case len(d.InferenceAccelerators) > 0:
		return ecsapi.ClientException("Unsupported field 'inferenceAccelerators'.")
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
	if slices.Contains(d.RequiresCompatibilities, ecsapi.CompatibilityFargate) {
		if err := checkFargate(d); err != nil {
			return err
		}
	} else if d.EphemeralStorage != nil {
		return ecsapi.ClientException("Tasks using the EC2 launch type do not support EphemeralStorage.")
	}
	names := map[string]bool{}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if err := checkContainer(d, c); err != nil {
			return err
		}
		if names[*c.Name] {
			return ecsapi.ClientException("Container names must be unique within a task definition.")
		}
		names[*c.Name] = true
	}
	if !slices.ContainsFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return essential(&c) }) {
		return ecsapi.ClientException("Task definition doesn't have any essential container.")
	}
	if err := checkSums(d); err != nil {
		return err
	}
	if err := checkVolumes(d); err != nil {
		return err
	}
	return checkDependencies(d)
}

// checkContainer holds what is asked of every container.
func checkContainer(d *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) error {
	if err := checkPorts(c); err != nil {
		return err
	}
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
	case len(c.Secrets) > 0 && d.ExecutionRoleArn == nil:
		return ecsapi.ClientException("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	for _, check := range []func(*ecsapi.ContainerDefinition) error{checkHealthCheck, checkRestart, checkEnvironmentFiles, checkTmpfs, checkSystemControls, checkLog} {
		if err := check(c); err != nil {
			return err
		}
	}
	if aws.Val(d.NetworkMode) == Awsvpc {
		return checkAwsvpc(c)
	}
	return nil
}

// checkPorts holds what port mappings must be.
func checkPorts(c *ecsapi.ContainerDefinition) error {
	names := map[string]bool{}
	for _, m := range c.PortMappings {
		for _, p := range []struct {
			name string
			port *int32
		}{{"containerPort", m.ContainerPort}, {"hostPort", m.HostPort}} {
			if p.port != nil && (*p.port < 0 || *p.port > 65535) {
				return ecsapi.ClientException("Invalid '%s' setting for container '%s'. It must be between 0 and 65535.", p.name, aws.Val(c.Name))
			}
		}
		switch name := aws.Val(m.Name); {
		case m.ContainerPort == nil && m.ContainerPortRange == nil:
			return ecsapi.ClientException("Invalid setting for container '%s'. One of 'containerPort' and 'containerPortRange' must be specified in a port mapping.", aws.Val(c.Name))
		case m.ContainerPort != nil && m.ContainerPortRange != nil:
			return ecsapi.ClientException("Invalid setting for container '%s'. Only one of 'containerPort' and 'containerPortRange' can be specified in a port mapping.", aws.Val(c.Name))
		case name != "" && names[name]:
			return ecsapi.ClientException("Port mapping names must be unique within a task definition: %s.", name)
		default:
			names[name] = true
		}
	}
	return nil
}

// checkAwsvpc holds what a container may not say where its task has an interface
// of its own.
func checkAwsvpc(c *ecsapi.ContainerDefinition) error {
	for _, m := range c.PortMappings {
		if m.HostPort != nil && *m.HostPort != 0 && *m.HostPort != aws.Val(m.ContainerPort) {
			return ecsapi.ClientException("When networkMode=awsvpc, the host ports and container ports in port mappings must match.")
		}
	}
	switch {
	case len(c.Links) > 0:
		return ecsapi.ClientException("Links are not supported when networkMode=awsvpc.")
	case aws.Val(c.Hostname) != "":
		return ecsapi.ClientException("hostname is not supported on container when networkMode=awsvpc.")
	case len(c.DnsServers) > 0:
		return ecsapi.ClientException("DNS servers are not supported on container when networkMode=awsvpc.")
	case len(c.DnsSearchDomains) > 0:
		return ecsapi.ClientException("DNS search domains are not supported on container when networkMode=awsvpc.")
	case len(c.ExtraHosts) > 0:
		return ecsapi.ClientException("Extra hosts are not supported on container when networkMode=awsvpc.")
	case aws.Val(c.DisableNetworking):
		return ecsapi.ClientException("Disable Networking is not supported on container when networkMode=awsvpc.")
	}
	return nil
}

func checkHealthCheck(c *ecsapi.ContainerDefinition) error {
	h := c.HealthCheck
	if h == nil {
		return nil
	}
	if len(h.Command) == 0 || !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, h.Command[0]) {
		return ecsapi.ClientException("Invalid setting for container '%s'. The health check's command must begin with CMD or CMD-SHELL.", *c.Name)
	}
	for _, x := range []struct {
		name     string
		value    *int32
		from, to int32
	}{{"interval", h.Interval, 5, 300}, {"timeout", h.Timeout, 2, 60}, {"retries", h.Retries, 1, 10}, {"startPeriod", h.StartPeriod, 0, 300}} {
		if x.value != nil && (*x.value < x.from || *x.value > x.to) {
			return ecsapi.ClientException("Invalid setting for container '%s'. The health check's %s must be between %d and %d.", *c.Name, x.name, x.from, x.to)
		}
	}
	return nil
}

func checkRestart(c *ecsapi.ContainerDefinition) error {
	p := c.RestartPolicy
	switch {
	case p == nil:
	case p.RestartAttemptPeriod != nil && (*p.RestartAttemptPeriod < 60 || *p.RestartAttemptPeriod > 1800):
		return ecsapi.ClientException("the 'restartAttemptPeriod' setting for container '%s' must be between 60 and 1800", *c.Name)
	case len(p.IgnoredExitCodes) > maxIgnoredExitCodes:
		return ecsapi.ClientException("the 'ignoredExitCodes' setting for container '%s' must have at most %d exit codes", *c.Name, maxIgnoredExitCodes)
	}
	return nil
}

func checkEnvironmentFiles(c *ecsapi.ContainerDefinition) error {
	if len(c.EnvironmentFiles) > maxEnvironmentFiles {
		return ecsapi.ClientException("The maximum number of environment files was exceeded. Specify ten or less and try again.")
	}
	for _, f := range c.EnvironmentFiles {
		if !arn.Is(aws.Val(f.Value)) {
			return ecsapi.ClientException("Invalid arn syntax.")
		}
	}
	return nil
}

var kernelParameter = regexp.MustCompile(`^(net\.[a-z0-9_./-]+|fs\.mqueue\.[a-z_]+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced))$`)

// checkSystemControls holds that kernel parameters are those of a container's
// own namespaces.
func checkSystemControls(c *ecsapi.ContainerDefinition) error {
	for _, sc := range c.SystemControls {
		if !kernelParameter.MatchString(aws.Val(sc.Namespace)) {
			return ecsapi.ClientException("Invalid setting for container '%s'. The system control '%s' is not supported.", *c.Name, aws.Val(sc.Namespace))
		}
	}
	return nil
}

func checkLog(c *ecsapi.ContainerDefinition) error {
	l := c.LogConfiguration
	if l == nil || aws.Val(l.LogDriver) != ecsapi.LogDriverAwslogs {
		return nil
	}
	var missing []string
	for _, o := range []string{awslogs.OptionGroup, awslogs.OptionRegion} {
		if l.Options[o] == "" {
			missing = append(missing, o)
		}
	}
	if missing != nil {
		return ecsapi.ClientException("Log driver awslogs requires options: %s", strings.Join(missing, ", "))
	}
	return nil
}

// checkSums compares what the containers ask for with what the task has.
func checkSums(d *ecsapi.TaskDefinition) error {
	cpu, memory := 0, 0
	limit, limited := 0, false
	if d.Memory != nil {
		limit, limited = MemoryMiB(*d.Memory)
	}
	for _, c := range d.ContainerDefinitions {
		cpu += int(aws.Val(c.Cpu))
		if limited && int(aws.Val(c.Memory)) > limit {
			return ecsapi.ClientException("The 'memory' setting for container '%s' is greater than for the task.", aws.Val(c.Name))
		}
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
	if limited && memory > limit {
		return ecsapi.ClientException("Invalid setting for task. The total memory of all containers must not exceed the memory of the task: %d > %d.", memory, limit)
	}
	return nil
}
