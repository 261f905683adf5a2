package registrytest

import (
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins/content/local"
	bolt "go.etcd.io/bbolt"

	"minato/dataplane/registry"
	"minato/internal/clock"
)

// Namespace is the containerd namespace of registries made by Open.
const Namespace = "registry-test"

// Open makes a registry over a content store of its own in a folder, without a
// containerd; it is closed when the test ends.
func Open(t testing.TB, dir string, a registry.Authorizer, r registry.Repositories) *registry.Registry {
	t.Helper()
	db := open(t, dir)
	reg := registry.New(registry.Options{
		Content: db.ContentStore(), Leases: metadata.NewLeaseManager(db), Namespace: Namespace, Authorizer: a, Repositories: r,
	})
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Errorf("close the registry: %v", err)
		}
	})
	return reg
}

// OpenPuller makes a puller whose content store, in a folder, is empty. Its
// waits are short.
func OpenPuller(t testing.TB, dir string) *registry.Puller {
	t.Helper()
	db := open(t, dir)
	return registry.NewPuller(registry.PullerOptions{
		Content: db.ContentStore(), Leases: metadata.NewLeaseManager(db), Namespace: Namespace, Clock: clock.Real(1000),
	})
}

// open opens a content store until the test ends.
func open(t testing.TB, dir string) *metadata.DB {
	t.Helper()
	store, err := local.NewStore(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	bdb, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bdb.Close(); err != nil {
			t.Errorf("close the content store: %v", err)
		}
	})
	db := metadata.NewDB(bdb, store, nil)
	if err := db.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}
