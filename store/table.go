package store

import (
	"context"
	"encoding/json"
	"fmt"
)

// Table is the records of one kind: JSON of type T under a common prefix.
// The ids are what follows in the key: account, region, and so on.
type Table[T any] struct {
	store   Store
	prefix  string
	decoded *decoded[T] // shared by the copies of a table
}

// NewTable returns the table of a kind, such as "ecs/cluster". It costs nothing.
func NewTable[T any](s Store, kind string) Table[T] {
	return Table[T]{store: s, prefix: kind, decoded: &decoded[T]{}}
}

// Prefix is what the keys of all records below the ids begin with, for
// watches and the bus. It ends with a slash.
func (t Table[T]) Prefix(ids ...string) string {
	if len(ids) == 0 {
		return t.prefix + "/"
	}
	return t.prefix + "/" + Key(ids...) + "/"
}

// Key is the key of a record.
func (t Table[T]) Key(ids ...string) string { return t.prefix + "/" + Key(ids...) }

// IDs takes a key of this table apart.
func (t Table[T]) IDs(key string) []string {
	if len(key) <= len(t.prefix) {
		return nil
	}
	return Parts(key[len(t.prefix)+1:])
}

// Get returns a record and whether there is one.
func (t Table[T]) Get(ctx context.Context, ids ...string) (T, bool, error) {
	return t.GetKey(ctx, t.Key(ids...))
}

// GetKey is Get with the whole key, as reconcilers have it.
func (t Table[T]) GetKey(ctx context.Context, key string) (v T, found bool, err error) {
	rec, found, err := t.store.Get(ctx, key)
	if err != nil || !found {
		return v, false, err
	}
	return v, true, decode(key, rec.Value, &v)
}

// List returns the records below the ids, in the order of their keys.
func (t Table[T]) List(ctx context.Context, ids ...string) ([]T, error) {
	recs, _, err := t.store.List(ctx, t.Prefix(ids...), Page{})
	if err != nil {
		return nil, err
	}
	return decodeAll[T](recs)
}

// Page returns at most limit records below the ids whose keys come after a
// key, and the key to go on after ("" at the end).
func (t Table[T]) Page(ctx context.Context, after string, limit int, ids ...string) ([]T, string, error) {
	recs, _, err := t.store.List(ctx, t.Prefix(ids...), Page{After: after, Limit: limit + 1})
	if err != nil {
		return nil, "", err
	}
	next := ""
	if len(recs) > limit {
		recs = recs[:limit]
		next = recs[limit-1].Key
	}
	vs, err := decodeAll[T](recs)
	return vs, next, err
}

// Keys returns the keys of the records below the ids.
func (t Table[T]) Keys(ctx context.Context, ids ...string) ([]string, error) {
	recs, _, err := t.store.List(ctx, t.Prefix(ids...), Page{})
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(recs))
	for i, r := range recs {
		keys[i] = r.Key
	}
	return keys, nil
}

// Put writes a record without reading it first: for records with one writer.
func (t Table[T]) Put(ctx context.Context, v T, ids ...string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: %s: %w", t.Key(ids...), err)
	}
	_, err = t.store.Commit(ctx, Txn{Puts: []Put{{Key: t.Key(ids...), Value: b}}})
	return err
}

// Delete removes a record; one that does not exist is fine.
func (t Table[T]) Delete(ctx context.Context, ids ...string) error {
	_, err := t.store.Commit(ctx, Txn{Deletes: []string{t.Key(ids...)}})
	return err
}

// Update changes one record in a transaction; f is called with what is stored
// and may be called again after a conflict. A record that does not exist is
// left alone, and found is false.
func (t Table[T]) Update(ctx context.Context, f func(v *T) error, ids ...string) (found bool, err error) {
	return t.UpdateKey(ctx, t.Key(ids...), f)
}

// UpdateKey is Update with the whole key, as reconcilers have it.
func (t Table[T]) UpdateKey(ctx context.Context, key string, f func(v *T) error) (found bool, err error) {
	err = Update(ctx, t.store, func(tx *Tx) error {
		var v T
		v, found, err = Get[T](tx, key)
		if err != nil || !found {
			return err
		}
		if err := f(&v); err != nil {
			return err
		}
		return Set(tx, key, v)
	})
	return found, err
}

// TxGet is Get within a transaction: checked at the commit.
func (t Table[T]) TxGet(tx *Tx, ids ...string) (T, bool, error) { return Get[T](tx, t.Key(ids...)) }

// TxPut writes a record within a transaction.
func (t Table[T]) TxPut(tx *Tx, v T, ids ...string) error { return Set(tx, t.Key(ids...), v) }

// TxDelete removes a record within a transaction.
func (t Table[T]) TxDelete(tx *Tx, ids ...string) { tx.Delete(t.Key(ids...)) }

// TxList is List within a transaction; it is not checked at the commit.
func (t Table[T]) TxList(tx *Tx, ids ...string) ([]T, error) {
	recs, err := tx.List(t.Prefix(ids...))
	if err != nil {
		return nil, err
	}
	return decodeAll[T](recs)
}

func decodeAll[T any](recs []Record) ([]T, error) {
	vs := make([]T, len(recs))
	for i, r := range recs {
		if err := decode(r.Key, r.Value, &vs[i]); err != nil {
			return nil, err
		}
	}
	return vs, nil
}
