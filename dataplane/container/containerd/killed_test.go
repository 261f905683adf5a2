package containerd

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"minato/dataplane/container"
	"minato/internal/ids"
)

// containerd forgets, when it is killed, which layers it has let go of: they do
// not stay on the disk for that.
func TestLayersAreCollected(t *testing.T) {
	f := newFixture(t)
	layers := func() int {
		list, err := filepath.Glob(filepath.Join(f.o.engineRoot(), "io.containerd.snapshotter.v1.overlayfs/snapshots/*"))
		f.ok(err)
		return len(list)
	}
	var all []string
	for range 3 {
		all = append(all, f.run("exit", "0"))
	}
	base := layers() - len(all)
	for _, id := range all {
		f.wait(id)
		f.ok(f.Delete(f.ctx, id))
	}
	f.ok(syscall.Kill(f.runtime().EnginePID(), syscall.SIGKILL))
	f.await("layers but the image's", func() bool { return layers() <= base })
}

// A shim that containerd does not find again, as when it is killed while it
// starts one, does not stay for ever.
func TestStrayShimsEnd(t *testing.T) {
	f := newFixture(t)
	known, lost := f.run("sleep"), "g"+ids.Hex(8)
	f.ok(f.EnsureGroup(f.ctx, container.Group{ID: lost, Hostname: "lost"}))
	id := f.start(container.Container{Group: lost, Command: []string{"sleep"}})
	if strays := f.runtime().strays(); len(strays) > 0 {
		t.Fatalf("%v are in use", strays)
	}
	shims := f.processes("-id", id, "-address", f.o.socket())
	f.ok(os.Remove(filepath.Join(f.o.bundle(id), "bootstrap.json")))
	if strays := f.runtime().strays(); len(strays) != 1 || len(shims) != 1 || strays[shims[0]] != id {
		t.Fatalf("%v are strays, of the shims %v", strays, shims)
	}
	f.runtime().doubtful()
	f.await("end of the stray shim", func() bool { return len(f.processes("-id", id, "-address", f.o.socket())) == 0 })
	f.wait(id)
	if s, err := f.Get(f.ctx, known); err != nil || s.State != container.Running {
		t.Errorf("another container is %+v, %v", s, err)
	}
}

// A container is asked to end at once, also while containerd is down.
func TestStopWithoutContainerd(t *testing.T) {
	f := newFixture(t)
	id := f.run("sleep")
	f.ok(syscall.Kill(f.runtime().EnginePID(), syscall.SIGKILL))
	f.ok(f.Stop(f.ctx, id, 0, 5*time.Second))
	if s := f.wait(id); s.ExitCode != 0 { // and not as one that was killed in the end
		t.Errorf("it ended with %d: %+v", s.ExitCode, s)
	}
}
