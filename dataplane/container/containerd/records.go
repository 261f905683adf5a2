package containerd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"minato/dataplane/container"
)

// group is a group as we know it.
type group struct {
	rec container.Group // guarded by the runtime's mutex
	dir string
	// shim is held while the group's shim may come into being or go: a shim that
	// is going is not to be given another task.
	shim chan struct{}
	// holder is held while the holder of its processes is made.
	holder chan struct{}
}

// ctr is a container as we know it. What the runtime's mutex guards is said.
type ctr struct {
	rec   record
	group *group
	dir   string

	op   chan struct{} // one operation (Ensure, Start, Delete) at a time
	file sync.Mutex    // held while status.json is written

	status  container.Status // guarded
	watched bool             // guarded: a goroutine waits for its end
	reason  string           // guarded: why it is about to be killed by us
	gone    bool             // guarded: deleted
	ended   chan struct{}    // closed when status says Ended
	settled chan struct{}    // closed when its log is complete too
}

// record is what container.json says.
type record struct {
	container.Container
	// StopSignal is the image's.
	StopSignal syscall.Signal
	// Holder says that it holds the processes of its group.
	Holder bool
}

const (
	groupFile     = "group.json"
	containerFile = "container.json"
	statusFile    = "status.json"
)

// idPattern is containerd's own for the ids of tasks.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*$`)

func checkID(kind, id string) error {
	if len(id) > 76 || !idPattern.MatchString(id) {
		return fmt.Errorf("%q cannot be the id of a %s", id, kind)
	}
	return nil
}

func newGroup(dir string, rec container.Group) *group {
	return &group{rec: rec, dir: dir, shim: make(chan struct{}, 1), holder: make(chan struct{}, 1)}
}

func newCtr(g *group, rec record) *ctr {
	return &ctr{
		rec: rec, group: g, dir: filepath.Join(g.dir, "c", rec.ID),
		op: make(chan struct{}, 1), ended: make(chan struct{}), settled: make(chan struct{}),
		status: container.Status{ID: rec.ID, Group: rec.Group, Labels: rec.Labels},
	}
}

func (c *ctr) logDir() string { return filepath.Join(c.dir, "log") }

// writeJSON writes a file as a whole or not at all, and durably.
func writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

// keepFile writes a file in place, unless it says the same already: on a full
// disk what is right must not be cut off to be written again.
func keepFile(name, text string, mode os.FileMode) error {
	if have, err := os.ReadFile(name); err == nil && string(have) == text {
		return nil
	}
	return os.WriteFile(name, []byte(text), mode)
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// load reads all groups and containers of the data directory. A directory
// without its record is one that was being made, or removed, when we died.
func (r *Runtime) load() error {
	entries, err := os.ReadDir(r.o.groupsDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(r.o.groupsDir(), e.Name())
		var rec container.Group
		switch err := readJSON(filepath.Join(dir, groupFile), &rec); {
		case errors.Is(err, fs.ErrNotExist):
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		g := newGroup(dir, rec)
		r.groups[rec.ID] = g
		if err := r.loadContainers(g); err != nil {
			return err
		}
	}
	return nil
}

func (r *Runtime) loadContainers(g *group) error {
	entries, err := os.ReadDir(filepath.Join(g.dir, "c"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := filepath.Join(g.dir, "c", e.Name())
		var rec record
		switch err := readJSON(filepath.Join(dir, containerFile), &rec); {
		case errors.Is(err, fs.ErrNotExist):
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		c := newCtr(g, rec)
		if err := readJSON(filepath.Join(dir, statusFile), &c.status); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if c.status.State == container.Ended {
			close(c.ended)
		}
		r.ctrs[rec.ID] = c
	}
	return nil
}
