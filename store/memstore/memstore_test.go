package memstore_test

import (
	"testing"

	"minato/store"
	"minato/store/memstore"
	"minato/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return memstore.New() })
}
