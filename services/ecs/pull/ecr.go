package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
	"minato/services/ecs/failure"
)

// manifestTypes are the media types of what can be run.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
}

// Resolve asks ECR, as the caller, which digest an image's tag stands for,
// whether the caller may have it, and it is for an architecture that is here.
func Resolve(ctx context.Context, ecr ecrapi.API, ref Ref, arch string) (string, error) {
	// The registry that the image's name says, which need not be that of the
	// task's region.
	caller := identity.From(ctx)
	caller.Region = ref.Region
	ctx = identity.With(ctx, caller)
	id := ecrapi.ImageIdentifier{}
	if ref.Digest != "" {
		id.ImageDigest = &ref.Digest
	} else {
		id.ImageTag = &ref.Tag
	}
	out, err := ecr.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
		RegistryId: &ref.Account, RepositoryName: &ref.Repository, ImageIds: []ecrapi.ImageIdentifier{id}, AcceptedMediaTypes: manifestTypes,
	})
	switch {
	case aws.IsCode(err, "RepositoryNotFoundException"):
		return "", failure.Of(err, "%s", ref.NotFound())
	case aws.IsCode(err, "AccessDeniedException"):
		return "", failure.Of(err, "%s", ref.Forbidden())
	case err != nil:
		return "", err
	case len(out.Images) == 0 || out.Images[0].ImageId == nil:
		return "", failure.Of(nil, "%s", ref.NotFound())
	}
	return aws.Val(out.Images[0].ImageId.ImageDigest), mayDownload(ctx, ecr, ref, arch, aws.Val(out.Images[0].ImageManifest))
}

// manifest is what is read of an image's manifest, or of an index of several.
type manifest struct {
	Layers    []struct{ Digest string }
	Manifests []struct {
		Digest   string
		Platform struct{ OS, Architecture string }
	}
}

// has tells whether an index has something for an architecture.
func (m *manifest) has(arch string) bool {
	for _, child := range m.Manifests {
		if child.Platform.OS == "linux" && child.Platform.Architecture == arch {
			return true
		}
	}
	return false
}

// mayDownload asks for a layer of an image as whoever pulls it would. The layer
// is here already, but a role that may not have it cannot pull on AWS either.
func mayDownload(ctx context.Context, ecr ecrapi.API, ref Ref, arch, body string) error {
	var m manifest
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return fmt.Errorf("the manifest of %s: %w", ref.Text, err)
	}
	if len(m.Manifests) > 0 && !m.has(arch) {
		return failure.Of(nil, "%s", NoPlatform(arch))
	}
	if len(m.Manifests) > 0 && arch != runtime.GOARCH {
		return failure.Of(nil, "%s", NoCapacity)
	}
	for _, child := range m.Manifests {
		if child.Platform.OS != "linux" || child.Platform.Architecture != runtime.GOARCH {
			continue
		}
		out, err := ecr.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
			RegistryId: &ref.Account, RepositoryName: &ref.Repository, ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: &child.Digest}}, AcceptedMediaTypes: manifestTypes,
		})
		if err != nil {
			return err
		}
		if len(out.Images) == 0 {
			return nil // what is missing is told when the image is unpacked
		}
		if err := json.Unmarshal([]byte(aws.Val(out.Images[0].ImageManifest)), &m); err != nil {
			return fmt.Errorf("the manifest of %s: %w", ref.Text, err)
		}
		break
	}
	if len(m.Layers) == 0 {
		return nil
	}
	layer := m.Layers[0].Digest
	_, err := ecr.GetDownloadUrlForLayer(ctx, &ecrapi.GetDownloadUrlForLayerInput{RegistryId: &ref.Account, RepositoryName: &ref.Repository, LayerDigest: &layer})
	switch {
	case aws.IsCode(err, "AccessDeniedException"):
		return failure.Of(err, "%s", ref.LayerForbidden(layer))
	case aws.IsCode(err, "LayersNotFoundException"):
		return nil // one that others serve, or missing: told when the image is unpacked
	}
	return err
}
