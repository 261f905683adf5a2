package relay

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"minato/dataplane/build"
)

// start serves a relay whose builder is f, at an address with a token service.
func start(t *testing.T, f func(ctx context.Context, r build.Request) (build.Result, error)) string {
	t.Helper()
	s, err := New(Server{
		Dir: filepath.Join(t.TempDir(), "builds"), Build: f, Log: slog.New(slog.DiscardHandler),
		Login: func(_ context.Context, instance string) (string, string, error) {
			return "AWS", "password of " + instance, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "token") })
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-aws-ec2-metadata-token") != "token" {
			http.Error(w, "no token", http.StatusUnauthorized)
			return
		}
		s.Serve(w, r, "i-1")
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(func() {
		srv.Close()
		if left, _ := os.ReadDir(s.Dir); len(left) > 0 {
			t.Errorf("contexts are left: %v", left)
		}
	})
	return srv.URL
}

// tree makes a context: a Dockerfile, an executable, a link.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"Dockerfile": 0o644, "bin/run": 0o755, "sub/Other": 0o600} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("FROM scratch # "+name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("bin/run", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestABuild(t *testing.T) {
	address := start(t, func(ctx context.Context, r build.Request) (build.Result, error) {
		info, err := os.Stat(filepath.Join(r.Context, "link"))
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("link: %v %v", info, err)
		}
		text, err := os.ReadFile(r.Dockerfile)
		if err != nil || string(text) != "FROM scratch # sub/Other" {
			t.Errorf("Dockerfile: %q %v", text, err)
		}
		user, password, err := r.Credentials(ctx, "registry")
		if user != "AWS" || password != "password of i-1" || err != nil || !r.NoSavedLogins {
			t.Errorf("login %s %s %v", user, password, err)
		}
		if r.Tag != "repo:tag" || !r.Push || r.Args["A"] != "1" {
			t.Errorf("request %+v", r)
		}
		_, _ = io.WriteString(r.Progress, "step 1\n")
		return build.Result{Digest: "sha256:1"}, os.WriteFile(r.Output, bytes.Repeat([]byte("image"), 100000), 0o600)
	})
	dir, archive := tree(t), filepath.Join(t.TempDir(), "out.tar")
	var progress bytes.Buffer
	digest, err := Build(t.Context(), address, dir, filepath.Join(dir, "sub/Other"), archive, Request{Tag: "repo:tag", Push: true, Args: map[string]string{"A": "1"}}, &progress)
	if err != nil || digest != "sha256:1" || progress.String() != "step 1\n" {
		t.Errorf("%s %v %q", digest, err, progress.String())
	}
	if b, err := os.ReadFile(archive); err != nil || len(b) != 500000 {
		t.Errorf("archive of %d bytes, %v", len(b), err)
	}
}

func TestFailures(t *testing.T) {
	address := start(t, func(context.Context, build.Request) (build.Result, error) {
		return build.Result{}, errors.New("step 2 failed")
	})
	dir, archive := tree(t), filepath.Join(t.TempDir(), "out.tar")
	_, err := Build(t.Context(), address, dir, "", archive, Request{}, io.Discard)
	if err == nil || err.Error() != "step 2 failed" {
		t.Errorf("a failed build: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(archive)); len(left) > 0 {
		t.Errorf("a failed build left %v", left)
	}
	if _, err := Build(t.Context(), address, dir, "/etc/passwd", "", Request{}, io.Discard); err == nil {
		t.Error("a Dockerfile from outside")
	}
	if err := os.Remove(filepath.Join(dir, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), address, dir, "", "", Request{}, io.Discard); err == nil || !strings.Contains(err.Error(), "no Dockerfile") {
		t.Errorf("no Dockerfile: %v", err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), address, dir, "", "", Request{}, io.Discard); err == nil || !strings.Contains(err.Error(), "leads out of the context") {
		t.Errorf("a Dockerfile that is the machine's: %v", err)
	}
}

// TestUnpackKeepsInside: what a hostile workspace may send.
func TestUnpackKeepsInside(t *testing.T) {
	type entry struct {
		tar.Header
		body string
	}
	file := func(name string) entry {
		return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 1, Mode: 0o644}, "x"}
	}
	link := func(name, to string) entry {
		return entry{tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to}, ""}
	}
	for what, c := range map[string]struct {
		entries []entry
		ok      bool
	}{
		"plain":                {[]entry{file("a/b/c"), link("a/l", "b/c"), link("a/b/up", "../../a/b/c"), link("self", "./a")}, true},
		"down and up":          {[]entry{link("x", "."), link("y", "x/x/x/../../../..")}, false},
		"up below a link":      {[]entry{link("d", "."), link("d/l", "../x")}, false},
		"file below a link":    {[]entry{link("d", "."), file("d/f")}, false},
		"absolute path":        {[]entry{file("/etc/x")}, false},
		"dots":                 {[]entry{file("../x")}, false},
		"dots inside":          {[]entry{file("a/../../x")}, false},
		"absolute link":        {[]entry{link("l", "/etc/passwd")}, false},
		"link out":             {[]entry{link("a/l", "../../x")}, false},
		"through a link":       {[]entry{link("l", "."), file("l/../../x")}, false},
		"over a link":          {[]entry{link("l", "a"), file("l")}, false},
		"twice":                {[]entry{file("a"), file("a")}, false},
		"device":               {[]entry{{tar.Header{Name: "d", Typeflag: tar.TypeChar}, ""}}, false},
		"hard link":            {[]entry{{tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, ""}}, false},
		"too large to be true": {[]entry{{tar.Header{Name: "big", Typeflag: tar.TypeReg, Size: maxContext + 1, Mode: 0o644}, "x"}}, false},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range c.entries {
			if err := w.WriteHeader(&e.Header); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			_, _ = io.WriteString(w, e.body)
		}
		_ = w.Close() // complains about the size that is not true
		outer := t.TempDir()
		dir := filepath.Join(outer, "context")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unpack(&b, dir); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
		if left, _ := os.ReadDir(outer); len(left) != 1 {
			t.Errorf("%s: outside there is %v", what, left)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "a/b", Typeflag: tar.TypeReg, Size: 1, Mode: 0o644})
	_, _ = io.WriteString(w, "x")
	_ = w.Close()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "context")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = unpack(bytes.NewReader(b), dir)
		if left, _ := os.ReadDir(outer); len(left) != 1 {
			t.Errorf("outside there is %v", left)
		}
	})
}
