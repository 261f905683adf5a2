// Package memstore is a store that lives in memory only, for tests.
package memstore

import (
	"context"
	"sync"

	"minato/store"
	"minato/store/internal/index"
)

// Store is an in-memory store.Store.
type Store struct {
	*index.Mem
	mu     sync.Mutex
	closed bool
}

// New returns an empty store.
func New() *Store { return &Store{Mem: index.New(index.State{})} }

// Commit is part of store.Store.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (store.Revision, error) {
	if err := store.Validate(txn); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, store.ErrClosed
	}
	stage := s.Stage()
	rev, err := stage.Apply(txn)
	if err == nil {
		s.Publish(stage)
	}
	return rev, err
}

// Close is part of store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.Mem.Close()
	return nil
}
