package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"
)

// Request is what is to be built.
type Request struct {
	Context    string // the directory that COPY sees
	Dockerfile string // "": Dockerfile in Context
	Target     string // a stage; "" is the last one
	Platform   string // "linux/amd64"; "" is this machine's
	Args       map[string]string
	Labels     map[string]string
	NoCache    bool

	Tag    string // the image's name
	Output string // a file for an OCI archive; "" for none
	Push   bool   // push to the registry that Tag names

	// Credentials returns user and password for a registry of Config; for other
	// hosts docker's own configuration is asked.
	Credentials func(ctx context.Context, host string) (user, password string, err error)
	// NoSavedLogins leaves docker's own configuration alone: for builds on behalf
	// of somebody who may not use what this user has saved.
	NoSavedLogins bool

	Progress io.Writer // a terminal is drawn on, else lines are written; nil for none
}

// Result is what was built.
type Result struct{ Digest string }

// Run builds an image, starting the builder if need be.
func Run(ctx context.Context, c Config, r Request) (Result, error) {
	opt, err := r.solve(c)
	if err != nil {
		return Result{}, err
	}
	if c.Confined {
		confineSources(&opt)
	}
	builder, err := connect(ctx, c)
	if err != nil {
		return Result{}, err
	}
	defer builder.Close()
	archive, err := r.archive(&opt)
	if err != nil {
		return Result{}, err
	}
	defer archive.discard()

	progress := r.Progress
	if progress == nil {
		progress = io.Discard
	}
	display, err := progressui.NewDisplay(progress, progressui.AutoMode)
	if err != nil {
		return Result{}, err
	}
	statuses := make(chan *client.SolveStatus)
	group, gctx := errgroup.WithContext(ctx)
	var result Result
	group.Go(func() error {
		resp, err := builder.Solve(gctx, nil, opt, statuses)
		if err == nil {
			result.Digest = resp.ExporterResponse["containerimage.digest"]
		}
		return err
	})
	group.Go(func() error {
		// Not gctx: what led to a failure is to be shown to its end.
		_, err := display.UpdateFrom(context.WithoutCancel(ctx), statuses)
		return err
	})
	if err := group.Wait(); err != nil {
		return Result{}, err
	}
	return result, archive.keep()
}

// solve makes BuildKit's request of ours.
func (r *Request) solve(c Config) (client.SolveOpt, error) {
	var opt client.SolveOpt
	if r.Tag != "" {
		named, err := reference.ParseNormalizedNamed(r.Tag)
		if err != nil {
			return opt, fmt.Errorf("%q is no image name: %w", r.Tag, err)
		}
		r.Tag = reference.TagNameOnly(named).String()
	}
	if r.Push && r.Tag == "" {
		return opt, errors.New("a push needs the image's name (-t)")
	}
	if info, err := os.Stat(r.Context); err != nil || !info.IsDir() {
		return opt, fmt.Errorf("the context %q is no directory", r.Context)
	}
	file := r.Dockerfile
	if file == "" {
		file = filepath.Join(r.Context, "Dockerfile")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return opt, fmt.Errorf("no Dockerfile: %w", err)
	}
	source, err := fsutil.NewFS(r.Context)
	if err != nil {
		return opt, err
	}
	directory, err := fsutil.NewFS(filepath.Dir(file))
	if err != nil {
		return opt, err
	}
	attrs := map[string]string{"filename": filepath.Base(file)}
	if syntax, line, _, ok := parser.DetectSyntax(text); ok && builtIn(syntax) {
		attrs["cmdline"] = line // says that the frontend is the right one already
	}
	if r.Target != "" {
		attrs["target"] = r.Target
	}
	if r.NoCache {
		attrs["no-cache"] = ""
	}
	if r.Platform != "" {
		p, err := platforms.Parse(r.Platform)
		if err != nil {
			return opt, fmt.Errorf("platform %q: %w", r.Platform, err)
		}
		attrs["platform"] = platforms.Format(p)
	}
	for k, v := range r.Args {
		attrs["build-arg:"+k] = v
	}
	for k, v := range r.Labels {
		attrs["label:"+k] = v
	}
	return client.SolveOpt{
		Frontend: "dockerfile.v0", FrontendAttrs: attrs,
		LocalMounts: map[string]fsutil.FS{"context": source, "dockerfile": directory},
		Session:     []session.Attachable{&credentials{config: c, own: r.Credentials, noSaved: r.NoSavedLogins}},
	}, nil
}

// builtIn tells whether a "# syntax=" line asks for the frontend that we have
// in us, which is as new as any 1.x; it is then not fetched from Docker Hub.
func builtIn(syntax string) bool {
	named, err := reference.ParseNormalizedNamed(syntax)
	if err != nil || named.Name() != "docker.io/docker/dockerfile" {
		return false
	}
	if _, pinned := named.(reference.Digested); pinned {
		return false
	}
	tagged, ok := named.(reference.Tagged)
	return !ok || tagged.Tag() == "latest" || tagged.Tag() == "1" || strings.HasPrefix(tagged.Tag(), "1.") && !strings.Contains(tagged.Tag(), "-")
}

// archiveFile is the file an OCI archive is written to: beside its place, and
// moved there when it is whole.
type archiveFile struct{ tmp, name string }

// archive adds what is to become of the image to the request.
func (r *Request) archive(opt *client.SolveOpt) (archiveFile, error) {
	if r.Push {
		opt.Exports = append(opt.Exports, client.ExportEntry{
			Type: client.ExporterImage, Attrs: map[string]string{"name": r.Tag, "push": "true"},
		})
	}
	if r.Output == "" {
		return archiveFile{}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(r.Output), ".minato-build-*")
	if err != nil {
		return archiveFile{}, err
	}
	attrs := map[string]string{}
	if r.Tag != "" {
		attrs["name"] = r.Tag
	}
	opt.Exports = append(opt.Exports, client.ExportEntry{
		Type: client.ExporterOCI, Attrs: attrs,
		Output: func(map[string]string) (io.WriteCloser, error) { return f, nil },
	})
	return archiveFile{f.Name(), r.Output}, nil
}

func (a archiveFile) keep() error {
	if a.tmp == "" {
		return nil
	}
	if err := os.Chmod(a.tmp, 0o644); err != nil {
		return err
	}
	return os.Rename(a.tmp, a.name)
}

func (a archiveFile) discard() {
	if a.tmp != "" {
		os.Remove(a.tmp) // already moved when all went well
	}
}
