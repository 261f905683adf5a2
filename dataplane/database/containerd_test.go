package database

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"minato/dataplane/container"
	"minato/dataplane/container/containerd"
	"minato/dataplane/container/containertest"
	"minato/internal/ids"
)

// TestMain lets the test binary be containerd, which the runtime starts as a
// child of the same binary.
func TestMain(m *testing.M) {
	containerd.MaybeRunRole()
	code := m.Run()
	containertest.RemoveBinaries()
	os.Exit(code)
}

// TestOnContainers is the same contract on the real runtime.
func TestOnContainers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("containers need root")
	}
	contract(t, func(t *testing.T, root string) container.Runtime {
		id := "t" + ids.Hex(6)
		run := filepath.Join("/run/minato", id, "c")
		r, err := containerd.New(context.Background(), containerd.Options{
			InstanceID: id, DataDir: filepath.Join(t.TempDir(), "containers"), RunDir: run, MountRoots: []string{root},
			Shim: containertest.Binary(t, "minato/cmd/minato-shim"), Helper: containertest.Binary(t, "minato/cmd/minato-helper"), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.Purge(context.Background()); err != nil {
				t.Error("purge:", err)
			}
			os.RemoveAll(filepath.Dir(run))
		})
		return r
	})
}
