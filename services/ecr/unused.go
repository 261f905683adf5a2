package ecr

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	"minato/aws/arn"
	"minato/dataplane/registry"
	"minato/store"
)

// layer is the record of a layer, or of an image's config, in a repository.
type layer struct {
	registry.Blob
	// Unused is when a sweep first found that no image has it; zero when one has,
	// when none has looked, and from when somebody asks for it again.
	Unused time.Time `json:",omitzero"`
}

// layerKept is how long a layer stays that no image has: images are pushed layers
// first, and what was deleted is often pushed again.
const layerKept = 24 * time.Hour

// layer returns a layer of a repository. Whoever asks for it may be about to push
// an image with it: it is not unused then.
func (s *Service) layer(ctx context.Context, place arn.Place, repositoryID string, d digest.Digest) (registry.Blob, bool, error) {
	ids := []string{place.Account, place.Region, repositoryID, d.String()}
	rec, found, err := s.blobs.Get(ctx, ids...)
	if err == nil && found && !rec.Unused.IsZero() {
		found, err = s.blobs.Update(ctx, func(rec *layer) error { rec.Unused = time.Time{}; return nil }, ids...)
	}
	return rec.Blob, found, err
}

// sweepLayers takes the layers out of repositories that no image there has had for
// long enough.
func (s *Service) sweepLayers(ctx context.Context) error {
	all, err := s.repositories.List(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		a, _ := arn.Parse(aws.Val(r.RepositoryArn))
		place := arn.In(a.Region, a.Account)
		layers, err := s.blobs.List(ctx, place.Account, place.Region, r.ID)
		if err != nil {
			return err
		}
		images, err := s.images.List(ctx, place.Account, place.Region, r.ID)
		if err != nil {
			return err
		}
		used := map[digest.Digest]bool{}
		for _, i := range images {
			for _, d := range i.Blobs {
				used[d] = true
			}
		}
		for _, l := range layers {
			if used[l.Digest] && l.Unused.IsZero() {
				continue
			}
			if err := s.judgeLayer(ctx, place, r.ID, l.Digest, used[l.Digest]); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeLayer writes down whether a layer is used, or removes it. A layer that was
// asked for meanwhile is found to be so, and stays.
func (s *Service) judgeLayer(ctx context.Context, place arn.Place, repositoryID string, d digest.Digest, used bool) error {
	ids := []string{place.Account, place.Region, repositoryID, d.String()}
	now := s.clock.Now().UTC()
	return store.Update(ctx, s.store, func(tx *store.Tx) error {
		l, found, err := s.blobs.TxGet(tx, ids...)
		switch {
		case err != nil || !found:
			return err
		case used:
			l.Unused = time.Time{}
		case l.Unused.IsZero():
			l.Unused = now
		case now.Sub(s.clock.At(l.Unused)) >= layerKept:
			s.blobs.TxDelete(tx, ids...)
			return nil
		}
		return s.blobs.TxPut(tx, l, ids...)
	})
}
