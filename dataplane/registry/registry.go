package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"minato/internal/clock"
)

// DefaultMaxBlob is the largest layer ECR takes: 52,000 MiB.
const DefaultMaxBlob = 52_000 << 20

// maxManifest is the largest manifest taken, ECR's and everybody's limit.
const maxManifest = 4 << 20

// Options is what a Registry needs.
type Options struct {
	Content      content.Store
	Leases       leases.Manager
	Namespace    string // containerd's namespace
	Authorizer   Authorizer
	Repositories Repositories
	Clock        clock.Clock
	Log          *slog.Logger
	MaxBlob      int64 // 0: DefaultMaxBlob
	// Observe, if set, is told what became of each request: nil for one that was
	// let in and found its repository.
	Observe func(req *http.Request, repo Repository, err *Error)
}

// Registry serves /v2/. It is an http.Handler for the hosts it is given.
type Registry struct {
	opt     Options
	content content.Store
	repos   Repositories
	uploads uploads

	// settling is held (shared) from the moment content is made a root until
	// its membership is recorded; Sweep holds it alone, so that it never
	// mistakes content about to be recorded for an orphan.
	settling sync.RWMutex
}

// New makes a registry. Close gives its open uploads back.
func New(opt Options) *Registry {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Clock == nil {
		opt.Clock = clock.Real(1)
	}
	if opt.MaxBlob == 0 {
		opt.MaxBlob = DefaultMaxBlob
	}
	r := &Registry{opt: opt, content: opt.Content, repos: opt.Repositories}
	r.uploads.open = map[string]*upload{}
	return r
}

// Close closes the writers of uploads under way; clients may resume them with
// the next Registry over the same content store.
func (r *Registry) Close() error {
	return r.uploads.closeAll()
}

// within returns a context for containerd.
func (r *Registry) within(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, r.opt.Namespace)
}

var (
	nameForm = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const maxName = 256

// route is a request's path taken apart.
type route struct {
	repo Repository
	kind string // "blobs", "uploads", "manifests", "tags", "referrers"; "" for /v2/
	ref  string // digest, tag, upload id
}

func hostOf(req *http.Request) string {
	if host, _, err := net.SplitHostPort(req.Host); err == nil {
		return host
	}
	return req.Host
}

// parse takes a path apart. A repository's name may hold any of the words that
// separate the parts, so they are looked for from the end.
func parse(req *http.Request) (route, error) {
	rt := route{repo: Repository{Host: hostOf(req)}}
	rest, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	if !ok && req.URL.Path != "/v2" {
		return rt, errorf(http.StatusNotFound, "UNSUPPORTED", "not a path of a registry")
	}
	if rest == "" {
		return rt, nil
	}
	parts := strings.Split(rest, "/")
	n := len(parts)
	switch {
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads":
		rt.kind, rt.ref, n = "uploads", parts[n-1], n-3
	case n >= 3 && parts[n-2] == "blobs" && parts[n-1] == "uploads":
		rt.kind, n = "uploads", n-2
	case n >= 3 && parts[n-2] == "tags" && parts[n-1] == "list":
		rt.kind, n = "tags", n-2
	case n >= 3 && (parts[n-2] == "blobs" || parts[n-2] == "manifests" || parts[n-2] == "referrers"):
		rt.kind, rt.ref, n = parts[n-2], parts[n-1], n-2
	default:
		return rt, errorf(http.StatusNotFound, "UNSUPPORTED", "The operation is unsupported.")
	}
	rt.repo.Name = strings.Join(parts[:n], "/")
	if len(rt.repo.Name) > maxName || !nameForm.MatchString(rt.repo.Name) {
		return rt, errorf(http.StatusBadRequest, "NAME_INVALID", "invalid repository name")
	}
	return rt, nil
}

// handler serves one kind of request; action is what the caller must be
// allowed to do for it.
type handler struct {
	action Action
	serve  func(r *Registry, w http.ResponseWriter, req *http.Request, rt route) error
}

var handlers = map[string]map[string]handler{
	"": {
		http.MethodGet:  {Login, (*Registry).ping},
		http.MethodHead: {Login, (*Registry).ping},
	},
	"blobs": {
		http.MethodHead:   {CheckBlob, (*Registry).getBlob},
		http.MethodGet:    {ReadBlob, (*Registry).getBlob},
		http.MethodDelete: {Delete, (*Registry).deleteBlob},
	},
	"uploads": {
		http.MethodPost:   {StartUpload, (*Registry).startUpload},
		http.MethodGet:    {WriteUpload, (*Registry).uploadStatus},
		http.MethodPatch:  {WriteUpload, (*Registry).writeUpload},
		http.MethodPut:    {CompleteUpload, (*Registry).completeUpload},
		http.MethodDelete: {WriteUpload, (*Registry).cancelUpload},
	},
	"manifests": {
		http.MethodHead:   {ReadManifest, (*Registry).getManifest},
		http.MethodGet:    {ReadManifest, (*Registry).getManifest},
		http.MethodPut:    {WriteManifest, (*Registry).putManifest},
		http.MethodDelete: {Delete, (*Registry).deleteManifest},
	},
	"tags": {
		http.MethodGet: {ListTags, (*Registry).listTags},
	},
	"referrers": {
		http.MethodGet: {ReadManifest, (*Registry).listReferrers},
	},
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if err := r.serve(w, req); err != nil {
		if errors.Is(err, errAnswered) {
			r.opt.Log.Warn("registry answer was cut off", "method", req.Method, "path", req.URL.Path, "error", err)
			return
		}
		r.fail(w, req, err)
	}
}

// errAnswered marks a failure after the status line went out.
var errAnswered = errors.New("already answered")

func answered(err error) error { return fmt.Errorf("%w: %w", errAnswered, err) }

func (r *Registry) serve(w http.ResponseWriter, req *http.Request) (err error) {
	rt, err := parse(req)
	if err != nil {
		return err
	}
	if r.opt.Observe != nil {
		defer func() {
			var e *Error
			if err == nil || errors.As(err, &e) {
				r.opt.Observe(req, rt.repo, e)
			}
		}()
	}
	h, ok := handlers[rt.kind][req.Method]
	if !ok {
		return errUnsupported()
	}
	ctx, err := r.opt.Authorizer.Authorize(req, h.action, rt.repo)
	if err != nil {
		return err
	}
	if rt.kind != "" {
		if err := r.repos.Exists(ctx, rt.repo); err != nil {
			return err
		}
	}
	return h.serve(r, w, req.WithContext(r.within(ctx)), rt)
}

func (r *Registry) ping(w http.ResponseWriter, req *http.Request, _ route) error {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", "2")
	if req.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write([]byte("{}")); err != nil {
		return answered(err)
	}
	return nil
}
