// Package storetest is the contract of store.Store as tests: every
// implementation passes it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/store"
)

// Run runs the contract against stores that open makes; each is new and empty,
// and closed at the end of its test.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		f    func(t *testing.T, s store.Store)
	}{
		{"GetPutDelete", getPutDelete},
		{"ListIsOrderedAndPaged", list},
		{"ChecksHoldOrNothingIsWritten", checks},
		{"Limits", limits},
		{"OneOfManyWritersWins", race},
		{"NeighboursOfAConflictAreWritten", neighbours},
		{"UpdateRetriesUntilItWins", update},
		{"UpdateSkipsWhatDidNotChange", unchanged},
		{"UpdateSeesOneMoment", moment},
		{"WatchTellsEveryChangeOnce", watch},
		{"WatchFromAnOldRevision", watchOld},
		{"ListIsASnapshot", snapshot},
		{"AgreesWithAModel", model},
		{"CanceledContext", canceled},
		{"CloseKeepsReadsAndRefusesWrites", closing},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.f(t, s)
		})
	}
}

var ctx = context.Background()

func commit(t *testing.T, s store.Store, txn store.Txn) store.Revision {
	t.Helper()
	rev, err := s.Commit(ctx, txn)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return rev
}

func put(t *testing.T, s store.Store, kv ...string) store.Revision {
	t.Helper()
	var txn store.Txn
	for i := 0; i < len(kv); i += 2 {
		txn.Puts = append(txn.Puts, store.Put{Key: kv[i], Value: []byte(kv[i+1])})
	}
	return commit(t, s, txn)
}

func value(t *testing.T, s store.Store, key string) string {
	t.Helper()
	rec, ok, err := s.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		return "(none)"
	}
	return string(rec.Value)
}

func keys(t *testing.T, s store.Store, prefix string, page store.Page) string {
	t.Helper()
	recs, _, err := s.List(ctx, prefix, page)
	if err != nil {
		t.Fatal(err)
	}
	var ks []string
	for _, r := range recs {
		ks = append(ks, r.Key)
	}
	return strings.Join(ks, " ")
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func getPutDelete(t *testing.T, s store.Store) {
	r1 := put(t, s, "a", "1", "b", "2")
	rec, ok, err := s.Get(ctx, "a")
	if err != nil || !ok || string(rec.Value) != "1" || rec.Key != "a" || rec.Revision != r1 {
		t.Errorf("get a: %v %v %v", rec, ok, err)
	}
	equal(t, "missing", value(t, s, "c"), "(none)")
	r2 := put(t, s, "a", "")
	if r2 <= r1 {
		t.Errorf("revision %d after %d", r2, r1)
	}
	equal(t, "an empty value is a value", value(t, s, "a"), "")
	commit(t, s, store.Txn{Deletes: []string{"a", "never"}})
	equal(t, "deleted", value(t, s, "a"), "(none)")
	equal(t, "kept", value(t, s, "b"), "2")
}

func list(t *testing.T, s store.Store) {
	rev := put(t, s, "p/c", "", "p/a", "", "p/b", "", "p", "", "p0", "", "o/z", "")
	equal(t, "prefix", keys(t, s, "p/", store.Page{}), "p/a p/b p/c")
	equal(t, "limit", keys(t, s, "p/", store.Page{Limit: 2}), "p/a p/b")
	equal(t, "after", keys(t, s, "p/", store.Page{After: "p/a"}), "p/b p/c")
	equal(t, "after and limit", keys(t, s, "p/", store.Page{After: "p/a", Limit: 1}), "p/b")
	equal(t, "after an absent key", keys(t, s, "p/", store.Page{After: "p/aa"}), "p/b p/c")
	equal(t, "after the end", keys(t, s, "p/", store.Page{After: "q"}), "")
	equal(t, "all", keys(t, s, "", store.Page{}), "o/z p p/a p/b p/c p0")
	if _, r, _ := s.List(ctx, "p/", store.Page{}); r != rev {
		t.Errorf("listed at %d, want %d", r, rev)
	}
}

func checks(t *testing.T, s store.Store) {
	none := []store.Check{{Key: "k"}}
	r1 := commit(t, s, store.Txn{Checks: none, Puts: []store.Put{{Key: "k", Value: []byte("1")}}})
	for name, c := range map[string][]store.Check{
		"must not exist": none,
		"old revision":   {{Key: "k", Revision: r1 - 1}},
		"does not exist": {{Key: "other", Revision: r1}},
		"one of two":     {{Key: "k", Revision: r1}, {Key: "other", Revision: 1}},
	} {
		_, err := s.Commit(ctx, store.Txn{Checks: c, Puts: []store.Put{{Key: "new", Value: []byte("x")}}, Deletes: []string{"k"}})
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: %v, want a conflict", name, err)
		}
	}
	equal(t, "k", value(t, s, "k"), "1")
	equal(t, "new", value(t, s, "new"), "(none)")
	r2 := commit(t, s, store.Txn{Checks: []store.Check{{Key: "k", Revision: r1}}, Deletes: []string{"k"}})
	r3 := commit(t, s, store.Txn{Checks: none, Puts: []store.Put{{Key: "k", Value: []byte("2")}}})
	if r1 >= r2 || r2 >= r3 {
		t.Errorf("revisions %d %d %d do not rise", r1, r2, r3)
	}
}

func limits(t *testing.T, s store.Store) {
	many := func(n int) (txn store.Txn) {
		for i := range n {
			txn.Puts = append(txn.Puts, store.Put{Key: fmt.Sprintf("k%03d", i), Value: []byte("v")})
		}
		return txn
	}
	commit(t, s, many(store.MaxOps))
	big := func(n int) store.Txn { return store.Txn{Puts: []store.Put{{Key: "big", Value: make([]byte, n)}}} }
	commit(t, s, big(store.MaxBytes-100))
	for name, c := range map[string]struct {
		txn  store.Txn
		want error
	}{
		"129 writes":    {many(store.MaxOps + 1), store.ErrTooLarge},
		"129 checks":    {store.Txn{Checks: make([]store.Check, store.MaxOps+1)}, store.ErrTooLarge},
		"1.5 MiB":       {big(store.MaxBytes), store.ErrTooLarge},
		"empty key":     {store.Txn{Deletes: []string{""}}, store.ErrInvalid},
		"not UTF-8":     {store.Txn{Puts: []store.Put{{Key: "\xff"}}}, store.ErrInvalid},
		"key twice":     {store.Txn{Puts: []store.Put{{Key: "k"}}, Deletes: []string{"k"}}, store.ErrInvalid},
		"very long key": {store.Txn{Puts: []store.Put{{Key: strings.Repeat("k", 5000)}}}, store.ErrInvalid},
	} {
		if _, err := s.Commit(ctx, c.txn); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func race(t *testing.T, s store.Store) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 50 {
		wg.Go(func() {
			_, err := s.Commit(ctx, store.Txn{Checks: []store.Check{{Key: "only"}}, Puts: []store.Put{{Key: "only", Value: []byte("x")}}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	equal(t, "winners", won, 1)
}

func neighbours(t *testing.T, s store.Store) {
	put(t, s, "taken", "x")
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			txn := store.Txn{Puts: []store.Put{{Key: "n/" + strconv.Itoa(i), Value: []byte("v")}}}
			if i%2 == 0 {
				txn.Checks = []store.Check{{Key: "taken"}}
			}
			_, err := s.Commit(ctx, txn)
			if i%2 == 0 && !errors.Is(err, store.ErrConflict) || i%2 == 1 && err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	recs, _, _ := s.List(ctx, "n/", store.Page{})
	equal(t, "written", len(recs), 50)
}

func update(t *testing.T, s store.Store) {
	type counter struct{ N int }
	table := store.NewTable[counter](s, "x/counter")
	if err := table.Put(ctx, counter{}, "a/b"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if _, err := table.Update(ctx, func(c *counter) error { c.N++; return nil }, "a/b"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	c, _, _ := table.Get(ctx, "a/b")
	equal(t, "counted", c.N, 80)

	refused := errors.New("refused")
	err := store.Update(ctx, s, func(tx *store.Tx) error {
		if err := table.TxPut(tx, counter{N: 1}, "mine"); err != nil {
			return err
		}
		if own, ok, _ := table.TxGet(tx, "mine"); !ok || own.N != 1 {
			t.Error("a transaction does not see its own write")
		}
		if all, _ := table.TxList(tx); len(all) != 2 {
			t.Errorf("listed %v, want the own write too", all)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the function's own error", err)
	}
	if _, ok, _ := table.Get(ctx, "mine"); ok {
		t.Error("a refused transaction was written")
	}
}

func unchanged(t *testing.T, s store.Store) {
	before := put(t, s, "k", `{"A":1}`)
	type rec struct{ A int }
	err := store.Update(ctx, s, func(tx *store.Tx) error {
		v, _, err := store.Get[rec](tx, "k")
		if err != nil {
			return err
		}
		if _, _, err := tx.Get("absent"); err != nil {
			return err
		}
		tx.Delete("absent")
		return store.Set(tx, "k", v)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _, _ := s.Get(ctx, "k"); got.Revision != before {
		t.Errorf("written again at %d though nothing changed", got.Revision)
	}
}

func next(t *testing.T, w store.Watcher, n int) []store.Event {
	t.Helper()
	c, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var all []store.Event
	for len(all) < n {
		events, err := w.Next(c)
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		all = append(all, events...)
	}
	return all
}

// moment: a record moves from one key to another between the two reads of a
// transaction that finds it at neither. That nothing is to be written, or an error
// that says so, must not come of it.
func moment(t *testing.T, s store.Store) {
	missing := errors.New("at neither")
	for _, none := range []error{nil, missing} {
		commit(t, s, store.Txn{Puts: []store.Put{{Key: "here", Value: []byte("x")}}, Deletes: []string{"there"}})
		runs, removed := 0, false
		err := store.Update(ctx, s, func(tx *store.Tx) error {
			removed = false
			for _, key := range []string{"there", "here"} {
				if runs++; runs == 2 {
					commit(t, s, store.Txn{Puts: []store.Put{{Key: "there", Value: []byte("x")}}, Deletes: []string{"here"}})
				}
				if _, found, err := tx.Get(key); err != nil {
					return err
				} else if found {
					tx.Delete(key)
					removed = true
					return nil
				}
			}
			return none
		})
		if err != nil || !removed {
			t.Errorf("what had moved was not found: %v", err)
		}
		for _, key := range []string{"here", "there"} {
			if _, found, err := s.Get(ctx, key); found || err != nil {
				t.Errorf("%s is there: %v", key, err)
			}
		}
	}
}

func watch(t *testing.T, s store.Store) {
	rev := put(t, s, "w/a", "1")
	w := s.Watch("w/", rev)
	r1 := put(t, s, "w/a", "2", "w/b", "1", "other", "1")
	r2 := commit(t, s, store.Txn{Deletes: []string{"w/a", "w/never"}})
	equal(t, "events", next(t, w, 3), []store.Event{{Key: "w/a", Revision: r1}, {Key: "w/b", Revision: r1}, {Key: "w/a", Revision: r2, Deleted: true}})

	c, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if events, err := w.Next(c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing happened, but %v %v", events, err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		_, _ = s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "w/late"}}})
	}()
	if events := next(t, w, 1); events[0].Key != "w/late" {
		t.Errorf("woken with %v", events)
	}
}

func watchOld(t *testing.T, s store.Store) {
	rev := put(t, s, "w/a", "1")
	put(t, s, "w/b", "1")
	if events := next(t, s.Watch("w/", rev), 1); events[0].Key != "w/b" {
		t.Errorf("after revision %d came %v", rev, events)
	}
	// A watcher that never reads falls behind, is told so, and blocks nobody.
	slow := s.Watch("w/", rev)
	for range 200 {
		var txn store.Txn
		for i := range store.MaxOps {
			txn.Puts = append(txn.Puts, store.Put{Key: fmt.Sprintf("w/%d", i)})
		}
		commit(t, s, txn)
	}
	for {
		if _, err := slow.Next(ctx); err != nil {
			if !errors.Is(err, store.ErrCompacted) {
				t.Errorf("a slow watcher got %v", err)
			}
			break
		}
	}
	if _, err := s.Watch("w/", rev).Next(ctx); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("a watch from a forgotten revision got %v", err)
	}
}

// snapshot moves a token between two records while others list: a list must
// always see it exactly once.
func snapshot(t *testing.T, s store.Store) {
	put(t, s, "s/0", "token")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(stop)
		for i := range 300 {
			from, to := strconv.Itoa(i), strconv.Itoa(i+1)
			commit(t, s, store.Txn{Puts: []store.Put{{Key: "s/" + to, Value: []byte("token")}}, Deletes: []string{"s/" + from}})
		}
	})
	for {
		select {
		case <-stop:
			wg.Wait()
			return
		default:
		}
		if recs, _, _ := s.List(ctx, "s/", store.Page{}); len(recs) != 1 {
			t.Errorf("a list saw %d tokens", len(recs))
			<-stop
			return
		}
	}
}

// model does random writes and compares with a map.
func model(t *testing.T, s store.Store) {
	want := map[string]string{}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 500 {
		key := fmt.Sprintf("m/%02x", r.IntN(200))
		if r.IntN(3) == 0 {
			commit(t, s, store.Txn{Deletes: []string{key}})
			delete(want, key)
		} else {
			put(t, s, key, strconv.Itoa(i))
			want[key] = strconv.Itoa(i)
		}
	}
	recs, _, _ := s.List(ctx, "m/", store.Page{})
	got := map[string]string{}
	for _, rec := range recs {
		got[rec.Key] = string(rec.Value)
		if v := value(t, s, rec.Key); v != string(rec.Value) {
			t.Errorf("get and list differ for %s", rec.Key)
		}
	}
	equal(t, "records", got, want)
	if !sort.SliceIsSorted(recs, func(i, j int) bool { return recs[i].Key < recs[j].Key }) {
		t.Error("not in order")
	}
}

func canceled(t *testing.T, s store.Store) {
	c, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.Commit(c, store.Txn{Puts: []store.Put{{Key: "k"}}}); !errors.Is(err, context.Canceled) {
		t.Errorf("commit with a canceled context: %v", err)
	}
	equal(t, "k", value(t, s, "k"), "(none)")
}

func closing(t *testing.T, s store.Store) {
	put(t, s, "k", "v")
	w := s.Watch("", 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "read after close", value(t, s, "k"), "v")
	if _, err := s.Commit(ctx, store.Txn{Puts: []store.Put{{Key: "k"}}}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, err := w.Next(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("watch after close: %v", err)
	}
}
