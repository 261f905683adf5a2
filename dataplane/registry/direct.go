package registry

import (
	"bytes"
	"context"
	"net/http"

	"github.com/opencontainers/go-digest"
)

// The methods here are an upload without HTTP, for APIs that are not the
// registry's. Whether the caller may do it was decided by who calls them.

// StartUpload begins an upload and returns its id.
func (r *Registry) StartUpload(ctx context.Context, repo Repository) (id string, err error) {
	ctx = r.within(ctx)
	if err := r.repos.Exists(ctx, repo); err != nil {
		return "", err
	}
	up, err := r.newUpload(ctx, repo)
	if err != nil {
		return "", err
	}
	defer r.leave(up)
	return up.id, nil
}

// WriteUpload adds bytes that begin at an offset, and returns how many there
// are then. An offset that is not where the upload stands is an *Error with
// status 416, and the upload is where it was.
func (r *Registry) WriteUpload(ctx context.Context, repo Repository, id string, offset int64, b []byte) (int64, error) {
	ctx = r.within(ctx)
	up, err := r.findUpload(ctx, repo, id)
	if err != nil {
		return 0, err
	}
	defer r.leave(up)
	if offset != up.offset {
		return up.offset, errorf(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "the upload stands at byte %d, not at %d", up.offset, offset)
	}
	err = r.append(ctx, up, bytes.NewReader(b))
	return up.offset, err
}

// CompleteUpload makes an upload a blob of the repository.
func (r *Registry) CompleteUpload(ctx context.Context, repo Repository, id string, d digest.Digest) (Blob, error) {
	ctx = r.within(ctx)
	up, err := r.findUpload(ctx, repo, id)
	if err != nil {
		return Blob{}, err
	}
	defer r.leave(up)
	return r.commit(ctx, up, d)
}
