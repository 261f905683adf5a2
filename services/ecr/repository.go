package ecr

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/store"
)

// repository is the record of a repository.
type repository struct {
	ecrapi.Repository
	ID        string     // of what it holds; see doc.go
	Images    int        // how many manifests it holds
	Policy    string     `json:",omitempty"`
	Lifecycle string     `json:",omitempty"`
	Evaluated *time.Time `json:",omitempty"` // when Lifecycle was last applied
	Preview   string     `json:",omitempty"` // the lifecycle policy that is only to be tried
	Tags      []ecrapi.Tag
}

// name is the repository's name.
func (r *repository) name() string { return aws.Val(r.RepositoryName) }

// immutable tells whether a tag of the repository may not be moved.
func (r *repository) immutable(tag string) bool {
	excluded := slices.ContainsFunc(r.ImageTagMutabilityExclusionFilters, func(f ecrapi.ImageTagMutabilityExclusionFilter) bool {
		return wildcard(aws.Val(f.Filter), tag)
	})
	switch aws.Val(r.ImageTagMutability) {
	case ecrapi.ImageTagMutabilityImmutable:
		return true
	case ecrapi.ImageTagMutabilityImmutableWithExclusion:
		return !excluded
	case ecrapi.ImageTagMutabilityMutableWithExclusion:
		return excluded
	}
	return false
}

// wildcard matches a tag against a pattern in which only * is special; both are
// of letters, digits and ._-, so that path.Match knows no other special there.
func wildcard(pattern, tag string) bool {
	ok, err := path.Match(pattern, tag)
	return err == nil && ok
}

func notFound(place arn.Place, name string) *aws.Error {
	return ecrapi.RepositoryNotFoundException("The repository with name '%s' does not exist in the registry with id '%s'", name, place.Account)
}

// get returns a repository, or RepositoryNotFoundException.
func (s *Service) get(ctx context.Context, place arn.Place, name *string) (repository, error) {
	r, found, err := s.repositories.Get(ctx, place.Account, place.Region, aws.Val(name))
	if err == nil && !found {
		err = notFound(place, aws.Val(name))
	}
	return r, err
}

// txGet is get within a transaction.
func (s *Service) txGet(tx *store.Tx, place arn.Place, name string) (repository, error) {
	r, found, err := s.repositories.TxGet(tx, place.Account, place.Region, name)
	if err == nil && !found {
		err = notFound(place, name)
	}
	return r, err
}

// change changes a repository's record and returns what it is then.
func (s *Service) change(ctx context.Context, place arn.Place, name *string, f func(r *repository) error) (repository, error) {
	var out repository
	found, err := s.repositories.Update(ctx, func(r *repository) error {
		if err := f(r); err != nil {
			return err
		}
		out = *r
		return nil
	}, place.Account, place.Region, aws.Val(name))
	if err == nil && !found {
		err = notFound(place, aws.Val(name))
	}
	return out, err
}

// CreateRepository makes a repository.
func (s *Service) CreateRepository(ctx context.Context, in *ecrapi.CreateRepositoryInput) (*ecrapi.CreateRepositoryOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	name := aws.Val(in.RepositoryName)
	if err := checkEncryption(in.EncryptionConfiguration); err != nil {
		return nil, err
	}
	mutability := aws.Val(in.ImageTagMutability)
	if mutability == "" {
		mutability = ecrapi.ImageTagMutabilityMutable
	}
	if err := checkMutability(mutability, in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	scan := ecrapi.ImageScanningConfiguration{ScanOnPush: aws.Ptr(in.ImageScanningConfiguration != nil && aws.Val(in.ImageScanningConfiguration.ScanOnPush))}
	r := repository{
		Repository: ecrapi.Repository{
			CreatedAt:                          aws.Ptr(s.clock.Now().UTC().Truncate(time.Millisecond)),
			EncryptionConfiguration:            &ecrapi.EncryptionConfiguration{EncryptionType: aws.Ptr(ecrapi.EncryptionTypeAes256)},
			ImageScanningConfiguration:         &scan,
			ImageTagMutability:                 &mutability,
			ImageTagMutabilityExclusionFilters: in.ImageTagMutabilityExclusionFilters,
			RegistryId:                         &place.Account,
			RepositoryArn:                      aws.Ptr(place.ECRRepository(name)),
			RepositoryName:                     &name,
			RepositoryUri:                      aws.Ptr(registryHost(place) + "/" + name),
		},
		ID: ids.Hex(16), Tags: tags,
	}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		_, found, err := s.repositories.TxGet(tx, place.Account, place.Region, name)
		if err != nil {
			return err
		}
		if found {
			return ecrapi.RepositoryAlreadyExistsException("The repository with name '%s' already exists in the registry with id '%s'", name, place.Account)
		}
		return s.repositories.TxPut(tx, r, place.Account, place.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.CreateRepositoryOutput{Repository: &r.Repository}, nil
}

func checkEncryption(c *ecrapi.EncryptionConfiguration) error {
	if c != nil && aws.Val(c.EncryptionType) != ecrapi.EncryptionTypeAes256 {
		return ecrapi.InvalidParameterException("Invalid parameter at 'encryptionConfiguration' failed to satisfy constraint: 'minato has no KMS: the encryption type must be AES256'")
	}
	return nil
}

func checkMutability(mutability string, filters []ecrapi.ImageTagMutabilityExclusionFilter) error {
	if strings.HasSuffix(mutability, "_WITH_EXCLUSION") != (len(filters) > 0) {
		return ecrapi.InvalidParameterException("Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: 'Exclusion filters are given with, and only with, IMMUTABLE_WITH_EXCLUSION or MUTABLE_WITH_EXCLUSION'")
	}
	return nil
}

// DescribeRepositories lists repositories, all or by name.
func (s *Service) DescribeRepositories(ctx context.Context, in *ecrapi.DescribeRepositoriesInput) (*ecrapi.DescribeRepositoriesOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	out := &ecrapi.DescribeRepositoriesOutput{Repositories: []ecrapi.Repository{}}
	if len(in.RepositoryNames) > 0 {
		for _, name := range in.RepositoryNames {
			r, err := s.get(ctx, place, &name)
			if err != nil {
				return nil, err
			}
			out.Repositories = append(out.Repositories, r.Repository)
		}
		return out, nil
	}
	all, err := s.repositories.List(ctx, place.Account, place.Region)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b repository) int { return strings.Compare(a.name(), b.name()) })
	all, out.NextToken, err = page(all, (*repository).name, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		out.Repositories = append(out.Repositories, r.Repository)
	}
	return out, nil
}

// DeleteRepository deletes a repository: when it is empty, or with force.
func (s *Service) DeleteRepository(ctx context.Context, in *ecrapi.DeleteRepositoryInput) (*ecrapi.DeleteRepositoryOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	name := aws.Val(in.RepositoryName)
	var r repository
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		var err error
		if r, err = s.txGet(tx, place, name); err != nil {
			return err
		}
		if r.Images > 0 && !aws.Val(in.Force) {
			return ecrapi.RepositoryNotEmptyException("The repository with name '%s' in registry with id '%s' cannot be deleted because it still contains images", name, place.Account)
		}
		s.repositories.TxDelete(tx, place.Account, place.Region, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.DeleteRepositoryOutput{Repository: &r.Repository}, nil
}

// PutImageTagMutability says whether tags may be moved.
func (s *Service) PutImageTagMutability(ctx context.Context, in *ecrapi.PutImageTagMutabilityInput) (*ecrapi.PutImageTagMutabilityOutput, error) {
	if err := checkMutability(aws.Val(in.ImageTagMutability), in.ImageTagMutabilityExclusionFilters); err != nil {
		return nil, err
	}
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		r.ImageTagMutability = in.ImageTagMutability
		r.ImageTagMutabilityExclusionFilters = in.ImageTagMutabilityExclusionFilters
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutImageTagMutabilityOutput{
		ImageTagMutability: r.ImageTagMutability, ImageTagMutabilityExclusionFilters: r.ImageTagMutabilityExclusionFilters,
		RegistryId: r.RegistryId, RepositoryName: r.RepositoryName,
	}, nil
}

// PutImageScanningConfiguration stores whether images are to be scanned; see
// the package comment for what becomes of it.
func (s *Service) PutImageScanningConfiguration(ctx context.Context, in *ecrapi.PutImageScanningConfigurationInput) (*ecrapi.PutImageScanningConfigurationOutput, error) {
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		r.ImageScanningConfiguration = &ecrapi.ImageScanningConfiguration{ScanOnPush: aws.Ptr(aws.Val(in.ImageScanningConfiguration.ScanOnPush))}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutImageScanningConfigurationOutput{
		ImageScanningConfiguration: r.ImageScanningConfiguration, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName,
	}, nil
}
