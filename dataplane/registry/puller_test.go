package registry_test

import (
	"context"
	"errors"
	"net"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato/dataplane/registry"
	"minato/dataplane/registry/registrytest"
	"minato/internal/clock"
)

const ownHost = "000000000000.dkr.ecr.us-east-1.amazonaws.com"

// puller pulls from its own registry and, without a network, from others; the
// connections it makes are counted and end at a listener that only accepts.
func puller(t *testing.T, s *server) (*registry.Puller, registry.Pull, *int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	dialled := 0
	p := registry.NewPuller(registry.PullerOptions{
		Content: s.disk.content, Leases: s.disk.leases, Namespace: namespace, Clock: clock.Real(1000),
		Local: func(host string) bool { return host == ownHost }, Handler: s.reg,
	})
	return p, registry.Pull{
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != ownHost+":443" {
				t.Errorf("dialled %s", address)
			}
			dialled++
			return net.Dial("tcp", listener.Addr().String())
		},
		Credentials: func(string) (string, string, error) { return "AWS", "secret", nil },
	}, &dialled
}

func startOwn(t *testing.T) (*server, registry.Repository) {
	d, shut := openDisk(t, t.TempDir())
	t.Cleanup(shut)
	// The same repository, as a client of 127.0.0.1 and as a task see it.
	own, seen := registry.Repository{Host: ownHost, Name: "chat"}, registry.Repository{Host: "127.0.0.1", Name: "chat"}
	repos := registrytest.NewMemory(own, seen)
	repos.Alias(seen, own)
	return serve(t, d, repos), seen
}

func TestPullFromOwnRegistry(t *testing.T) {
	s, repo := startOwn(t)
	want := s.pushImage(repo, "layer", "latest")
	p, pull, dialled := puller(t, s)
	pull.Ref = ownHost + "/chat:latest"
	d, err := p.Resolve(t.Context(), pull)
	if err != nil || d != want {
		t.Fatalf("resolved %s, %v; want %s", d, err, want)
	}
	if err := p.Ensure(t.Context(), pull, d); err != nil {
		t.Fatal(err)
	}
	if *dialled != 2 { // one a pull
		t.Errorf("the registry was dialled %d times", *dialled)
	}
}

func TestPullFailures(t *testing.T) {
	s, repo := startOwn(t)
	s.pushImage(repo, "layer", "latest")
	p, good, _ := puller(t, s)
	for _, c := range []struct {
		name, ref, want string
		change          func(*registry.Pull)
	}{
		{"an unknown tag", ownHost + "/chat:nope", "pull image manifest has been retried 1 time(s): failed to resolve ref " + ownHost + "/chat:nope: " + ownHost + "/chat:nope: not found", nil},
		{"an unknown repository", ownHost + "/other:latest", "pull image manifest has been retried 1 time(s): failed to resolve ref " + ownHost + "/other:latest: " + ownHost + "/other:latest: not found", nil},
		{"an old token", ownHost + "/chat:latest", "403 Forbidden", func(p *registry.Pull) {
			p.Credentials = func(string) (string, string, error) { return "AWS", "old", nil }
		}},
		{"no way to the registry", ownHost + "/chat:latest", "pull image manifest has been retried 5 time(s): failed to resolve ref " + ownHost + "/chat:latest: failed to do request: Head \"https://" + ownHost + "/v2/chat/manifests/latest\": dial tcp: network is unreachable", func(p *registry.Pull) {
			p.Dial = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ENETUNREACH}
			}
		}},
		{"no reference", "Not A Reference", "failed to parse ref", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			pull := good
			pull.Ref = c.ref
			if c.change != nil {
				c.change(&pull)
			}
			_, err := p.Resolve(t.Context(), pull)
			var failed *registry.PullError
			if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestPullOfAnotherPlatform(t *testing.T) {
	s, repo := startOwn(t)
	m := s.pushImage(repo, "layer", "amd")
	index := `{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageIndex + `","manifests":[{"mediaType":"` + ocispec.MediaTypeImageManifest +
		`","digest":"` + m.String() + `","size":7,"platform":{"os":"linux","architecture":"arm64"}}]}`
	s.want(201, s.do("PUT", "/v2/chat/manifests/latest", index, "Content-Type", ocispec.MediaTypeImageIndex))
	p, pull, _ := puller(t, s)
	pull.Ref, pull.Platform = ownHost+"/chat:latest", "linux/amd64"
	d, err := p.Resolve(t.Context(), pull)
	if err != nil || d != digest.FromString(index) {
		t.Fatalf("resolved %s, %v", d, err)
	}
	if err := p.Ensure(t.Context(), pull, d); err == nil || !strings.Contains(err.Error(), "image Manifest does not contain descriptor matching platform 'linux/amd64'.") {
		t.Errorf("got %v", err)
	}
}

// TestPullOverTheNetwork pulls from somebody else's registry.
func TestPullOverTheNetwork(t *testing.T) {
	other := httptest.NewServer(ggcr.New())
	defer other.Close()
	remote := &server{Server: other, t: t}
	pushed := remote.pushOther("public/app", "layer", "1")

	s, _ := startOwn(t)
	p := registry.NewPuller(registry.PullerOptions{Content: s.disk.content, Leases: s.disk.leases, Namespace: namespace})
	pull := registry.Pull{Ref: strings.TrimPrefix(other.URL, "http://") + "/public/app:1"}
	d, err := p.Resolve(t.Context(), pull)
	if err != nil || d != pushed {
		t.Fatalf("resolved %s, %v", d, err)
	}
	if err := p.Ensure(t.Context(), pull, d); err != nil {
		t.Fatal(err)
	}
	if _, err := s.disk.db.GarbageCollect(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx := namespaces.WithNamespace(t.Context(), namespace)
	got, err := content.ReadBlob(ctx, s.disk.content, ocispec.Descriptor{Digest: digest.FromString("layer")})
	if err != nil || string(got) != "layer" {
		t.Errorf("the layer is %q, %v", got, err)
	}
}

// pushOther pushes an image to a registry that is not ours.
func (s *server) pushOther(repo, layer, tag string) digest.Digest {
	s.t.Helper()
	for _, body := range []string{"{}", layer} {
		s.want(201, s.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+digest.FromString(body).String(), body))
	}
	body := image(digest.FromString("{}"), digest.FromString(layer), int64(len(layer)))
	s.want(201, s.do("PUT", "/v2/"+repo+"/manifests/"+tag, body, "Content-Type", ocispec.MediaTypeImageManifest))
	return digest.FromString(body)
}
