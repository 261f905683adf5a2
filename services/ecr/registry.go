package ecr

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	"minato/aws/arn"
	"minato/dataplane/registry"
	"minato/store"
)

// repositories is what the registry keeps, over the store.
type repositories struct{ s *Service }

var _ registry.Repositories = repositories{}

// tag is the record of a tag.
type tag struct{ Digest digest.Digest }

// image is the record of a manifest. Its tags are in it too, so that whoever
// moves or deletes one reads, and so checks, both records; and these count: a
// tag's record that the image does not confirm is as good as none.
type image struct {
	registry.Manifest
	Tags []string
}

// digestKey is the order of images in lists.
func (i *image) digestKey() string { return i.Digest.String() }

// inRegistry makes an error of the API one of the registry.
func inRegistry(err error) error {
	var e *aws.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "RepositoryNotFoundException":
		return registry.ErrNameUnknown(e.Message)
	case "ImageTagAlreadyExistsException":
		return registry.ErrTagInvalid(e.Message)
	case "ImageNotFoundException":
		return registry.ErrManifestUnknown(e.Message)
	}
	return err
}

func (r repositories) find(ctx context.Context, repo registry.Repository) (repository, arn.Place, error) {
	place := r.s.placeOf(repo.Host)
	found, err := r.s.get(ctx, place, &repo.Name)
	return found, place, inRegistry(err)
}

// Exists implements registry.Repositories.
func (r repositories) Exists(ctx context.Context, repo registry.Repository) error {
	_, _, err := r.find(ctx, repo)
	return err
}

// Blob implements registry.Repositories.
func (r repositories) Blob(ctx context.Context, repo registry.Repository, d digest.Digest) (registry.Blob, error) {
	in, place, err := r.find(ctx, repo)
	if err != nil {
		return registry.Blob{}, err
	}
	blob, found, err := r.s.layer(ctx, place, in.ID, d)
	if err == nil && !found {
		err = registry.ErrBlobUnknown(d)
	}
	return blob, err
}

// PutBlob implements registry.Repositories.
func (r repositories) PutBlob(ctx context.Context, repo registry.Repository, b registry.Blob) error {
	return r.update(ctx, repo, func(tx *store.Tx, in repository, place arn.Place) error {
		return r.s.blobs.TxPut(tx, layer{Blob: b}, place.Account, place.Region, in.ID, b.Digest.String())
	})
}

// DeleteBlob implements registry.Repositories.
func (r repositories) DeleteBlob(ctx context.Context, repo registry.Repository, d digest.Digest) error {
	return r.update(ctx, repo, func(tx *store.Tx, in repository, place arn.Place) error {
		key := []string{place.Account, place.Region, in.ID, d.String()}
		_, found, err := r.s.blobs.TxGet(tx, key...)
		if err == nil && !found {
			err = registry.ErrBlobUnknown(d)
		}
		if err == nil {
			r.s.blobs.TxDelete(tx, key...)
		}
		return err
	})
}

// update runs a transaction about a repository that is there.
func (r repositories) update(ctx context.Context, repo registry.Repository, f func(tx *store.Tx, in repository, place arn.Place) error) error {
	place := r.s.placeOf(repo.Host)
	return inRegistry(store.Update(ctx, r.s.store, func(tx *store.Tx) error {
		in, err := r.s.txGet(tx, place, repo.Name)
		if err != nil {
			return err
		}
		return f(tx, in, place)
	}))
}

// Holders implements registry.Repositories.
func (r repositories) Holders(ctx context.Context, host string, d digest.Digest) ([]registry.Repository, error) {
	place := r.s.placeOf(host)
	all, err := r.s.repositories.List(ctx, place.Account, place.Region)
	if err != nil {
		return nil, err
	}
	var holders []registry.Repository
	for _, in := range all {
		_, found, err := r.s.blobs.Get(ctx, place.Account, place.Region, in.ID, d.String())
		if err != nil {
			return nil, err
		}
		if found {
			holders = append(holders, registry.Repository{Host: host, Name: in.name()})
		}
	}
	return holders, nil
}

// Manifest implements registry.Repositories.
func (r repositories) Manifest(ctx context.Context, repo registry.Repository, reference string) (registry.Manifest, error) {
	in, place, err := r.find(ctx, repo)
	if err != nil {
		return registry.Manifest{}, err
	}
	found, ok, err := r.s.image(ctx, place, in.ID, reference)
	if err == nil && !ok {
		err = registry.ErrManifestUnknown("Requested image not found")
	}
	return found.Manifest, err
}

// image returns an image by tag or digest.
func (s *Service) image(ctx context.Context, place arn.Place, repositoryID, reference string) (image, bool, error) {
	// A tag may be moved, and its old image deleted, between the two reads.
	for range 3 {
		d := reference
		if !strings.Contains(reference, ":") {
			t, found, err := s.tags.Get(ctx, place.Account, place.Region, repositoryID, reference)
			if err != nil || !found {
				return image{}, false, err
			}
			d = t.Digest.String()
		}
		i, found, err := s.images.Get(ctx, place.Account, place.Region, repositoryID, d)
		if err != nil || d == reference {
			return i, found, err
		}
		if found && slices.Contains(i.Tags, reference) {
			return i, true, nil
		}
	}
	return image{}, false, nil
}

// PutManifest implements registry.Repositories.
func (r repositories) PutManifest(ctx context.Context, repo registry.Repository, m registry.Manifest, tags []string) error {
	return r.update(ctx, repo, func(tx *store.Tx, in repository, place arn.Place) error {
		return r.s.txPutImage(tx, place, in, m, tags)
	})
}

// txPutImage adds an image, if it is new, and moves the tags to it.
func (s *Service) txPutImage(tx *store.Tx, place arn.Place, in repository, m registry.Manifest, tags []string) error {
	a, region := place.Account, place.Region
	added, found, err := s.images.TxGet(tx, a, region, in.ID, m.Digest.String())
	if err != nil {
		return err
	}
	if !found {
		added = image{Manifest: m}
		// The count is written, so that a child's deletion meanwhile conflicts.
		for _, child := range m.Manifests {
			if _, found, err := s.images.Get(tx.Context(), a, region, in.ID, child.String()); err != nil || !found {
				return errors.Join(err, registry.ErrManifestUnknown(fmt.Sprintf("Requested image %s not found", child)))
			}
		}
		in.Images++
		if err := s.repositories.TxPut(tx, in, a, region, in.name()); err != nil {
			return err
		}
	}
	for _, name := range tags {
		if err := s.txMoveTag(tx, place, in, name, m.Digest); err != nil {
			return err
		}
		if !slices.Contains(added.Tags, name) {
			added.Tags = append(added.Tags, name)
		}
	}
	slices.Sort(added.Tags)
	return s.images.TxPut(tx, added, a, region, in.ID, m.Digest.String())
}

// txMoveTag makes a tag name an image, and takes it from the one it named.
func (s *Service) txMoveTag(tx *store.Tx, place arn.Place, in repository, name string, to digest.Digest) error {
	a, region := place.Account, place.Region
	old, found, err := s.tags.TxGet(tx, a, region, in.ID, name)
	if err != nil {
		return err
	}
	if found && old.Digest == to {
		return nil
	}
	if found {
		was, found, err := s.images.TxGet(tx, a, region, in.ID, old.Digest.String())
		if err != nil {
			return err
		}
		if found && slices.Contains(was.Tags, name) {
			if in.immutable(name) {
				return errImmutable(name, in.name())
			}
			was.Tags = slices.DeleteFunc(was.Tags, func(t string) bool { return t == name })
			if err := s.images.TxPut(tx, was, a, region, in.ID, old.Digest.String()); err != nil {
				return err
			}
		}
	}
	return s.tags.TxPut(tx, tag{to}, a, region, in.ID, name)
}

// DeleteManifest implements registry.Repositories.
func (r repositories) DeleteManifest(ctx context.Context, repo registry.Repository, d digest.Digest) error {
	return r.update(ctx, repo, func(tx *store.Tx, in repository, place arn.Place) error {
		found, ok, err := r.s.images.TxGet(tx, place.Account, place.Region, in.ID, d.String())
		if err == nil && !ok {
			err = registry.ErrManifestUnknown("Requested image not found")
		}
		if err != nil {
			return err
		}
		lists, err := r.s.referencing(ctx, place, in.ID, d)
		if err != nil {
			return err
		}
		if len(lists) > 0 {
			return registry.ErrManifestReferenced(referencedBy(lists))
		}
		return r.s.txDeleteImage(tx, place, in, found)
	})
}

// tagsDeleted bounds how many tags are deleted with an image in its
// transaction. The records of others stay and count for nothing.
const tagsDeleted = 100

// txDeleteImage deletes an image with its tags.
func (s *Service) txDeleteImage(tx *store.Tx, place arn.Place, in repository, i image) error {
	for _, name := range i.Tags[:min(len(i.Tags), tagsDeleted)] {
		s.tags.TxDelete(tx, place.Account, place.Region, in.ID, name)
	}
	s.images.TxDelete(tx, place.Account, place.Region, in.ID, i.Digest.String())
	in.Images--
	return s.repositories.TxPut(tx, in, place.Account, place.Region, in.name())
}

// referencing lists the indexes that list an image.
func (s *Service) referencing(ctx context.Context, place arn.Place, repositoryID string, d digest.Digest) ([]string, error) {
	all, err := s.images.List(ctx, place.Account, place.Region, repositoryID)
	if err != nil {
		return nil, err
	}
	var lists []string
	for _, i := range all {
		if slices.Contains(i.Manifests, d) {
			lists = append(lists, i.Digest.String())
		}
	}
	return lists, nil
}

func referencedBy(lists []string) string {
	return "Requested image referenced by manifest list: [" + strings.Join(lists, ",") + "]"
}

// DeleteTag implements registry.Repositories.
func (r repositories) DeleteTag(ctx context.Context, repo registry.Repository, name string) error {
	return r.update(ctx, repo, func(tx *store.Tx, in repository, place arn.Place) error {
		t, _, err := r.s.tags.TxGet(tx, place.Account, place.Region, in.ID, name)
		if err != nil {
			return err
		}
		return r.s.txDeleteTag(tx, place, in, name, t.Digest)
	})
}

// txDeleteTag takes a tag from the image it names.
func (s *Service) txDeleteTag(tx *store.Tx, place arn.Place, in repository, name string, d digest.Digest) error {
	i, found, err := s.images.TxGet(tx, place.Account, place.Region, in.ID, d.String())
	if err != nil {
		return err
	}
	if !found || !slices.Contains(i.Tags, name) {
		return registry.ErrManifestUnknown("Requested image not found")
	}
	i.Tags = slices.DeleteFunc(i.Tags, func(t string) bool { return t == name })
	s.tags.TxDelete(tx, place.Account, place.Region, in.ID, name)
	return s.images.TxPut(tx, i, place.Account, place.Region, in.ID, d.String())
}

// Tags implements registry.Repositories.
func (r repositories) Tags(ctx context.Context, repo registry.Repository) ([]string, error) {
	in, place, err := r.find(ctx, repo)
	if err != nil {
		return nil, err
	}
	all, err := r.s.images.List(ctx, place.Account, place.Region, in.ID)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, i := range all {
		names = append(names, i.Tags...)
	}
	return names, nil
}

// Referrers implements registry.Repositories.
func (r repositories) Referrers(ctx context.Context, repo registry.Repository, d digest.Digest) ([]registry.Manifest, error) {
	in, place, err := r.find(ctx, repo)
	if err != nil {
		return nil, err
	}
	all, err := r.s.images.List(ctx, place.Account, place.Region, in.ID)
	if err != nil {
		return nil, err
	}
	var found []registry.Manifest
	for _, i := range all {
		if i.Subject == d {
			found = append(found, i.Manifest)
		}
	}
	return found, nil
}

// Members implements registry.Repositories.
func (r repositories) Members(ctx context.Context) (map[digest.Digest]bool, error) {
	live, err := r.s.liveIDs(ctx)
	if err != nil {
		return nil, err
	}
	members := map[digest.Digest]bool{}
	for _, keysOf := range []func(context.Context, ...string) ([]string, error){r.s.blobs.Keys, r.s.images.Keys} {
		keys, err := keysOf(ctx)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			ids := store.Parts(key)
			if n := len(ids); live[ids[n-2]] {
				members[digest.Digest(ids[n-1])] = true
			}
		}
	}
	return members, nil
}

// liveIDs are the ids of all repositories there are.
func (s *Service) liveIDs(ctx context.Context) (map[string]bool, error) {
	all, err := s.repositories.List(ctx)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, r := range all {
		live[r.ID] = true
	}
	return live, nil
}
