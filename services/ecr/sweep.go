package ecr

import (
	"context"
	"time"

	"minato/internal/clock"
	"minato/store"
)

// sweepEvery is how often Run sweeps. Retention is not paced.
const sweepEvery = time.Hour

// Run sweeps now and then until ctx ends.
func (s *Service) Run(ctx context.Context) {
	for clock.Sleep(ctx, s.clock, sweepEvery) == nil {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("sweep of the registry failed; it is tried again in an hour", "error", err)
		}
	}
}

// Sweep applies lifecycle policies, removes layers that no image has and what
// deleted repositories held, and lets the registry go of content that is nobody's
// any more. It may run at any time.
func (s *Service) Sweep(ctx context.Context) error {
	if err := s.applyLifecycles(ctx); err != nil {
		return err
	}
	if err := s.sweepLayers(ctx); err != nil {
		return err
	}
	// The records first: what one of them names must not look like an orphan's
	// owner. Repositories are read after the keys, so that the records of one
	// made in between are not taken for a deleted one's.
	var keys []string
	for _, keysOf := range []func(context.Context, ...string) ([]string, error){s.blobs.Keys, s.images.Keys, s.tags.Keys} {
		some, err := keysOf(ctx)
		if err != nil {
			return err
		}
		keys = append(keys, some...)
	}
	live, err := s.liveIDs(ctx)
	if err != nil {
		return err
	}
	var batch []string
	flush := func() error {
		_, err := s.store.Commit(ctx, store.Txn{Deletes: batch})
		batch = nil
		return err
	}
	for _, key := range keys {
		if ids := store.Parts(key); live[ids[len(ids)-2]] {
			continue
		}
		if batch = append(batch, key); len(batch) == store.MaxOps {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) > 0 {
		if err := flush(); err != nil {
			return err
		}
	}
	n, err := s.registry.Sweep(ctx)
	if n > 0 {
		s.log.Info("content of no repository was let go", "items", n)
	}
	return err
}
