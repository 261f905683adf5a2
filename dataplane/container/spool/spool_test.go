package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func over() bool  { return true }
func alive() bool { return false }

type line struct {
	stream  Stream
	partial bool
	text    string
	next    int64
}

func readAll(t testing.TB, dir string, from int64) []line {
	t.Helper()
	var lines []line
	err := Tail(context.Background(), dir, from, over, func(r Record, next int64) error {
		lines = append(lines, line{r.Stream, r.Partial, string(r.Line), next})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func TestLinesComeBackAsWritten(t *testing.T) {
	dir := t.TempDir()
	a, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", MaxLine) + "tail"
	before := time.Now()
	if err := a.Copy(Stdout, strings.NewReader("one\r\n\ntwo\n"+long+"\nno newline")); err != nil {
		t.Fatal(err)
	}
	if err := a.Copy(Stderr, strings.NewReader("oops\n")); err != nil {
		t.Fatal(err)
	}
	if Complete(dir) {
		t.Error("complete before Close")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if !Complete(dir) {
		t.Error("not complete after Close")
	}
	if Writer(dir) != os.Getpid() {
		t.Errorf("writer is %d", Writer(dir))
	}
	want := []line{
		{Stdout, false, "one", 0},
		{Stdout, false, "", 0},
		{Stdout, false, "two", 0},
		{Stdout, true, long[:MaxLine], 0},
		{Stdout, false, "tail", 0},
		{Stdout, false, "no newline", 0},
		{Stderr, false, "oops", 0},
	}
	got := readAll(t, dir, 0)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		g := got[i]
		g.next = 0
		if g != want[i] {
			t.Errorf("record %d is %.60v, want %.60v", i, g, want[i])
		}
	}
	if rest := readAll(t, dir, got[2].next); len(rest) != 4 || rest[1].text != "tail" {
		t.Errorf("from the offset after the third record: %d records", len(rest))
	}
	err = Tail(context.Background(), dir, 0, over, func(r Record, _ int64) error {
		if r.Time.Before(before) || r.Time.After(time.Now()) {
			return fmt.Errorf("time %v", r.Time)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAHalfWrittenRecordIsNotHandedOut(t *testing.T) {
	dir := t.TempDir()
	a, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Copy(Stdout, strings.NewReader("whole\nhalf of it\n")); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, segmentName(0))
	fi, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(1); cut < headerBytes+int64(len("half of it")); cut++ {
		if err := os.Truncate(name, fi.Size()-cut); err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, dir, 0); len(got) != 1 || got[0].text != "whole" {
			t.Fatalf("cut by %d: %v", cut, got)
		}
	}
}

func TestTheSpoolIsBounded(t *testing.T) {
	dir := t.TempDir()
	a, err := create(dir, 1000, 4000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := a.Copy(Stdout, strings.NewReader(fmt.Sprintf("line %04d\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	offsets, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range offsets {
		fi, err := os.Stat(filepath.Join(dir, segmentName(o)))
		if err != nil {
			t.Fatal(err)
		}
		total += fi.Size()
	}
	if total > 5100 {
		t.Errorf("%d bytes are kept", total)
	}
	got := readAll(t, dir, 0)
	if last := got[len(got)-1].text; last != "line 0999" {
		t.Errorf("the last line is %q", last)
	}
	for i := 1; i < len(got); i++ {
		if got[i-1].text >= got[i].text {
			t.Fatalf("%q before %q", got[i-1].text, got[i].text)
		}
	}
}

func TestConsumedSegmentsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	a, err := create(dir, 100, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := a.Copy(Stdout, strings.NewReader(fmt.Sprintf("line %04d\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	all := readAll(t, dir, 0)
	if err := Consume(dir, all[59].next); err != nil {
		t.Fatal(err)
	}
	if Consumed(dir) != all[59].next {
		t.Errorf("consumed %d", Consumed(dir))
	}
	rest := readAll(t, dir, Consumed(dir))
	if len(rest) != 40 || rest[0].text != "line 0060" {
		t.Errorf("%d records are left, the first %q", len(rest), rest[0].text)
	}
	if left := readAll(t, dir, 0); len(left) > 45 {
		t.Errorf("%d records are kept", len(left))
	}
}

func TestTailFollows(t *testing.T) {
	dir := t.TempDir()
	a, err := create(dir, 64, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- Tail(context.Background(), dir, 0, alive, func(r Record, _ int64) error {
			got <- string(r.Line)
			return nil
		})
	}()
	for i := range 10 {
		want := fmt.Sprint("line ", i)
		if err := a.Copy(Stdout, strings.NewReader(want+"\n")); err != nil {
			t.Fatal(err)
		}
		if g := <-got; g != want {
			t.Fatalf("%q, want %q", g, want)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestTailEndsWithItsContextAndItsReader(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := Tail(ctx, dir, 0, alive, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an empty spool: %v", err)
	}
	a, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Copy(Stdout, strings.NewReader("x\ny\n")); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := Tail(context.Background(), dir, 0, alive, func(Record, int64) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the reader's error: %v", err)
	}
}

// Whatever is written, in whatever pieces it arrives, comes back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		a, err := create(dir, int64(rapid.IntRange(1, 500).Draw(rt, "segment")), 1<<30)
		if err != nil {
			rt.Fatal(err)
		}
		text := rapid.SliceOfN(rapid.SampledFrom([]byte("ab\n")), 0, 400).Draw(rt, "text")
		if err := a.Copy(Stdout, &trickle{b: text, n: rapid.IntRange(1, 50).Draw(rt, "piece")}); err != nil {
			rt.Fatal(err)
		}
		if err := a.Close(); err != nil {
			rt.Fatal(err)
		}
		var b bytes.Buffer
		for _, l := range readAll(t, dir, 0) {
			b.WriteString(l.text + "\n")
		}
		want := text
		if len(text) > 0 && text[len(text)-1] != '\n' {
			want = append(bytes.Clone(text), '\n')
		}
		if !bytes.Equal(b.Bytes(), want) {
			rt.Fatalf("%q, want %q", b.Bytes(), want)
		}
	})
}

// trickle hands out n bytes at a time.
type trickle struct {
	b []byte
	n int
}

func (r *trickle) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, os.ErrClosed
	}
	n := copy(p, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}

// Whatever is in a segment, reading it ends, and nothing is made up.
func FuzzTail(f *testing.F) {
	f.Add(appendRecord(nil, Record{Stream: Stdout, Line: []byte("x"), Time: time.Unix(1, 0)}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, segmentName(0)), b, 0o600); err != nil {
			t.Fatal(err)
		}
		read := int64(0)
		_ = Tail(t.Context(), dir, 0, over, func(r Record, next int64) error {
			if next != read+headerBytes+int64(len(r.Line)) || next > int64(len(b)) {
				t.Fatalf("a record of %d bytes from %d to %d", len(r.Line), read, next)
			}
			read = next
			return nil
		})
		Complete(dir)
	})
}

// A log goes on after its end, and after a writer that was killed in the middle
// of a record.
func TestGoesOn(t *testing.T) {
	for _, torn := range []string{"", "\x00\x00\x00\x20half a rec"} {
		dir := t.TempDir()
		for _, line := range []string{"one", "two", "three"} {
			a, err := Create(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Copy(Stdout, strings.NewReader(line+"\n")); err != nil {
				t.Fatal(err)
			}
			if torn == "" {
				err = a.Close()
			} else {
				err = a.append([]byte(torn))
			}
			if err != nil {
				t.Fatal(err)
			}
			if Complete(dir) != (torn == "") {
				t.Errorf("complete: %v", Complete(dir))
			}
		}
		var got []string
		err := Tail(context.Background(), dir, 0, func() bool { return true }, func(r Record, _ int64) error {
			got = append(got, string(r.Line))
			return nil
		})
		if err != nil || !slices.Equal(got, []string{"one", "two", "three"}) {
			t.Errorf("after %q: %q, %v", torn, got, err)
		}
	}
}
