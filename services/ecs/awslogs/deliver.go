package awslogs

import (
	"context"
	"time"

	"minato/dataplane/container"
)

// The wait after a log could not be delivered, growing to the second.
const (
	pauseMin = 200 * time.Millisecond
	pauseMax = 10 * time.Second
	// lastLogs is how long a container that has ended is kept for logs that
	// nobody takes.
	lastLogs = 15 * time.Second
)

// Deliver delivers a container's log until the end of what it writes in this run
// of it, or until nobody will take it and the container has ended long ago. It
// returns how many runs of the container have been delivered by then; ok is false
// when ctx has ended before: the next daemon goes on.
func (f *Forwarder) Deliver(ctx context.Context) (runs int, ok bool) {
	for pause := pauseMin; ; pause = min(2*pause, pauseMax) {
		before, err := f.Source.Get(ctx, f.Container)
		if err == nil {
			err = f.Run(ctx)
		}
		if ctx.Err() != nil {
			return 0, false
		}
		status, lost := f.Source.Get(ctx, f.Container)
		ended := lost == nil && status.State == container.Ended && status.Restarts == before.Restarts
		if lost != nil || ended && (err == nil || time.Since(status.Ended) > lastLogs) {
			return status.Restarts + 1, true
		}
		if err != nil {
			f.Log.Warn("a log cannot be delivered", "container", f.Container, "group", f.Group, "error", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, false
		}
	}
}
