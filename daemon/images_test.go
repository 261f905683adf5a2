package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"

	ggcrname "github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"minato/dataplane/dns"
	"minato/dataplane/registry/registrytest"
	"minato/services/ecs"
)

// registryVPC is the only one whose resolver knows the registry's name; and
// registryAddr what it says. (A name of loopback is asked for without TLS.)
var (
	registryVPC  = "vpc-1"
	registryAddr = netip.MustParseAddr("192.0.2.7")
)

// outside is a task's way to a registry that runs in this test.
type outside struct {
	*outsideImages
	server  *httptest.Server
	dialled []string
	fail    map[string]error // by address
}

func openOutside(t *testing.T, addrs ...netip.Addr) *outside {
	t.Helper()
	names := dns.New(slog.New(slog.DiscardHandler))
	names.Set(&dns.Config{Views: map[string]dns.View{registryVPC: {Names: map[string][]netip.Addr{"localhost": addrs}}}})
	o := &outside{outsideImages: &outsideImages{puller: registrytest.OpenPuller(t, t.TempDir()), lookup: names.Lookup}, fail: map[string]error{}}
	o.server = httptest.NewServer(ggcr.New(ggcr.Logger(slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo))))
	t.Cleanup(o.server.Close)
	return o
}

func (o *outside) source(ref string) ecs.ImageSource {
	return ecs.ImageSource{Ref: "localhost:5000/" + ref, VPC: registryVPC, Dial: func(ctx context.Context, address string) (net.Conn, error) {
		o.dialled = append(o.dialled, address)
		if err := o.fail[address]; err != nil {
			return nil, err
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp4", o.server.Listener.Addr().String())
	}}
}

// push puts an image for a platform there, in an index.
func (o *outside) push(t *testing.T, ref, architecture string) string {
	t.Helper()
	img, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	to, err := ggcrname.ParseReference(o.server.Listener.Addr().String() + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(to, index); err != nil {
		t.Fatal(err)
	}
	d, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// An image comes by the connections that the task makes, to the address that its
// VPC's resolver tells.
func TestOutsideImages(t *testing.T) {
	other := netip.MustParseAddr("192.0.2.6")
	o := openOutside(t, other, registryAddr)
	o.fail["192.0.2.6:5000"] = &net.OpError{Op: "dial", Net: "tcp4", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	want := o.push(t, "public/app:1", runtime.GOARCH)
	from := o.source("public/app:1")
	got, err := o.Resolve(t.Context(), from)
	if err != nil || got != want {
		t.Fatalf("resolved %s, %v; want %s", got, err, want)
	}
	if err := o.Ensure(t.Context(), from, got); err != nil {
		t.Error(err)
	}
	if len(o.dialled) < 2 || o.dialled[0] != "192.0.2.6:5000" || o.dialled[1] != "192.0.2.7:5000" {
		t.Errorf("dialled %v", o.dialled)
	}
}

func TestOutsideImagesFail(t *testing.T) {
	o := openOutside(t, registryAddr)
	digest := o.push(t, "public/other:1", "s390x")
	for _, c := range []struct {
		name, ref, vpc string
		fail           error
		want           []string
	}{
		{"no such tag", "public/app:2", registryVPC, nil, []string{"pull image manifest has been retried 1 time(s): failed to resolve ref localhost:5000/public/app:2: ", "not found"}},
		{"no such name", "public/app:1", "vpc-2", nil, []string{"retried 5 time(s)", `dial tcp: lookup localhost on 169.254.169.253:53: no such host`}},
		{
			"no way", "public/app:1", registryVPC, &net.OpError{Op: "dial", Net: "tcp4", Addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(registryAddr, 5000)), Err: os.ErrDeadlineExceeded},
			[]string{"retried 5 time(s)", "dial tcp 192.0.2.7:5000: i/o timeout"},
		},
		{"another platform", "public/other:1", registryVPC, nil, []string{"image Manifest does not contain descriptor matching platform 'linux/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o.fail["192.0.2.7:5000"] = c.fail
			from := o.source(c.ref)
			from.VPC = c.vpc
			_, err := o.Resolve(t.Context(), from)
			if err == nil {
				err = o.Ensure(t.Context(), from, digest)
			}
			var failed *ecs.PullFailure
			if !errors.As(err, &failed) {
				t.Fatalf("%T %v", err, err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %s", err, want)
				}
			}
		})
	}
}
