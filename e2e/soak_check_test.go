package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/dataplane/container"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// soakVictim is a process to be killed, and the one whose end ends the fault:
// with its shim or its log writer a task ends too.
type soakVictim struct{ pid, dies int }

// victims chooses. While a rollout goes on there is always one of each kind, but
// the one chosen may be just coming or going: then it chooses again.
func (w *soakWorld) victims(kind string, pick int) (out []soakVictim, err error) {
	err = soakUntil(soakConverge, func() error {
		if out, err = w.choose(kind, pick); err == nil && len(out) == 0 {
			err = fmt.Errorf("no %s runs", kind)
		}
		return err
	})
	return out, err
}

// choose returns none when what was chosen is gone.
func (w *soakWorld) choose(kind string, pick int) ([]soakVictim, error) {
	var out []soakVictim
	switch kind {
	case "daemon", "containerd":
		pid := processes(w.t, w.in, kind)[0]
		return append(out, soakVictim{pid, pid}), nil
	case "both":
		for _, pid := range processes(w.t, w.in, "daemon", "containerd") {
			out = append(out, soakVictim{pid, pid})
		}
		return out, nil
	}
	running, err := w.running()
	if err != nil || len(running) == 0 {
		return nil, err
	}
	ids := make([]string, 0, len(running))
	for id := range running {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	id := ids[pick%len(ids)]
	first := running[id]
	if kind == "first process" {
		return append(out, soakVictim{first, first}), nil
	}
	pid, err := w.helper(id, kind == "log writer")
	if err != nil || pid == 0 {
		return nil, err
	}
	return append(out, soakVictim{pid, first}), nil
}

// running asks the kernel, not minato, which containers have processes: their
// ids, and the first process of each.
func (w *soakWorld) running() (map[string]int, error) {
	var files []string
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} { // version 1, version 2
		found, err := filepath.Glob(root + "/minato-" + w.id + "/*/*/cgroup.procs")
		if err != nil {
			return nil, err
		}
		if files = found; len(found) > 0 {
			break
		}
	}
	out := map[string]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // gone since
		}
		if f := strings.Fields(string(b)); len(f) > 0 {
			pid, err := strconv.Atoi(f[0])
			if err != nil {
				return nil, err
			}
			out[filepath.Base(filepath.Dir(name))] = pid
		}
	}
	return out, nil
}

// helper finds a container's shim or log writer by its command line, 0 when it
// is gone.
func (w *soakWorld) helper(id string, logger bool) (int, error) {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // gone since
		}
		args := bytes.Split(b, []byte{0})
		if !bytes.HasPrefix(args[0], []byte(w.in.DataDir)) || !bytes.Contains(b, []byte(id)) || len(args) < 2 || (string(args[1]) == "log") != logger {
			continue
		}
		return strconv.Atoi(filepath.Base(filepath.Dir(name)))
	}
	return 0, nil
}

// soakGone waits until a process runs no more. A zombie has closed what it had,
// once it has no other threads: the first one may end long before the last.
func soakGone(pid int, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, os.ErrNotExist) || err == nil && soakZombie(b) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d still runs after %s", pid, limit)
		}
	}
}

// soakZombie reads /proc/PID/stat.
func soakZombie(stat []byte) bool {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the first is field 3, the state
	return len(fields) > 17 && string(fields[0]) == "Z" && string(fields[17]) == "1"
}

// converged waits until the service is whole and there is one of everything.
func (w *soakWorld) converged() error {
	began, told := time.Now(), false
	return soakUntil(soakConverge, func() error {
		err := w.whole()
		if err != nil && !told && time.Since(began) > soakPatience {
			told = true
			w.t.Logf("after %s: %v; log writers:\n%s", soakPatience, err, strings.Join(w.logWriters(), "\n"))
		}
		return err
	})
}

// soakPatience is after how long it is told what is waited for.
const soakPatience = 10 * time.Second

// whole compares what the API, the runtime's records and the kernel say.
func (w *soakWorld) whole() error {
	ctx := w.t.Context()
	services, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(soakName), Services: []string{soakName}})
	if err != nil {
		return err
	}
	s := services.Services[0]
	if len(s.Deployments) != 1 || s.Deployments[0].RolloutState != ecstypes.DeploymentRolloutStateCompleted || int(s.RunningCount) != w.tasks || int(s.DesiredCount) != w.tasks || s.PendingCount != 0 {
		return fmt.Errorf("the service has %d deployments, the first %s, and %d tasks running, %d pending: %s", len(s.Deployments), s.Deployments[0].RolloutState, s.RunningCount, s.PendingCount, soakEvents(s))
	}
	listed, err := w.ecs.ListTasks(ctx, &ecs.ListTasksInput{Cluster: aws.String(soakName)})
	if err != nil {
		return err
	}
	if len(listed.TaskArns) != w.tasks {
		return fmt.Errorf("ListTasks has %d tasks: %v", len(listed.TaskArns), listed.TaskArns)
	}
	tasks := &ecs.DescribeTasksOutput{}
	if w.tasks > 0 {
		if tasks, err = w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(soakName), Tasks: listed.TaskArns}); err != nil {
			return err
		}
	}
	if w.other != "" {
		more, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(w.other), Tasks: w.others})
		if err != nil {
			return err
		}
		tasks.Tasks = append(tasks.Tasks, more.Tasks...)
	}
	var containers, interfaces, addresses []string
	for _, t := range tasks.Tasks {
		if aws.ToString(t.LastStatus) != "RUNNING" {
			return fmt.Errorf("the task %s is %s", *t.TaskArn, *t.LastStatus)
		}
		containers = append(containers, aws.ToString(t.Containers[0].RuntimeId))
		for _, d := range t.Attachments[0].Details {
			switch aws.ToString(d.Name) {
			case "networkInterfaceId":
				interfaces = append(interfaces, aws.ToString(d.Value))
			case "privateIPv4Address":
				if strings.HasPrefix(aws.ToString(t.Group), "service:") {
					addresses = append(addresses, aws.ToString(d.Value))
				}
			}
		}
	}
	for _, check := range []struct {
		what string
		want []string
		have func() ([]string, error)
	}{
		{"containers with processes", containers, w.kernelContainers},
		{"containers of the runtime", containers, w.runtimeContainers},
		{"network interfaces of tasks", interfaces, w.interfaces},
		{"healthy targets", addresses, w.targets},
	} {
		have, err := check.have()
		if err != nil {
			return err
		}
		slices.Sort(check.want)
		slices.Sort(have)
		if !slices.Equal(check.want, have) {
			return fmt.Errorf("%s are %v, those of the tasks %v", check.what, have, check.want)
		}
	}
	return w.leaks(len(containers))
}

func soakEvents(s ecstypes.Service) string {
	var out []string
	for _, e := range s.Events[:min(4, len(s.Events))] {
		out = append(out, aws.ToString(e.Message))
	}
	return strings.Join(out, "; ")
}

func (w *soakWorld) kernelContainers() ([]string, error) {
	running, err := w.running()
	var out []string
	for id := range running {
		out = append(out, id)
	}
	return out, err
}

// runtimeContainers are those that the runtime keeps a record of, whatever
// became of them: a forgotten one would lie there for ever.
func (w *soakWorld) runtimeContainers() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(w.in.DataDir, "containers", "groups", "*", "c", "*", "status.json"))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // deleted since
		}
		var s container.Status
		if err := json.Unmarshal(b, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, s.ID)
	}
	return out, nil
}

// interfaces are those that ECS made: their description is an attachment's ARN.
func (w *soakWorld) interfaces() ([]string, error) {
	found, err := w.ec2.DescribeNetworkInterfaces(w.t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"arn:aws:ecs:*"}}}})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range found.NetworkInterfaces {
		out = append(out, *i.NetworkInterfaceId)
	}
	return out, nil
}

// targets are all that are registered, with their state when it is not healthy.
func (w *soakWorld) targets() ([]string, error) {
	found, err := w.elb.DescribeTargetHealth(w.t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: &w.group})
	if err != nil {
		return nil, err
	}
	var out []string
	for _, d := range found.TargetHealthDescriptions {
		id := *d.Target.Id
		if d.TargetHealth.State != elbtypes.TargetHealthStateEnumHealthy {
			id += " " + string(d.TargetHealth.State)
		}
		out = append(out, id)
	}
	return out, nil
}
