package store_test

import (
	"context"
	"fmt"
	"testing"

	"minato/store"
	"minato/store/memstore"
)

// TestReadIsNeverOld: what Read gives is what Get gives, over changes, deletions
// and a table that grows over the sweep.
func TestReadIsNeverOld(t *testing.T) {
	type thing struct{ N int }
	ctx, s := context.Background(), memstore.New()
	table := store.NewTable[*thing](s, "thing")
	for round := range 3 {
		for n := range 600 {
			if n%7 == round {
				if err := table.Delete(ctx, fmt.Sprint(n)); err != nil {
					t.Fatal(err)
				}
			} else if err := table.Put(ctx, &thing{n * (round + 1)}, fmt.Sprint(n)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			read, err := table.ReadAll(ctx)
			if err != nil {
				t.Fatal(err)
			}
			listed, err := table.List(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(read) != len(listed) {
				t.Fatalf("%d read, %d listed", len(read), len(listed))
			}
			for i := range read {
				if *read[i] != *listed[i] {
					t.Fatalf("read %v, listed %v", *read[i], *listed[i])
				}
			}
		}
	}
	one, found, err := table.ReadKey(ctx, table.Key("8"))
	if err != nil || !found || one.N != 24 {
		t.Fatalf("%v %v %v", one, found, err)
	}
	if again, _, _ := table.ReadKey(ctx, table.Key("8")); again != one {
		t.Error("a record that did not change was decoded again")
	}
	if _, found, err := table.ReadKey(ctx, table.Key("2")); found || err != nil {
		t.Errorf("a deleted record is read: %v", err)
	}
}
