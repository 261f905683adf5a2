package build

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/containerd/v2/core/diff/apply"
	ctdmetadata "github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	ctdsnapshots "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/diff/walking"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/platforms"
	"github.com/moby/buildkit/cache/metadata"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/executor/resources"
	"github.com/moby/buildkit/executor/runcexecutor"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	containerdsnapshot "github.com/moby/buildkit/snapshot/containerd"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/leaseutil"
	"github.com/moby/buildkit/util/network"
	"github.com/moby/buildkit/util/resolver"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

const (
	workerNamespace = "buildkit"
	snapshotterName = "overlayfs"
	historyEntries  = 20
)

// newController puts BuildKit together: one worker, the Dockerfile frontend
// and the one that runs frontends from images (# syntax=).
func newController(ctx context.Context, c Config) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	w, err := newWorker(ctx, c)
	if err != nil {
		return nil, err
	}
	workers := &worker.Controller{}
	if err := workers.Add(w); err != nil {
		return nil, err
	}
	images, err := gateway.NewGatewayFrontend(workers.Infos(), nil)
	if err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(c.Root, "cache.db"))
	if err != nil {
		return nil, fmt.Errorf("open the build cache: %w", err)
	}
	history, err := boltutil.SafeOpen(filepath.Join(c.Root, "history.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, fmt.Errorf("open the build history: %w", err)
	}
	entries := int64(historyEntries)
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: workers,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(workers.Infos(), dockerfile.Build),
			"gateway.v0":    images,
		},
		CacheManager:   solver.NewCacheManager(ctx, "local", cache, worker.NewCacheResultStorage(workers)),
		HistoryDB:      history,
		CacheStore:     cache,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		HistoryConfig:  &config.HistoryConfig{MaxEntries: &entries},
		GarbageCollect: w.GarbageCollect,
		GracefulStop:   ctx.Done(),
	})
}

// newWorker makes a worker of runc and overlay, with the builder's own
// networks. It is BuildKit's runc worker without what a daemon for many users
// needs (its network providers, devices, a man in the middle's CA).
func newWorker(ctx context.Context, c Config) (*base.Worker, error) {
	root := filepath.Join(c.Root, "worker")
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	monitor, err := resources.NewMonitor()
	if err != nil {
		return nil, err
	}
	networks := map[pb.NetMode]network.Provider{
		pb.NetMode_UNSET: &egressProvider{dial: publicDialer("a RUN step")},
		pb.NetMode_NONE:  network.NewNoneProvider(),
	}
	executor, err := runcexecutor.New(runcexecutor.Opt{
		Root: filepath.Join(root, "executor"), ProcessMode: oci.ProcessSandbox, ResourceMonitor: monitor,
	}, networks)
	if err != nil {
		return nil, fmt.Errorf("runc is needed to build (apt install runc): %w", err)
	}
	snapshots, err := overlay.NewSnapshotter(filepath.Join(root, "snapshots"), overlay.AsynchronousRemove)
	if err != nil {
		return nil, fmt.Errorf("overlay file systems are needed to build: %w", err)
	}
	content, err := local.NewStore(filepath.Join(root, "content"))
	if err != nil {
		return nil, err
	}
	db, err := boltutil.Open(filepath.Join(root, "containerd.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	meta := ctdmetadata.NewDB(db, content, map[string]ctdsnapshots.Snapshotter{snapshotterName: snapshots})
	if err := meta.Init(ctx); err != nil {
		return nil, err
	}
	store := containerdsnapshot.NewContentStore(meta.ContentStore(), workerNamespace)
	cacheMeta, err := metadata.NewStore(filepath.Join(root, "metadata.db"))
	if err != nil {
		return nil, err
	}
	id, err := base.ID(root)
	if err != nil {
		return nil, err
	}
	return base.NewWorker(ctx, base.WorkerOpt{
		ID: id, Root: root, Labels: map[string]string{},
		Platforms:        []ocispec.Platform{platforms.Normalize(platforms.DefaultSpec())},
		GCPolicy:         cachePolicy(c.Keep),
		NetworkProviders: networks,
		Executor:         executor,
		Snapshotter:      containerdsnapshot.NewSnapshotter(snapshotterName, meta.Snapshotter(snapshotterName), workerNamespace, nil),
		ContentStore:     store,
		Applier:          apply.NewFileSystemApplier(store),
		Differ:           walking.NewWalkingDiff(store),
		RegistryHosts:    c.registryHosts,
		LeaseManager:     leaseutil.WithNamespace(ctdmetadata.NewLeaseManager(meta), workerNamespace),
		GarbageCollect:   meta.GarbageCollect,
		MetadataStore:    cacheMeta,
		ContentMetadata:  db,
		MountPoolRoot:    filepath.Join(root, "cachemounts"),
		ResourceMonitor:  monitor,
	})
}

// cachePolicy says what is kept, as BuildKit's default does: what can be
// fetched again quickly goes first.
func cachePolicy(keep int64) []client.PruneInfo {
	if keep == 0 {
		keep = DefaultKeep
	}
	return []client.PruneInfo{
		{Filter: []string{"type==source.local,type==exec.cachemount,type==source.git.checkout"}, KeepDuration: 48 * time.Hour, MaxUsedSpace: keep / 10},
		{KeepDuration: 60 * 24 * time.Hour, MaxUsedSpace: keep},
		{MaxUsedSpace: keep},
		{All: true, MaxUsedSpace: keep},
	}
}

// registryHosts says how registries are reached: ours by its address, others
// by their name.
func (c Config) registryHosts(host string) ([]docker.RegistryHost, error) {
	address, err := c.address(host)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if address == "" && c.Confined {
		return confinedHosts(host)
	}
	if address == "" {
		return resolver.NewRegistryConfig(nil)(host)
	}
	var dialer net.Dialer
	return []docker.RegistryHost{{
		Client: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
		}},
		Host: host, Scheme: "http", Path: "/v2",
		Capabilities: docker.HostCapabilityPull | docker.HostCapabilityResolve | docker.HostCapabilityPush,
	}}, nil
}
