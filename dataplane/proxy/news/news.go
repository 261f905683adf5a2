// Package news tells what changed.
package news

import (
	"context"
	"sync"

	"minato/dataplane/proxy"
)

// News gathers changes and tells them one at a time from a goroutine of its
// own; what changed twice before it was told is told once.
type News struct {
	mu      sync.Mutex
	tell    func(proxy.Change)
	pending map[proxy.Change]bool
	wake    chan struct{}
}

// New makes one that has nothing to tell.
func New() *News {
	return &News{pending: map[proxy.Change]bool{}, wake: make(chan struct{}, 1)}
}

// Subscribe gives the function that is told.
func (n *News) Subscribe(f func(proxy.Change)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tell = f
}

// Add notes a change.
func (n *News) Add(c proxy.Change) {
	n.mu.Lock()
	n.pending[c] = true
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run tells until the context ends.
func (n *News) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
		n.mu.Lock()
		tell, pending := n.tell, n.pending
		n.pending = map[proxy.Change]bool{}
		n.mu.Unlock()
		for c := range pending {
			if tell != nil {
				tell(c)
			}
		}
	}
}
