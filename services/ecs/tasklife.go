package ecs

import (
	"context"
	"errors"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
)

// observation is what is seen of a task's containers.
type observation struct {
	containers map[string]container.Status // by name; those that were made
	logging    bool                        // a log is not delivered yet
}

// lifeOf is a task as its plan sees it. Of a definition that was deleted
// meanwhile nothing is known; what runs runs on.
func (s *Service) lifeOf(t *record.Task, d *ecsapi.TaskDefinition, o *observation) *life.Task {
	x := &life.Task{
		Status: aws.Val(t.LastStatus), Ending: t.Stop != nil, Interface: t.ENI != "", Ready: t.Ready, Logging: o.logging, StoppedAt: aws.Val(t.StoppedAt),
	}
	for i := range t.Containers {
		shown := &t.Containers[i]
		c := life.Container{
			Name: aws.Val(shown.Name), Image: aws.Val(shown.Image), Failed: t.Failed[aws.Val(shown.Name)] != "",
			Healthy: aws.Val(shown.HealthStatus) == ecsapi.HealthStatusHealthy,
		}
		if seen, ok := o.containers[c.Name]; ok {
			c.Seen = &seen
		}
		if def := definition.Container(d, c.Name); def != nil {
			c.Essential = aws.Val(def.Essential)
			c.StartTimeout = time.Duration(aws.Val(def.StartTimeout)) * time.Second
			for _, dep := range def.DependsOn {
				c.DependsOn = append(c.DependsOn, life.Dependency{On: aws.Val(dep.ContainerName), Condition: aws.Val(dep.Condition)})
			}
			if p := def.RestartPolicy; p != nil && aws.Val(p.Enabled) {
				c.Restart = &life.RestartPolicy{Ignored: p.IgnoredExitCodes, Period: s.Clock.Paced(definition.RestartPeriod(p))}
			}
		}
		x.Containers = append(x.Containers, c)
	}
	return x
}

// startContainers makes and starts containers; one that cannot start is noted.
func (s *Service) startContainers(ctx context.Context, t *record.Task, d *record.TaskDefinition, names []string) error {
	for _, name := range names {
		spec, err := s.containerOf(ctx, t, d, name)
		if err != nil {
			return err
		}
		if err := s.makeSources(ctx, t, d, name); err != nil {
			return err
		}
		what := "unable to create new container: "
		if err = s.Runtime.Ensure(ctx, spec); err == nil {
			what = "failed to create new container runtime task: "
			err = s.Runtime.Start(ctx, spec.ID)
		}
		if err = s.noteStart(ctx, t, name, what, err); err != nil {
			return err
		}
	}
	return nil
}

// restartContainers starts containers again that have ended.
func (s *Service) restartContainers(ctx context.Context, t *record.Task, names []string) error {
	for _, name := range names {
		s.Log.Info("a container is started again", "task", t.ID, "container", name)
		err := s.change(ctx, t, func(t *record.Task) {
			c := t.Container(name)
			c.HealthStatus, c.ExitCode, c.Reason = aws.Ptr(ecsapi.HealthStatusUnknown), nil, nil
		})
		if err != nil {
			return err
		}
		err = s.Runtime.Restart(ctx, *t.Container(name).RuntimeId)
		if err := s.noteStart(ctx, t, name, "failed to create new container runtime task: ", err); err != nil {
			return err
		}
	}
	return nil
}

// noteStart writes down that a container cannot be started, if that is its own
// fault.
func (s *Service) noteStart(ctx context.Context, t *record.Task, name, what string, err error) error {
	if !errors.Is(err, container.ErrStart) {
		return err
	}
	_, text, _ := strings.Cut(err.Error(), container.ErrStart.Error()+": ")
	return s.neverStarts(ctx, t, name, "CannotStartContainerError: ResourceInitializationError: "+what+text, nil)
}

// neverStarts notes that a container was not started and will not be.
func (s *Service) neverStarts(ctx context.Context, t *record.Task, name, reason string, exitCode *int32) error {
	return s.change(ctx, t, func(t *record.Task) {
		if t.Failed == nil {
			t.Failed = map[string]string{}
		}
		t.Failed[name] = reason
		c := t.Container(name)
		c.LastStatus, c.Reason, c.ExitCode = aws.Ptr(life.Stopped), &reason, exitCode
	})
}
