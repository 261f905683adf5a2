package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"minato/e2e/harness"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	idleTasks  = 100
	idleSettle = 20 * time.Second // what the start left is done and collected
	idleWatch  = 30 * time.Second
	logged     = "logged"
)

// idle measures what a hundred tasks cost in which nothing happens: processor
// time and memory of all of minato's processes, shims and log writers too.
func (b *bench) idle(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	if err := w.loggedDefinition(ctx); err != nil {
		return err
	}
	if _, _, err := w.runMany(ctx, logged, idleTasks); err != nil {
		return err
	}
	pause := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := pause(idleSettle); err != nil {
		return err
	}
	pids, err := processes(w.in)
	if err != nil {
		return err
	}
	before, err := ticks(pids)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := pause(idleWatch); err != nil {
		return err
	}
	after, err := ticks(pids)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	var mib float64
	for _, pid := range pids {
		m, err := pss(pid)
		if err != nil {
			return err
		}
		mib += m
	}
	const perSecond = 100 // USER_HZ, the same on every Linux that Go runs on
	b.add("idle_100_tasks_processes", float64(len(pids)), 0)
	b.add("idle_100_tasks_cpu_percent", float64(after-before)/perSecond/took.Seconds()*100, 2)
	b.add("idle_100_tasks_mib", mib, 1)
	return w.stopTasks(ctx)
}

// loggedDefinition is the task definition with a log, so that there are log
// writers.
func (w *world) loggedDefinition(ctx context.Context) error {
	have, err := w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})
	if err != nil {
		return err
	}
	c := have.TaskDefinition.ContainerDefinitions[0]
	c.LogConfiguration = &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
		"awslogs-group": logged, "awslogs-region": region, "awslogs-stream-prefix": "b",
	}}
	if err := w.logGroup(ctx, logged); err != nil {
		return err
	}
	_, err = w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(logged), NetworkMode: have.TaskDefinition.NetworkMode, Cpu: have.TaskDefinition.Cpu, Memory: have.TaskDefinition.Memory,
		RequiresCompatibilities: have.TaskDefinition.RequiresCompatibilities, ExecutionRoleArn: have.TaskDefinition.ExecutionRoleArn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	})
	return err
}

// processes are those of an instance: the ones that it lists, and the shims and
// log writers, which are told by the program that they run.
func processes(in *harness.Instance) ([]int, error) {
	s, err := status(in)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, p := range s.Processes {
		pids = append(pids, p.PID)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || !bytes.HasPrefix(b, []byte(in.DataDir)) {
			continue // gone since, or not ours
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// ticks is the processor time that processes have taken, in clock ticks.
func ticks(pids []int) (sum int, err error) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, err
		}
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the first is field 3
		for _, f := range fields[11:13] {
			n, err := strconv.Atoi(string(f))
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}
