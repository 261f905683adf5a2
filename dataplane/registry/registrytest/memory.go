// Package registrytest has a Repositories kept in memory, for tests of the
// registry, and the suite that every Repositories passes.
package registrytest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"minato/dataplane/registry"
)

// Memory is a registry.Repositories in memory.
type Memory struct {
	mu    sync.Mutex
	repos map[registry.Repository]*repository
}

type repository struct {
	blobs     map[digest.Digest]registry.Blob
	manifests map[digest.Digest]registry.Manifest
	tags      map[string]digest.Digest
	immutable bool
}

// NewMemory makes a Memory with the given repositories, empty.
func NewMemory(repos ...registry.Repository) *Memory {
	m := &Memory{repos: map[registry.Repository]*repository{}}
	for _, r := range repos {
		m.repos[r] = &repository{
			blobs: map[digest.Digest]registry.Blob{}, manifests: map[digest.Digest]registry.Manifest{}, tags: map[string]digest.Digest{},
		}
	}
	return m
}

// SetImmutable forbids to move the tags of a repository.
func (m *Memory) SetImmutable(repo registry.Repository) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.repos[repo].immutable = true
}

// Alias makes name another name of repo, as one repository is seen by several
// hosts.
func (m *Memory) Alias(name, repo registry.Repository) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.repos[name] = m.repos[repo]
}

// Remove deletes a repository with all it holds.
func (m *Memory) Remove(repo registry.Repository) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.repos, repo)
}

func (m *Memory) in(repo registry.Repository, do func(*repository) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.repos[repo]
	if r == nil {
		return registry.ErrNameUnknown(fmt.Sprintf("The repository with name '%s' does not exist", repo.Name))
	}
	return do(r)
}

// Exists implements registry.Repositories.
func (m *Memory) Exists(_ context.Context, repo registry.Repository) error {
	return m.in(repo, func(*repository) error { return nil })
}

// Blob implements registry.Repositories.
func (m *Memory) Blob(_ context.Context, repo registry.Repository, d digest.Digest) (blob registry.Blob, err error) {
	err = m.in(repo, func(r *repository) error {
		var ok bool
		if blob, ok = r.blobs[d]; !ok {
			return registry.ErrBlobUnknown(d)
		}
		return nil
	})
	return blob, err
}

// PutBlob implements registry.Repositories.
func (m *Memory) PutBlob(_ context.Context, repo registry.Repository, b registry.Blob) error {
	return m.in(repo, func(r *repository) error { r.blobs[b.Digest] = b; return nil })
}

// DeleteBlob implements registry.Repositories.
func (m *Memory) DeleteBlob(_ context.Context, repo registry.Repository, d digest.Digest) error {
	return m.in(repo, func(r *repository) error {
		if _, ok := r.blobs[d]; !ok {
			return registry.ErrBlobUnknown(d)
		}
		delete(r.blobs, d)
		return nil
	})
}

// Holders implements registry.Repositories.
func (m *Memory) Holders(_ context.Context, host string, d digest.Digest) ([]registry.Repository, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []registry.Repository
	for name, r := range m.repos {
		if _, ok := r.blobs[d]; ok && name.Host == host {
			found = append(found, name)
		}
	}
	return found, nil
}

// Manifest implements registry.Repositories.
func (m *Memory) Manifest(_ context.Context, repo registry.Repository, reference string) (found registry.Manifest, err error) {
	err = m.in(repo, func(r *repository) error {
		d := digest.Digest(reference)
		if !strings.Contains(reference, ":") {
			d = r.tags[reference]
		}
		var ok bool
		if found, ok = r.manifests[d]; !ok {
			return registry.ErrManifestUnknown("Requested image not found")
		}
		return nil
	})
	return found, err
}

// PutManifest implements registry.Repositories.
func (m *Memory) PutManifest(_ context.Context, repo registry.Repository, manifest registry.Manifest, tags []string) error {
	return m.in(repo, func(r *repository) error {
		for _, tag := range tags {
			if old, ok := r.tags[tag]; ok && r.immutable && old != manifest.Digest {
				return registry.ErrTagInvalid(fmt.Sprintf("The image tag '%s' already exists", tag))
			}
		}
		if _, ok := r.manifests[manifest.Digest]; !ok {
			r.manifests[manifest.Digest] = manifest
		}
		for _, tag := range tags {
			r.tags[tag] = manifest.Digest
		}
		return nil
	})
}

// DeleteManifest implements registry.Repositories.
func (m *Memory) DeleteManifest(_ context.Context, repo registry.Repository, d digest.Digest) error {
	return m.in(repo, func(r *repository) error {
		if _, ok := r.manifests[d]; !ok {
			return registry.ErrManifestUnknown("Requested image not found")
		}
		delete(r.manifests, d)
		maps.DeleteFunc(r.tags, func(_ string, to digest.Digest) bool { return to == d })
		return nil
	})
}

// DeleteTag implements registry.Repositories.
func (m *Memory) DeleteTag(_ context.Context, repo registry.Repository, tag string) error {
	return m.in(repo, func(r *repository) error {
		if _, ok := r.tags[tag]; !ok {
			return registry.ErrManifestUnknown("Requested image not found")
		}
		delete(r.tags, tag)
		return nil
	})
}

// Tags implements registry.Repositories.
func (m *Memory) Tags(_ context.Context, repo registry.Repository) (tags []string, err error) {
	err = m.in(repo, func(r *repository) error { tags = slices.Collect(maps.Keys(r.tags)); return nil })
	return tags, err
}

// Referrers implements registry.Repositories.
func (m *Memory) Referrers(_ context.Context, repo registry.Repository, d digest.Digest) (found []registry.Manifest, err error) {
	err = m.in(repo, func(r *repository) error {
		for _, manifest := range r.manifests {
			if manifest.Subject == d {
				found = append(found, manifest)
			}
		}
		return nil
	})
	return found, err
}

// Members implements registry.Repositories.
func (m *Memory) Members(context.Context) (map[digest.Digest]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[digest.Digest]bool{}
	for _, r := range m.repos {
		for d := range r.blobs {
			all[d] = true
		}
		for d := range r.manifests {
			all[d] = true
		}
	}
	return all, nil
}
