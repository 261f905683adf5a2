package registrytest

import (
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/plugins/content/local"
	bolt "go.etcd.io/bbolt"

	"minato/dataplane/registry"
)

// Namespace is the containerd namespace of registries made by Open.
const Namespace = "registry-test"

// Open makes a registry over a content store of its own in a folder, without a
// containerd; it is closed when the test ends.
func Open(t testing.TB, dir string, a registry.Authorizer, r registry.Repositories) *registry.Registry {
	t.Helper()
	store, err := local.NewStore(filepath.Join(dir, "content"))
	if err != nil {
		t.Fatal(err)
	}
	bdb, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db := metadata.NewDB(bdb, store, nil)
	if err := db.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	reg := registry.New(registry.Options{
		Content: db.ContentStore(), Leases: metadata.NewLeaseManager(db), Namespace: Namespace, Authorizer: a, Repositories: r,
	})
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Errorf("close the registry: %v", err)
		}
		if err := bdb.Close(); err != nil {
			t.Errorf("close the content store: %v", err)
		}
	})
	return reg
}
