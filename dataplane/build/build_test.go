package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestMain is the builder too: a test's builder is this very binary.
func TestMain(m *testing.M) {
	MaybeRunRole()
	os.Exit(m.Run())
}

// builder returns the configuration of a builder of the test's own; it is gone
// when the test ends, and so is all it made.
func builder(t *testing.T) Config {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	run, err := os.MkdirTemp("/run", "minato-build-test-")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Root: t.TempDir(), RunDir: run, Idle: time.Minute}
	t.Cleanup(func() {
		if err := Stop(context.Background(), c); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(run); err != nil {
			t.Error(err)
		}
		mounts, err := os.ReadFile("/proc/mounts")
		if err != nil || bytes.Contains(mounts, []byte(c.Root)) {
			t.Errorf("mounts are left: %v\n%s", err, mounts)
		}
	})
	return c
}

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func probe(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "probe"), "./testdata/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// run builds, and returns the archive's files by path.
func run(t *testing.T, c Config, r Request) map[string]string {
	t.Helper()
	r.Output = filepath.Join(t.TempDir(), "image.tar")
	var progress bytes.Buffer
	r.Progress = &progress
	if _, err := Run(t.Context(), c, r); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	return imageFiles(t, r.Output)
}

// imageFiles reads an OCI archive: the files of the layers of its only image.
func imageFiles(t *testing.T, archive string) map[string]string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blobs := untar(t, f)
	var index ocispec.Index
	decode(t, blobs["index.json"], &index)
	if len(index.Manifests) != 1 {
		t.Fatalf("the archive has %d images", len(index.Manifests))
	}
	var m ocispec.Manifest
	decode(t, blobs[blob(index.Manifests[0].Digest)], &m)
	files := map[string]string{}
	for _, layer := range m.Layers {
		z, err := gzip.NewReader(strings.NewReader(blobs[blob(layer.Digest)]))
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range untar(t, z) {
			files[name] = content
		}
	}
	return files
}

func blob(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

func untar(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			files[h.Name] = string(content)
		}
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}

func TestBuild(t *testing.T) {
	c := builder(t)
	dir := write(t, t.TempDir(), map[string]string{
		"Dockerfile":    "FROM scratch AS one\nARG WORD=none\nLABEL word=$WORD\nCOPY . /app\nFROM scratch\nCOPY --from=one /app/a /only\n",
		"a":             "content of a",
		"secret":        "not for the image",
		".dockerignore": "secret\n",
	})
	if files := run(t, c, Request{Context: dir, Tag: "example.com/chat:1"}); len(files) != 1 || files["only"] != "content of a" {
		t.Errorf("the last stage has %v", files)
	}
	files := run(t, c, Request{Context: dir, Target: "one", Args: map[string]string{"WORD": "hello"}})
	if files["app/a"] != "content of a" || files["app/secret"] != "" {
		t.Errorf("stage one has %v", files)
	}
	// The source is edited: the next image has the new one.
	write(t, dir, map[string]string{"a": "new content"})
	if files := run(t, c, Request{Context: dir}); files["only"] != "new content" {
		t.Errorf("after the edit the image has %v", files)
	}
}

func TestArchiveIsReadBySkopeo(t *testing.T) {
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	c := builder(t)
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "FROM scratch\nCOPY a /a\nENTRYPOINT [\"/a\"]\n", "a": "a"})
	archive := filepath.Join(t.TempDir(), "one.tar")
	res, err := Run(t.Context(), c, Request{Context: dir, Tag: "000000000000.dkr.ecr.us-east-1.amazonaws.com/chat:latest", Output: archive})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(skopeo, "inspect", "oci-archive:"+archive).CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(res.Digest)) {
		t.Errorf("skopeo: %v\n%s\nwant %s", err, out, res.Digest)
	}
}

// TestRunStepIsAlone looks at the network from within a RUN step.
func TestRunStepIsAlone(t *testing.T) {
	c := builder(t)
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	dir := write(t, t.TempDir(), map[string]string{
		"Dockerfile": fmt.Sprintf("FROM scratch AS run\nCOPY probe /probe\nRUN [\"/probe\", %q]\nFROM scratch\nCOPY --from=run /seen /seen\n", host.Addr()),
	})
	probe(t, dir)
	if err := os.Chmod(filepath.Join(dir, "probe"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := "interface lo\nproxy http://127.0.0.1:3128\ndirect: no\nthrough the proxy: 403\n"
	if files := run(t, c, Request{Context: dir}); files["seen"] != want {
		t.Errorf("a RUN step saw\n%s\nwant\n%s", files["seen"], want)
	}
	// No host network, and nobody is asked for it.
	write(t, dir, map[string]string{"Dockerfile": "FROM scratch\nCOPY probe /probe\nRUN --network=host [\"/probe\", \"x\"]\n"})
	_, err = Run(t.Context(), c, Request{Context: dir})
	if err == nil || !strings.Contains(err.Error(), "network.host is not allowed") {
		t.Errorf("RUN --network=host: %v", err)
	}
}

func TestFailedBuildLeavesNoArchive(t *testing.T) {
	c := builder(t)
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "FROM scratch\nCOPY nothing /\n"})
	out := t.TempDir()
	_, err := Run(t.Context(), c, Request{Context: dir, Output: filepath.Join(out, "x.tar")})
	if err == nil || !strings.Contains(err.Error(), "/nothing") {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestPush pushes to a registry of ours, which is known by a name that only
// the configuration leads to, and pulls from it.
func TestPush(t *testing.T) {
	c := builder(t)
	server := httptest.NewServer(ggcr.New())
	defer server.Close()
	c.Registries = []Registry{{Suffix: ".registry.invalid", Address: server.Listener.Addr().String()}}
	asked := ""
	credentials := func(_ context.Context, host string) (string, string, error) {
		asked = host
		return "AWS", "secret", nil
	}
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "pushed"})
	if _, err := Run(t.Context(), c, Request{Context: dir, Tag: "one.registry.invalid/base", Push: true, Credentials: credentials}); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"Dockerfile": "FROM one.registry.invalid/base:latest\nCOPY a /b\n"})
	if files := run(t, c, Request{Context: dir, Credentials: credentials}); files["a"] != "pushed" || files["b"] != "pushed" {
		t.Errorf("the image on the pushed one has %v", files)
	}
	if asked != "" && asked != "one.registry.invalid" {
		t.Errorf("credentials were asked for %q", asked)
	}
}

func TestBuilderGoesWhenIdle(t *testing.T) {
	c := builder(t)
	c.Idle = 50 * time.Millisecond
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "FROM scratch\nCOPY a /a\n", "a": "a"})
	run(t, c, Request{Context: dir})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, running := Running(c); !running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the builder is still there")
		}
	}
	run(t, c, Request{Context: dir}) // and comes again, with its cache
}

// TestSyntaxLine builds what asks for Docker Hub's frontend, without asking it.
func TestSyntaxLine(t *testing.T) {
	c := builder(t)
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "# syntax=docker/dockerfile:1\nFROM scratch\nCOPY <<EOF /a\nhere\nEOF\n"})
	if files := run(t, c, Request{Context: dir}); files["a"] != "here\n" {
		t.Errorf("the image has %v", files)
	}
	for syntax, want := range map[string]bool{
		"docker/dockerfile": true, "docker/dockerfile:1.7": true, "docker.io/docker/dockerfile:latest": true,
		"docker/dockerfile:1-labs": false, "docker/dockerfile:1.7-labs": false, "example.com/frontend:1": false, "docker/dockerfile:0.1": false,
		"docker/dockerfile@sha256:" + strings.Repeat("0", 64): false,
	} {
		if got := builtIn(syntax); got != want {
			t.Errorf("builtIn(%s) = %v", syntax, got)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{"Dockerfile": "FROM scratch\n"})
	for want, r := range map[string]Request{
		"is no image name":   {Context: dir, Tag: "Not A Name"},
		"is no directory":    {Context: filepath.Join(dir, "nowhere")},
		"no Dockerfile":      {Context: dir, Dockerfile: filepath.Join(dir, "other")},
		"a push needs":       {Context: dir, Push: true},
		"platform \"x/y/z/a": {Context: dir, Platform: "x/y/z/a"},
	} {
		if _, err := Run(t.Context(), Config{}, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
