package ecs

import (
	"context"
	"errors"
	"path/filepath"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/record"
	"minato/services/ecs/storage"
)

// watchStorage holds a task to its ephemeral storage while it runs.
func (s *Service) watchStorage(t *record.Task) {
	group, ids := t.RuntimeGroup(), t.IDs()
	w := &storage.Watcher{
		Layers: func(ctx context.Context) (int64, error) { return s.Runtime.Written(ctx, group) },
		Dir:    filepath.Join(s.VolumesDir, t.ID), Limit: int64(aws.Val(t.EphemeralStorage.SizeInGiB)) << 30, Clock: s.Clock,
		Full: func(ctx context.Context, reason string) {
			_, err := s.tasks.Update(ctx, func(t *record.Task) error {
				t.End(record.Stop{Code: ecsapi.TaskStopCodeEssentialContainerExited, Reason: reason, At: *s.now()})
				return nil
			}, ids...)
			if err != nil && ctx.Err() == nil {
				s.Log.Warn("a task whose storage is full cannot be stopped", "task", ids, "error", err)
			}
		},
	}
	s.once("storage "+t.ID, w.Watch)
}

// makeSources makes the containers that a container takes volumes from: their
// images fill them.
func (s *Service) makeSources(ctx context.Context, t *record.Task, d *record.TaskDefinition, name string) error {
	for _, from := range definition.Container(&d.TaskDefinition, name).VolumesFrom {
		c, err := s.containerOf(ctx, t, d, aws.Val(from.SourceContainer))
		if err == nil {
			err = s.Runtime.Ensure(ctx, c)
		}
		if err != nil && !errors.Is(err, container.ErrStart) { // which its own start tells
			return err
		}
	}
	return nil
}
