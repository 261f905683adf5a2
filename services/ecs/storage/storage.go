// Package storage holds tasks to their ephemeral storage. The kernels that
// minato runs on have no quota for a directory that one could count on, so what
// a task has written is measured now and then, the more often the less is left.
// On AWS a write beyond the limit fails; here the task ends, with the same words.
package storage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"minato/internal/clock"
)

// The pauses between two looks: as long as a disk of this speed needs to fill
// what is left, within bounds.
const (
	diskSpeed = 512 << 20 // bytes a second
	minPause  = time.Second
	maxPause  = time.Minute
)

// Watcher measures one task.
type Watcher struct {
	// Layers is what its containers have written to their own file systems.
	Layers func(ctx context.Context) (int64, error)
	// Dir holds its volumes.
	Dir   string
	Limit int64 // bytes
	Clock clock.Clock
	// Full is told once why the task is to end.
	Full func(ctx context.Context, reason string)
}

// Watch measures until the task is over, which is when Layers fails, or full.
func (w *Watcher) Watch(ctx context.Context) {
	used := w.Limit // for all that is known
	for clock.Sleep(ctx, w.Clock, pause(w.Limit-used)) == nil {
		layers, err := w.Layers(ctx)
		if err != nil {
			return
		}
		if used = layers + measure(w.Dir); used > w.Limit {
			w.Full(ctx, reason(used, w.Limit))
			return
		}
	}
}

func pause(left int64) time.Duration {
	return min(max(time.Duration(left/diskSpeed)*time.Second, minPause), maxPause)
}

func reason(used, limit int64) string {
	return fmt.Sprintf("no space left on device: the task has written %.1f GiB and has %d GiB of ephemeral storage", float64(used)/(1<<30), limit>>30)
}

// measure is the space that a directory takes on the disk; of what goes away
// meanwhile it is 0. Files with several names count once for each: a bound, not
// a bill.
func measure(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += blocks(info)
		}
		return nil
	})
	return sum
}

func blocks(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
