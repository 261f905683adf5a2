package containerd

import (
	"context"
	"path/filepath"
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
