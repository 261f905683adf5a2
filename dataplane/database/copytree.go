package database

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// copyTree copies a directory's content into another that is there, to be owned
// by uid. Files are cloned where the file system can (the blocks are shared
// until one side writes), else copied within the kernel. skip leaves out names
// relative to the source's root. Neither side can lead outside of its root: both
// may belong to a server.
func copyTree(to, from *os.Root, dir string, uid int, skip func(name string) bool) error {
	return fs.WalkDir(from.FS(), dir, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a running server removes temporary files
		}
		if err != nil {
			return err
		}
		if name != "." && skip != nil && skip(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		switch {
		case d.IsDir():
			if name == "." {
				return nil
			}
			if err := to.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return to.Lchown(name, uid, uid)
		case d.Type().IsRegular():
			err := copyFile(to, from, name, uid)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		case d.Type() == fs.ModeSymlink:
			return fmt.Errorf("%s is a link: a data directory has none", path.Clean(name))
		}
		return nil // sockets and pipes belong to a running server
	})
}

func copyFile(to, from *os.Root, name string, uid int) error {
	src, err := from.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) != nil {
		// ext4 cannot clone; io.Copy uses copy_file_range.
		if _, err := io.Copy(dst, src); err != nil {
			return err
		}
	}
	if err := dst.Chown(uid, uid); err != nil {
		return err
	}
	return dst.Close()
}

// syncTree makes a directory's content durable, before the rename that says that it is whole.
func syncTree(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
