package s3

import (
	"context"
	"slices"
	"strings"

	"minato/controller"
	"minato/store"
)

// sweeper takes away what a crash left: marks of deletions that were not done,
// uploads and parts of buckets and uploads that are gone, files that no record
// names.
type sweeper struct{ *Service }

const sweepKey = "all"

// Keys is part of controller.Reconciler.
func (s *sweeper) Keys(context.Context) ([]string, error) { return []string{sweepKey}, nil }

// Reconcile is part of controller.Reconciler.
func (s *sweeper) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	live := map[string]bool{}
	keys, err := s.buckets.Keys(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	for _, k := range keys {
		b, found, err := s.buckets.GetKey(ctx, k)
		if err != nil || !found {
			return controller.Result{}, err
		}
		live[b.ID] = true
	}
	if err := s.sweepRecords(ctx, live); err != nil {
		return controller.Result{}, err
	}
	n, err := s.Blobs.Sweep(func() (map[string]bool, error) { return s.named(ctx) })
	if n > 0 {
		s.Log.Info("files that no object named were removed", "files", n)
	}
	return controller.Result{}, err
}

// sweepRecords ends the uploads of buckets that are gone, and deletes the parts of
// uploads that are.
func (s *sweeper) sweepRecords(ctx context.Context, live map[string]bool) error {
	keys, err := s.uploads.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if id := s.uploads.IDs(k)[2]; !live[id] {
			if _, err := s.Store.Commit(ctx, store.Txn{Deletes: []string{k}}); err != nil {
				return err
			}
		}
	}
	keys, err = s.parts.Keys(ctx)
	if err != nil {
		return err
	}
	var gone []string
	for _, k := range keys {
		ids := s.parts.IDs(k)
		_, found, err := s.uploads.Get(ctx, ids[0], ids[1], ids[2], ids[3])
		if err != nil {
			return err
		}
		if !found {
			gone = append(gone, k)
		}
	}
	for batch := range slices.Chunk(gone, store.MaxOps) {
		if _, err := s.Store.Commit(ctx, store.Txn{Deletes: batch}); err != nil {
			return err
		}
	}
	return nil
}

// named are the files that records name.
func (s *sweeper) named(ctx context.Context) (map[string]bool, error) {
	named := map[string]bool{}
	recs, _, err := s.Store.List(ctx, s.parts.Prefix(), store.Page{})
	if err != nil {
		return nil, err
	}
	for _, r := range recs {
		p, err := s.parts.Read(r)
		if err != nil {
			return nil, err
		}
		named[p.Blob.ID] = true
	}
	// Objects after parts: what a completed upload moves is seen in one of them.
	// And versions with objects, in one list: what moves between the two is in it.
	recs, _, err = s.Store.List(ctx, strings.TrimSuffix(s.objects.Prefix(), "/"), store.Page{})
	if err != nil {
		return nil, err
	}
	for _, r := range recs {
		o, err := s.objects.Read(r)
		if err != nil {
			return nil, err
		}
		for _, c := range o.Content {
			named[c.ID] = true
		}
	}
	return named, nil
}

// Unmark takes off the marks of bucket deletions that a crash interrupted: they
// were not acknowledged. It is called at start, before anything is served.
func (s *Service) Unmark(ctx context.Context) error {
	keys, err := s.buckets.Keys(ctx)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if _, err := s.buckets.UpdateKey(ctx, k, func(b *bucket) error {
			b.Deleting = false
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}
