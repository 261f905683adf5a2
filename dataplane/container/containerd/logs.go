package containerd

import (
	"bytes"
	"context"

	"minato/dataplane/container"
	"minato/dataplane/container/spool"
)

// Tail implements container.Runtime.
func (r *Runtime) Tail(ctx context.Context, id string, from container.Offset, fn func(container.Record) error) error {
	c, err := r.find(id)
	if err != nil {
		return err
	}
	at := int64(from)
	if from == container.FromConsumed {
		at = spool.Consumed(c.logDir())
	}
	over := func() bool {
		select {
		case <-c.settled:
			return true
		default:
			return c.rec.NoLog
		}
	}
	return spool.Tail(ctx, c.logDir(), at, over, func(rec spool.Record, next int64) error {
		return fn(container.Record{
			Time: rec.Time, Stream: container.Stream(rec.Stream), Line: rec.Line,
			Partial: rec.Partial, Next: container.Offset(next),
		})
	})
}

// Consumed implements container.Runtime.
func (r *Runtime) Consumed(_ context.Context, id string, upTo container.Offset) error {
	c, err := r.find(id)
	if err != nil {
		return err
	}
	return spool.Consume(c.logDir(), int64(upTo))
}

// containsArg tells whether a /proc/<pid>/cmdline has an argument.
func containsArg(cmdline []byte, arg string) bool {
	for a := range bytes.SplitSeq(cmdline, []byte{0}) {
		if string(a) == arg {
			return true
		}
	}
	return false
}
