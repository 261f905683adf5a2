package index

import (
	"context"
	"fmt"
	"sync/atomic"

	"minato/store"
)

// Mem is the reading half of a store: Get, List and Watch over the state that
// was last published.
type Mem struct {
	state atomic.Pointer[State]
	hist  *history
}

// State is the records at a revision.
type State struct {
	Tree     Tree
	Revision store.Revision
}

// New returns a Mem that begins with the given state; changes before it are
// not known to watchers.
func New(s State) *Mem {
	m := &Mem{hist: newHistory(s.Revision)}
	m.state.Store(&s)
	return m
}

// Get is part of store.Store.
func (m *Mem) Get(_ context.Context, key string) (store.Record, bool, error) {
	rec, ok := m.state.Load().Tree.Get(key)
	return rec, ok, nil
}

// List is part of store.Store.
func (m *Mem) List(_ context.Context, prefix string, page store.Page) ([]store.Record, store.Revision, error) {
	s := m.state.Load()
	var recs []store.Record
	s.Tree.Ascend(prefix, page.After, func(r store.Record) bool {
		recs = append(recs, r)
		return page.Limit <= 0 || len(recs) < page.Limit
	})
	return recs, s.Revision, nil
}

// Watch is part of store.Store.
func (m *Mem) Watch(prefix string, after store.Revision) store.Watcher {
	return m.hist.watch(prefix, after)
}

// Close wakes the watchers with store.ErrClosed.
func (m *Mem) Close() { m.hist.close() }

// Stage is a writer's view: transactions are tried on it one after another,
// and published together once they are durable. One writer at a time.
type Stage struct {
	State
	Events []store.Event
}

// Stage begins where the published state is.
func (m *Mem) Stage() *Stage { return &Stage{State: *m.state.Load()} }

// Apply checks a transaction and adds it to the stage; on a conflict the stage
// is as before.
func (s *Stage) Apply(t store.Txn) (store.Revision, error) {
	for _, c := range t.Checks {
		if rec, _ := s.Tree.Get(c.Key); rec.Revision != c.Revision {
			return 0, fmt.Errorf("%w: %s has revision %d, not %d", store.ErrConflict, c.Key, rec.Revision, c.Revision)
		}
	}
	if len(t.Puts)+len(t.Deletes) == 0 {
		return s.Revision, nil
	}
	s.Revision++
	for _, p := range t.Puts {
		s.Tree = s.Tree.Put(store.Record{Key: p.Key, Value: p.Value, Revision: s.Revision})
		s.Events = append(s.Events, store.Event{Key: p.Key, Revision: s.Revision})
	}
	for _, key := range t.Deletes {
		if _, ok := s.Tree.Get(key); ok {
			s.Tree = s.Tree.Delete(key)
			s.Events = append(s.Events, store.Event{Key: key, Revision: s.Revision, Deleted: true})
		}
	}
	return s.Revision, nil
}

// Publish makes a stage the state that readers see.
func (m *Mem) Publish(s *Stage) {
	state := s.State
	m.state.Store(&state)
	m.hist.add(s.Events)
}
