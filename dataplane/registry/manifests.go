package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxTags is how many tags one push of a manifest may set by parameters.
const maxTags = 32

func (r *Registry) getManifest(w http.ResponseWriter, req *http.Request, rt route) error {
	m, err := r.repos.Manifest(req.Context(), rt.repo, rt.ref)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", m.MediaType)
	h.Set("Content-Length", strconv.FormatInt(m.Size, 10))
	h.Set("Docker-Content-Digest", m.Digest.String())
	h.Set("ETag", `"`+m.Digest.String()+`"`)
	if req.Method == http.MethodHead {
		return nil
	}
	body, err := r.ReadManifest(req.Context(), m.Digest)
	if err != nil {
		for _, name := range []string{"Content-Length", "Docker-Content-Digest", "ETag"} {
			h.Del(name)
		}
		return err
	}
	if _, err := w.Write(body); err != nil {
		return answered(err)
	}
	return nil
}

// ReadManifest returns the bytes of a manifest. Whether the caller may see it
// was decided by who found the digest in a repository.
func (r *Registry) ReadManifest(ctx context.Context, d digest.Digest) ([]byte, error) {
	body, err := content.ReadBlob(r.within(ctx), r.content, ocispec.Descriptor{Digest: d})
	if err != nil {
		return nil, fmt.Errorf("the content of manifest %s: %w", d, err)
	}
	return body, nil
}

func (r *Registry) putManifest(w http.ResponseWriter, req *http.Request, rt route) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxManifest))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errorf(http.StatusRequestEntityTooLarge, "MANIFEST_INVALID", "the manifest is larger than %d bytes", maxManifest)
	}
	if err != nil {
		return &Error{Status: http.StatusBadRequest, Code: "MANIFEST_INVALID", Message: "the body broke off", Cause: err}
	}
	tags := req.URL.Query()["tag"]
	if len(tags) > maxTags {
		return errorf(http.StatusRequestURITooLong, "TAG_INVALID", "more than %d tags in one request", maxTags)
	}
	d := digest.FromBytes(body)
	if strings.Contains(rt.ref, ":") {
		want, err := parseDigest(rt.ref)
		if err != nil {
			return err
		}
		if d = want.Algorithm().FromBytes(body); d != want {
			return errDigestInvalid("provided digest did not match uploaded content")
		}
	} else {
		tags = append(tags, rt.ref)
	}
	m, err := r.PutManifest(req.Context(), rt.repo, req.Header.Get("Content-Type"), body, d, tags)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v2/"+rt.repo.Name+"/manifests/"+m.Digest.String())
	w.Header().Set("Docker-Content-Digest", m.Digest.String())
	for _, tag := range req.URL.Query()["tag"] {
		w.Header().Add("OCI-Tag", tag)
	}
	if m.Subject != "" {
		w.Header().Set("OCI-Subject", m.Subject.String())
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

// PutManifest makes a manifest content and a member of a repository, under
// tags if there are any. Its blobs and children must be members already.
func (r *Registry) PutManifest(ctx context.Context, repo Repository, mediaType string, body []byte, d digest.Digest, tags []string) (Manifest, error) {
	ctx = r.within(ctx)
	m, err := ParseManifest(mediaType, body, d)
	if err != nil {
		return Manifest{}, err
	}
	for _, tag := range tags {
		if !tagForm.MatchString(tag) {
			return Manifest{}, ErrTagInvalid(fmt.Sprintf("%q is no tag", tag))
		}
	}
	if err := r.present(ctx, repo, m); err != nil {
		return Manifest{}, err
	}
	m.PushedAt = r.opt.Clock.Now()
	r.settling.RLock()
	defer r.settling.RUnlock()
	if err := r.keep(ctx, m, body); err != nil {
		return Manifest{}, err
	}
	return m, r.repos.PutManifest(ctx, repo, m, tags)
}

// present checks that the repository has all that a manifest refers to. The
// subject may come later.
func (r *Registry) present(ctx context.Context, repo Repository, m Manifest) error {
	missing := func(d digest.Digest, err error) error {
		if asError(err).Status != http.StatusNotFound {
			return err
		}
		return &Error{Status: http.StatusNotFound, Code: "MANIFEST_BLOB_UNKNOWN", Message: "blob unknown to registry", Detail: map[string]string{"digest": d.String()}}
	}
	for _, d := range m.Blobs {
		if _, err := r.repos.Blob(ctx, repo, d); err != nil {
			return missing(d, err)
		}
	}
	for _, d := range m.Manifests {
		if _, err := r.repos.Manifest(ctx, repo, d.String()); err != nil {
			return missing(d, err)
		}
	}
	return nil
}

// keep writes a manifest to the content store as a root that refers to its
// children.
func (r *Registry) keep(ctx context.Context, m Manifest, body []byte) error {
	labels := rootLabels(r.opt.Clock.Now())
	refs := map[string]string{}
	for i, d := range m.Blobs {
		refs[fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = d.String()
	}
	for i, d := range m.Manifests {
		refs[fmt.Sprintf("containerd.io/gc.ref.content.m.%d", i)] = d.String()
	}
	for k, v := range refs {
		labels[k] = v
	}
	desc := ocispec.Descriptor{Digest: m.Digest, Size: int64(len(body))}
	// Content that is there already may be collected until it is labelled;
	// then it is written anew.
	for range 3 {
		info, err := r.content.Info(ctx, m.Digest)
		if errdefs.IsNotFound(err) {
			err = content.WriteBlob(ctx, r.content, "registry-manifest-"+m.Digest.String(), bytes.NewReader(body), desc, content.WithLabels(labels))
			if err != nil {
				return fmt.Errorf("write the manifest: %w", err)
			}
			info, err = r.content.Info(ctx, m.Digest)
		}
		if err != nil {
			return fmt.Errorf("the manifest's content: %w", err)
		}
		if err = r.makeRoot(ctx, info, refs); !errdefs.IsNotFound(err) {
			return err
		}
	}
	return fmt.Errorf("the manifest %s is collected as soon as it is written", m.Digest)
}

func (r *Registry) deleteManifest(w http.ResponseWriter, req *http.Request, rt route) error {
	var err error
	if strings.Contains(rt.ref, ":") {
		var d digest.Digest
		if d, err = parseDigest(rt.ref); err == nil {
			err = r.repos.DeleteManifest(req.Context(), rt.repo, d)
		}
	} else {
		err = r.repos.DeleteTag(req.Context(), rt.repo, rt.ref)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// lexical is the order of the specification: without regard to case.
func lexical(a, b string) int {
	if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func (r *Registry) listTags(w http.ResponseWriter, req *http.Request, rt route) error {
	tags, err := r.repos.Tags(req.Context(), rt.repo)
	if err != nil {
		return err
	}
	slices.SortFunc(tags, lexical)
	query := req.URL.Query()
	if last := query.Get("last"); last != "" {
		tags = slices.DeleteFunc(tags, func(tag string) bool { return lexical(tag, last) <= 0 })
	}
	if s := query.Get("n"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return errorf(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
		}
		if n < len(tags) {
			tags = tags[:n]
			if n > 0 {
				w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s&n=%d>; rel="next"`, rt.repo.Name, tags[n-1], n))
			}
		}
	}
	if tags == nil {
		tags = []string{}
	}
	return answer(w, "application/json; charset=utf-8", map[string]any{"name": rt.repo.Name, "tags": tags})
}

func (r *Registry) listReferrers(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := parseDigest(rt.ref)
	if err != nil {
		return err
	}
	found, err := r.repos.Referrers(req.Context(), rt.repo, d)
	if err != nil {
		return err
	}
	artifact := req.URL.Query().Get("artifactType")
	index := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	index.SchemaVersion = 2
	for _, m := range found {
		if artifact != "" && m.ArtifactType != artifact {
			continue
		}
		annotations, err := r.annotations(req.Context(), m.Digest)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, ocispec.Descriptor{
			MediaType: m.MediaType, Digest: m.Digest, Size: m.Size, ArtifactType: m.ArtifactType, Annotations: annotations,
		})
	}
	if artifact != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	slices.SortFunc(index.Manifests, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return answer(w, ocispec.MediaTypeImageIndex, index)
}

// annotations reads those of a manifest.
func (r *Registry) annotations(ctx context.Context, d digest.Digest) (map[string]string, error) {
	body, err := r.ReadManifest(ctx, d)
	if err != nil {
		return nil, err
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("the content of manifest %s: %w", d, err)
	}
	return e.Annotations, nil
}
