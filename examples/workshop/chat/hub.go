package main

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Hub tells open pages of new comments. What somebody writes may reach another
// task than the one a page is connected to, so each process asks the database,
// once for all its pages, and only while there are any.
type Hub struct {
	log   *slog.Logger
	store *Store
	every time.Duration

	mu     sync.Mutex
	pages  map[chan Comment]struct{}
	closed bool
	wake   chan struct{} // a first page came, or somebody wrote here
}

// NewHub makes a hub that looks for new comments at the given interval.
func NewHub(log *slog.Logger, store *Store, every time.Duration) *Hub {
	return &Hub{log: log, store: store, every: every, pages: map[chan Comment]struct{}{}, wake: make(chan struct{}, 1)}
}

// Join returns a channel of new comments, which is closed when the page is too
// slow or the hub ends; leave must be called when the page goes.
func (h *Hub) Join() (comments <-chan Comment, leave func()) {
	page := make(chan Comment, 2*shown)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(page)
		return page, func() {}
	}
	h.pages[page] = struct{}{}
	return page, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.drop(page)
	}
}

func (h *Hub) drop(page chan Comment) {
	if _, ok := h.pages[page]; ok {
		delete(h.pages, page)
		close(page)
	}
}

// Wake makes the hub look now: something was written by this process.
func (h *Hub) Wake() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Run looks for new comments until ctx is done, then closes every page's channel.
func (h *Hub) Run(ctx context.Context) {
	defer h.close()
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	// Ids are given out before a transaction commits: a lower one can appear
	// after a higher. So what was sent is remembered by id, not by the highest.
	var sent map[int64]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-h.wake:
		}
		if h.empty() {
			sent = nil // pages load the list themselves; start anew with the next one
			continue
		}
		next, err := h.look(ctx, sent)
		if err != nil {
			if ctx.Err() == nil {
				h.log.Warn("no look at the new comments", "error", err)
			}
			continue
		}
		sent = next
	}
}

// look sends the comments that are not in sent, and returns all that are known
// now. A nil sent is the first look: everything is sent, pages know what they have.
func (h *Hub) look(ctx context.Context, sent map[int64]bool) (map[int64]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ids, err := h.store.RecentIDs(ctx)
	if err != nil {
		return nil, err
	}
	known := make(map[int64]bool, len(ids))
	var fresh []int64
	for _, id := range ids {
		known[id] = true
		if !sent[id] {
			fresh = append(fresh, id)
		}
	}
	comments, err := h.store.Comments(ctx, fresh)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for page := range h.pages {
		for _, c := range comments {
			select {
			case page <- c:
			default:
				h.drop(page) // it reconnects and loads the list
			}
			if _, ok := h.pages[page]; !ok {
				break
			}
		}
	}
	return known, nil
}

func (h *Hub) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages) == 0
}

func (h *Hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for page := range h.pages {
		h.drop(page)
	}
}
