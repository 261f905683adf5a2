// Package metrics measures tasks and says what ECS tells CloudWatch of them:
//
//	AWS/ECS                 CPUUtilization and MemoryUtilization, per cent of what the
//	                        task definition reserves, by ClusterName + ServiceName and
//	                        by ClusterName; a value for each task
//	ECS/ContainerInsights   for clusters with containerInsights: what is used and
//	                        reserved, and how many tasks run, wait and are wanted
//
// Measuring is reading a few files of each container's cgroup; what is made of the
// readings is pure.
package metrics

import (
	"context"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/dataplane/container"
)

// Namespaces of the metrics.
const (
	Namespace         = "AWS/ECS"
	InsightsNamespace = "ECS/ContainerInsights"
)

// Every is the time between two measurements, paced.
const Every = time.Minute

// Task is a running task that is to be measured.
type Task struct {
	Place      arn.Place
	Cluster    string
	Service    string   // "" for a task of no service
	CPU        float64  // units reserved; 1024 are a processor
	Memory     float64  // MiB reserved
	Containers []string // their ids in the runtime
}

// Service is what is known of a service.
type Service struct {
	Cluster, Name             string
	Running, Pending, Desired float64
	Deployments               float64
}

// Usage is what a task has used in an interval.
type Usage struct {
	Task
	UsedCPU    float64 // units
	UsedMemory float64 // MiB, at its end
}

// Source measures containers: a container.Runtime.
type Source interface {
	Stats(ctx context.Context, id string) (container.Stats, error)
}

// Meter remembers the last reading of each container, since a container tells
// only what it has used in all.
type Meter struct {
	source Source
	at     time.Time // of the last round
	last   map[string]time.Duration
}

// NewMeter returns a meter that has measured nothing yet.
func NewMeter(s Source) *Meter { return &Meter{source: s} }

// Since is how long ago the last round was; 0 when there was none.
func (m *Meter) Since(now time.Time) time.Duration {
	if m.at.IsZero() {
		return 0
	}
	return now.Sub(m.at)
}

// Measure measures tasks. The first round yields nothing: it is what the second
// is compared to. Tasks of which no container runs are left out.
func (m *Meter) Measure(ctx context.Context, now time.Time, tasks []Task) []Usage {
	before, last := m.at, m.last
	m.at, m.last = now, make(map[string]time.Duration, len(last))
	var out []Usage
	for _, t := range tasks {
		u := Usage{Task: t}
		seen := false
		var used time.Duration
		for _, id := range t.Containers {
			s, err := m.source.Stats(ctx, id)
			if err != nil {
				continue // it has ended, or not begun
			}
			seen = true
			m.last[id] = s.CPU
			if s.CPU < last[id] {
				last[id] = 0 // it was started again
			}
			// One that was not there in the last round has used all of it since.
			used += s.CPU - last[id]
			u.UsedMemory += float64(s.Memory) / (1 << 20)
		}
		if elapsed := now.Sub(before); seen && !before.IsZero() && elapsed > 0 {
			u.UsedCPU = 1024 * used.Seconds() / elapsed.Seconds()
			out = append(out, u)
		}
	}
	return out
}

// maxValues is how many values CloudWatch takes for a metric at once.
const maxValues = 150

// series collects the values of metrics with the same dimensions.
type series struct {
	dimensions []cwapi.Dimension
	at         time.Time
	high       bool
	out        []cwapi.MetricDatum
}

func (s *series) add(name, unit string, values ...float64) {
	for chunk := range slices.Chunk(values, maxValues) {
		d := cwapi.MetricDatum{MetricName: &name, Dimensions: s.dimensions, Timestamp: &s.at, Unit: &unit, Values: chunk}
		if s.high {
			d.StorageResolution = aws.Ptr(int32(1))
		}
		s.out = append(s.out, d)
	}
}

func dimensions(cluster, service string) []cwapi.Dimension {
	out := []cwapi.Dimension{{Name: aws.Ptr("ClusterName"), Value: &cluster}}
	if service != "" {
		out = append(out, cwapi.Dimension{Name: aws.Ptr("ServiceName"), Value: &service})
	}
	return out
}

// group is the tasks of a service, or of a cluster when the service is "".
type group struct{ cluster, service string }

// groups sorts tasks into those of each service and of each cluster, in order.
func groups(usage []Usage) (keys []group, of map[group][]Usage) {
	of = map[group][]Usage{}
	add := func(g group, u Usage) {
		if of[g] == nil {
			keys = append(keys, g)
		}
		of[g] = append(of[g], u)
	}
	for _, u := range usage {
		if u.Service != "" {
			add(group{u.Cluster, u.Service}, u)
		}
		add(group{u.Cluster, ""}, u)
	}
	slices.SortFunc(keys, func(a, b group) int {
		if a.cluster != b.cluster {
			if a.cluster < b.cluster {
				return -1
			}
			return 1
		}
		if a.service < b.service {
			return -1
		}
		return 1
	})
	return keys, of
}

// Utilization is AWS/ECS's metrics of a moment. high says that they are kept by
// the second: with --pace they come oftener than once a minute.
func Utilization(usage []Usage, at time.Time, high bool) []cwapi.MetricDatum {
	keys, of := groups(usage)
	var out []cwapi.MetricDatum
	for _, g := range keys {
		var cpu, memory []float64
		for _, u := range of[g] {
			if u.CPU > 0 {
				cpu = append(cpu, 100*u.UsedCPU/u.CPU)
			}
			if u.Memory > 0 {
				memory = append(memory, 100*u.UsedMemory/u.Memory)
			}
		}
		s := series{dimensions: dimensions(g.cluster, g.service), at: at, high: high}
		s.add("CPUUtilization", cwapi.StandardUnitPercent, cpu...)
		s.add("MemoryUtilization", cwapi.StandardUnitPercent, memory...)
		out = append(out, s.out...)
	}
	return out
}

// Insights is Container Insights' metrics of the clusters that have it.
func Insights(usage []Usage, services []Service, clusters []string, at time.Time, high bool) []cwapi.MetricDatum {
	keys, of := groups(usage)
	var out []cwapi.MetricDatum
	for _, g := range keys {
		if !slices.Contains(clusters, g.cluster) {
			continue
		}
		s := series{dimensions: dimensions(g.cluster, g.service), at: at, high: high}
		var cpu, reservedCPU, memory, reservedMemory float64
		for _, u := range of[g] {
			cpu, memory = cpu+u.UsedCPU, memory+u.UsedMemory
			reservedCPU, reservedMemory = reservedCPU+u.CPU, reservedMemory+u.Memory
		}
		s.add("CpuUtilized", cwapi.StandardUnitNone, cpu)
		s.add("CpuReserved", cwapi.StandardUnitNone, reservedCPU)
		s.add("MemoryUtilized", cwapi.StandardUnitMegabytes, memory)
		s.add("MemoryReserved", cwapi.StandardUnitMegabytes, reservedMemory)
		out = append(out, s.out...)
	}
	for _, cluster := range clusters {
		c := series{dimensions: dimensions(cluster, ""), at: at, high: high}
		count := 0.0
		for _, v := range services {
			if v.Cluster != cluster {
				continue
			}
			count++
			s := series{dimensions: dimensions(cluster, v.Name), at: at, high: high}
			s.add("RunningTaskCount", cwapi.StandardUnitCount, v.Running)
			s.add("PendingTaskCount", cwapi.StandardUnitCount, v.Pending)
			s.add("DesiredTaskCount", cwapi.StandardUnitCount, v.Desired)
			s.add("DeploymentCount", cwapi.StandardUnitCount, v.Deployments)
			out = append(out, s.out...)
		}
		c.add("ServiceCount", cwapi.StandardUnitCount, count)
		c.add("TaskCount", cwapi.StandardUnitCount, float64(len(of[group{cluster, ""}])))
		out = append(out, c.out...)
	}
	return out
}
