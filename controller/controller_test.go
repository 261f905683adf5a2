package controller_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"minato/controller"
	"minato/internal/clock"
	"minato/store"
	"minato/store/memstore"
)

// recorder is a reconciler whose behaviour a test sets.
type recorder struct {
	mu   sync.Mutex
	ran  map[string]int
	keys []string
	f    func(key string, n int) (controller.Result, error)
	runs chan string
}

func newRecorder(keys ...string) *recorder {
	return &recorder{ran: map[string]int{}, keys: keys, runs: make(chan string, 1000)}
}

func (r *recorder) Reconcile(_ context.Context, key string) (res controller.Result, err error) {
	r.mu.Lock()
	r.ran[key]++
	n, f := r.ran[key], r.f
	r.mu.Unlock()
	defer func() { r.runs <- key }()
	if f != nil {
		return f(key, n)
	}
	return controller.Result{}, nil
}

func (r *recorder) Keys(context.Context) ([]string, error) { return r.keys, nil }

func (r *recorder) await(t *testing.T) string {
	t.Helper()
	select {
	case key := <-r.runs:
		return key
	case <-time.After(time.Minute):
		t.Fatal("nothing was reconciled")
		return ""
	}
}

func (r *recorder) quiet(t *testing.T) {
	t.Helper()
	select {
	case key := <-r.runs:
		t.Errorf("%s was reconciled though nothing asked for it", key)
	case <-time.After(30 * time.Millisecond):
	}
}

type fixture struct {
	clock *clock.Fake
	log   *bytes.Buffer
	bus   *controller.Bus
	c     *controller.Controller
}

func start(t *testing.T, r controller.Reconciler, opt controller.Options, before ...func(*fixture)) *fixture {
	t.Helper()
	f := &fixture{clock: clock.NewFake(time.Unix(1e9, 0)), log: &bytes.Buffer{}, bus: controller.NewBus()}
	f.c = controller.New(f.clock, slog.New(slog.NewTextHandler(&syncWriter{w: f.log}, nil)), f.bus)
	f.c.Add("r", r, opt)
	for _, b := range before {
		b(f)
	}
	f.c.Start()
	t.Cleanup(f.c.Stop)
	return f
}

type syncWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

func TestEveryKeyAtStartAndAtResync(t *testing.T) {
	r := newRecorder("a", "b")
	f := start(t, r, controller.Options{Workers: 1, Resync: time.Hour})
	f.clock.SetPace(1)
	if got := r.await(t) + r.await(t); got != "ab" {
		t.Errorf("at the start %q", got)
	}
	f.clock.AwaitWaiting(1)
	f.clock.Advance(time.Hour)
	if got := r.await(t) + r.await(t); got != "ab" {
		t.Errorf("at the resync %q", got)
	}
	r.quiet(t)
}

func TestQueueIsDeduplicated(t *testing.T) {
	r := newRecorder()
	inside, release := make(chan struct{}), make(chan struct{})
	r.f = func(key string, n int) (controller.Result, error) {
		if key == "block" {
			close(inside)
			<-release
		}
		return controller.Result{}, nil
	}
	f := start(t, r, controller.Options{Workers: 1})
	f.c.Enqueue("r", "block")
	<-inside
	for range 10 {
		f.c.Enqueue("r", "x")
	}
	close(release)
	r.await(t)
	if r.await(t) != "x" {
		t.Error("x was not run")
	}
	r.quiet(t)
}

// TestOneWorkerAKey: wake-ups while a key runs make it run once more, never
// at the same time.
func TestOneWorkerAKey(t *testing.T) {
	r := newRecorder()
	var now, most atomic.Int32
	r.f = func(string, int) (controller.Result, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
		return controller.Result{}, nil
	}
	f := start(t, r, controller.Options{Workers: 8})
	for range 20 {
		f.c.Enqueue("r", "k")
		time.Sleep(time.Millisecond)
	}
	r.await(t)
	r.await(t)
	if most.Load() != 1 {
		t.Errorf("%d workers had the key at once", most.Load())
	}
}

func TestAfter(t *testing.T) {
	r := newRecorder()
	r.f = func(_ string, n int) (controller.Result, error) {
		if n == 1 {
			return controller.Result{After: 10 * time.Second}, nil
		}
		return controller.Result{}, nil
	}
	f := start(t, r, controller.Options{})
	f.clock.AwaitWaiting(1) // the resync
	f.c.Enqueue("r", "k")
	r.await(t)
	if !f.clock.AwaitWaiting(2) {
		t.Fatal("nobody waits")
	}
	f.clock.Advance(9 * time.Second)
	r.quiet(t)
	f.clock.AwaitWaiting(2)
	f.clock.Advance(time.Second)
	r.await(t)
}

// TestJump: setting the clock, forward or back, neither wakes nor delays.
func TestJump(t *testing.T) {
	for _, jump := range []time.Duration{48 * time.Hour, -48 * time.Hour} {
		r := newRecorder()
		r.f = func(_ string, n int) (controller.Result, error) {
			if n == 1 {
				return controller.Result{After: 10 * time.Second}, nil
			}
			return controller.Result{}, nil
		}
		f := start(t, r, controller.Options{})
		f.clock.AwaitWaiting(1) // the resync
		f.c.Enqueue("r", "k")
		r.await(t)
		f.clock.AwaitWaiting(2)
		f.clock.Jump(jump)
		f.clock.Advance(9 * time.Second)
		r.quiet(t)
		f.clock.AwaitWaiting(2)
		f.clock.Advance(time.Second)
		r.await(t)
	}
}

func TestBackoffGrowsAndIsPaced(t *testing.T) {
	r := newRecorder()
	r.f = func(_ string, n int) (controller.Result, error) {
		if n < 4 {
			return controller.Result{}, errors.New("no")
		}
		return controller.Result{}, nil
	}
	f := start(t, r, controller.Options{}, func(f *fixture) { f.clock.SetPace(10) })
	f.clock.AwaitWaiting(1)
	f.c.Enqueue("r", "k")
	r.await(t)
	for _, wait := range []time.Duration{5, 10, 20} { // ms: 50, 100, 200 at pace 10
		if !f.clock.AwaitWaiting(2) {
			t.Fatal("no retry is planned")
		}
		f.clock.Advance(wait*time.Millisecond - 1)
		r.quiet(t)
		f.clock.AwaitWaiting(2)
		f.clock.Advance(1)
		r.await(t)
	}
	r.quiet(t)
	if got := strings.Count(f.log.String(), "reconcile failed"); got != 3 {
		t.Errorf("%d failures logged:\n%s", got, f.log)
	}
}

// TestAFailureThatWakesItself: a reconciler whose failure makes a change does
// not spin.
func TestAFailureThatWakesItself(t *testing.T) {
	r := newRecorder()
	var f *fixture
	r.f = func(key string, _ int) (controller.Result, error) {
		f.c.Enqueue("r", key)
		return controller.Result{}, errors.New("no")
	}
	f = start(t, r, controller.Options{})
	f.c.Enqueue("r", "k")
	r.await(t)
	r.quiet(t)
	f.c.Enqueue("r", "k")
	r.quiet(t)
}

func TestPanicIsCaughtAndRetried(t *testing.T) {
	r := newRecorder()
	r.f = func(_ string, n int) (controller.Result, error) {
		if n == 1 {
			panic("ouch")
		}
		return controller.Result{}, nil
	}
	f := start(t, r, controller.Options{})
	f.clock.AwaitWaiting(1)
	f.c.Enqueue("r", "k")
	r.await(t)
	f.clock.AwaitWaiting(2)
	f.clock.Advance(time.Second)
	r.await(t)
	f.c.Stop()
	if log := f.log.String(); !strings.Contains(log, "ouch") || !strings.Contains(log, "controller_test.go") {
		t.Errorf("no stack in the log:\n%s", log)
	}
}

func TestStopWaitsAndCancels(t *testing.T) {
	inside := make(chan struct{})
	var ended atomic.Bool
	r := reconcileFunc(func(ctx context.Context, _ string) {
		close(inside)
		<-ctx.Done()
		time.Sleep(10 * time.Millisecond)
		ended.Store(true)
	})
	f := start(t, r, controller.Options{})
	f.c.Enqueue("r", "k")
	<-inside
	f.c.Stop()
	if !ended.Load() {
		t.Error("Stop did not wait")
	}
}

type reconcileFunc func(ctx context.Context, key string)

func (f reconcileFunc) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	f(ctx, key)
	return controller.Result{}, nil
}
func (reconcileFunc) Keys(context.Context) ([]string, error) { return nil, nil }

func TestStoreChangesWake(t *testing.T) {
	s := memstore.New()
	r := newRecorder()
	f := start(t, r, controller.Options{}, func(f *fixture) {
		f.c.WatchStore(s)
		f.c.Wake("r", "ecs/task/", nil)
		f.c.Wake("r", "ecs/eni/", func(key string) string { return "ecs/task/" + strings.TrimPrefix(key, "ecs/eni/") })
		f.c.Wake("r", "ecs/other/", func(string) string { return "" })
	})
	for _, key := range []string{"ecs/other/1", "ecs/task/1", "ecs/eni/2"} {
		if _, err := s.Commit(context.Background(), store.Txn{Puts: []store.Put{{Key: key}}}); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{r.await(t): true, r.await(t): true}
	if !got["ecs/task/1"] || !got["ecs/task/2"] {
		t.Errorf("woken: %v", got)
	}
	f.bus.Publish("ecs/task/3")
	if key := r.await(t); key != "ecs/task/3" {
		t.Errorf("woken: %v", key)
	}
	r.quiet(t)
}

// TestFallenBehindResyncs: more changes than a store remembers, while the
// follower is held up, end in a resync.
func TestFallenBehindResyncs(t *testing.T) {
	s := memstore.New()
	r := newRecorder("resynced")
	hold, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	start(t, r, controller.Options{}, func(f *fixture) {
		f.c.WatchStore(s)
		f.bus.Subscribe("hold", func(string) { once.Do(func() { close(held); <-hold }) })
	})
	r.await(t) // at the start
	put := func(key string) {
		if _, err := s.Commit(context.Background(), store.Txn{Puts: []store.Put{{Key: key}}}); err != nil {
			t.Error(err)
		}
	}
	put("hold")
	<-held
	for i := range 20000 {
		put(fmt.Sprint("k", i%100))
	}
	close(hold)
	if key := r.await(t); key != "resynced" {
		t.Errorf("reconciled %v", key)
	}
}

func TestUnsubscribe(t *testing.T) {
	bus := controller.NewBus()
	n := 0
	cancel := bus.Subscribe("a/", func(string) { n++ })
	bus.Publish("a/1")
	bus.Publish("b/1")
	cancel()
	bus.Publish("a/2")
	if n != 1 {
		t.Errorf("called %d times", n)
	}
}
