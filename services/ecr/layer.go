package ecr

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/dataplane/registry"
)

const (
	partSize         = 10 << 20  // what ECR asks clients to send at a time
	downloadLifetime = time.Hour // of a download URL
)

// BatchCheckLayerAvailability tells which layers a repository has.
func (s *Service) BatchCheckLayerAvailability(ctx context.Context, in *ecrapi.BatchCheckLayerAvailabilityInput) (*ecrapi.BatchCheckLayerAvailabilityOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	out := &ecrapi.BatchCheckLayerAvailabilityOutput{Layers: []ecrapi.Layer{}, Failures: []ecrapi.LayerFailure{}}
	for _, d := range in.LayerDigests {
		if digest.Digest(d).Validate() != nil {
			out.Failures = append(out.Failures, ecrapi.LayerFailure{
				LayerDigest: &d, FailureCode: aws.Ptr(ecrapi.LayerFailureCodeInvalidLayerDigest),
				FailureReason: aws.Ptr("Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"),
			})
			continue
		}
		layer := ecrapi.Layer{LayerDigest: &d, LayerAvailability: aws.Ptr(ecrapi.LayerAvailabilityUnavailable)}
		blob, found, err := s.layer(ctx, place, repo.ID, digest.Digest(d))
		if err != nil {
			return nil, err
		}
		if found {
			layer.LayerAvailability, layer.LayerSize = aws.Ptr(ecrapi.LayerAvailabilityAvailable), &blob.Size
		}
		out.Layers = append(out.Layers, layer)
	}
	return out, nil
}

// GetDownloadUrlForLayer makes a URL from which anybody may fetch a layer for
// an hour: the token in it opens this one path.
func (s *Service) GetDownloadUrlForLayer(ctx context.Context, in *ecrapi.GetDownloadUrlForLayerInput) (*ecrapi.GetDownloadUrlForLayerOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	repo, err := s.get(ctx, place, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	d := aws.Val(in.LayerDigest)
	_, found, err := s.blobs.Get(ctx, place.Account, place.Region, repo.ID, d)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ecrapi.LayersNotFoundException("Layer with digest '%s' does not exist in the repository with name '%s' in the registry with id '%s'", d, repo.name(), place.Account)
	}
	path := "/v2/" + repo.name() + "/blobs/" + d
	token, err := s.sealToken(ctx, sealed{Caller: identity.From(ctx), Expires: s.clock.Now().Add(downloadLifetime), Path: path})
	if err != nil {
		return nil, err
	}
	return &ecrapi.GetDownloadUrlForLayerOutput{
		DownloadUrl: aws.Ptr("https://" + registryHost(place) + path + "?" + url.Values{downloadToken: {token}}.Encode()), LayerDigest: &d,
	}, nil
}

// upload is what the operations of an upload have in common.
func (s *Service) upload(ctx context.Context, registryID, name *string) (arn.Place, repository, registry.Repository, error) {
	place := registryOf(ctx, registryID)
	repo, err := s.get(ctx, place, name)
	return place, repo, registry.Repository{Host: registryHost(place), Name: aws.Val(name)}, err
}

// InitiateLayerUpload begins the upload of a layer by the API.
func (s *Service) InitiateLayerUpload(ctx context.Context, in *ecrapi.InitiateLayerUploadInput) (*ecrapi.InitiateLayerUploadOutput, error) {
	_, _, to, err := s.upload(ctx, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	id, err := s.registry.StartUpload(ctx, to)
	if err != nil {
		return nil, err
	}
	return &ecrapi.InitiateLayerUploadOutput{UploadId: &id, PartSize: aws.Ptr(int64(partSize))}, nil
}

// UploadLayerPart adds a part to a layer; parts come in order.
func (s *Service) UploadLayerPart(ctx context.Context, in *ecrapi.UploadLayerPartInput) (*ecrapi.UploadLayerPartOutput, error) {
	place, repo, to, err := s.upload(ctx, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	first, last := aws.Val(in.PartFirstByte), aws.Val(in.PartLastByte)
	if int64(len(in.LayerPartBlob)) != last-first+1 {
		return nil, ecrapi.InvalidParameterException("Invalid parameter at 'layerPartBlob' failed to satisfy constraint: 'the part has %d bytes, partFirstByte and partLastByte say %d'", len(in.LayerPartBlob), last-first+1)
	}
	size, err := s.registry.WriteUpload(ctx, to, aws.Val(in.UploadId), first, in.LayerPartBlob)
	if err != nil {
		return nil, uploadError(err, repo, place, aws.Val(in.UploadId), size)
	}
	return &ecrapi.UploadLayerPartOutput{LastByteReceived: aws.Ptr(size - 1), RegistryId: repo.RegistryId, RepositoryName: repo.RepositoryName, UploadId: in.UploadId}, nil
}

// CompleteLayerUpload makes what was uploaded a layer of the repository.
func (s *Service) CompleteLayerUpload(ctx context.Context, in *ecrapi.CompleteLayerUploadInput) (*ecrapi.CompleteLayerUploadOutput, error) {
	place, repo, to, err := s.upload(ctx, in.RegistryId, in.RepositoryName)
	if err != nil {
		return nil, err
	}
	if len(in.LayerDigests) != 1 || digest.Digest(in.LayerDigests[0]).Validate() != nil {
		return nil, ecrapi.InvalidParameterException("Invalid parameter at 'layerDigests' failed to satisfy constraint: 'one digest such as sha256:… is expected'")
	}
	d := in.LayerDigests[0]
	if _, found, err := s.blobs.Get(ctx, place.Account, place.Region, repo.ID, d); err != nil {
		return nil, err
	} else if found {
		return nil, ecrapi.LayerAlreadyExistsException("Layer with digest '%s' already exists in the repository with name '%s' in the registry with id '%s'", d, repo.name(), place.Account)
	}
	if _, err := s.registry.CompleteUpload(ctx, to, aws.Val(in.UploadId), digest.Digest(d)); err != nil {
		return nil, uploadError(err, repo, place, aws.Val(in.UploadId), 0)
	}
	return &ecrapi.CompleteLayerUploadOutput{LayerDigest: &d, RegistryId: repo.RegistryId, RepositoryName: repo.RepositoryName, UploadId: in.UploadId}, nil
}

// uploadError makes an error of the registry one of the API.
func uploadError(err error, repo repository, place arn.Place, id string, size int64) error {
	var e *registry.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Code == "BLOB_UPLOAD_UNKNOWN":
		return ecrapi.UploadNotFoundException("The upload with id '%s' for the repository with name '%s' in the registry with id '%s' does not exist", id, repo.name(), place.Account)
	case e.Status == http.StatusRequestedRangeNotSatisfiable:
		invalid := ecrapi.InvalidLayerPartException("The part does not begin where the upload with id '%s' stands", id)
		invalid.Fields = map[string]any{"registryId": place.Account, "repositoryName": repo.name(), "uploadId": id, "lastValidByteReceived": size - 1}
		return invalid
	case e.Code == "DIGEST_INVALID":
		return ecrapi.InvalidLayerException("The calculated digest of the uploaded layer does not match the digest that was given")
	case e.Code == "NAME_UNKNOWN":
		return notFound(place, repo.name())
	}
	return err
}
