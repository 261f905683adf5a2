package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	"golang.org/x/sys/unix"
)

// seed fills the sources of a container's mounts that want it and are empty with
// what the image has at their place, as docker fills a new volume.
func (r *Runtime) seed(ctx context.Context, c *ctr) error {
	var wanting []string // targets
	for _, m := range c.rec.Mounts {
		if !m.Seed {
			continue
		}
		entries, err := os.ReadDir(m.Source)
		if err != nil {
			return fmt.Errorf("container %s: mount %s: %w", c.rec.ID, m.Target, err)
		}
		if len(entries) == 0 {
			wanting = append(wanting, m.Target)
		}
	}
	if len(wanting) == 0 {
		return nil
	}
	return r.withRoot(ctx, c, func(root string) error {
		for _, m := range c.rec.Mounts {
			if m.Seed {
				if err := seedFrom(root, m.Target, m.Source); err != nil {
					return fmt.Errorf("container %s: mount %s: %w", c.rec.ID, m.Target, err)
				}
			}
		}
		return nil
	})
}

// withRoot calls f with the container's own file system, mounted for it, before
// it runs.
func (r *Runtime) withRoot(ctx context.Context, c *ctr, f func(root string) error) (err error) {
	mounts, err := r.eng.client.SnapshotService(snapshotter).Mounts(ctx, c.rec.ID)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.o.RunDir, "seed", c.rec.ID) // unmounted with everything there
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := mount.UnmountAll(dir, 0); err != nil { // of an attempt that was cut off
		return err
	}
	if err := mount.All(mounts, dir); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, mount.UnmountAll(dir, unix.UMOUNT_NOFOLLOW), os.Remove(dir))
	}()
	return f(dir)
}

// seedFrom copies a directory of an image into an empty one, as a whole or not
// at all; what the image does not have leaves it empty.
func seedFrom(root, target, source string) error {
	from, err := fs.RootPath(root, target)
	if err != nil {
		return err
	}
	if fi, err := os.Stat(from); err != nil || !fi.IsDir() {
		return nil
	}
	if entries, err := os.ReadDir(source); err != nil || len(entries) > 0 {
		return err // another mount of the same source has filled it
	}
	whole := filepath.Clean(source) + ".seed"
	if err := os.RemoveAll(whole); err != nil {
		return err
	}
	if err := fs.CopyDir(whole, from); err != nil {
		return errors.Join(err, os.RemoveAll(whole))
	}
	return unix.Rename(whole, source) // over the empty one, which os.Rename does not do
}
