// Package store keeps what is wanted and what was seen: records under ordered
// keys, changed by transactions that check revisions, with a watch that tells
// which keys changed. It is not for logs and metrics; those are append-only
// (dataplane/segments).
//
// The interface is small on purpose and no wider than etcd's, which is to be
// the second implementation: get, list by prefix, a transaction with revision
// checks, watch after a revision. Limits that etcd has hold here too
// (MaxOps, MaxBytes), so that nothing is built today that will not fit then;
// there is no check on a prefix, because etcd has none.
//
// Keys are paths: <service>/<kind>/<account>/<region>/<id…>. Account and region
// are in every key from the first day. Key joins the parts and escapes them.
//
// Most callers use Table for typed records and Update for transactions:
//
//	clusters := store.NewTable[record](s, "ecs/cluster")
//	c, found, err := clusters.Get(ctx, account, region, name)
//
//	err := store.Update(ctx, s, func(tx *store.Tx) error {
//		c, found, err := clusters.TxGet(tx, account, region, name)
//		if err != nil {
//			return err
//		}
//		…
//		return clusters.TxPut(tx, c, account, region, name)
//	})
package store

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Revision counts the transactions of a store; every committed transaction that
// writes has one of its own, greater than all before it, also over restarts.
// Zero is before the first one; as the revision of a record it means "does not
// exist".
type Revision int64

// Record is a key with its value. The value is shared and must not be changed.
type Record struct {
	Key      string
	Value    []byte
	Revision Revision // of the transaction that last wrote the record
}

// Check is a condition of a transaction: the record still has this revision;
// zero means that it must not exist.
type Check struct {
	Key      string
	Revision Revision
}

// Put is a record to write.
type Put struct {
	Key   string
	Value []byte
}

// Txn is one transaction: all of its writes happen, or, when a check does not
// hold, none. A key is written at most once; deleting what does not exist is
// fine.
type Txn struct {
	Checks  []Check
	Puts    []Put
	Deletes []string
}

// Page narrows a listing.
type Page struct {
	After string // only keys greater than this one
	Limit int    // at most so many records; 0 means all
}

// Event says that a record changed. It carries no value: whoever is woken reads
// what is there now.
type Event struct {
	Key      string
	Revision Revision
	Deleted  bool
}

// Limits of one transaction, those of etcd.
const (
	MaxOps   = 128         // checks, and writes, each
	MaxBytes = 1536 * 1024 // keys, values and overhead together
	opBytes  = 64          // counted for each operation besides key and value
	maxKey   = 4096        // bytes of a key
)

// Errors of a store. Use errors.Is.
var (
	ErrConflict  = errors.New("store: a record changed meanwhile")
	ErrCompacted = errors.New("store: the changes since that revision are no longer known; list again")
	ErrClosed    = errors.New("store: closed")
	ErrTooLarge  = errors.New("store: transaction too large")
	ErrInvalid   = errors.New("store: invalid transaction")
)

// Store is a set of records. All methods may be called from any goroutine.
type Store interface {
	// Get returns the record of a key, and whether there is one.
	Get(ctx context.Context, key string) (Record, bool, error)
	// List returns the records whose keys begin with prefix, in the order of
	// their keys, as they were together at the returned revision.
	List(ctx context.Context, prefix string, page Page) ([]Record, Revision, error)
	// Commit runs a transaction. When it returns nil the writes are on disk.
	// ErrConflict: a check did not hold. Any other error: not acknowledged.
	Commit(ctx context.Context, txn Txn) (Revision, error)
	// Watch follows the changes below a prefix after a revision, usually the
	// one that List returned.
	Watch(prefix string, after Revision) Watcher
	// Close releases the store; what was acknowledged is kept.
	Close() error
}

// Watcher follows changes.
type Watcher interface {
	// Next waits for changes and returns them, the oldest first; those of one
	// transaction are never torn apart. ErrCompacted means that the watcher is
	// too far behind: list again, and watch from there. ErrClosed means that
	// the store is closed.
	Next(ctx context.Context) ([]Event, error)
}

// Validate reports whether a transaction keeps the limits; every
// implementation calls it first.
func Validate(t Txn) error {
	if n := len(t.Checks); n > MaxOps {
		return fmt.Errorf("%w: %d checks, more than %d", ErrTooLarge, n, MaxOps)
	}
	if n := len(t.Puts) + len(t.Deletes); n > MaxOps {
		return fmt.Errorf("%w: %d writes, more than %d", ErrTooLarge, n, MaxOps)
	}
	size, written := 0, make(map[string]bool, len(t.Puts)+len(t.Deletes))
	count := func(key string, value int, write bool) error {
		size += opBytes + len(key) + value
		switch {
		case key == "" || len(key) > maxKey:
			return fmt.Errorf("%w: a key of %d bytes", ErrInvalid, len(key))
		case !utf8.ValidString(key):
			return fmt.Errorf("%w: key %q is not valid UTF-8", ErrInvalid, key)
		case write && written[key]:
			return fmt.Errorf("%w: key %q is written twice", ErrInvalid, key)
		case write:
			written[key] = true
		}
		return nil
	}
	for _, c := range t.Checks {
		if err := count(c.Key, 0, false); err != nil {
			return err
		}
	}
	for _, p := range t.Puts {
		if err := count(p.Key, len(p.Value), true); err != nil {
			return err
		}
	}
	for _, d := range t.Deletes {
		if err := count(d, 0, true); err != nil {
			return err
		}
	}
	if size > MaxBytes {
		return fmt.Errorf("%w: %d bytes, more than %d", ErrTooLarge, size, MaxBytes)
	}
	return nil
}
