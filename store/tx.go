package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"
)

// Tx is a transaction being put together by Update: what it reads is checked at
// the commit, what it writes is seen by its own reads.
type Tx struct {
	ctx    context.Context
	store  Store
	reads  map[string]Record // revision 0: did not exist
	writes map[string][]byte // nil: delete
}

// maxAttempts bounds Update; a transaction that loses so often fights with
// itself.
const maxAttempts = 64

// Update runs f and commits what it wrote, if nothing that it read changed
// meanwhile; otherwise it runs f again. So f must do nothing but read and write
// through tx. An error of f ends Update without a write and is returned as it
// is; it, and that there is nothing to write, count only if what f read was there
// at one and the same moment. Records that f wrote as it read them are not written.
func Update(ctx context.Context, s Store, f func(tx *Tx) error) error {
	for attempt := 0; ; attempt++ {
		tx := &Tx{ctx: ctx, store: s, reads: map[string]Record{}, writes: map[string][]byte{}}
		err := f(tx)
		if txn := tx.txn(); err != nil || len(txn.Puts)+len(txn.Deletes) == 0 {
			torn, unread := tx.torn()
			switch {
			case unread != nil:
				return cmp.Or(err, unread)
			case !torn || attempt == maxAttempts && err != nil:
				return err
			}
			err = ErrConflict
		} else {
			_, err = s.Commit(ctx, txn)
		}
		if err == nil || !errors.Is(err, ErrConflict) || attempt == maxAttempts {
			return err
		}
		// The winner's commit is already visible; only a crowd needs spreading.
		if attempt > 2 {
			select {
			case <-time.After(rand.N(time.Duration(attempt) * time.Millisecond)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// torn reports whether the records that were read may never have been there at
// once: one of them is another now. If none is, all were there when the last was
// read.
func (tx *Tx) torn() (bool, error) {
	if len(tx.reads) < 2 {
		return false, nil
	}
	for key, read := range tx.reads {
		rec, _, err := tx.store.Get(tx.ctx, key)
		if err != nil {
			return false, err
		}
		if rec.Revision != read.Revision {
			return true, nil
		}
	}
	return false, nil
}

// txn is the transaction in a settled order. Writes that change nothing are
// left out; their checks stay.
func (tx *Tx) txn() Txn {
	var t Txn
	for key, rec := range tx.reads {
		t.Checks = append(t.Checks, Check{Key: key, Revision: rec.Revision})
	}
	for key, value := range tx.writes {
		read, known := tx.reads[key]
		switch {
		case value == nil && known && read.Revision == 0:
		case value == nil:
			t.Deletes = append(t.Deletes, key)
		case known && read.Revision != 0 && bytes.Equal(value, read.Value):
		default:
			t.Puts = append(t.Puts, Put{Key: key, Value: value})
		}
	}
	sort.Slice(t.Checks, func(i, j int) bool { return t.Checks[i].Key < t.Checks[j].Key })
	sort.Slice(t.Puts, func(i, j int) bool { return t.Puts[i].Key < t.Puts[j].Key })
	slices.Sort(t.Deletes)
	return t
}

// Context is the context that Update was called with.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Get returns the value of a key and whether there is one; the commit checks
// that this is still so.
func (tx *Tx) Get(key string) ([]byte, bool, error) {
	if value, ok := tx.writes[key]; ok {
		return value, value != nil, nil
	}
	if rec, ok := tx.reads[key]; ok {
		return rec.Value, rec.Revision != 0, nil
	}
	rec, found, err := tx.store.Get(tx.ctx, key)
	if err != nil {
		return nil, false, err
	}
	if !found {
		rec = Record{Key: key}
	}
	tx.reads[key] = rec
	return rec.Value, found, nil
}

// Put writes a value at the commit.
func (tx *Tx) Put(key string, value []byte) {
	if value == nil {
		value = []byte{}
	}
	tx.writes[key] = value
}

// Delete removes a record at the commit.
func (tx *Tx) Delete(key string) { tx.writes[key] = nil }

// List returns the records below a prefix, this transaction's own writes
// included. It is not checked at the commit: a record may appear below the
// prefix in between. Whoever needs more reads a record that every writer of
// the prefix writes too.
func (tx *Tx) List(prefix string) ([]Record, error) {
	recs, _, err := tx.store.List(tx.ctx, prefix, Page{})
	if err != nil || len(tx.writes) == 0 {
		return recs, err
	}
	out := make([]Record, 0, len(recs))
	for _, r := range recs {
		if _, written := tx.writes[r.Key]; !written {
			out = append(out, r)
		}
	}
	for key, value := range tx.writes {
		if value != nil && strings.HasPrefix(key, prefix) {
			out = append(out, Record{Key: key, Value: value})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
	return out, nil
}

// Get reads a JSON record within a transaction.
func Get[T any](tx *Tx, key string) (v T, found bool, err error) {
	b, found, err := tx.Get(key)
	if err != nil || !found {
		return v, false, err
	}
	return v, true, decode(key, b, &v)
}

// Set writes a JSON record within a transaction.
func Set(tx *Tx, key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: %s: %w", key, err)
	}
	tx.Put(key, b)
	return nil
}

func decode(key string, b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("store: the record %s cannot be read: %w", key, err)
	}
	return nil
}
