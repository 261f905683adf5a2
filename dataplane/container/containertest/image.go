package containertest

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Binary builds a main package of this module as a static binary and returns
// its path; the same package is built once per test process.
func Binary(tb testing.TB, pkg string) string {
	tb.Helper()
	b, _ := binaries.LoadOrStore(pkg, &binary{})
	path, err := b.(*binary).build(pkg)
	if err != nil {
		tb.Fatal(err)
	}
	return path
}

var binaries sync.Map

type binary struct {
	once sync.Once
	path string
	err  error
}

func (b *binary) build(pkg string) (string, error) {
	b.once.Do(func() {
		dir, err := os.MkdirTemp("", "minato-test-bin-")
		if err != nil {
			b.err = err
			return
		}
		b.path = filepath.Join(dir, filepath.Base(pkg))
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.err = fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
	})
	return b.path, b.err
}

// RemoveBinaries removes what Binary built; for TestMain.
func RemoveBinaries() {
	binaries.Range(func(_, v any) bool {
		if p := v.(*binary).path; p != "" {
			os.RemoveAll(filepath.Dir(p))
		}
		return true
	})
}

// Archive is a docker archive of an image from scratch that holds the test
// program (as /program, its entrypoint), an /etc/passwd with a user "app", and
// what change makes of its configuration.
func Archive(tb testing.TB, change func(*v1.Config)) io.Reader {
	tb.Helper()
	program, err := os.ReadFile(Binary(tb, "minato/dataplane/container/containertest/program/cmd"))
	if err != nil {
		tb.Fatal(err)
	}
	img, err := Image(program, change)
	if err != nil {
		tb.Fatal(err)
	}
	tag, err := name.NewTag("test.invalid/program:latest")
	if err != nil {
		tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := tarball.Write(tag, img, &b); err != nil {
		tb.Fatal(err)
	}
	return &b
}

// Image makes an image that holds a program as /program, its entrypoint.
func Image(program []byte, change func(*v1.Config)) (v1.Image, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range []struct {
		name string
		mode int64
		data []byte
	}{
		{"program", 0o755, program},
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:/program\napp:x:1000:1001::/:/program\n")},
		{"etc/group", 0o644, []byte("root:x:0:\napp:x:1001:\n")},
	} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cf.Architecture, cf.OS = runtime.GOARCH, "linux"
	cf.Config.Entrypoint = []string{"/program"}
	cf.Config.Cmd = []string{"sleep"}
	cf.Config.Env = []string{"FROM_IMAGE=yes"}
	if change != nil {
		change(&cf.Config)
	}
	return mutate.ConfigFile(img, cf)
}
