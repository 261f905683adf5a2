package blobs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func open(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t *testing.T, s *Store, content []byte) Blob {
	t.Helper()
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	for rest := content; len(rest) > 0; {
		n := min(len(rest), 10_007)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	b, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t *testing.T, s *Store, b Blob, from, length int64) []byte {
	t.Helper()
	r, err := s.Read(b, from, length)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestRanges reads what was written, any part of it, over the edges of pieces.
func TestRanges(t *testing.T) {
	s := open(t)
	content := make([]byte, 3*piece+17)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	for _, size := range []int{0, 1, piece - 1, piece, piece + 1, 2 * piece, len(content)} {
		b := write(t, s, content[:size])
		if b.Size != int64(size) {
			t.Fatalf("%d bytes became %d", size, b.Size)
		}
		if got := read(t, s, b, 0, b.Size); !bytes.Equal(got, content[:size]) {
			t.Fatalf("%d bytes are read otherwise", size)
		}
	}
	b := write(t, s, content)
	rapid.Check(t, func(rt *rapid.T) {
		from := rapid.Int64Range(0, b.Size).Draw(rt, "from")
		length := rapid.Int64Range(0, b.Size-from).Draw(rt, "length")
		if !bytes.Equal(read(t, s, b, from, length), content[from:from+length]) {
			rt.Fatal("another range")
		}
	})
	if _, err := s.Read(b, 1, b.Size); err == nil {
		t.Error("more is read than there is")
	}
}

// TestDamage finds every change of a file, and shows nothing of its content.
func TestDamage(t *testing.T) {
	s := open(t)
	content := bytes.Repeat([]byte("secret words "), 12_000)
	b := write(t, s, content)
	path := s.path(b.ID)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(whole, []byte("secret")) {
		t.Error("the content lies open")
	}
	cut := whole[:len(whole)-1]
	flipped := bytes.Clone(whole)
	flipped[piece+overlay+5] ^= 1
	moved := append(bytes.Clone(whole[piece+overlay:2*(piece+overlay)]), whole[:piece+overlay]...)
	moved = append(moved, whole[2*(piece+overlay):]...)
	for name, damaged := range map[string][]byte{"cut": cut, "flipped": flipped, "moved": moved, "empty": nil} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.Read(b, 0, b.Size)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err == nil || !bytes.HasPrefix(content, got) {
			t.Errorf("%s: %d bytes and %v", name, len(got), err)
		}
		r.Close()
	}
}

// TestSweep takes what no record names, and nothing that is being written.
func TestSweep(t *testing.T) {
	s := open(t)
	kept, orphan, pending := write(t, s, []byte("kept")), write(t, s, []byte("orphan")), write(t, s, []byte("pending"))
	copied, err := s.Copy(kept)
	if err != nil {
		t.Fatal(err)
	}
	s.Settle(kept, orphan, copied)
	n, err := s.Sweep(func() (map[string]bool, error) { return map[string]bool{copied.ID: true}, nil })
	if err != nil || n != 2 {
		t.Fatalf("%d swept, %v", n, err)
	}
	if got := read(t, s, copied, 0, copied.Size); string(got) != "kept" {
		t.Errorf("the copy is %q", got)
	}
	read(t, s, pending, 0, pending.Size)
	s.Remove(pending, copied, Blob{})
	if left, _ := filepath.Glob(filepath.Join(s.dir, "*", "*", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestCrash leaves a half-written file, which is gone at the next start.
func TestCrash(t *testing.T) {
	s := open(t)
	w, err := s.Create()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 2*piece)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.dir, s.key); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, "tmp", "*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := w.Commit(); err == nil {
		t.Error("a file that is gone was committed")
	}
}

// TestRetain keeps a file for who reads it.
func TestRetain(t *testing.T) {
	s := open(t)
	b := write(t, s, []byte("read"))
	first, second := s.Retain(b), s.Retain(b)
	s.Remove(b)
	first()
	first()
	if n, err := s.Sweep(func() (map[string]bool, error) { return nil, nil }); err != nil || n != 0 {
		t.Errorf("%d swept under a reader, %v", n, err)
	}
	if got := read(t, s, b, 0, b.Size); string(got) != "read" {
		t.Errorf("read %q", got)
	}
	second()
	if _, err := s.Read(b, 0, b.Size); err == nil {
		t.Error("the file is still there")
	}
}
