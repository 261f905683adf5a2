package seal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"minato/internal/seal"
)

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	s, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the key's file: %v %v", info, err)
	}
	again, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		value, name := rapid.SliceOf(rapid.Byte()).Draw(t, "value"), rapid.String().Draw(t, "name")
		sealed := s.Seal(value, name)
		if len(value) > 8 && bytes.Contains(sealed, value) {
			t.Fatal("the value is seen")
		}
		if got, err := again.Open(sealed, name); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("opened %x, %v", got, err)
		}
		if _, err := s.Open(sealed, name+"x"); err == nil {
			t.Fatal("opened under another name")
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "at")] ^= 1
		if _, err := s.Open(sealed, name); err == nil {
			t.Fatal("a changed value was opened")
		}
	})
}

func TestBadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Open(path); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
	if _, err := seal.Open(filepath.Join(t.TempDir(), "missing", "key")); err == nil {
		t.Error("a key was kept nowhere")
	}
}
