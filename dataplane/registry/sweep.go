package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/opencontainers/go-digest"

	"minato/internal/ids"
)

// Sweep lets go of content that came in by the registry and belongs to no
// repository: deleted images, and what a crash left between commit and record.
// It returns how many it let go; containerd collects what nothing else uses.
func (r *Registry) Sweep(ctx context.Context) (int, error) {
	ctx = r.within(ctx)
	r.settling.Lock()
	defer r.settling.Unlock()
	members, err := r.repos.Members(ctx)
	if err != nil {
		return 0, err
	}
	var orphans []digest.Digest
	err = r.content.Walk(ctx, func(info content.Info) error {
		if !members[info.Digest] {
			orphans = append(orphans, info.Digest)
		}
		return nil
	}, fmt.Sprintf("labels.%q==true", labelMember))
	if err != nil {
		return 0, fmt.Errorf("walk the registry's content: %w", err)
	}
	for i, d := range orphans {
		// A label without value is removed.
		_, err := r.content.Update(ctx, content.Info{Digest: d, Labels: map[string]string{labelRoot: "", labelMember: ""}},
			"labels."+labelRoot, "labels."+labelMember)
		if err != nil {
			return i, fmt.Errorf("let go of %s: %w", d, err)
		}
	}
	if len(orphans) > 0 {
		return len(orphans), r.collect(ctx)
	}
	return 0, nil
}

// collect has containerd run its collector: deleting a lease synchronously is
// the way to ask for it.
func (r *Registry) collect(ctx context.Context) error {
	lease, err := r.opt.Leases.Create(ctx, leases.WithID("registry-sweep-"+ids.Hex(16)))
	if err != nil {
		return fmt.Errorf("ask for a collection: %w", err)
	}
	if err := r.opt.Leases.Delete(ctx, lease, leases.SynchronousDelete); err != nil {
		return fmt.Errorf("ask for a collection: %w", err)
	}
	return nil
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, mediaType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	if _, err := w.Write(body); err != nil {
		return answered(err)
	}
	return nil
}
