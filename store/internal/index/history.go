package index

import (
	"context"
	"strings"
	"sync"

	"minato/store"
)

// keep is how many changes watchers may lie behind. An event holds a key and
// no value, so this is about 2 MiB when full.
const keep = 1 << 14

// history is the recent changes in a ring. Watchers read it at their own pace
// from positions of their own: a slow one costs the writer nothing, and one
// that falls out of the ring is told so.
type history struct {
	mu     sync.Mutex
	ring   []store.Event
	start  int64          // position of the oldest event kept; positions never repeat
	end    int64          // position after the newest
	before store.Revision // all events after this revision are in the ring
	more   chan struct{}  // closed and replaced when something is added
	closed bool
}

func newHistory(at store.Revision) *history {
	return &history{before: at, more: make(chan struct{})}
}

func (h *history) add(events []store.Event) {
	if len(events) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		if len(h.ring) < keep {
			h.ring = append(h.ring, e)
		} else {
			h.before = h.ring[h.start%keep].Revision
			h.ring[h.end%keep] = e
			h.start++
		}
		h.end++
	}
	if !h.closed {
		close(h.more)
		h.more = make(chan struct{})
	}
}

func (h *history) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.more)
	}
}

func (h *history) watch(prefix string, after store.Revision) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{h: h, prefix: prefix, next: h.start}
	if after < h.before {
		w.lost = true
		return w
	}
	for w.next < h.end && h.ring[w.next%keep].Revision <= after {
		w.next++
	}
	return w
}

type watcher struct {
	h      *history
	prefix string
	next   int64 // position of the first event not yet seen
	lost   bool
}

// Next is part of store.Watcher.
func (w *watcher) Next(ctx context.Context) ([]store.Event, error) {
	for {
		events, more, err := w.take()
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (w *watcher) take() ([]store.Event, <-chan struct{}, error) {
	h := w.h
	h.mu.Lock()
	defer h.mu.Unlock()
	if w.lost || w.next < h.start {
		w.lost = true
		return nil, nil, store.ErrCompacted
	}
	var out []store.Event
	for ; w.next < h.end; w.next++ {
		if e := h.ring[w.next%keep]; strings.HasPrefix(e.Key, w.prefix) {
			out = append(out, e)
		}
	}
	if len(out) == 0 && h.closed {
		return nil, nil, store.ErrClosed
	}
	return out, h.more, nil
}
