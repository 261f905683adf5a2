package containerd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"minato/dataplane/container"
)

// runName is the name in containerd's image store that keeps an image which is
// run from being collected.
func runName(digest string) string { return "run.minato/image@" + digest }

// maxManifest bounds what is read of a manifest, as registries do.
const maxManifest = 4 << 20

// Import implements container.Runtime.
func (r *Runtime) Import(ctx context.Context, archive io.Reader) ([]container.Image, error) {
	ctx = withNamespace(ctx)
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	imported, err := r.eng.client.Import(ctx, archive)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	var out []container.Image
	for _, i := range imported {
		img, err := r.EnsureUnpacked(ctx, i.Target.Digest.String())
		if err != nil {
			return nil, err
		}
		img.Name = i.Name
		out = append(out, img)
		// Our own name keeps it; the archive's would for ever.
		if err := r.Images().Delete(ctx, i.Name); err != nil && !errdefs.IsNotFound(err) {
			return nil, err
		}
	}
	return out, nil
}

// EnsureUnpacked implements container.Runtime.
func (r *Runtime) EnsureUnpacked(ctx context.Context, dgst string) (container.Image, error) {
	ctx = withNamespace(ctx)
	img, err := r.image(ctx, dgst)
	if err != nil {
		return container.Image{}, err
	}
	manifest, err := r.platformManifest(ctx, img)
	if err != nil {
		return container.Image{}, r.imageError(dgst, err)
	}
	if ok, err := img.IsUnpacked(ctx, snapshotter); err != nil || !ok {
		if err != nil && !errdefs.IsNotFound(err) {
			return container.Image{}, r.imageError(dgst, err)
		}
		if err := r.unpack(ctx, img); err != nil {
			return container.Image{}, r.imageError(dgst, err)
		}
	}
	return r.describe(ctx, img, manifest)
}

func (r *Runtime) unpack(ctx context.Context, img client.Image) error {
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return err
	}
	defer done()
	return img.Unpack(ctx, snapshotter)
}

// image returns an image by its digest, named so that it is kept.
func (r *Runtime) image(ctx context.Context, dgst string) (client.Image, error) {
	d, err := digest.Parse(dgst)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", dgst, err)
	}
	store := r.Images()
	i, err := store.Get(ctx, runName(dgst))
	if errdefs.IsNotFound(err) {
		i, err = r.nameImage(ctx, store, d)
	}
	if err != nil {
		return nil, r.imageError(dgst, err)
	}
	return client.NewImageWithPlatform(r.eng.client, i, platforms.DefaultStrict()), nil
}

// nameImage gives a manifest or an index of the content store the name that
// keeps it. Content that came by another way may lack the labels that keep its
// children: they are set before the lease that holds it meanwhile ends.
func (r *Runtime) nameImage(ctx context.Context, store images.Store, d digest.Digest) (images.Image, error) {
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return images.Image{}, err
	}
	defer done()
	cs := r.Content()
	desc, err := manifestDescriptor(ctx, cs, d)
	if err != nil {
		return images.Image{}, err
	}
	present := images.HandlerFunc(func(ctx context.Context, desc ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		children, err := images.Children(ctx, cs, desc)
		if errdefs.IsNotFound(err) {
			return nil, nil // another platform's, that nobody pushed
		}
		return children, err
	})
	if err := images.Walk(ctx, images.SetChildrenLabels(cs, present), desc); err != nil {
		return images.Image{}, err
	}
	i, err := store.Create(ctx, images.Image{Name: runName(d.String()), Target: desc})
	if errdefs.IsAlreadyExists(err) {
		i, err = store.Get(ctx, runName(d.String()))
	}
	return i, err
}

// manifestDescriptor reads a manifest's size and media type, which it says of
// itself, or which its form tells.
func manifestDescriptor(ctx context.Context, cs content.Store, d digest.Digest) (ocispec.Descriptor, error) {
	info, err := cs.Info(ctx, d)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	desc := ocispec.Descriptor{Digest: d, Size: info.Size}
	if info.Size > maxManifest {
		return desc, fmt.Errorf("%s is no manifest: %d bytes", d, info.Size)
	}
	b, err := content.ReadBlob(ctx, cs, desc)
	if err != nil {
		return desc, err
	}
	var m struct {
		MediaType string            `json:"mediaType"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return desc, fmt.Errorf("%s is no manifest: %w", d, err)
	}
	switch desc.MediaType = m.MediaType; {
	case m.MediaType != "":
	case m.Manifests != nil:
		desc.MediaType = ocispec.MediaTypeImageIndex
	default:
		desc.MediaType = ocispec.MediaTypeImageManifest
	}
	return desc, nil
}

// describe reads an image's configuration.
func (r *Runtime) describe(ctx context.Context, img client.Image, manifest string) (container.Image, error) {
	d := img.Target().Digest.String()
	m, err := images.Manifest(ctx, r.Content(), img.Target(), img.Platform())
	if err != nil {
		return container.Image{}, r.imageError(d, err)
	}
	spec, err := img.Spec(ctx)
	if err != nil {
		return container.Image{}, r.imageError(d, err)
	}
	out := container.Image{
		Digest: d, Manifest: manifest, Size: m.Config.Size,
		Entrypoint: spec.Config.Entrypoint, Command: spec.Config.Cmd, Env: spec.Config.Env,
		User: spec.Config.User, WorkDir: spec.Config.WorkingDir, StopSignal: spec.Config.StopSignal,
	}
	for _, l := range m.Layers {
		out.Size += l.Size
	}
	for v := range spec.Config.Volumes {
		out.Volumes = append(out.Volumes, v)
	}
	slices.Sort(out.Volumes)
	return out, nil
}

// platformManifest is the digest of the manifest that is run on this machine.
func (r *Runtime) platformManifest(ctx context.Context, img client.Image) (string, error) {
	target := img.Target()
	b, err := content.ReadBlob(ctx, r.Content(), target)
	if err != nil {
		return "", err
	}
	if !images.IsIndexType(target.MediaType) {
		var m ocispec.Manifest
		if err := json.Unmarshal(b, &m); err != nil {
			return "", err
		}
		p, err := images.ConfigPlatform(ctx, r.Content(), m.Config)
		if err == nil && !img.Platform().Match(p) {
			err = fmt.Errorf("%w: it is for %s", container.ErrPlatform, platforms.Format(p))
		}
		return target.Digest.String(), err
	}
	var index ocispec.Index
	if err := json.Unmarshal(b, &index); err != nil {
		return "", err
	}
	for _, m := range index.Manifests {
		if m.Platform != nil && img.Platform().Match(*m.Platform) {
			return m.Digest.String(), nil
		}
	}
	return "", fmt.Errorf("%w %s", container.ErrPlatform, platforms.DefaultString())
}

// ReleaseImage implements container.Runtime.
func (r *Runtime) ReleaseImage(ctx context.Context, dgst string) error {
	err := r.Images().Delete(withNamespace(ctx), runName(dgst))
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// imageError says of which image an error is, and what it means to us.
func (r *Runtime) imageError(dgst string, err error) error {
	if errdefs.IsNotFound(err) {
		return fmt.Errorf("image %s: %w: %w", dgst, container.ErrNotFound, err)
	}
	return fmt.Errorf("image %s: %w", dgst, err)
}
