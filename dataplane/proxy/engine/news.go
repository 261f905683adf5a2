package engine

import (
	"context"
	"sync"

	"minato/dataplane/proxy"
)

// news gathers changes and tells them one at a time from a goroutine of its
// own; what changed twice before it was told is told once.
type news struct {
	mu      sync.Mutex
	tell    func(proxy.Change)
	pending map[proxy.Change]bool
	wake    chan struct{}
}

func (n *news) init() {
	n.pending = map[proxy.Change]bool{}
	n.wake = make(chan struct{}, 1)
}

func (n *news) subscribe(f func(proxy.Change)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tell = f
}

func (n *news) add(c proxy.Change) {
	n.mu.Lock()
	n.pending[c] = true
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *news) run(ctx context.Context) {
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
