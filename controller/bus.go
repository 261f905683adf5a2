package controller

import (
	"slices"
	"strings"
	"sync"
)

// Bus says "the thing with this key changed", and nothing more: whoever is
// woken reads what is true now.
type Bus struct {
	mu   sync.RWMutex
	subs []*subscription
}

type subscription struct {
	prefix string
	f      func(key string)
}

// NewBus returns a bus without subscribers.
func NewBus() *Bus { return &Bus{} }

// Publish tells the subscribers of the key's prefixes that it changed.
func (b *Bus) Publish(key string) {
	b.mu.RLock()
	subs := b.subs
	b.mu.RUnlock()
	for _, s := range subs {
		if strings.HasPrefix(key, s.prefix) {
			s.f(key)
		}
	}
}

// Subscribe calls f for every change of a key with the prefix, until cancel is
// called. f runs in the publisher's goroutine: it must be quick (queue the key)
// and may be called twice for one change.
func (b *Bus) Subscribe(prefix string, f func(key string)) (cancel func()) {
	s := &subscription{prefix, f}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = append(slices.Clone(b.subs), s) // Publish goes on with the old slice
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.subs = slices.DeleteFunc(slices.Clone(b.subs), func(o *subscription) bool { return o == s })
	}
}
