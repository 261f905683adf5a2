package sqlite_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"minato/store"
	"minato/store/sqlite"
	"minato/store/storetest"
)

var ctx = context.Background()

func TestMain(m *testing.M) {
	switch os.Getenv("STORE_TEST_CHILD") {
	case "write":
		childWrite(os.Getenv("STORE_TEST_FILE"))
	case "full":
		childFull(os.Getenv("STORE_TEST_FILE"))
	default:
		os.Exit(m.Run())
	}
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "state.db")) })
}

// TestReopen: records, revisions and the counter of revisions outlive a close.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space?&#.db")
	s := open(t, path)
	r1, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "a", Value: []byte("1")}, {Key: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	r2, err := s.Commit(ctx, store.Txn{Deletes: []string{"b"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	s = open(t, path)
	rec, ok, _ := s.Get(ctx, "a")
	if !ok || string(rec.Value) != "1" || rec.Revision != r1 {
		t.Errorf("reopened: %v %v", rec, ok)
	}
	if _, ok, _ := s.Get(ctx, "b"); ok {
		t.Error("a deleted record is back")
	}
	r3, err := s.Commit(ctx, store.Txn{Checks: []store.Check{{Key: "a", Revision: r1}}, Puts: []store.Put{{Key: "b"}}})
	if err != nil || r3 <= r2 {
		t.Errorf("revision %d (%v) after %d: the newest record was deleted, but revisions must rise", r3, err, r2)
	}
	if _, err := s.Watch("", r1).Next(ctx); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a watch from before the restart got %v", err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	open(t, path)
	if s, err := sqlite.Open(path); err == nil {
		s.Close()
		t.Error("the file was opened twice")
	}
}

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(path); err == nil {
		s.Close()
		t.Error("opened")
	}
}

func child(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+role, "STORE_TEST_FILE="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

// TestKill: a process that is killed while many goroutines write has kept
// everything that it acknowledged.
func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	acked := map[string]bool{}
	for round := range 3 {
		cmd := child(t, "write", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acked[lines.Text()] = true
			if n == 300+round*400 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait() // killed
		s, err := sqlite.Open(path)
		if err != nil {
			t.Fatalf("after the kill: %v", err)
		}
		for key := range acked {
			if _, ok, _ := s.Get(ctx, key); !ok {
				t.Errorf("round %d: %s was acknowledged and is gone", round, key)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(acked) < 1000 {
		t.Errorf("only %d keys were acknowledged", len(acked))
	}
}

// childWrite writes keys for ever and prints each one when it is acknowledged.
func childWrite(path string) {
	s, err := sqlite.Open(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d/%d/%d", os.Getpid(), w, i)
				if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: key, Value: bytes.Repeat([]byte("v"), 500)}}}); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				if _, err := os.Stdout.WriteString(key + "\n"); err != nil {
					os.Exit(0)
				}
			}
		})
	}
	wg.Wait()
}

// TestDiskFull: when the disk is full (a file size limit in a child process),
// writes fail, reads go on, nothing acknowledged is lost, and writing goes on
// once there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	cmd := child(t, "full", path)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v: %s", err, out)
	}
	var acked int
	if _, err := fmt.Sscanf(string(out), "acknowledged %d", &acked); err != nil || acked < 5 {
		t.Fatalf("child said %q", out)
	}
	s := open(t, path)
	for i := range acked {
		if _, ok, _ := s.Get(ctx, strconv.Itoa(i)); !ok {
			t.Errorf("key %d of %d is lost", i, acked)
		}
	}
	if _, ok, _ := s.Get(ctx, "room"); !ok {
		t.Error("the write after there was room again is lost")
	}
}

func childFull(path string) {
	die := func(f string, args ...any) {
		fmt.Printf(f+"\n", args...)
		os.Exit(1)
	}
	s, err := sqlite.Open(path)
	if err != nil {
		die("%v", err)
	}
	var old syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 600 << 10, Max: old.Max}); err != nil {
		die("%v", err)
	}
	put := func(key string) error {
		_, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: key, Value: bytes.Repeat([]byte("v"), 20000)}}})
		return err
	}
	acked := 0
	for ; ; acked++ {
		if err = put(strconv.Itoa(acked)); err != nil {
			break
		}
		if acked > 10000 {
			die("the disk never filled up")
		}
	}
	if !strings.Contains(err.Error(), "not written") {
		die("odd error %v", err)
	}
	if err := put("again"); err == nil {
		die("written to a full disk")
	}
	for i := range acked {
		if _, ok, err := s.Get(ctx, strconv.Itoa(i)); !ok || err != nil {
			die("reads stopped: %v", err)
		}
	}
	if _, ok, _ := s.Get(ctx, strconv.Itoa(acked)); ok {
		die("a write that failed is seen")
	}
	_ = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old)
	if err := put("room"); err != nil {
		die("there is room again, but %v", err)
	}
	fmt.Println("acknowledged", acked)
	_ = os.Stdout.Sync()
	p, _ := os.FindProcess(os.Getpid()) // no polite close
	_ = p.Kill()
	_, _ = io.Copy(io.Discard, os.Stdin)
	select {}
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "state.db"))
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := w; i < b.N; i += writers {
						v := bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(i >> 16), 'x'}, 256)
						if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: strconv.Itoa(i % 5000), Value: v}}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "state.db"))
	key := func(i int) string { return fmt.Sprintf("ecs/service/000000000000/us-east-1/cluster/%d", i) }
	for i := range 3000 {
		if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: key(i)}}}); err != nil {
			b.Fatal(err)
		}
	}
	k := key(1234)
	for b.Loop() {
		if _, ok, _ := s.Get(ctx, k); !ok {
			b.Fatal("gone")
		}
	}
}
