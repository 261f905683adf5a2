// Package filesystem stands for Amazon EFS: a file system is a directory of the
// machine, which tasks that name it share.
package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/definition"
	"minato/services/ecs/failure"
)

// Failed is how ECS says that a file system cannot be mounted.
func Failed(cause string) string {
	return "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: " + cause + " : unsuccessful EFS utils command execution; code: 32"
}

// Mount makes the EFS file systems of a task definition be there. A
// file system begins empty, when it is first named; a directory in it must have
// been made by somebody, as on AWS.
func Mount(base string, d *ecsapi.TaskDefinition) error {
	for _, v := range d.Volumes {
		e := v.EfsVolumeConfiguration
		if e == nil {
			continue
		}
		id, dir := aws.Val(e.FileSystemId), filepath.Join("/", aws.Val(e.RootDirectory))
		if !definition.FileSystem(id) {
			return failure.Of(nil, "%s", Failed("Failed to resolve \""+id+".efs\""))
		}
		path := filepath.Join(base, id)
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
			return failure.Of(err, "%s", Failed("mount.nfs4: mounting "+id+":"+dir+" failed, reason given by server: No such file or directory"))
		case err != nil:
			return failure.Of(err, "%s", Failed("mount.nfs4: access denied by server while mounting "+id+":"+dir))
		}
	}
	return nil
}
