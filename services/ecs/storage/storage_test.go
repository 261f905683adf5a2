package storage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"minato/internal/clock"
)

func TestPause(t *testing.T) {
	for left, want := range map[int64]time.Duration{
		-5: time.Second, 0: time.Second, 10 << 30: 20 * time.Second, 20 << 30: 40 * time.Second, 200 << 30: time.Minute,
	} {
		if got := pause(left); got != want {
			t.Errorf("%d left: %v, want %v", left, got, want)
		}
	}
}

func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "a"), 0o755), os.WriteFile(filepath.Join(dir, "a", "f"), make([]byte, 1<<20), 0o644)); err != nil {
		t.Fatal(err)
	}
	hole, err := os.Create(filepath.Join(dir, "hole"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(hole.Truncate(1<<30), hole.Close()); err != nil {
		t.Fatal(err)
	}
	if got := measure(dir); got < 1<<20 || got > 2<<20 {
		t.Errorf("%d bytes", got)
	}
	if got := measure(filepath.Join(dir, "none")); got != 0 {
		t.Errorf("what is not there: %d", got)
	}
}

func TestWatch(t *testing.T) {
	looks := []int64{1 << 20, 3 << 20}
	var said string
	w := &Watcher{
		Limit: 2 << 20, Clock: clock.Real(1), Dir: t.TempDir(),
		Layers: func(context.Context) (int64, error) {
			if len(looks) == 0 {
				return 0, errors.New("gone")
			}
			now := looks[0]
			looks = looks[1:]
			return now, nil
		},
		Full: func(_ context.Context, reason string) { said = reason },
	}
	w.Watch(t.Context())
	if want := "no space left on device: the task has written 0.0 GiB and has 0 GiB of ephemeral storage"; said != want {
		t.Errorf("%q", said)
	}
	said = ""
	w.Watch(t.Context())
	if said != "" {
		t.Errorf("of a task that is over: %q", said)
	}
}
