package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/semaphore"

	"minato/internal/clock"
	"minato/internal/ids"
)

const (
	pullRetries     = 5                // of what may heal by itself; what is refused is tried once more
	pullBackOff     = time.Second      // doubled each time, paced: nothing works meanwhile
	pullLifetime    = time.Hour        // of what was pulled until the runtime holds it
	pullParallel    = 3                // layers of an image at a time
	pullDialTimeout = 5 * time.Second  // per connection
	pullHeadTimeout = 30 * time.Second // until an answer begins
)

// PullerOptions is what a Puller needs.
type PullerOptions struct {
	Content   content.Store
	Leases    leases.Manager
	Namespace string
	Clock     clock.Clock
	Log       *slog.Logger
	// Local tells which hosts are our own registry, and Handler is that registry.
	// A pull from it goes through the same requests, tokens and refusals as from
	// anywhere; only the bytes need not travel, since they are here already.
	Local   func(host string) bool
	Handler http.Handler
}

// Puller makes images present in the content store.
type Puller struct{ opt PullerOptions }

// NewPuller makes a Puller.
func NewPuller(opt PullerOptions) *Puller {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = clock.Real(1)
	}
	if opt.Local == nil {
		opt.Local = func(string) bool { return false }
	}
	return &Puller{opt}
}

// Pull says what is pulled, as whom and by which way.
type Pull struct {
	Ref      string // as in a task definition: "nginx", "public.ecr.aws/x/y:1", "host/repo@sha256:…"
	Platform string // "linux/amd64"; "" is this machine's
	// Dial opens connections, so that the pull takes the task's own route and
	// name server; nil dials from the host.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Credentials returns user and password for a host; nil pulls anonymously.
	Credentials func(host string) (user, password string, err error)
}

// PullError is a failed pull, in the words in which ECS reports it after
// "CannotPullContainerError: ".
type PullError struct {
	Retries int
	Step    string // "pull image manifest", "ref pull"
	Cause   error
}

// Error implements error.
func (e *PullError) Error() string {
	return fmt.Sprintf("%s has been retried %d time(s): %v", e.Step, e.Retries, e.Cause)
}

// Unwrap returns the cause.
func (e *PullError) Unwrap() error { return e.Cause }

// Resolve asks the registry which digest a reference has now: that of a
// manifest, or of an index.
func (p *Puller) Resolve(ctx context.Context, pull Pull) (digest.Digest, error) {
	named, err := reference.ParseDockerRef(pull.Ref)
	if err != nil {
		return "", &PullError{Step: "pull image manifest", Cause: fmt.Errorf("failed to parse ref %s: %w", pull.Ref, err)}
	}
	s := p.session(ctx, pull)
	defer s.end()
	var desc ocispec.Descriptor
	err = p.retry(s.ctx, "pull image manifest", func() error {
		var err error
		if _, desc, err = s.resolver.Resolve(s.ctx, named.String()); err != nil {
			return fmt.Errorf("failed to resolve ref %s: %w", named, err)
		}
		return nil
	})
	return desc.Digest, err
}

// Ensure makes everything of an image that the platform needs present. It
// stays for an hour, within which the runtime takes hold of it; what is there
// already is not fetched again.
func (p *Puller) Ensure(ctx context.Context, pull Pull, d digest.Digest) error {
	named, err := reference.ParseDockerRef(pull.Ref)
	if err != nil {
		return &PullError{Step: "pull image manifest", Cause: fmt.Errorf("failed to parse ref %s: %w", pull.Ref, err)}
	}
	pinned, err := reference.WithDigest(reference.TrimNamed(named), d)
	if err != nil {
		return &PullError{Step: "pull image manifest", Cause: err}
	}
	platform := platforms.DefaultSpec()
	if pull.Platform != "" {
		if platform, err = platforms.Parse(pull.Platform); err != nil {
			return &PullError{Step: "pull image manifest", Cause: err}
		}
	}
	s := p.session(ctx, pull)
	defer s.end()
	lease, err := p.opt.Leases.Create(s.ctx, leases.WithID("pull-"+ids.Hex(16)), leases.WithExpiration(pullLifetime))
	if err != nil {
		return fmt.Errorf("lease for a pull: %w", err)
	}
	leased := leases.WithLease(s.ctx, lease.ID)
	var desc ocispec.Descriptor
	err = p.retry(s.ctx, "pull image manifest", func() error {
		if _, desc, err = s.resolver.Resolve(s.ctx, pinned.String()); err != nil {
			return fmt.Errorf("failed to resolve ref %s: %w", pinned, err)
		}
		return p.matches(leased, s, pinned.String(), desc, platform)
	})
	if err == nil {
		err = p.retry(s.ctx, "ref pull", func() error {
			return p.fetch(leased, s, pinned.String(), desc, platform)
		})
	}
	if err != nil {
		if gone := p.opt.Leases.Delete(context.WithoutCancel(s.ctx), lease); gone != nil {
			p.opt.Log.Warn("the lease of a failed pull stays until it expires", "ref", pull.Ref, "error", gone)
		}
	}
	return err
}

// errPlatform is ECS's own text.
type errPlatform struct{ platform ocispec.Platform }

func (e errPlatform) Error() string {
	return fmt.Sprintf("image Manifest does not contain descriptor matching platform '%s/%s'.", e.platform.OS, e.platform.Architecture)
}

// matches checks that an index has something for the platform, before its
// layers are fetched.
func (p *Puller) matches(ctx context.Context, s *session, ref string, desc ocispec.Descriptor, platform ocispec.Platform) error {
	if !images.IsIndexType(desc.MediaType) {
		return nil
	}
	fetcher, err := s.resolver.Fetcher(ctx, ref)
	if err != nil {
		return err
	}
	if err := remotes.Fetch(ctx, p.opt.Content, fetcher, desc); err != nil && !errdefs.IsAlreadyExists(err) {
		return err
	}
	children, err := images.Children(ctx, p.opt.Content, desc)
	if err != nil {
		return err
	}
	matcher := platforms.Only(platform)
	for _, child := range children {
		if child.Platform == nil || matcher.Match(*child.Platform) {
			return nil
		}
	}
	return errPlatform{platform}
}

func (p *Puller) fetch(ctx context.Context, s *session, ref string, desc ocispec.Descriptor, platform ocispec.Platform) error {
	fetcher, err := s.resolver.Fetcher(ctx, ref)
	if err != nil {
		return err
	}
	children := images.SetChildrenLabels(p.opt.Content, images.ChildrenHandler(p.opt.Content))
	children = images.FilterPlatforms(children, platforms.Only(platform))
	return images.Dispatch(ctx, images.Handlers(remotes.FetchHandler(p.opt.Content, fetcher), children), semaphore.NewWeighted(pullParallel), desc)
}

// retry does a step until it works. What the registry refuses is tried once
// more, as ECS does; a network that does not answer, pullRetries times.
func (p *Puller) retry(ctx context.Context, step string, do func() error) error {
	back := pullBackOff
	for tried := 0; ; tried++ {
		err := do()
		if err == nil {
			return nil
		}
		most := pullRetries
		var status remoteerrors.ErrUnexpectedStatus
		var mismatch errPlatform
		switch {
		case ctx.Err() != nil:
			most = 0
		case errors.As(err, &mismatch), diskFull(err):
			most = 0
		case errdefs.IsNotFound(err), errdefs.IsInvalidArgument(err), errors.Is(err, docker.ErrInvalidAuthorization),
			errors.As(err, &status) && status.StatusCode < 500:
			most = 1
		}
		if tried >= most {
			return &PullError{Retries: tried, Step: step, Cause: err}
		}
		p.opt.Log.Debug("pull failed, trying again", "step", step, "error", err)
		if waitErr := clock.Sleep(ctx, p.opt.Clock, p.opt.Clock.Paced(back)); waitErr != nil {
			return &PullError{Retries: tried, Step: step, Cause: err}
		}
		back *= 2
	}
}

// session is one pull's connections.
type session struct {
	ctx       context.Context
	resolver  remotes.Resolver
	transport *http.Transport
}

func (s *session) end() { s.transport.CloseIdleConnections() }

func (p *Puller) session(ctx context.Context, pull Pull) *session {
	dial := pull.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	bounded := func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, pullDialTimeout)
		defer cancel()
		return dial(ctx, network, address)
	}
	transport := &http.Transport{
		DialContext:           bounded,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   2 * pullDialTimeout,
		ResponseHeaderTimeout: pullHeadTimeout,
		ForceAttemptHTTP2:     true,
	}
	client := &http.Client{Transport: &ownOrRemote{
		local: p.opt.Local, dial: bounded, own: p.opt.Handler, remote: transport,
	}}
	authorizer := docker.NewDockerAuthorizer(docker.WithAuthClient(client), docker.WithAuthCreds(func(host string) (string, string, error) {
		if pull.Credentials == nil {
			return "", "", nil
		}
		return pull.Credentials(host)
	}))
	return &session{
		ctx: namespaces.WithNamespace(ctx, p.opt.Namespace),
		resolver: docker.NewResolver(docker.ResolverOptions{Hosts: docker.ConfigureDefaultRegistries(
			docker.WithClient(client), docker.WithAuthorizer(authorizer), docker.WithPlainHTTP(docker.MatchLocalhost))}),
		transport: transport,
	}
}
