package ecs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/record"
	"minato/services/ecs/storage"
)

// efsFailure is how ECS says that a file system cannot be mounted.
func efsFailure(cause string) string {
	return "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: " + cause + " : unsuccessful EFS utils command execution; code: 32"
}

// mountFileSystems makes the EFS file systems of a task definition be there. A
// file system begins empty, when it is first named; a directory in it must have
// been made by somebody, as on AWS.
func (s *Service) mountFileSystems(d *record.TaskDefinition) error {
	for _, v := range d.Volumes {
		e := v.EfsVolumeConfiguration
		if e == nil {
			continue
		}
		id, dir := aws.Val(e.FileSystemId), filepath.Join("/", aws.Val(e.RootDirectory))
		if !definition.FileSystem(id) {
			return failure(nil, "%s", efsFailure("Failed to resolve \""+id+".efs\""))
		}
		path := filepath.Join(s.FileSystemsDir, id)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		root, err := os.OpenRoot(path)
		if err != nil {
			return err
		}
		// Links of the tasks' making lead nowhere outside.
		fi, err := root.Stat("." + dir)
		root.Close()
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && !fi.IsDir():
			return failure(err, "%s", efsFailure("mount.nfs4: mounting "+id+":"+dir+" failed, reason given by server: No such file or directory"))
		case err != nil:
			return failure(err, "%s", efsFailure("mount.nfs4: access denied by server while mounting "+id+":"+dir))
		}
	}
	return nil
}

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
	for _, from := range containerNamed(&d.TaskDefinition, name).VolumesFrom {
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
