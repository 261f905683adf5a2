package store

import (
	"context"
	"sync"
)

// decoded are the values of a table's records, each decoded once for each of its
// revisions. What nobody has read for a while is dropped.
type decoded[T any] struct {
	mu     sync.Mutex
	values map[string]*value[T]
	sweep  int // how many are too many
}

type value[T any] struct {
	revision Revision
	v        T
	used     bool // since the last sweep
}

// minSweep is how many values are kept in any case.
const minSweep = 256

func (d *decoded[T]) read(r Record) (T, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if have := d.values[r.Key]; have != nil && have.revision == r.Revision {
		have.used = true
		return have.v, nil
	}
	n := &value[T]{revision: r.Revision, used: true}
	if err := decode(r.Key, r.Value, &n.v); err != nil {
		return n.v, err
	}
	if d.values == nil {
		d.values, d.sweep = map[string]*value[T]{}, minSweep
	}
	d.values[r.Key] = n
	if len(d.values) > d.sweep {
		for key, v := range d.values {
			if !v.used {
				delete(d.values, key)
			}
			v.used = false
		}
		d.sweep = max(minSweep, 2*len(d.values))
	}
	return n.v, nil
}

// Read decodes a record of this table, once for each revision: whoever reads all
// records again and again pays for those that changed. The price is that the
// values share what they point to with those of other readers: nothing below
// the value itself may be changed. Get and Update are for that.
func (t Table[T]) Read(r Record) (T, error) { return t.decoded.read(r) }

// ReadKey is GetKey by Read.
func (t Table[T]) ReadKey(ctx context.Context, key string) (v T, found bool, err error) {
	rec, found, err := t.store.Get(ctx, key)
	if err != nil || !found {
		return v, false, err
	}
	v, err = t.Read(rec)
	return v, true, err
}

// ReadAll is List by Read.
func (t Table[T]) ReadAll(ctx context.Context, ids ...string) ([]T, error) {
	recs, _, err := t.store.List(ctx, t.Prefix(ids...), Page{})
	if err != nil {
		return nil, err
	}
	vs := make([]T, len(recs))
	for i, r := range recs {
		if vs[i], err = t.Read(r); err != nil {
			return nil, err
		}
	}
	return vs, nil
}
