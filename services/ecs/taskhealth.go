package ecs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

// taskHealth is a task's health: the worst of its essential containers' that
// have a check, UNKNOWN when none has.
func taskHealth(t *taskRecord, d *ecsapi.TaskDefinition) string {
	health := ecsapi.HealthStatusUnknown
	for i := range d.ContainerDefinitions {
		def := &d.ContainerDefinitions[i]
		c := t.containerOf(*def.Name)
		if !hasCheck(def.HealthCheck) || !aws.Val(def.Essential) || c == nil {
			continue
		}
		switch aws.Val(c.HealthStatus) {
		case ecsapi.HealthStatusUnhealthy:
			return ecsapi.HealthStatusUnhealthy
		case ecsapi.HealthStatusHealthy:
			health = ecsapi.HealthStatusHealthy
		default:
			return ecsapi.HealthStatusUnknown
		}
	}
	return health
}

func hasCheck(h *ecsapi.HealthCheck) bool {
	return h != nil && len(h.Command) > 1 && h.Command[0] != "NONE"
}

// checkHealth keeps a container's health check going while it runs.
func (s *Service) checkHealth(t *taskRecord, d *ecsapi.TaskDefinition, name string, status container.Status) {
	if status.State != container.Running {
		return
	}
	for i := range d.ContainerDefinitions {
		if def := &d.ContainerDefinitions[i]; *def.Name == name && hasCheck(def.HealthCheck) {
			h := &healthChecker{s: s, task: *t, name: name, id: *t.containerOf(name).RuntimeId, check: *def.HealthCheck, run: status.Restarts, started: status.Started}
			s.once(fmt.Sprint("health ", h.id, h.run), h.watch)
		}
	}
}

// healthChecker runs a container's health check.
type healthChecker struct {
	s        *Service
	task     taskRecord
	name, id string
	check    ecsapi.HealthCheck
	run      int // how often the container was started again before
	started  time.Time
}

func seconds(p *int32, d int32) time.Duration {
	if p != nil {
		d = *p
	}
	return time.Duration(d) * time.Second
}

// watch checks at intervals until the container has ended. A failure counts once
// the start period is over, or once the check has passed before.
func (h *healthChecker) watch(ctx context.Context) {
	interval, timeout := seconds(h.check.Interval, 30), seconds(h.check.Timeout, 5)
	grace := h.started.Add(h.s.Clock.Paced(seconds(h.check.StartPeriod, 0)))
	retries := int32(3)
	if h.check.Retries != nil {
		retries = *h.check.Retries
	}
	failures, passed := int32(0), false
	for sleep(ctx, h.s.Clock.Paced(interval)) == nil {
		if status, err := h.s.Runtime.Get(ctx, h.id); err != nil || status.State != container.Running || status.Restarts != h.run {
			return
		}
		err := h.once(ctx, timeout)
		switch {
		case errors.Is(err, container.ErrNotRunning), errors.Is(err, container.ErrNotFound), ctx.Err() != nil:
			return
		case err == nil:
			failures, passed = 0, true
			h.show(ctx, ecsapi.HealthStatusHealthy)
		case passed || time.Now().After(grace):
			if failures++; failures >= retries {
				h.show(ctx, ecsapi.HealthStatusUnhealthy)
			}
		}
	}
}

// once runs the check's command once.
func (h *healthChecker) once(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	args := h.check.Command[1:]
	if h.check.Command[0] == "CMD-SHELL" {
		args = []string{"/bin/sh", "-c", strings.Join(args, " ")}
	} else if h.check.Command[0] != "CMD" {
		args = h.check.Command
	}
	x, err := h.s.Runtime.Exec(ctx, h.id, container.Process{Args: args}, container.Stdio{})
	if err != nil {
		return err
	}
	code, err := x.Wait(ctx)
	if err == nil && code != 0 {
		err = errors.New("the check's command failed")
	}
	return err
}

// show writes the container's health into its task.
func (h *healthChecker) show(ctx context.Context, health string) {
	_, err := h.s.tasks.Update(ctx, func(t *taskRecord) error {
		if c := t.containerOf(h.name); c != nil && aws.Val(c.HealthStatus) != health {
			c.HealthStatus = &health
		}
		return nil
	}, h.task.ids()...)
	if err != nil && ctx.Err() == nil {
		h.s.Log.Warn("a container's health cannot be written", "task", h.task.ID, "error", err)
	}
}
