package ecr

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/dataplane/registry"
	"minato/store"
)

func errImmutable(tag, repository string) *aws.Error {
	return ecrapi.ImageTagAlreadyExistsException("The image tag '%s' already exists in the '%s' repository and cannot be overwritten because the repository is immutable.", tag, repository)
}

// orNull is how ECR's texts show what was not given.
func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// find returns the image that an identifier names, or the reason why none.
func (s *Service) find(ctx context.Context, place arn.Place, in repository, id ecrapi.ImageIdentifier) (image, *ecrapi.ImageFailure, error) {
	fail := func(code, reason string) (image, *ecrapi.ImageFailure, error) {
		return image{}, &ecrapi.ImageFailure{FailureCode: &code, FailureReason: &reason, ImageId: &id}, nil
	}
	reference := aws.Val(id.ImageDigest)
	switch {
	case id.ImageDigest == nil && id.ImageTag == nil:
		return fail(ecrapi.ImageFailureCodeMissingDigestAndTag, "Invalid request parameters: both tag and digest cannot be null")
	case id.ImageDigest == nil:
		reference = *id.ImageTag
	case digest.Digest(reference).Validate() != nil:
		return fail(ecrapi.ImageFailureCodeInvalidImageDigest, "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'")
	}
	found, ok, err := s.image(ctx, place, in.ID, reference)
	if err != nil {
		return image{}, nil, err
	}
	if !ok {
		return fail(ecrapi.ImageFailureCodeImageNotFound, "Requested image not found")
	}
	if id.ImageDigest != nil && id.ImageTag != nil && !slices.Contains(found.Tags, *id.ImageTag) {
		return fail(ecrapi.ImageFailureCodeImageTagDoesNotMatchDigest, "Requested image with tag does not match the digest")
	}
	return found, nil, nil
}

// detail is how DescribeImages shows an image.
func (in *repository) detail(i image) ecrapi.ImageDetail {
	d := ecrapi.ImageDetail{
		ImageDigest: aws.Ptr(i.Digest.String()), ImageManifestMediaType: &i.MediaType,
		ImagePushedAt: aws.Ptr(i.PushedAt.UTC().Truncate(time.Second)), ImageTags: i.Tags,
		RegistryId: in.RegistryId, RepositoryName: in.RepositoryName, ImageStatus: aws.Ptr(ecrapi.ImageStatusActive),
	}
	if i.ImageSize > 0 {
		d.ImageSizeInBytes = &i.ImageSize
	}
	if i.ArtifactType != "" {
		d.ArtifactMediaType = &i.ArtifactType
	}
	if i.Subject != "" {
		d.SubjectManifestDigest = aws.Ptr(i.Subject.String())
	}
	if aws.Val(in.ImageScanningConfiguration.ScanOnPush) {
		d.ImageScanStatus = &ecrapi.ImageScanStatus{Status: aws.Ptr(ecrapi.ScanStatusUnsupportedImage), Description: aws.Ptr("minato has no image scanner: the image was not scanned.")}
	}
	return d
}

// wanted tells whether an image passes the filters. Nothing is ever archived
// here, so every image is active.
func wanted(i image, tagStatus, imageStatus *string) bool {
	switch aws.Val(imageStatus) {
	case ecrapi.ImageStatusFilterArchived, ecrapi.ImageStatusFilterActivating:
		return false
	}
	switch aws.Val(tagStatus) {
	case ecrapi.TagStatusTagged:
		return len(i.Tags) > 0
	case ecrapi.TagStatusUntagged:
		return len(i.Tags) == 0
	}
	return true
}

// DescribeImages shows images, all or those asked for.
func (s *Service) DescribeImages(ctx context.Context, in *ecrapi.DescribeImagesInput) (*ecrapi.DescribeImagesOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.DescribeImagesOutput{ImageDetails: []ecrapi.ImageDetail{}}
	for _, id := range in.ImageIds {
		i, failure, err := s.find(ctx, place, repo, id)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			return nil, ecrapi.ImageNotFoundException("The image with imageId {imageDigest:'%s', imageTag:'%s'} does not exist within the repository with name '%s' in the registry with id '%s'",
				orNull(id.ImageDigest), orNull(id.ImageTag), repo.name(), place.Account)
		}
		out.ImageDetails = append(out.ImageDetails, repo.detail(i))
	}
	if len(in.ImageIds) > 0 {
		return out, nil
	}
	var tagStatus, imageStatus *string
	if in.Filter != nil {
		tagStatus, imageStatus = in.Filter.TagStatus, in.Filter.ImageStatus
	}
	all, next, err := s.list(ctx, place, repo, tagStatus, imageStatus, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		out.ImageDetails = append(out.ImageDetails, repo.detail(i))
	}
	out.NextToken = next
	return out, nil
}

func (s *Service) list(ctx context.Context, place arn.Place, repo repository, tagStatus, imageStatus, token *string, limit *int32) ([]image, *string, error) {
	all, err := s.images.List(ctx, place.Account, place.Region, repo.ID)
	if err != nil {
		return nil, nil, err
	}
	all = slices.DeleteFunc(all, func(i image) bool { return !wanted(i, tagStatus, imageStatus) })
	return page(all, (*image).digestKey, token, limit)
}

// ListImages lists the identifiers of images: one a tag, or one without tag.
func (s *Service) ListImages(ctx context.Context, in *ecrapi.ListImagesInput) (*ecrapi.ListImagesOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	var tagStatus, imageStatus *string
	if in.Filter != nil {
		tagStatus, imageStatus = in.Filter.TagStatus, in.Filter.ImageStatus
	}
	all, next, err := s.list(ctx, place, repo, tagStatus, imageStatus, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.ListImagesOutput{ImageIds: []ecrapi.ImageIdentifier{}, NextToken: next}
	for _, i := range all {
		d := i.Digest.String()
		for _, t := range i.Tags {
			out.ImageIds = append(out.ImageIds, ecrapi.ImageIdentifier{ImageDigest: &d, ImageTag: &t})
		}
		if len(i.Tags) == 0 {
			out.ImageIds = append(out.ImageIds, ecrapi.ImageIdentifier{ImageDigest: &d})
		}
	}
	return out, nil
}

// BatchGetImage returns manifests.
func (s *Service) BatchGetImage(ctx context.Context, in *ecrapi.BatchGetImageInput) (*ecrapi.BatchGetImageOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.BatchGetImageOutput{Images: []ecrapi.Image{}, Failures: []ecrapi.ImageFailure{}}
	for _, id := range in.ImageIds {
		i, failure, err := s.find(ctx, place, repo, id)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
			continue
		}
		body, err := s.registry.ReadManifest(ctx, i.Digest)
		if err != nil {
			return nil, err
		}
		out.Images = append(out.Images, ecrapi.Image{
			ImageId:       &ecrapi.ImageIdentifier{ImageDigest: aws.Ptr(i.Digest.String()), ImageTag: id.ImageTag},
			ImageManifest: aws.Ptr(string(body)), ImageManifestMediaType: &i.MediaType,
			RegistryId: repo.RegistryId, RepositoryName: repo.RepositoryName,
		})
	}
	return out, nil
}

// BatchDeleteImage deletes images by digest, or takes tags; an image whose
// last tag is taken is deleted.
func (s *Service) BatchDeleteImage(ctx context.Context, in *ecrapi.BatchDeleteImageInput) (*ecrapi.BatchDeleteImageOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	if _, err := s.get(ctx, place, in.RepositoryName); err != nil {
		return nil, err
	}
	out := &ecrapi.BatchDeleteImageOutput{ImageIds: []ecrapi.ImageIdentifier{}, Failures: []ecrapi.ImageFailure{}}
	for _, id := range in.ImageIds {
		deleted, failure, err := s.deleteImage(ctx, place, aws.Val(in.RepositoryName), id)
		if err != nil {
			return nil, err
		}
		if failure != nil {
			out.Failures = append(out.Failures, *failure)
		}
		out.ImageIds = append(out.ImageIds, deleted...)
	}
	return out, nil
}

// deleteImage deletes what one identifier names.
func (s *Service) deleteImage(ctx context.Context, place arn.Place, name string, id ecrapi.ImageIdentifier) (deleted []ecrapi.ImageIdentifier, failure *ecrapi.ImageFailure, err error) {
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		deleted = nil
		repo, err := s.txGet(tx, place, name)
		if err != nil {
			return err
		}
		var i image
		if i, failure, err = s.find(ctx, place, repo, id); err != nil || failure != nil {
			return err
		}
		// Read again, so that the commit checks it.
		i, found, err := s.images.TxGet(tx, place.Account, place.Region, repo.ID, i.Digest.String())
		if err != nil {
			return err
		}
		if !found {
			failure = &ecrapi.ImageFailure{FailureCode: aws.Ptr(ecrapi.ImageFailureCodeImageNotFound), FailureReason: aws.Ptr("Requested image not found"), ImageId: &id}
			return nil
		}
		d := i.Digest.String()
		if id.ImageTag != nil && slices.Contains(i.Tags, *id.ImageTag) && len(i.Tags) > 1 {
			deleted = []ecrapi.ImageIdentifier{{ImageDigest: &d, ImageTag: id.ImageTag}}
			return s.txDeleteTag(tx, place, repo, *id.ImageTag, i.Digest)
		}
		lists, err := s.referencing(ctx, place, repo.ID, i.Digest)
		if err != nil {
			return err
		}
		if len(lists) > 0 {
			failure = &ecrapi.ImageFailure{FailureCode: aws.Ptr(ecrapi.ImageFailureCodeImageReferencedByManifestList), FailureReason: aws.Ptr(referencedBy(lists)), ImageId: &id}
			return nil
		}
		for _, t := range i.Tags {
			deleted = append(deleted, ecrapi.ImageIdentifier{ImageDigest: &d, ImageTag: &t})
		}
		if len(i.Tags) == 0 {
			deleted = []ecrapi.ImageIdentifier{{ImageDigest: &d}}
		}
		return s.txDeleteImage(tx, place, repo, i)
	})
	return deleted, failure, err
}

// imageTag is what a tag may be.
var imageTag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// PutImage adds a manifest whose layers are there, or tags one.
func (s *Service) PutImage(ctx context.Context, in *ecrapi.PutImageInput) (*ecrapi.PutImageOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if in.ImageTag != nil && !imageTag.MatchString(*in.ImageTag) {
		return nil, ecrapi.InvalidParameterException("Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '%s''", imageTag)
	}
	body := []byte(aws.Val(in.ImageManifest))
	d := digest.FromBytes(body)
	if in.ImageDigest != nil && *in.ImageDigest != d.String() {
		return nil, ecrapi.ImageDigestDoesNotMatchException("The calculated digest '%s' does not match the provided digest '%s'", d, *in.ImageDigest)
	}
	var tags []string
	if in.ImageTag != nil {
		tags = []string{*in.ImageTag}
	}
	if old, found, err := s.image(ctx, place, repo.ID, d.String()); err != nil {
		return nil, err
	} else if found && (in.ImageTag == nil || slices.Contains(old.Tags, *in.ImageTag)) {
		return nil, ecrapi.ImageAlreadyExistsException("Image with digest '%s' and tag '%s' already exists in the repository with name '%s' in registry with id '%s'", d, orNull(in.ImageTag), repo.name(), place.Account)
	}
	m, err := s.registry.PutManifest(ctx, registry.Repository{Host: registryHost(place), Name: repo.name()}, aws.Val(in.ImageManifestMediaType), body, d, tags)
	if err != nil {
		return nil, putImageError(err, repo, place)
	}
	return &ecrapi.PutImageOutput{Image: &ecrapi.Image{
		ImageId:       &ecrapi.ImageIdentifier{ImageDigest: aws.Ptr(d.String()), ImageTag: in.ImageTag},
		ImageManifest: in.ImageManifest, ImageManifestMediaType: &m.MediaType,
		RegistryId: repo.RegistryId, RepositoryName: repo.RepositoryName,
	}}, nil
}

// putImageError makes an error of the registry one of the API.
func putImageError(err error, repo repository, place arn.Place) error {
	var e *registry.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "NAME_UNKNOWN":
		return notFound(place, repo.name())
	case "TAG_INVALID":
		return ecrapi.ImageTagAlreadyExistsException("%s", e.Message)
	case "MANIFEST_BLOB_UNKNOWN":
		return ecrapi.LayersNotFoundException("Layers with digests '[%s]' required for pushing image into repository with name '%s' in the registry with id '%s' do not exist", missing(e), repo.name(), place.Account)
	case "MANIFEST_INVALID", "DIGEST_INVALID":
		return ecrapi.InvalidParameterException("Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax' (%s)", e.Message)
	}
	return err
}

func missing(e *registry.Error) string {
	if detail, ok := e.Detail.(map[string]string); ok {
		return detail["digest"]
	}
	return strings.TrimSpace(fmt.Sprint(e.Detail))
}
