package registry_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"

	"minato/dataplane/registry"
	"minato/dataplane/registry/registrytest"
)

const (
	namespace = "registry-test"
	challenge = `Basic realm="https://localhost/",service="ecr.amazonaws.com"`
)

var repoA, repoB = registry.Repository{Host: "127.0.0.1", Name: "conformance/a"}, registry.Repository{Host: "127.0.0.1", Name: "conformance/b"}

// disk is containerd's content store and metadata in a folder, as the daemon
// has them.
type disk struct {
	content content.Store
	leases  leases.Manager
	db      *metadata.DB
}

func openDisk(t testing.TB, dir string) (disk, func()) {
	t.Helper()
	store, err := local.NewStore(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	bdb, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := metadata.NewDB(bdb, store, nil)
	if err := db.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return disk{db.ContentStore(), metadata.NewLeaseManager(db), db}, func() { bdb.Close() }
}

// basic lets in the user AWS with the password "secret"; "reader" may not push.
type basic struct{}

func (basic) Authorize(r *http.Request, action registry.Action, _ registry.Repository) (context.Context, error) {
	_, password, ok := r.BasicAuth()
	if !ok {
		return nil, registry.ErrUnauthorized(challenge, "no basic auth credentials")
	}
	switch password {
	case "secret":
		return r.Context(), nil
	case "reader":
		switch action {
		case registry.Login, registry.CheckBlob, registry.ReadBlob, registry.ReadManifest, registry.ListTags:
			return r.Context(), nil
		}
		return nil, registry.ErrDenied("User: reader is not authorized to perform: " + string(action))
	}
	return nil, registry.ErrDenied("Your authorization token has expired. Reauthenticate and try again.")
}

type server struct {
	*httptest.Server
	t     testing.TB
	disk  disk
	repos *registrytest.Memory
	reg   *registry.Registry
}

func serve(t testing.TB, d disk, repos *registrytest.Memory) *server {
	t.Helper()
	reg := registry.New(registry.Options{Content: d.content, Leases: d.leases, Namespace: namespace, Authorizer: basic{}, Repositories: repos})
	s := &server{httptest.NewServer(reg), t, d, repos, reg}
	t.Cleanup(func() {
		s.Close()
		if err := reg.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func start(t testing.TB) *server {
	t.Helper()
	d, shut := openDisk(t, t.TempDir())
	t.Cleanup(shut)
	return serve(t, d, registrytest.NewMemory(repoA, repoB))
}

type reply struct {
	status int
	header http.Header
	body   string
}

func (s *server) do(method, path, body string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.SetBasicAuth("AWS", "secret")
	for i := 0; i+1 < len(headers); i += 2 {
		if req.Header.Set(headers[i], headers[i+1]); headers[i] == "Password" {
			req.SetBasicAuth("AWS", headers[i+1])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(got)}
}

func (s *server) want(status int, r reply) reply {
	s.t.Helper()
	if r.status != status {
		s.t.Fatalf("status %d %s, want %d", r.status, r.body, status)
	}
	return r
}

func (s *server) pushBlob(repo registry.Repository, body string) digest.Digest {
	s.t.Helper()
	d := digest.FromString(body)
	s.want(201, s.do("POST", "/v2/"+repo.Name+"/blobs/uploads/?digest="+d.String(), body))
	return d
}

// pushImage pushes an image of one layer and returns its manifest's digest.
func (s *server) pushImage(repo registry.Repository, layer, tag string) digest.Digest {
	s.t.Helper()
	body := image(s.pushBlob(repo, "{}"), s.pushBlob(repo, layer), int64(len(layer)))
	s.want(201, s.do("PUT", "/v2/"+repo.Name+"/manifests/"+tag, body, "Content-Type", ocispec.MediaTypeImageManifest))
	return digest.FromString(body)
}

func image(config, layer digest.Digest, size int64) string {
	m := ocispec.Manifest{
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    ocispec.Descriptor{MediaType: ocispec.MediaTypeImageConfig, Digest: config, Size: 2},
		Layers:    []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: layer, Size: size}},
	}
	m.SchemaVersion = 2
	body, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// TestConformance runs the suite of the distribution specification, all of it.
func TestConformance(t *testing.T) {
	registrytest.Conformance(t, start(t).URL, "secret", repoA.Name, repoB.Name)
}

func TestChallenge(t *testing.T) {
	s := start(t)
	resp, err := http.Get(s.URL + "/v2/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("status %d, challenge %q", resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
	}
	if body, _ := io.ReadAll(resp.Body); !bytes.Contains(body, []byte("no basic auth credentials")) {
		t.Errorf("body %s", body)
	}
	if r := s.do("GET", "/v2/", "", "Password", "old"); r.status != 403 || !strings.Contains(r.body, "Your authorization token has expired. Reauthenticate and try again.") {
		t.Errorf("an old token: %d %s", r.status, r.body)
	}
	if r := s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/", "", "Password", "reader"); r.status != 403 {
		t.Errorf("a reader started an upload: %d", r.status)
	}
	if r := s.do("GET", "/v2/nowhere/tags/list", ""); r.status != 404 || !strings.Contains(r.body, "NAME_UNKNOWN") {
		t.Errorf("an unknown repository: %d %s", r.status, r.body)
	}
	if r := s.do("GET", "/v2/_catalog", ""); r.status != 404 {
		t.Errorf("a catalog: %d", r.status)
	}
}

func TestMembershipIsTheAuthority(t *testing.T) {
	s := start(t)
	d := s.pushBlob(repoA, "layer")
	if r := s.do("HEAD", "/v2/"+repoB.Name+"/blobs/"+d.String(), ""); r.status != 404 {
		t.Fatalf("a blob of A is known in B: %d", r.status)
	}
	body := image(s.pushBlob(repoB, "{}"), d, 5)
	if r := s.do("PUT", "/v2/"+repoB.Name+"/manifests/latest", body, "Content-Type", ocispec.MediaTypeImageManifest); r.status != 404 || !strings.Contains(r.body, "MANIFEST_BLOB_UNKNOWN") || !strings.Contains(r.body, d.String()) {
		t.Fatalf("a manifest without its layer: %d %s", r.status, r.body)
	}
	s.want(201, s.do("POST", "/v2/"+repoB.Name+"/blobs/uploads/?mount="+d.String()+"&from="+repoA.Name, ""))
	s.want(201, s.do("PUT", "/v2/"+repoB.Name+"/manifests/latest", body, "Content-Type", ocispec.MediaTypeImageManifest))
}

func TestImmutableTag(t *testing.T) {
	s := start(t)
	s.repos.SetImmutable(repoA)
	s.pushImage(repoA, "one", "v1")
	s.pushImage(repoA, "one", "v1") // the same again is no change
	body := image(s.pushBlob(repoA, "{}"), s.pushBlob(repoA, "two"), 3)
	r := s.do("PUT", "/v2/"+repoA.Name+"/manifests/v1", body, "Content-Type", ocispec.MediaTypeImageManifest)
	if r.status != 400 || !strings.Contains(r.body, "TAG_INVALID") {
		t.Errorf("an immutable tag was moved: %d %s", r.status, r.body)
	}
}

func TestRange(t *testing.T) {
	s := start(t)
	body := strings.Repeat("0123456789", 300_000) // more than two buffers
	path := "/v2/" + repoA.Name + "/blobs/" + s.pushBlob(repoA, body).String()
	if r := s.do("GET", path, ""); r.body != body {
		t.Errorf("the blob came back with %d bytes", len(r.body))
	}
	if r := s.do("GET", path, "", "Range", "bytes=1048570-1048585"); r.status != 206 || r.body != body[1048570:1048586] {
		t.Errorf("a range: %d %q", r.status, r.body)
	}
	if r := s.do("GET", path, "", "Range", "bytes=-3"); r.status != 206 || r.body != "789" {
		t.Errorf("a suffix: %d %q", r.status, r.body)
	}
	if r := s.do("GET", path, "", "Range", "bytes=9000000-"); r.status != 416 {
		t.Errorf("a range beyond the end: %d", r.status)
	}
}

// TestUploadSurvivesRestart sends half an upload, ends the registry and its
// store as a kill would, and sends the rest to a new one.
func TestUploadSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	d, shut := openDisk(t, dir)
	s := serve(t, d, registrytest.NewMemory(repoA, repoB))
	path := s.want(202, s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/", "")).header.Get("Location")
	s.want(202, s.do("PATCH", path, "first ", "Content-Range", "0-5"))
	s.Close()
	shut()

	d, shut = openDisk(t, dir)
	defer shut()
	if _, err := d.db.GarbageCollect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = serve(t, d, s.repos)
	if r := s.want(204, s.do("GET", path, "")); r.header.Get("Range") != "0-5" {
		t.Errorf("range after the restart: %q", r.header.Get("Range"))
	}
	if r := s.do("GET", strings.Replace(path, repoA.Name, repoB.Name, 1), ""); r.status != 404 {
		t.Errorf("the upload is known in another repository: %d", r.status)
	}
	s.want(416, s.do("PATCH", path, "again ", "Content-Range", "0-5"))
	s.want(202, s.do("PATCH", path, "second", "Content-Range", "6-11"))
	whole := digest.FromString("first second")
	s.want(201, s.do("PUT", path+"?digest="+whole.String(), ""))
	if r := s.do("GET", "/v2/"+repoA.Name+"/blobs/"+whole.String(), ""); r.body != "first second" {
		t.Errorf("the blob is %q", r.body)
	}
	s.want(404, s.do("PATCH", path, "more"))
	if left, err := d.leases.List(namespaces.WithNamespace(t.Context(), namespace)); err != nil || len(left) != 0 {
		t.Errorf("leases left: %v, %v", left, err)
	}
}

func TestWrongDigestLeavesNothing(t *testing.T) {
	s := start(t)
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	wrong := digest.FromString("something else")
	r := s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/?digest="+wrong.String(), "content")
	if r.status != 400 || !strings.Contains(r.body, "DIGEST_INVALID") {
		t.Errorf("a wrong digest: %d %s", r.status, r.body)
	}
	if left, err := s.disk.content.ListStatuses(ctx); err != nil || len(left) != 0 {
		t.Errorf("ingests left: %v, %v", left, err)
	}
	if left, err := s.disk.leases.List(ctx); err != nil || len(left) != 0 {
		t.Errorf("leases left: %v, %v", left, err)
	}
}

// TestSweep deletes an image and sees its content go, and that of another stay.
func TestSweep(t *testing.T) {
	s := start(t)
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	gone, kept := s.pushImage(repoA, "gone", "v1"), s.pushImage(repoB, "kept", "v1")
	held := s.pushImage(repoA, "held", "v2")
	lease, err := s.disk.leases.Create(ctx, leases.WithID("a task"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.disk.leases.AddResource(ctx, lease, leases.Resource{ID: held.String(), Type: "content"}); err != nil {
		t.Fatal(err)
	}
	s.repos.Remove(repoA)
	if n, err := s.reg.Sweep(t.Context()); err != nil || n != 4 { // two layers, two manifests; the config is B's too
		t.Fatalf("swept %d, %v", n, err)
	}
	if _, err := s.disk.db.GarbageCollect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		d    digest.Digest
		want bool
	}{
		{"the deleted manifest", gone, false},
		{"its layer", digest.FromString("gone"), false},
		{"the kept manifest", kept, true},
		{"its layer", digest.FromString("kept"), true},
		{"the manifest a task uses", held, true},
		{"its layer", digest.FromString("held"), true},
	} {
		if _, err := s.disk.content.Info(ctx, c.d); (err == nil) != c.want {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	if n, err := s.reg.Sweep(t.Context()); err != nil || n != 0 {
		t.Errorf("a second sweep: %d, %v", n, err)
	}
}

// fullDisk is a content store on a disk that fills up after some bytes.
type fullDisk struct {
	content.Store
	left int
}

type fullWriter struct {
	content.Writer
	disk *fullDisk
}

func (f *fullDisk) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	w, err := f.Store.Writer(ctx, opts...)
	return fullWriter{w, f}, err
}

func (f fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), f.disk.left)
	f.disk.left -= n
	if n < len(p) {
		if _, err := f.Writer.Write(p[:n]); err != nil {
			return 0, err
		}
		return n, &os.PathError{Op: "write", Path: "data", Err: syscall.ENOSPC}
	}
	return f.Writer.Write(p)
}

func TestDiskFull(t *testing.T) {
	d, shut := openDisk(t, t.TempDir())
	defer shut()
	full := &fullDisk{Store: d.content, left: 10}
	s := serve(t, disk{full, d.leases, d.db}, registrytest.NewMemory(repoA))
	path := s.want(202, s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/", "")).header.Get("Location")
	s.want(202, s.do("PATCH", path, "12345678"))
	if r := s.do("PATCH", path, "12345678"); r.status != 507 || !strings.Contains(r.body, "no space left on device") {
		t.Errorf("a full disk: %d %s", r.status, r.body)
	}
	s.want(404, s.do("GET", path, ""))
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	if left, err := d.content.ListStatuses(ctx); err != nil || len(left) != 0 {
		t.Errorf("ingests left: %v, %v", left, err)
	}
	full.left = 1 << 20
	s.pushImage(repoA, "there is room again", "v1")
}

func TestTooLarge(t *testing.T) {
	d, shut := openDisk(t, t.TempDir())
	defer shut()
	reg := registry.New(registry.Options{Content: d.content, Leases: d.leases, Namespace: namespace, Authorizer: basic{}, Repositories: registrytest.NewMemory(repoA), MaxBlob: 8})
	s := &server{httptest.NewServer(reg), t, d, nil, reg}
	defer s.Close()
	if r := s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/?digest="+digest.FromString("123456789").String(), "123456789"); r.status != 413 {
		t.Errorf("nine bytes of eight: %d %s", r.status, r.body)
	}
	big := `{"schemaVersion":2,"x":"` + strings.Repeat("x", 4<<20) + `"}`
	if r := s.do("PUT", "/v2/"+repoA.Name+"/manifests/v1", big); r.status != 413 {
		t.Errorf("a manifest of more than 4 MiB: %d", r.status)
	}
}

func TestRepositoriesInMemory(t *testing.T) {
	registrytest.Suite(t, func(_ *testing.T, a, b registry.Repository) registry.Repositories {
		return registrytest.NewMemory(a, b)
	})
}

func FuzzParseManifest(f *testing.F) {
	f.Add(ocispec.MediaTypeImageManifest, []byte(image(digest.FromString("c"), digest.FromString("l"), 3)))
	f.Add("", []byte(`{"schemaVersion":2,"mediaType":"`+ocispec.MediaTypeImageIndex+`","manifests":[]}`))
	f.Fuzz(func(t *testing.T, mediaType string, body []byte) {
		m, err := registry.ParseManifest(mediaType, body, digest.FromBytes(body))
		if err != nil {
			return
		}
		for _, d := range append(append([]digest.Digest{}, m.Blobs...), m.Manifests...) {
			if d.Validate() != nil {
				t.Errorf("accepted the reference %q", d)
			}
		}
		if m.Size != int64(len(body)) || m.ImageSize < 0 {
			t.Errorf("sizes %d and %d", m.Size, m.ImageSize)
		}
	})
}

// BenchmarkPush sends a layer as docker does (POST, PATCH, PUT), durable.
func BenchmarkPush(b *testing.B) {
	layer := make([]byte, 500<<20)
	rand.Read(layer)
	s := start(b)
	b.SetBytes(int64(len(layer)))
	b.StopTimer()
	for i := range b.N {
		copy(layer, fmt.Sprint(i, time.Now()))
		d := digest.FromBytes(layer)
		body := string(layer)
		b.StartTimer()
		path := s.want(202, s.do("POST", "/v2/"+repoA.Name+"/blobs/uploads/", "")).header.Get("Location")
		s.want(202, s.do("PATCH", path, body))
		s.want(201, s.do("PUT", path+"?digest="+d.String(), ""))
		b.StopTimer()
	}
}
