package containerd

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minato/dataplane/container"
)

// cgroups is the machine's control groups, version 2 or 1 (hybrid too). runc
// makes those of containers; we make the groups' that they are in.
type cgroups struct {
	unified string            // where version 2 is mounted with its controllers, or ""
	v1      map[string]string // controller → mount point
	roots   []string          // every hierarchy there is
}

const cpuPeriod = 100_000 // microseconds, as runc's and docker's

// findCgroups reads which versions are mounted where.
func findCgroups() (*cgroups, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cg := &cgroups{v1: map[string]string{}}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		dir := left[4]
		switch right[0] {
		case "cgroup2":
			if b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers")); err == nil && strings.Contains(string(b), "memory") {
				cg.unified = dir
			}
		case "cgroup":
			for _, o := range strings.Split(right[2], ",") {
				cg.v1[o] = dir
			}
		default:
			continue
		}
		if !slices.Contains(cg.roots, dir) {
			cg.roots = append(cg.roots, dir)
		}
	}
	if cg.unified == "" && cg.v1["memory"] == "" {
		return nil, errors.New("no cgroups with a memory controller are mounted (is this a container without privileges?)")
	}
	return cg, nil
}

// dir is where a cgroup's files for a controller are.
func (cg *cgroups) dir(path, controller string) string {
	if cg.unified != "" {
		return filepath.Join(cg.unified, path)
	}
	if root := cg.v1[controller]; root != "" {
		return filepath.Join(root, path)
	}
	return ""
}

// make makes a cgroup that is to hold others, or processes of ours, with limits.
func (cg *cgroups) make(path string, l container.Limits) error {
	if cg.unified != "" {
		return cg.make2(path, l)
	}
	for _, c := range []string{"cpu", "memory", "pids"} {
		if dir := cg.dir(path, c); dir != "" {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
	}
	var files []setting
	if l.CPUShares > 0 {
		files = append(files, setting{"cpu", "cpu.shares", strconv.FormatUint(max(l.CPUShares, 2), 10)})
	}
	if l.CPUs > 0 {
		files = append(files, setting{"cpu", "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)},
			setting{"cpu", "cpu.cfs_quota_us", strconv.FormatInt(int64(l.CPUs*cpuPeriod), 10)})
	}
	if l.Memory > 0 {
		files = append(files, setting{"memory", "memory.limit_in_bytes", strconv.FormatInt(l.Memory, 10)})
	}
	if l.MemoryReservation > 0 {
		files = append(files, setting{"memory", "memory.soft_limit_in_bytes", strconv.FormatInt(l.MemoryReservation, 10)})
	}
	if l.PIDs > 0 {
		files = append(files, setting{"pids", "pids.max", strconv.FormatInt(l.PIDs, 10)})
	}
	return cg.write(path, files)
}

func (cg *cgroups) make2(path string, l container.Limits) error {
	// Controllers are handed down one level at a time.
	dir := cg.unified
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		for _, c := range []string{"+cpu", "+memory", "+pids"} {
			if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(c), 0); err != nil {
				return fmt.Errorf("cgroup %s hands down no %s: %w", dir, c[1:], err)
			}
		}
		dir = filepath.Join(dir, part)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	var files []setting
	if l.CPUShares > 0 {
		// As runc translates the 2..262144 of shares to the 1..10000 of weight.
		weight := 1 + (min(max(l.CPUShares, 2), 262144)-2)*9999/262142
		files = append(files, setting{"cpu", "cpu.weight", strconv.FormatUint(weight, 10)})
	}
	if l.CPUs > 0 {
		files = append(files, setting{"cpu", "cpu.max", fmt.Sprintf("%d %d", int64(l.CPUs*cpuPeriod), cpuPeriod)})
	}
	if l.Memory > 0 {
		files = append(files, setting{"memory", "memory.max", strconv.FormatInt(l.Memory, 10)})
	}
	if l.MemoryReservation > 0 {
		files = append(files, setting{"memory", "memory.low", strconv.FormatInt(l.MemoryReservation, 10)})
	}
	if l.PIDs > 0 {
		files = append(files, setting{"pids", "pids.max", strconv.FormatInt(l.PIDs, 10)})
	}
	return cg.write(path, files)
}

type setting struct{ controller, file, value string }

func (cg *cgroups) write(path string, files []setting) error {
	for _, s := range files {
		if dir := cg.dir(path, s.controller); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, s.file), []byte(s.value), 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// remove removes a cgroup and those below it, from every hierarchy. The kernel
// lets go of one some milliseconds after its last process.
func (cg *cgroups) remove(path string) error {
	var errs []error
	for _, root := range cg.roots {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, path), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, name)
			}
			return nil
		})
		errs = append(errs, err)
		slices.Reverse(dirs)
		for _, d := range dirs {
			errs = append(errs, removeCgroup(d))
		}
	}
	return errors.Join(errs...)
}

func removeCgroup(dir string) error {
	var err error
	for range 100 {
		if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return err
}

// kill kills every process in a cgroup and those below it.
func (cg *cgroups) kill(path string) error {
	for range 20 {
		killed := false
		for _, root := range cg.roots {
			err := filepath.WalkDir(filepath.Join(root, path), func(name string, d fs.DirEntry, err error) error {
				if err != nil || d.Name() != "cgroup.procs" {
					return nil
				}
				b, err := os.ReadFile(name)
				if err != nil {
					return nil
				}
				for pid := range strings.FieldsSeq(string(b)) {
					if n, err := strconv.Atoi(pid); err == nil && n > 1 {
						killed = syscall.Kill(n, syscall.SIGKILL) == nil || killed
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if !killed {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("the processes in cgroup %s do not end", path)
}

// oomKills is how many processes of a cgroup the kernel killed for want of
// memory.
func (cg *cgroups) oomKills(path string) int64 {
	name := "memory.oom_control"
	if cg.unified != "" {
		name = "memory.events"
	}
	return cg.field(path, "memory", name, "oom_kill")
}

// field reads a value of a file of "key value" lines, 0 when it is not there.
func (cg *cgroups) field(path, controller, file, key string) int64 {
	b, err := os.ReadFile(filepath.Join(cg.dir(path, controller), file))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), " "); ok && k == key {
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
	}
	return 0
}
