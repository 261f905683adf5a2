package registry

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// startUpload begins an upload, or mounts a blob of another repository, or
// takes a whole blob in one request.
func (r *Registry) startUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	if rt.ref != "" {
		return errUnsupported()
	}
	query := req.URL.Query()
	if mount := query.Get("mount"); mount != "" {
		d, err := parseDigest(mount)
		if err != nil {
			return err
		}
		blob, ok, err := r.mount(req, rt.repo, query.Get("from"), d)
		if err != nil {
			return err
		}
		if ok {
			created(w, rt.repo, blob)
			return nil
		}
	}
	var whole digest.Digest
	if s := query.Get("digest"); s != "" {
		var err error
		if whole, err = parseDigest(s); err != nil {
			return err
		}
		// One request that does all of an upload needs the rights to all of it.
		for _, action := range []Action{WriteUpload, CompleteUpload} {
			if _, err := r.opt.Authorizer.Authorize(req, action, rt.repo); err != nil {
				return err
			}
		}
	}
	up, err := r.newUpload(req.Context(), rt.repo)
	if err != nil {
		return err
	}
	defer r.leave(up)
	if whole == "" {
		// The ingest is made with the first byte.
		r.progress(w, up, http.StatusAccepted)
		return nil
	}
	if err := r.openWriter(req.Context(), up); err != nil {
		r.discard(req.Context(), up)
		return err
	}
	if err := r.append(req.Context(), up, req.Body); err != nil {
		r.discard(req.Context(), up)
		return err
	}
	return r.finish(w, req, up, whole)
}

// mount makes a blob of another repository of this registry a member of repo,
// if the caller may read it there. Without a source every repository that
// holds the blob is tried.
func (r *Registry) mount(req *http.Request, repo Repository, from string, d digest.Digest) (Blob, bool, error) {
	sources := []Repository{{Host: repo.Host, Name: from}}
	if from == "" {
		var err error
		if sources, err = r.repos.Holders(req.Context(), repo.Host, d); err != nil {
			return Blob{}, false, err
		}
	}
	r.settling.RLock()
	defer r.settling.RUnlock()
	for _, source := range sources {
		if _, err := r.opt.Authorizer.Authorize(req, ReadBlob, source); err != nil {
			continue // not for this caller to know: the upload goes on without a mount
		}
		blob, err := r.repos.Blob(req.Context(), source, d)
		if err != nil {
			if asError(err).Status == http.StatusNotFound {
				continue
			}
			return Blob{}, false, err
		}
		return blob, true, r.repos.PutBlob(req.Context(), repo, blob)
	}
	return Blob{}, false, nil
}

func (r *Registry) uploadStatus(w http.ResponseWriter, req *http.Request, rt route) error {
	up, err := r.findUpload(req.Context(), rt.repo, rt.ref)
	if err != nil {
		return err
	}
	defer r.leave(up)
	r.progress(w, up, http.StatusNoContent)
	return nil
}

func (r *Registry) cancelUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	up, err := r.findUpload(req.Context(), rt.repo, rt.ref)
	if err != nil {
		return err
	}
	defer r.leave(up)
	r.discard(req.Context(), up)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (r *Registry) writeUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	up, err := r.findUpload(req.Context(), rt.repo, rt.ref)
	if err != nil {
		return err
	}
	defer r.leave(up)
	if err := inOrder(req, up); err != nil {
		r.where(w, up)
		return err
	}
	if err := r.append(req.Context(), up, req.Body); err != nil {
		return err
	}
	r.progress(w, up, http.StatusAccepted)
	return nil
}

func (r *Registry) completeUpload(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := parseDigest(req.URL.Query().Get("digest"))
	if err != nil {
		return err
	}
	up, err := r.findUpload(req.Context(), rt.repo, rt.ref)
	if err != nil {
		return err
	}
	defer r.leave(up)
	if err := inOrder(req, up); err != nil {
		r.where(w, up)
		return err
	}
	if err := r.append(req.Context(), up, req.Body); err != nil {
		return err
	}
	return r.finish(w, req, up, d)
}

func (r *Registry) finish(w http.ResponseWriter, req *http.Request, up *upload, d digest.Digest) error {
	blob, err := r.commit(req.Context(), up, d)
	if err != nil {
		return err
	}
	created(w, up.repo, blob)
	return nil
}

func created(w http.ResponseWriter, repo Repository, blob Blob) {
	w.Header().Set("Location", "/v2/"+repo.Name+"/blobs/"+blob.Digest.String())
	w.Header().Set("Docker-Content-Digest", blob.Digest.String())
	w.WriteHeader(http.StatusCreated)
}

// where says how far an upload is.
func (r *Registry) where(w http.ResponseWriter, up *upload) {
	h := w.Header()
	h.Set("Location", "/v2/"+up.repo.Name+"/blobs/uploads/"+up.id)
	h.Set("Docker-Upload-Uuid", up.id)
	h.Set("Range", fmt.Sprintf("0-%d", max(up.offset-1, 0)))
}

func (r *Registry) progress(w http.ResponseWriter, up *upload, status int) {
	r.where(w, up)
	w.WriteHeader(status)
}

// inOrder checks that a chunk begins where the upload stands. A chunk without
// Content-Range goes to the end.
func inOrder(req *http.Request, up *upload) error {
	header := req.Header.Get("Content-Range")
	if header == "" {
		return nil
	}
	bad := errorf(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "the upload stands at byte %d; the chunk is %q", up.offset, header)
	from, to, ok := strings.Cut(strings.TrimPrefix(header, "bytes "), "-")
	to, _, _ = strings.Cut(to, "/")
	start, err1 := strconv.ParseInt(from, 10, 64)
	end, err2 := strconv.ParseInt(to, 10, 64)
	if !ok || err1 != nil || err2 != nil || start != up.offset || end < start-1 {
		return bad
	}
	if req.ContentLength >= 0 && req.ContentLength != end-start+1 {
		return errorf(http.StatusBadRequest, "SIZE_INVALID", "the chunk has %d bytes, its Content-Range is %q", req.ContentLength, header)
	}
	return nil
}
