package ecs

import (
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
)

func TestEssentialContainers(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	side := d.ContainerDefinitions[0]
	side.Name, side.Essential, side.Command, side.PortMappings = aws.Ptr("init"), aws.Ptr(false), []string{"exit", "0"}, nil
	d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("init"), Condition: aws.Ptr("SUCCESS")}}
	d.ContainerDefinitions = append(d.ContainerDefinitions, side)
	arn := q.run(d)
	task := q.until(arn, life.Running)
	if c := task.Containers[1]; *c.LastStatus != life.Stopped || *c.ExitCode != 0 {
		t.Errorf("what is not essential: %+v", c)
	}
	q.must(q.runtime.End(*task.Containers[0].RuntimeId, container.Status{ExitCode: 137, OOMKilled: true}))
	task = q.until(arn, life.Stopped)
	if *task.StopCode != "EssentialContainerExited" || *task.StoppedReason != "Essential container in task exited" ||
		*task.Containers[0].ExitCode != 137 || *task.Containers[0].Reason != "OutOfMemoryError: Container killed due to memory usage" {
		b, _ := json.Marshal(task)
		t.Errorf("%s", b)
	}
}

// A restart policy has a container started again, its log goes on, and an exit
// code that it ignores ends the task.
func TestRestartPolicy(t *testing.T) {
	q := newQuay(t)
	q.stop()
	q.pace = 1000 // 60 s are 60 ms
	q.start()
	d := chatDefinition("sleep")
	d.ContainerDefinitions[0].RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true), IgnoredExitCodes: []int32{5}, RestartAttemptPeriod: aws.Ptr[int32](60)}
	arn := q.run(d)
	id := *q.until(arn, life.Running).Containers[0].RuntimeId
	for n := range 3 {
		time.Sleep(100 * time.Millisecond)
		q.must(q.runtime.End(id, container.Status{ExitCode: 1}))
		for end := time.Now().Add(settlingTime); ; time.Sleep(5 * time.Millisecond) {
			if s, err := q.runtime.Get(q.ctx, id); err == nil && s.Restarts == n+1 && s.State == container.Running {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("not started again: %+v", q.task(arn))
			}
		}
		if m, err := q.ecs.Task(q.ctx, "eni-0", id); err != nil || m == nil || aws.Val(m.Containers[0].Restarts) != n+1 {
			t.Errorf("its metadata: %+v, %v", m, err)
		}
		if c := q.task(arn).Containers[0]; *c.LastStatus != life.Running || c.ExitCode != nil {
			t.Errorf("while it was started again: %+v", c)
		}
	}
	time.Sleep(100 * time.Millisecond)
	q.must(q.runtime.End(id, container.Status{ExitCode: 5}))
	if task := q.until(arn, life.Stopped); *task.StopCode != "EssentialContainerExited" || *task.Containers[0].ExitCode != 5 {
		t.Errorf("%+v", task)
	}
	if got := q.logs.stream("web/chat/" + arn[len(arn)-record.TaskIDLength:]); !slices.Equal(got, []string{"ready", "ready", "ready", "ready"}) {
		t.Errorf("its log: %q", got)
	}
}

// A container that ends before it has run for its period is not started again.
func TestRestartTooSoon(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("exit", "4")
	d.ContainerDefinitions[0].RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true)}
	if task := q.until(q.run(d), life.Stopped); *task.Containers[0].ExitCode != 4 {
		t.Errorf("%+v", task)
	}
}

// Containers that others depend on are stopped after them.
func TestStopOrder(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	side := d.ContainerDefinitions[0]
	side.Name, side.Essential, side.PortMappings = aws.Ptr("side"), aws.Ptr(false), nil
	d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("side"), Condition: aws.Ptr("START")}}
	d.ContainerDefinitions = append(d.ContainerDefinitions, side)
	arn := q.run(d)
	task := q.until(arn, life.Running)
	var ends [2]container.Status
	var waits sync.WaitGroup
	for i := range ends {
		waits.Go(func() { ends[i], _ = q.runtime.Wait(q.ctx, *task.Containers[i].RuntimeId) })
	}
	q.must(second(q.ecs.StopTask(q.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: &arn})))
	waits.Wait()
	q.until(arn, life.Stopped)
	if !ends[0].Ended.Before(ends[1].Ended) {
		t.Errorf("chat ended at %v, what it needs at %v", ends[0].Ended, ends[1].Ended)
	}
}

func TestHealthCheck(t *testing.T) {
	q := newQuay(t)
	q.stop()
	q.pace = 100
	q.start()
	d := chatDefinition("sleep")
	d.ContainerDefinitions[0].HealthCheck = &ecsapi.HealthCheck{Command: []string{"CMD", "/program", "exit", "0"}, Interval: aws.Ptr[int32](5)}
	arn := q.run(d)
	q.until(arn, life.Running)
	for end := time.Now().Add(settlingTime); *q.task(arn).HealthStatus != "HEALTHY"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("health: %+v", q.task(arn))
		}
	}
}

// A task that has written more than its ephemeral storage ends.
func TestStorageFull(t *testing.T) {
	q := newQuay(t)
	d := chatDefinition("sleep")
	arn := q.run(d)
	q.until(arn, life.Running)
	q.stop()
	q.runtime.SetWritten(25 << 30)
	q.start()
	if task := q.until(arn, life.Stopped); *task.StoppedReason != "no space left on device: the task has written 25.0 GiB and has 20 GiB of ephemeral storage" || *task.StopCode != "EssentialContainerExited" {
		t.Errorf("%s: %s", *task.StopCode, *task.StoppedReason)
	}
}

// Logs that CloudWatch does not take for a while are not lost.
func TestLogsWait(t *testing.T) {
	q := newQuay(t)
	q.logs.refuse = errors.New("not now")
	arn := q.run(chatDefinition("count", "50", "0"))
	time.Sleep(300 * time.Millisecond)
	q.logs.mu.Lock()
	q.logs.refuse = nil
	q.logs.mu.Unlock()
	q.until(arn, life.Stopped)
	if got := q.logs.stream("web/chat/" + arn[len(arn)-record.TaskIDLength:]); len(got) != 50 || got[49] != "line 49" {
		t.Errorf("%d lines", len(got))
	}
}
