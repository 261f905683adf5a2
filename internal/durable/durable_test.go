package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	for _, c := range []struct {
		content string
		mode    fs.FileMode
	}{{"one", 0o600}, {"another, longer", 0o644}, {"", 0o400}, {"over one that nobody may write", 0o600}} {
		if err := Write(name, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		info, errInfo := os.Stat(name)
		if err != nil || errInfo != nil || string(got) != c.content || info.Mode() != c.mode {
			t.Errorf("%q, %v, %v, %v; want %q", got, info.Mode(), err, errInfo, c.content)
		}
	}
	alone(t, dir)
}

// TestWriteFails: what could not be replaced is as it was, and nothing lies about.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "inside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(taken, []byte("x"), 0o600); err == nil {
		t.Error("a directory was replaced by a file")
	}
	alone(t, dir)
	if err := Write(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	if err := WriteJSON(filepath.Join(dir, "json"), func() {}, 0o600); err == nil {
		t.Error("a function has JSON")
	}
	alone(t, dir)
}

// alone fails the test if more than one thing is in a directory.
func alone(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
