package containerd

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/internal/ids"
)

// TestMain lets the test binary be containerd, which the runtime starts as a
// child of the same binary.
func TestMain(m *testing.M) {
	MaybeRunRole()
	code := m.Run()
	containertest.RemoveBinaries()
	os.Exit(code)
}

func testOptions(t testing.TB) Options {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("containers need root")
	}
	id := "t" + ids.Hex(6)
	run := filepath.Join("/run/minato", id, "c")
	data := filepath.Join(t.TempDir(), "containers")
	o := Options{
		InstanceID: id, DataDir: data, RunDir: run, MountRoots: []string{t.TempDir()},
		Shim: containertest.Binary(t, "minato/cmd/minato-shim"), Helper: containertest.Binary(t, "minato/cmd/minato-helper"),
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return o
}

// open opens a runtime that is purged at the end of the test, and looked after.
func open(t testing.TB, o Options) *containertest.Subject {
	t.Helper()
	r, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := &containertest.Subject{Runtime: r}
	s.Reopen = func(tb testing.TB) container.Runtime {
		tb.Helper()
		if err := s.Close(); err != nil {
			tb.Fatal(err)
		}
		r, err := New(context.Background(), o)
		if err != nil {
			tb.Fatal(err)
		}
		return r
	}
	t.Cleanup(func() {
		if err := s.Purge(context.Background()); err != nil {
			t.Error("purge:", err)
		}
		nothingLeft(t, o)
	})
	return s
}

func TestContract(t *testing.T) {
	o := testOptions(t)
	s := open(t, o)
	containertest.Run(t, func(*testing.T) *containertest.Subject { return s })
}
