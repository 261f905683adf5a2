package segments

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	if dir := os.Getenv("SEGMENTS_TEST_CHILD"); dir != "" {
		childAppend(dir)
		return
	}
	os.Exit(m.Run())
}

func open(t testing.TB, dir string, opt Options) *Set {
	t.Helper()
	s, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openOne(t testing.TB, s *Set) *Log {
	t.Helper()
	l, err := s.Log("log")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func add(t testing.TB, l *Log, series string, time int64, texts ...string) {
	t.Helper()
	var es []Entry
	for _, s := range texts {
		es = append(es, Entry{Time: time, Data: []byte(s)})
	}
	if err := l.Append(series, time+1, es); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, l *Log, q Query) (string, bool) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	if q.Bytes == 0 {
		q.Bytes = 1 << 20
	}
	rs, more, err := l.Read(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rs {
		out = append(out, string(r.Data))
	}
	return strings.Join(out, " "), more
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestReadInOrderOfTime(t *testing.T) {
	l := openOne(t, open(t, t.TempDir(), Options{}))
	add(t, l, "a", 10, "a10", "a10'")
	add(t, l, "b", 30, "b30")
	add(t, l, "a", 20, "a20") // late
	add(t, l, "b", 10, "b10")
	all, more := read(t, l, Query{})
	want(t, "all", all, "a10 a10' b10 a20 b30")
	if more {
		t.Error("there is no more")
	}
	only := func(s string) func(string) bool { return func(x string) bool { return x == s } }
	for _, c := range []struct {
		what string
		q    Query
		want string
		more bool
	}{
		{"one series", Query{Series: only("b")}, "b10 b30", false},
		{"from", Query{From: 20}, "a20 b30", false},
		{"to is not included", Query{To: 20}, "a10 a10' b10", false},
		{"limit", Query{Limit: 2}, "a10 a10'", true},
		{"limit at the end", Query{Limit: 5}, "a10 a10' b10 a20 b30", false},
		{"backward", Query{Limit: 2, Backward: true}, "a20 b30", true},
		{"bytes", Query{Bytes: 8}, "a10 a10'", true},
		{"overhead counts", Query{Bytes: 8, Overhead: 5}, "a10", true},
		{"always one", Query{Bytes: 1}, "a10", true},
		{"match", Query{Match: func(r Record) bool { return bytes.Contains(r.Data, []byte("10")) }}, "a10 a10' b10", false},
		{"match and limit", Query{Limit: 1, Match: func(r Record) bool { return r.Time == 20 }}, "a20", false},
		{"after", Query{After: &Position{10, 2}}, "b10 a20 b30", false},
		{"before", Query{Before: &Position{20, 0}}, "a10 a10' b10", false},
		{"before, backward", Query{Before: &Position{20, 0}, Backward: true, Limit: 1}, "b10", true},
		{"nothing", Query{From: 31}, "", false},
	} {
		got, more := read(t, l, c.q)
		want(t, c.what, got, c.want)
		if more != c.more {
			t.Errorf("%s: more is %v", c.what, more)
		}
	}
	if _, _, err := l.Read(ctx, Query{}); err == nil {
		t.Error("a read without a limit is not refused")
	}
	rs, _, _ := l.Read(ctx, Query{Limit: 1, Bytes: 1})
	if r := rs[0]; r.Number != 1 || r.Ingested != 11 || r.Series != "a" || r.Time != 10 {
		t.Errorf("record %+v", r)
	}
}

// TestSmallAfterBig: a page cut by bytes has no hole where a big record did
// not fit and a small one after it would.
func TestSmallAfterBig(t *testing.T) {
	l := openOne(t, open(t, t.TempDir(), Options{}))
	add(t, l, "a", 1, "1")
	add(t, l, "a", 2, strings.Repeat("2", 50))
	add(t, l, "a", 3, "3")
	got, more := read(t, l, Query{Bytes: 20})
	if got != "1" || !more {
		t.Errorf("got %q %v", got, more)
	}
}

// TestPagesAgreeWithAModel reads random logs in pages, both ways, over many
// segments, and compares with a sorted slice.
func TestPagesAgreeWithAModel(t *testing.T) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 7))
		dir := t.TempDir()
		l := openOne(t, open(t, dir, Options{SegmentBytes: 2000}))
		var model []Record
		now := int64(1000)
		for range 150 {
			var es []Entry
			for range 1 + r.IntN(4) {
				e := Entry{Time: now - int64(r.IntN(30)), Data: []byte(strings.Repeat("x", r.IntN(60)))}
				es = append(es, e)
				model = append(model, Record{Number: uint64(len(model) + 1), Time: e.Time, Data: e.Data})
			}
			now += int64(r.IntN(10))
			if err := l.Append(fmt.Sprint("s", r.IntN(3)), now, es); err != nil {
				t.Fatal(err)
			}
		}
		if len(l.sealed) < 5 {
			t.Fatalf("only %d segments", len(l.sealed))
		}
		slices.SortFunc(model, func(a, b Record) int { return a.Position().Compare(b.Position()) })
		q := Query{Limit: 1 + r.IntN(20), Bytes: 30 + r.IntN(600)}
		var forward []uint64
		for {
			rs, more, err := l.Read(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range rs {
				forward = append(forward, rec.Number)
			}
			if !more {
				break
			}
			p := rs[len(rs)-1].Position()
			q.After = &p
		}
		q.After, q.Backward = nil, true
		var backward []uint64
		for {
			rs, more, err := l.Read(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rs {
				backward = append(backward, rs[len(rs)-1-i].Number)
			}
			if !more {
				break
			}
			p := rs[0].Position()
			q.Before = &p
		}
		slices.Reverse(backward)
		var numbers []uint64
		for _, rec := range model {
			numbers = append(numbers, rec.Number)
		}
		if !slices.Equal(forward, numbers) {
			t.Errorf("seed %d forward: %v, want %v", seed, forward, numbers)
		}
		if !slices.Equal(backward, numbers) {
			t.Errorf("seed %d backward: %v, want %v", seed, backward, numbers)
		}
	}
}

func TestReopenContinues(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 60})
	l := openOne(t, s)
	for i := range 5 {
		add(t, l, "a", int64(i), fmt.Sprint(i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append("a", 1, []Entry{{1, nil}}); !errors.Is(err, ErrRemoved) {
		t.Errorf("append after close: %v", err)
	}
	l = openOne(t, open(t, dir, Options{SegmentBytes: 60}))
	add(t, l, "a", 9, "9")
	all, _ := read(t, l, Query{})
	want(t, "all", all, "0 1 2 3 4 9")
	rs, _, _ := l.Read(ctx, Query{From: 9, Limit: 1, Bytes: 1})
	if rs[0].Number != 6 {
		t.Errorf("number %d", rs[0].Number)
	}
}

// TestTornTail cuts the active segment at every length: what is left is the
// whole frames before the cut, and appending goes on.
func TestTornTail(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	l := openOne(t, s)
	var ends []int64
	for i := range 3 {
		add(t, l, "series", int64(i), fmt.Sprint("r", i))
		ends = append(ends, l.active.size)
	}
	path := l.active.path
	s.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) {
		for _, garbage := range []string{"", "\x00\x00\x00\x00\x00", strings.Repeat("\xff", 70)} {
			d := filepath.Join(t.TempDir(), "set")
			if err := os.MkdirAll(filepath.Join(d, "log"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(d, "log", filepath.Base(path)), append(slices.Clone(whole[:n]), garbage...), 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, d, Options{})
			l := openOne(t, s)
			add(t, l, "series", 100, "new")
			var expect []string
			for i, end := range ends {
				if int64(n) >= end {
					expect = append(expect, fmt.Sprint("r", i))
				}
			}
			got, _ := read(t, l, Query{})
			want(t, fmt.Sprintf("cut at %d with %q", n, garbage), got, strings.Join(append(expect, "new"), " "))
			s.Close()
		}
	}
}

func TestDamageInASealedSegmentIsAnError(t *testing.T) {
	dir := t.TempDir()
	l := openOne(t, open(t, dir, Options{SegmentBytes: 10}))
	add(t, l, "a", 1, "hello")
	path := l.sealed[0].path
	b, _ := os.ReadFile(path)
	b[len(b)-1] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Read(ctx, Query{Limit: 1, Bytes: 1}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{SegmentBytes: 10})
	l := openOne(t, s)
	for i := range 4 {
		add(t, l, "a", int64(i*10), fmt.Sprint(i))
	}
	before := l.Bytes()
	if err := l.DropBefore(20); err != nil {
		t.Fatal(err)
	}
	got, _ := read(t, l, Query{})
	want(t, "left", got, "2 3")
	if l.Bytes() >= before {
		t.Error("no smaller")
	}
	if err := l.DropBefore(1000); err != nil {
		t.Fatal(err)
	}
	got, _ = read(t, l, Query{})
	want(t, "all dropped", got, "")
	s.Close()
	l = openOne(t, open(t, dir, Options{}))
	add(t, l, "a", 50, "5")
	if rs, _, _ := l.Read(ctx, Query{Limit: 1, Bytes: 1}); rs[0].Number != 5 {
		t.Errorf("numbers go back to %d", rs[0].Number)
	}
	// The active segment is dropped too when all of it is old.
	if err := l.DropBefore(51); err != nil {
		t.Fatal(err)
	}
	got, _ = read(t, l, Query{})
	want(t, "active dropped", got, "")
}

func TestFollow(t *testing.T) {
	l := openOne(t, open(t, t.TempDir(), Options{}))
	changed := l.Changed()
	select {
	case <-changed:
		t.Fatal("nothing happened yet")
	default:
	}
	go func() { _ = l.Append("a", 1, []Entry{{1, []byte("x")}}) }()
	select {
	case <-changed:
	case <-time.After(time.Minute):
		t.Fatal("not told")
	}
	got, _ := read(t, l, Query{})
	want(t, "seen", got, "x")
}

// TestFailedSync: a batch whose fsync failed was never there, neighbours that
// waited for the same fsync are told too, and appending goes on.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	l := openOne(t, s)
	add(t, l, "a", 1, "1")
	fail := true
	started := make(chan struct{})
	l.fsync = func(f *os.File) error {
		if fail {
			fail = false
			close(started)
			time.Sleep(20 * time.Millisecond)
			return errors.New("the disk is on fire")
		}
		return f.Sync()
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	wg.Go(func() { errs[0] = l.Append("a", 2, []Entry{{2, []byte("2")}}) })
	wg.Go(func() { <-started; errs[1] = l.Append("a", 2, []Entry{{3, []byte("3")}}) })
	wg.Wait()
	if errs[0] == nil || errs[1] == nil {
		t.Errorf("acknowledged: %v", errs)
	}
	add(t, l, "a", 4, "4")
	got, _ := read(t, l, Query{})
	want(t, "after the failure", got, "1 4")
	s.Close()
	got, _ = read(t, openOne(t, open(t, dir, Options{})), Query{})
	want(t, "reopened", got, "1 4")
}

func TestLimitsAndNames(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	l := openOne(t, s)
	if err := l.Append("a", 1, []Entry{{1, make([]byte, maxFrame)}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := l.Append(strings.Repeat("a", 2000), 1, []Entry{{1, nil}}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if err := l.Append("a", 1, nil); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "..", "a/b", ".hidden", strings.Repeat("a", 200)} {
		if _, err := s.Log(name); !errors.Is(err, ErrName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if names, _ := s.Names(); !slices.Equal(names, []string{"log"}) {
		t.Errorf("names %v", names)
	}
	if err := s.Remove("log"); err != nil {
		t.Fatal(err)
	}
	if names, _ := s.Names(); len(names) != 0 {
		t.Errorf("removed, but %v", names)
	}
	if err := l.Append("a", 1, []Entry{{1, nil}}); !errors.Is(err, ErrRemoved) {
		t.Errorf("append to a removed log: %v", err)
	}
}

// TestManyWritersAndReaders is for the race detector: segments are sealed and
// dropped while others read.
func TestManyWritersAndReaders(t *testing.T) {
	l := openOne(t, open(t, t.TempDir(), Options{SegmentBytes: 500}))
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 100 {
				if err := l.Append(fmt.Sprint(w), 1, []Entry{{int64(i), []byte("some text")}}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 50 {
				if _, _, err := l.Read(ctx, Query{Limit: 50, Bytes: 1000}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	rs, _, _ := l.Read(ctx, Query{Limit: 1000, Bytes: 1 << 20})
	if len(rs) != 400 {
		t.Errorf("%d records", len(rs))
	}
}

// TestKill: a process killed while it appends has kept what it acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SEGMENTS_TEST_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acked := map[string]bool{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acked[lines.Text()] = true
		if len(acked) == 500 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	got, _ := read(t, openOne(t, open(t, dir, Options{})), Query{Limit: 1 << 20, Bytes: 1 << 30})
	for _, s := range strings.Fields(got) {
		delete(acked, s)
	}
	if len(acked) > 0 {
		t.Errorf("lost: %v", acked)
	}
}

func childAppend(dir string) {
	s, err := Open(dir, Options{SegmentBytes: 2000})
	if err != nil {
		os.Exit(1)
	}
	l, err := s.Log("log")
	if err != nil {
		os.Exit(1)
	}
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				text := fmt.Sprintf("%d.%d", w, i)
				if err := l.Append("s", 1, []Entry{{int64(i), []byte(text)}}); err != nil {
					os.Exit(1)
				}
				_, _ = os.Stdout.WriteString(text + "\n")
			}
		}()
	}
	select {}
}

// FuzzFrames gives the reader anything: it must end, without a panic and
// without taking more memory than a frame, and take what it wrote itself.
func FuzzFrames(f *testing.F) {
	frame, _, err := encodeFrame("series", 7, 3, []Entry{{1, []byte("a")}, {-5, nil}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(frame)
	f.Add(append(slices.Clone(frame), frame[:20]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := newFrames(bytes.NewReader(b))
		for n := 0; ; n++ {
			if _, err := fr.next(); err != nil {
				return
			}
			records := 0
			if err := fr.records(func(Record) { records++ }); err != nil {
				return
			}
			if records == 0 || fr.offset > int64(len(b)) || n > len(b) {
				t.Fatalf("%d records up to %d of %d", records, fr.offset, len(b))
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	l := openOne(b, open(b, b.TempDir(), Options{}))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Append("s", 1, []Entry{{1, make([]byte, 200)}}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestAppendAll: batches of several series share one fsync and are there again
// after a restart; a failure of the disk leaves none of them.
func TestAppendAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	l := openOne(t, s)
	syncs := 0
	l.fsync = func(f *os.File) error { syncs++; return f.Sync() }
	batches := []Batch{{"a", []Entry{{Time: 1, Data: []byte("a1")}}}, {"none", nil}, {"b", []Entry{{Time: 2, Data: []byte("b1")}, {Time: 3, Data: []byte("b2")}}}}
	if err := l.AppendAll(9, batches); err != nil || syncs != 1 {
		t.Fatalf("%d fsyncs, %v", syncs, err)
	}
	if err := l.AppendAll(9, nil); err != nil || syncs != 1 {
		t.Fatalf("nothing: %d fsyncs, %v", syncs, err)
	}
	l.fsync = func(*os.File) error { return errors.New("the disk") }
	if err := l.AppendAll(9, batches); err == nil {
		t.Fatal("a failed fsync was acknowledged")
	}
	l.fsync = (*os.File).Sync
	s.Close()
	if got, _ := read(t, openOne(t, open(t, dir, Options{})), Query{}); got != "a1 b1 b2" {
		t.Errorf("read %q", got)
	}
}
