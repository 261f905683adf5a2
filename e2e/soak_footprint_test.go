package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// footprint is how much of each kind there is on the host. Every task of the
// world has one container, and one more of each kind; what does not go with its
// task is a leak. The kernel, the runtime's folders and containerd's are asked,
// not the API.
func (w *soakWorld) footprint() (map[string]int, error) {
	out := map[string]int{}
	groups, containers, err := w.controlGroups()
	if err != nil {
		return nil, err
	}
	out["control groups of tasks"], out["control groups of containers"] = groups, containers
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(mounts) {
		if !bytes.Contains(line, []byte(w.in.DataDir)) && !bytes.Contains(line, []byte("/run/minato/"+w.id)) {
			continue
		}
		kind := "mounts"
		if bytes.Contains(line, []byte(" nsfs ")) {
			kind = "network namespaces"
		}
		out[kind]++
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || !bytes.HasPrefix(b, []byte(w.in.DataDir)) {
			continue // gone since, or not ours
		}
		kind := "shims"
		if args := bytes.Split(b, []byte{0}); len(args) > 1 && string(args[1]) == "log" {
			kind = "log writers"
		}
		out[kind]++
	}
	for kind, pattern := range map[string]string{
		"snapshots":         "containers/engine/io.containerd.snapshotter.v1.overlayfs/snapshots/*",
		"folders of groups": "containers/groups/*",
	} {
		found, err := filepath.Glob(filepath.Join(w.in.DataDir, pattern))
		if err != nil {
			return nil, err
		}
		out[kind] = len(found)
	}
	return out, nil
}

// controlGroups counts those of tasks, and those of containers.
func (w *soakWorld) controlGroups() (tasks, containers int, err error) {
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} { // version 1, version 2
		groups, err := filepath.Glob(root + "/minato-" + w.id + "/*-*-*/cgroup.procs")
		if err != nil {
			return 0, 0, err
		}
		inside, err := filepath.Glob(root + "/minato-" + w.id + "/*-*-*/*/cgroup.procs")
		if err != nil {
			return 0, 0, err
		}
		if len(groups) > 0 {
			return len(groups), len(inside), nil
		}
	}
	return 0, 0, nil
}

// leaks compares the footprint with that of the first time, for so many tasks.
func (w *soakWorld) leaks(tasks int) error {
	have, err := w.footprint()
	if err != nil {
		return err
	}
	if w.base == nil {
		w.base = map[string]int{}
		for kind, n := range have {
			w.base[kind] = n - tasks
		}
		// What is there for a moment, such as a program that starts a shim, is no part of it.
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			if have, err = w.footprint(); err != nil {
				return err
			}
			for kind, base := range w.base {
				w.base[kind] = min(base, have[kind]-tasks)
			}
		}
		// That of the image, which has one layer; what unpacking it needed is
		// collected a little later.
		w.base["snapshots"] = 1
	}
	var wrong []string
	for kind, base := range w.base {
		if want := base + tasks; have[kind] != want {
			wrong = append(wrong, fmt.Sprintf("%d %s, not %d", have[kind], kind, want))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d tasks have %s", tasks, strings.Join(wrong, ", "))
	}
	return nil
}

// engineDir is where containerd keeps its things.
func (w *soakWorld) engineDir() string { return filepath.Join(w.in.DataDir, "containers/engine") }

// engineLeft is what containerd knows of: containers, and leases that nothing
// ends, none of which may be left after its end. Snapshots are those of images,
// and of what was left. Its database is copied, because containerd may be up.
func (w *soakWorld) engineLeft() (left, snapshots []string, err error) {
	b, err := os.ReadFile(filepath.Join(w.engineDir(), "io.containerd.metadata.v1.bolt/meta.db"))
	if err != nil {
		return nil, nil, err
	}
	name := filepath.Join(w.t.TempDir(), "meta.db")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		return nil, nil, err
	}
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		return nil, nil, err
	}
	defer db.Close()
	return left, snapshots, db.View(func(tx *bbolt.Tx) error {
		root := tx.Bucket([]byte("v1"))
		if root == nil {
			return fmt.Errorf("containerd's metadata has another form")
		}
		return root.ForEachBucket(func(namespace []byte) error {
			list := func(add func(key string), path ...string) error {
				b := root.Bucket(namespace)
				for _, p := range path {
					if b = b.Bucket([]byte(p)); b == nil {
						return nil
					}
				}
				return b.ForEachBucket(func(key []byte) error {
					add(string(key))
					return nil
				})
			}
			return errors.Join(
				list(func(id string) { left = append(left, "container "+id) }, "containers"),
				list(func(id string) { left = append(left, "lease "+id) }, "leases"),
				list(func(key string) { snapshots = append(snapshots, key) }, "snapshots", "overlayfs"),
			)
		})
	})
}

// logWriters tells of each log writer who else holds the pipes that it reads:
// it ends when they are closed.
func (w *soakWorld) logWriters() (out []string) {
	held := map[string][]string{} // by pipe
	names := map[string]string{}  // of processes
	writers := map[string][]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, name := range files {
		to, err := os.Readlink(name)
		if err != nil || !strings.HasPrefix(to, "pipe:") {
			continue
		}
		pid := strings.Split(name, "/")[2]
		b, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err != nil {
			continue
		}
		names[pid] = pid + " " + string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
		fd := filepath.Base(name)
		if args := bytes.Split(b, []byte{0}); len(args) > 1 && string(args[1]) == "log" && bytes.HasPrefix(b, []byte(w.in.DataDir)) {
			if fd == "3" || fd == "4" {
				writers[pid] = append(writers[pid], to)
			}
			continue
		}
		held[to] = append(held[to], pid)
	}
	for pid, pipes := range writers {
		line := names[pid] + "reads from"
		for _, p := range pipes {
			line += " " + p
			for _, holder := range held[p] {
				line += fmt.Sprintf(" (%s)", names[holder])
			}
		}
		out = append(out, line)
	}
	return out
}
