package containerd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/internal/ids"
)

// crowd starts n groups of one container, all at once.
func crowd(tb testing.TB, s *containertest.Subject, n int, command ...string) []string {
	tb.Helper()
	ctx := tb.Context()
	images, err := s.Import(ctx, containertest.Archive(tb, nil))
	if err != nil {
		tb.Fatal(err)
	}
	var eg errgroup.Group
	out := make([]string, n)
	for i := range n {
		out[i] = "x" + ids.Hex(8)
		eg.Go(func() error {
			if err := s.EnsureGroup(ctx, container.Group{ID: out[i]}); err != nil {
				return err
			}
			if err := s.Ensure(ctx, container.Container{ID: out[i], Group: out[i], Image: images[0].Digest, Command: command}); err != nil {
				return err
			}
			return s.Start(ctx, out[i])
		})
	}
	if err := eg.Wait(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// Many at once start, end at once and go; how is on disk before it is told.
func TestCrowd(t *testing.T) {
	s := open(t, testOptions(t))
	all := crowd(t, s, 12, "exit", "7")
	for _, id := range all {
		if st, err := s.Wait(t.Context(), id); err != nil || st.ExitCode != 7 || st.Reason != "" {
			t.Errorf("%+v, %v", st, err)
		}
		var kept container.Status
		if err := readJSON(filepath.Join(s.Runtime.(*Runtime).ctrs[id].dir, statusFile), &kept); err != nil || kept.State != container.Ended || kept.ExitCode != 7 {
			t.Errorf("on disk: %+v, %v", kept, err)
		}
	}
	var wg sync.WaitGroup
	for _, id := range all {
		wg.Go(func() {
			if err := s.DeleteGroup(context.Background(), id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if left, err := s.List(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left: %+v, %v", left, err)
	}
}

// A process in a container that nobody hears any more, because its Runtime is
// gone, is ended; the container runs on.
func TestExecutionsEndWithTheirRuntime(t *testing.T) {
	s := open(t, testOptions(t))
	id := crowd(t, s, 1, "stubborn")[0]
	pids := func() int {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(s.Runtime.(*Runtime).cg.dir(s.Runtime.(*Runtime).cgroupOf(s.Runtime.(*Runtime).ctrs[id]), "pids"), "cgroup.procs"))
		if err != nil {
			t.Fatal(err)
		}
		return len(strings.Fields(string(b)))
	}
	for _, tty := range []bool{true, false} {
		if _, err := s.Exec(t.Context(), id, container.Process{Args: []string{"/program", "stubborn"}, TTY: tty}, container.Stdio{Stdout: io.Discard}); err != nil {
			t.Fatal(err)
		}
	}
	if n := pids(); n != 3 {
		t.Fatalf("%d processes before", n)
	}
	s.Runtime = s.Reopen(t)
	deadline := time.Now().Add(2 * time.Minute)
	for pids() != 1 {
		if time.Now().After(deadline) {
			t.Fatalf("%d processes after", pids())
		}
		time.Sleep(20 * time.Millisecond)
	}
	if st, err := s.Get(t.Context(), id); err != nil || st.State != container.Running {
		t.Errorf("%+v, %v", st, err)
	}
	x, err := s.Exec(t.Context(), id, container.Process{Args: []string{"/program", "exit", "3"}}, container.Stdio{})
	if err != nil {
		t.Fatal(err)
	}
	if code, err := x.Wait(t.Context()); err != nil || code != 3 {
		t.Errorf("%d, %v", code, err)
	}
}

// BenchmarkAdopt is a start with 20 tasks that run, after containerd was killed.
func BenchmarkAdopt(b *testing.B) {
	o := testOptions(b)
	s := open(b, o)
	all := crowd(b, s, 20, "stubborn")
	for b.Loop() {
		b.StopTimer()
		r := s.Runtime.(*Runtime)
		r.eng.cancel()
		<-r.eng.done
		if err := syscall.Kill(r.EnginePID(), syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		b.StartTimer()
		r, err := New(context.Background(), o)
		if err != nil {
			b.Fatal(err)
		}
		s.Runtime = r
	}
	for _, id := range all {
		if st, err := s.Get(b.Context(), id); err != nil || st.State != container.Running {
			b.Errorf("%+v, %v", st, err)
		}
	}
}
