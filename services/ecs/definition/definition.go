// Package definition is what ECS asks of a task definition before it registers
// it, in ECS's words, and how it reads sizes.
package definition

import (
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// restartAttemptPeriod is how long a container must have run to be started
// again, where its restart policy does not say.
const restartAttemptPeriod = 300 * time.Second

// RestartPeriod is how long a container must have run to be started again.
func RestartPeriod(p *ecsapi.ContainerRestartPolicy) time.Duration {
	if p.RestartAttemptPeriod == nil {
		return restartAttemptPeriod
	}
	return time.Duration(*p.RestartAttemptPeriod) * time.Second
}

// Awsvpc is the network mode in which a task has an interface of its own.
const Awsvpc = "awsvpc"

var (
	vcpuPattern = regexp.MustCompile(`(?i)^(\d*\.?\d+)\s*vcpu$`)
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

// Fill sets what ECS shows of members that were left out.
func Fill(d *ecsapi.TaskDefinition) {
	d.Compatibilities = []string{ecsapi.CompatibilityEc2}
	if checkFargate(d) == nil {
		d.Compatibilities = append(d.Compatibilities, ecsapi.CompatibilityFargate, ecsapi.CompatibilityManagedInstances)
	}
	if d.NetworkMode == nil {
		d.NetworkMode = aws.Ptr("bridge")
	}
	if d.Cpu != nil {
		units, _ := CPUUnits(*d.Cpu)
		d.Cpu = aws.Ptr(strconv.Itoa(units))
	}
	if d.Memory != nil {
		mib, _ := MemoryMiB(*d.Memory)
		d.Memory = aws.Ptr(strconv.Itoa(mib))
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if c.Essential == nil {
			c.Essential = aws.Ptr(true)
		}
		if c.Cpu == nil {
			c.Cpu = aws.Ptr(int32(0))
		}
		c.PortMappings = slices.Clone(c.PortMappings)
		for j := range c.PortMappings {
			m := &c.PortMappings[j]
			if m.Protocol == nil {
				m.Protocol = aws.Ptr("tcp")
			}
			if m.HostPort == nil && *d.NetworkMode == Awsvpc {
				m.HostPort = m.ContainerPort
			}
		}
	}
	d.RequiresAttributes = attributes(d)
}

// Container finds a container of a task definition by its name; nil when there is
// none.
func Container(d *ecsapi.TaskDefinition, name string) *ecsapi.ContainerDefinition {
	i := slices.IndexFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return aws.Val(c.Name) == name })
	if i < 0 {
		return nil
	}
	return &d.ContainerDefinitions[i]
}

// Architecture is the processor architecture of a task, in Go's words: what its
// definition says, or this machine's.
func Architecture(d *ecsapi.TaskDefinition) string {
	if d.RuntimePlatform == nil {
		return runtime.GOARCH
	}
	switch aws.Val(d.RuntimePlatform.CpuArchitecture) {
	case ecsapi.CPUArchitectureArm64:
		return "arm64"
	case ecsapi.CPUArchitectureX8664:
		return "amd64"
	}
	return runtime.GOARCH
}

// CPUArchitecture is Architecture as the attribute of a task says it.
func CPUArchitecture(d *ecsapi.TaskDefinition) string {
	if a := Architecture(d); a != "amd64" {
		return a
	}
	return "x86_64"
}
