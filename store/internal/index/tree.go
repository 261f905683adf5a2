// Package index is the in-memory half of the stores: all records in an
// immutable ordered tree, and the recent changes for watchers.
//
// Why in memory: what one machine runs is some thousands of records of a few
// KiB, and a DescribeServices must not cost a trip through SQL. A reader takes
// the current tree with one atomic load and never waits for a writer; a listing
// is a consistent snapshot without a lock.
package index

import (
	"hash/maphash"
	"strings"

	"minato/store"
)

// Tree is an immutable ordered set of records: a treap whose priorities are a
// hash of the key. A change copies the path to it (about 2·log2 n nodes), so
// old trees stay as they were.
type Tree struct{ root *node }

type node struct {
	left, right *node
	prio        uint64
	rec         store.Record
}

var seed = maphash.MakeSeed()

// Get returns the record of a key.
func (t Tree) Get(key string) (store.Record, bool) {
	for n := t.root; n != nil; {
		switch c := strings.Compare(key, n.rec.Key); {
		case c < 0:
			n = n.left
		case c > 0:
			n = n.right
		default:
			return n.rec, true
		}
	}
	return store.Record{}, false
}

// Put returns a tree with the record added or replaced.
func (t Tree) Put(rec store.Record) Tree {
	return Tree{put(t.root, &node{rec: rec, prio: maphash.String(seed, rec.Key)})}
}

// Delete returns a tree without the key.
func (t Tree) Delete(key string) Tree {
	if _, ok := t.Get(key); !ok {
		return t
	}
	return Tree{remove(t.root, key)}
}

// Ascend calls f for the records whose keys begin with prefix and are greater
// than after, in order, until f returns false.
func (t Tree) Ascend(prefix, after string, f func(store.Record) bool) {
	ascend(t.root, prefix, after, f)
}

func put(n, add *node) *node {
	if n == nil {
		return add
	}
	c := strings.Compare(add.rec.Key, n.rec.Key)
	if c == 0 {
		add.left, add.right = n.left, n.right
		return add
	}
	if add.prio > n.prio {
		add.left, add.right = split(n, add.rec.Key)
		return add
	}
	m := *n
	if c < 0 {
		m.left = put(n.left, add)
	} else {
		m.right = put(n.right, add)
	}
	return &m
}

// split parts a tree that does not hold key into what is below and above it.
// A key that is present has the same priority as itself, so put finds it before
// it would split there.
func split(n *node, key string) (below, above *node) {
	if n == nil {
		return nil, nil
	}
	m := *n
	if n.rec.Key < key {
		m.right, above = split(n.right, key)
		return &m, above
	}
	below, m.left = split(n.left, key)
	return below, &m
}

func remove(n *node, key string) *node {
	c := strings.Compare(key, n.rec.Key)
	if c == 0 {
		return merge(n.left, n.right)
	}
	m := *n
	if c < 0 {
		m.left = remove(n.left, key)
	} else {
		m.right = remove(n.right, key)
	}
	return &m
}

func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.prio > b.prio:
		m := *a
		m.right = merge(a.right, b)
		return &m
	default:
		m := *b
		m.left = merge(a, b.left)
		return &m
	}
}

func ascend(n *node, prefix, after string, f func(store.Record) bool) bool {
	if n == nil {
		return true
	}
	key := n.rec.Key
	has := strings.HasPrefix(key, prefix)
	// Everything left of a key that is below the range is below it too.
	if (key >= prefix) && key > after {
		if !ascend(n.left, prefix, after, f) {
			return false
		}
		if has && !f(n.rec) {
			return false
		}
	}
	if key >= prefix && !has {
		return true // right of here all keys are above the range
	}
	return ascend(n.right, prefix, after, f)
}
