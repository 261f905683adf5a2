package relay

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path"
	"path/filepath"

	"minato/dataplane/build"
	"minato/internal/frame"
)

// Server builds for workspaces.
type Server struct {
	Dir string // where contexts are unpacked; emptied by New
	// Build is build.Run with the builder's configuration.
	Build func(ctx context.Context, r build.Request) (build.Result, error)
	// Login returns a registry login of the role in an instance's profile.
	Login func(ctx context.Context, instance string) (user, password string, err error)
	Log   *slog.Logger

	slots chan struct{}
}

// parallel is how many builds of workspaces run at a time.
const parallel = 2

// New makes a server and removes what an earlier one left in its folder.
func New(s Server) (*Server, error) {
	if err := os.RemoveAll(s.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, err
	}
	s.slots = make(chan struct{}, parallel)
	return &s, nil
}

// Serve answers a build request of an instance.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request, instance string) {
	var req Request
	text, err := base64.StdEncoding.DecodeString(r.Header.Get(header))
	if err == nil {
		err = json.Unmarshal(text, &req)
	}
	if err != nil {
		http.Error(w, "this is for minato build: "+err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-r.Context().Done():
		return
	}
	dir, err := os.MkdirTemp(s.Dir, "build-")
	if err != nil {
		s.Log.Error("a build of a workspace", "instance", instance, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	defer os.RemoveAll(dir)
	src := filepath.Join(dir, "context")
	if err := errors.Join(os.Mkdir(src, 0o755), unpack(r.Body, src)); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := checkDockerfile(src, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.WriteHeader(http.StatusOK)
	out := frame.NewWriter(flusher{w, http.NewResponseController(w)})
	digest, err := s.build(r.Context(), &req, dir, src, instance, out)
	if err != nil {
		_ = out.Send(kindFailed, []byte(err.Error())) // the workspace may be gone
		return
	}
	_ = out.SendJSON(kindResult, result{digest})
}

// checkDockerfile holds the Dockerfile to the context.
func checkDockerfile(src string, req *Request) error {
	if req.Dockerfile == "" {
		req.Dockerfile = "Dockerfile"
	}
	req.Dockerfile = path.Clean(req.Dockerfile)
	root, err := os.OpenRoot(src)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Stat(req.Dockerfile)
	if err != nil {
		return errors.New("no Dockerfile: there is no " + req.Dockerfile + " in the context")
	}
	if !info.Mode().IsRegular() {
		return errors.New("no Dockerfile: " + req.Dockerfile + " is no file")
	}
	return nil
}

func (s *Server) build(ctx context.Context, req *Request, dir, src, instance string, out *frame.Writer) (string, error) {
	r := build.Request{
		Context: src, Dockerfile: filepath.Join(src, filepath.FromSlash(req.Dockerfile)), Target: req.Target, Platform: req.Platform,
		Args: req.Args, Labels: req.Labels, NoCache: req.NoCache, Tag: req.Tag, Push: req.Push, Progress: out.Stream(kindProgress),
		NoSavedLogins: true,
		Credentials:   func(ctx context.Context, _ string) (string, string, error) { return s.Login(ctx, instance) },
	}
	if req.Archive {
		r.Output = filepath.Join(dir, "archive.tar")
	}
	res, err := s.Build(ctx, r)
	if err != nil || !req.Archive {
		return res.Digest, err
	}
	f, err := os.Open(r.Output)
	if err != nil {
		return "", err
	}
	defer f.Close()
	_, err = io.Copy(out.Stream(kindArchive), f)
	return res.Digest, err
}

// flusher sends every frame at once.
type flusher struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (f flusher) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err == nil {
		err = f.c.Flush()
	}
	return n, err
}
