package ecs

import (
	"context"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/awslogs"
	"minato/services/ecs/definition"
	"minato/services/ecs/failure"
	"minato/services/ecs/reach"
	"minato/services/ecs/record"
)

// logOptions are a container's awslogs options; nil when it has no such log.
func logOptions(d *ecsapi.TaskDefinition, name string) map[string]string {
	c := definition.Container(d, name)
	if c == nil || c.LogConfiguration == nil || aws.Val(c.LogConfiguration.LogDriver) != ecsapi.LogDriverAwslogs {
		return nil
	}
	return c.LogConfiguration.Options
}

// makeLogStreams makes the log streams of all containers as the execution role:
// a task whose logs have nowhere to go does not start.
func (s *Service) makeLogStreams(ctx context.Context, t *record.Task, d *record.TaskDefinition) error {
	for i := range d.ContainerDefinitions {
		name := *d.ContainerDefinitions[i].Name
		given := logOptions(&d.TaskDefinition, name)
		if given == nil {
			continue
		}
		options, err := awslogs.Parse(given, s.accountSetting(ctx, t.Place, rootOf(t.Place), ecsapi.SettingNameDefaultLogDriverMode))
		if err != nil {
			return failure.Of(err, "%s", awslogs.Refused(err))
		}
		asRole, err := s.asRole(ctx, t, t.ExecutionRole(d))
		if err != nil {
			return err
		}
		host := logsHost(options, t)
		way, err := s.reach(ctx, t, host, 2)
		if err := unreached(ctx, err, func() string { return awslogs.Unreached(host, way.Address.String(), err) }); err != nil {
			return err
		}
		if err := options.Prepare(through(asRole, t, way.Through), s.Logs, t.LogStream(given, name)); err != nil {
			return failure.Of(err, "%s", err)
		}
	}
	return nil
}

// logsHost is where a task's log goes.
func logsHost(o awslogs.Options, t *record.Task) string {
	if o.Region != "" {
		return reach.Host("logs", o.Region)
	}
	return reach.Host("logs", t.Place.Region)
}

// forwardLogs keeps a container's log on its way to CloudWatch Logs; it reports
// whether there is more to deliver.
func (s *Service) forwardLogs(t *record.Task, d *record.TaskDefinition, name string, status container.Status) bool {
	given := logOptions(&d.TaskDefinition, name)
	id := *t.Container(name).RuntimeId
	s.mu.Lock()
	done := s.logged[id] > status.Restarts
	s.mu.Unlock()
	if given == nil || done {
		return false
	}
	options, err := awslogs.Parse(given, awslogs.NonBlocking)
	if err != nil {
		return false // such a task did not start
	}
	task, role := *t, t.ExecutionRole(d)
	f := &awslogs.Forwarder{
		Logs: s.Logs, Source: s.Runtime, Container: id, Group: options.Group, Stream: t.LogStream(given, name), Multiline: options.Multiline, Log: s.Log,
		As: func(ctx context.Context) (context.Context, error) {
			ctx, err := s.asRole(ctx, &task, role)
			if err != nil {
				return ctx, err
			}
			way, err := s.Ways.Way(ctx, task.Subnet.VPC, task.Subnet.ID, logsHost(options, &task))
			return options.In(through(ctx, &task, way.Through)), err
		},
	}
	s.once("log "+id, func(ctx context.Context) {
		if runs, ok := f.Deliver(ctx); ok {
			s.mu.Lock()
			s.logged[id] = runs
			s.mu.Unlock()
		}
	}, func() { s.enqueue(taskReconciler, s.tasks.Key(task.IDs()...)) })
	return true
}
