package containerd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato/dataplane/container"
)

// hostPaths are what a container.HostRoot may show of this machine: programs
// and libraries, and the parts of /etc that are theirs and hold no secrets.
var hostPaths = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
	"/etc/alternatives", "/etc/ssl/certs", "/etc/ca-certificates", "/etc/ca-certificates.conf",
	"/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone",
	"/etc/magic", "/etc/mime.types", "/etc/terminfo", "/etc/services", "/etc/protocols",
	"/etc/inputrc", "/etc/bash_completion.d", "/etc/mysql", "/etc/postgresql-common",
	"/opt", // where tools like the aws CLI may be installed
}

// hostRootDir is where the root of a container made of the machine's files is:
// empty but for mount points, links and generated files.
func (r *Runtime) hostRootDir(id string) string { return filepath.Join(r.o.rootDir(), id) }

func hostAllowed(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) == path &&
		slices.ContainsFunc(hostPaths, func(root string) bool { return within(path, root) })
}

// makeHostRoot makes the directory. It is remade from nothing every time: after
// a reboot it is gone.
func (r *Runtime) makeHostRoot(c *ctr) error {
	dir, root := r.hostRootDir(c.rec.ID), c.rec.Root
	if err := removeAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, path := range root.Paths {
		if !hostAllowed(path) {
			return fmt.Errorf("container %s: %s of the host is not to be seen in containers", c.rec.ID, path)
		}
		if err := mirror(dir, path); err != nil {
			return err
		}
	}
	for _, path := range append([]string{"/proc", "/sys", "/dev", "/tmp", "/etc"}, root.Dirs...) {
		if err := os.MkdirAll(inRoot(dir, path), 0o755); err != nil {
			return err
		}
	}
	for _, m := range c.rec.Mounts {
		// A mount of a file makes its own mount point.
		if fi, err := os.Stat(m.Source); m.Source == "" || err == nil && fi.IsDir() {
			if err := os.MkdirAll(inRoot(dir, m.Target), 0o755); err != nil {
				return err
			}
		}
	}
	for path, f := range root.Files {
		name := inRoot(dir, path)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, f.Content, f.Mode.Perm()|0o400); err != nil {
			return err
		}
	}
	if c.rec.UserNamespace == nil {
		return nil
	}
	// The container's root owns its root directory.
	owner := int(c.rec.UserNamespace.Host)
	return filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, owner, owner)
	})
}

// inRoot is a path below a root directory, whatever dots it has.
func inRoot(dir, path string) string { return filepath.Join(dir, filepath.Clean("/"+path)) }

// mirror makes what a bind of the host's path needs: a mount point, or for a
// link the same link.
func mirror(dir, path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // /lib32 and the like, which not every machine has
	}
	if err != nil {
		return err
	}
	name := inRoot(dir, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return err
		}
		return os.Symlink(target, name)
	case fi.IsDir():
		return os.MkdirAll(name, 0o755)
	default:
		return os.WriteFile(name, nil, 0o644)
	}
}

// hostBinds are the read-only mounts of a root's paths, outer ones first.
func hostBinds(root *container.HostRoot) ([]specs.Mount, error) {
	paths := slices.Clone(root.Paths)
	slices.SortFunc(paths, strings.Compare)
	var out []specs.Mount
	for _, path := range paths {
		fi, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			m := bind(path, path, "ro")
			// setuid programs are the machine's own; whether they work is
			// no_new_privs' and the user namespace's affair.
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "nosuid" })
			out = append(out, m)
		}
	}
	return out, nil
}
