package ecs

import (
	"context"
	"fmt"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/health"
	"minato/services/ecs/record"
)

func taskHealth(t *record.Task, d *ecsapi.TaskDefinition) string {
	var healths []string
	for i := range d.ContainerDefinitions {
		def := &d.ContainerDefinitions[i]
		if c := t.Container(*def.Name); health.Defined(def.HealthCheck) && aws.Val(def.Essential) && c != nil {
			healths = append(healths, aws.Val(c.HealthStatus))
		}
	}
	return health.Worst(healths)
}

// checkHealth keeps a container's health check going while it runs.
func (s *Service) checkHealth(t *record.Task, d *ecsapi.TaskDefinition, name string, status container.Status) {
	def := definition.Container(d, name)
	if status.State != container.Running || def == nil || !health.Defined(def.HealthCheck) {
		return
	}
	ids := t.IDs()
	c := &health.Checker{
		Runtime: s.Runtime, Clock: s.Clock, Container: status.ID, Run: status.Restarts, Started: status.Started, Check: *def.HealthCheck,
		Show: func(ctx context.Context, found string) { s.showHealth(ctx, ids, name, found) },
	}
	s.once(fmt.Sprint("health ", c.Container, c.Run), c.Watch)
}

// showHealth writes a container's health into its task.
func (s *Service) showHealth(ctx context.Context, ids []string, name, found string) {
	_, err := s.tasks.Update(ctx, func(t *record.Task) error {
		if c := t.Container(name); c != nil && aws.Val(c.HealthStatus) != found {
			c.HealthStatus = &found
		}
		return nil
	}, ids...)
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("a container's health cannot be written", "task", ids, "error", err)
	}
}
