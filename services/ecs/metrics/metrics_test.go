package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/dataplane/container"
)

// gauge tells what each container has used.
type gauge map[string]container.Stats

func (g gauge) Stats(_ context.Context, id string) (container.Stats, error) {
	s, ok := g[id]
	if !ok {
		return s, errors.New("not running")
	}
	return s, nil
}

func show(data []cwapi.MetricDatum) string {
	var out []string
	for _, d := range data {
		var dims []string
		for _, x := range d.Dimensions {
			dims = append(dims, aws.Val(x.Value))
		}
		var values []string
		for _, v := range d.Values {
			values = append(values, fmt.Sprint(math.Round(v*100)/100))
		}
		out = append(out, fmt.Sprintf("%s(%s)=%s", aws.Val(d.MetricName), strings.Join(dims, "/"), strings.Join(values, ",")))
	}
	return strings.Join(out, "\n")
}

func TestUtilization(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	const mib = 1 << 20
	g := gauge{"a": {CPU: 10 * time.Second, Memory: 100 * mib}, "a2": {CPU: time.Second, Memory: 28 * mib}, "b": {CPU: 5 * time.Second, Memory: 512 * mib}}
	tasks := []Task{
		{Cluster: "c", Service: "web", CPU: 256, Memory: 512, Containers: []string{"a", "a2"}},
		{Cluster: "c", Service: "web", CPU: 256, Memory: 512, Containers: []string{"b"}},
		{Cluster: "c", CPU: 1024, Memory: 1024, Containers: []string{"gone"}},
	}
	m := NewMeter(g)
	if u := m.Measure(t.Context(), at, tasks); u != nil {
		t.Errorf("the first round: %v", u)
	}
	g["a"] = container.Stats{CPU: 13 * time.Second, Memory: 100 * mib} // 3 s of 60: 51.2 units, 20 % of 256
	g["b"] = container.Stats{CPU: 1500 * time.Millisecond, Memory: 256 * mib}
	g["new"] = container.Stats{CPU: 60 * time.Second, Memory: mib}
	tasks = append(tasks, Task{Cluster: "d", Service: "one", CPU: 1024, Memory: 2, Containers: []string{"new"}})
	u := m.Measure(t.Context(), at.Add(time.Minute), tasks)
	want := `CPUUtilization(c)=20,10
MemoryUtilization(c)=25,50
CPUUtilization(c/web)=20,10
MemoryUtilization(c/web)=25,50
CPUUtilization(d)=100
MemoryUtilization(d)=50
CPUUtilization(d/one)=100
MemoryUtilization(d/one)=50`
	if got := show(Utilization(u, at, false)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `CpuUtilized(d)=1024
CpuReserved(d)=1024
MemoryUtilized(d)=1
MemoryReserved(d)=2
CpuUtilized(d/one)=1024
CpuReserved(d/one)=1024
MemoryUtilized(d/one)=1
MemoryReserved(d/one)=2
RunningTaskCount(d/one)=1
PendingTaskCount(d/one)=2
DesiredTaskCount(d/one)=3
DeploymentCount(d/one)=1
ServiceCount(d)=1
TaskCount(d)=1`
	if got := show(Insights(u, []Service{{Cluster: "d", Name: "one", Running: 1, Pending: 2, Desired: 3, Deployments: 1}, {Cluster: "c", Name: "web"}}, []string{"d"}, at, false)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestManyTasks(t *testing.T) {
	var usage []Usage
	for range 200 {
		usage = append(usage, Usage{Task: Task{Cluster: "c", Service: "s", CPU: 1, Memory: 1}})
	}
	data := Utilization(usage, time.Now(), true)
	if len(data) != 8 || len(data[0].Values) != 150 || len(data[1].Values) != 50 || aws.Val(data[0].StorageResolution) != 1 {
		t.Errorf("%d data", len(data))
	}
}
