// Package health runs the health checks of containers, as docker runs them: at
// intervals, counting failures in a row.
package health

import (
	"context"
	"errors"
	"strings"
	"time"

	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/internal/clock"
)

// Defaults of a check, in seconds, and of its failures in a row.
const (
	interval = 30
	timeout  = 5
	retries  = 3
)

// Defined tells whether a container has a check; that of its image does not
// count, as on ECS.
func Defined(h *ecsapi.HealthCheck) bool {
	return h != nil && len(h.Command) > 1 && h.Command[0] != "NONE"
}

// Checker runs a container's health check.
type Checker struct {
	Runtime interface {
		Get(ctx context.Context, id string) (container.Status, error)
		Exec(ctx context.Context, id string, p container.Process, stdio container.Stdio) (container.Execution, error)
	}
	Clock     clock.Clock
	Container string
	Run       int // how often the container was started again before
	Started   time.Time
	Check     ecsapi.HealthCheck
	// Show is told what a check has found.
	Show func(ctx context.Context, health string)
}

func seconds(p *int32, d int32) time.Duration {
	if p != nil {
		d = *p
	}
	return time.Duration(d) * time.Second
}

// Watch checks at intervals until this run of the container has ended. A failure
// counts once the start period is over, or once the check has passed before.
func (c *Checker) Watch(ctx context.Context) {
	grace := c.Clock.Paced(seconds(c.Check.StartPeriod, 0))
	most := int32(retries)
	if c.Check.Retries != nil {
		most = *c.Check.Retries
	}
	failures, passed := int32(0), false
	for clock.Sleep(ctx, c.Clock, c.Clock.Paced(seconds(c.Check.Interval, interval))) == nil {
		if status, err := c.Runtime.Get(ctx, c.Container); err != nil || status.State != container.Running || status.Restarts != c.Run {
			return
		}
		err := c.once(ctx)
		switch {
		case errors.Is(err, container.ErrNotRunning), errors.Is(err, container.ErrNotFound), ctx.Err() != nil:
			return
		case err == nil:
			failures, passed = 0, true
			c.Show(ctx, ecsapi.HealthStatusHealthy)
		case passed || c.Clock.Now().After(c.Clock.At(c.Started).Add(grace)):
			if failures++; failures >= most {
				c.Show(ctx, ecsapi.HealthStatusUnhealthy)
			}
		}
	}
}

// once runs the check's command once.
func (c *Checker) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(c.Check.Timeout, timeout))
	defer cancel()
	args := c.Check.Command[1:]
	if c.Check.Command[0] == "CMD-SHELL" {
		args = []string{"/bin/sh", "-c", strings.Join(args, " ")}
	}
	x, err := c.Runtime.Exec(ctx, c.Container, container.Process{Args: args}, container.Stdio{})
	if err != nil {
		return err
	}
	code, err := x.Wait(ctx)
	if err == nil && code != 0 {
		err = errors.New("the check's command failed")
	}
	return err
}

// Worst is the health of a task, of its essential containers with a check:
// UNHEALTHY if one is, else UNKNOWN as long as one is, or when there are none.
func Worst(healths []string) string {
	worst := ecsapi.HealthStatusUnknown
	for i, h := range healths {
		switch {
		case h == ecsapi.HealthStatusUnhealthy:
			return h
		case i == 0 || h != ecsapi.HealthStatusHealthy:
			worst = h
		}
	}
	return worst
}
