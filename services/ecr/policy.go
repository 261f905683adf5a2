package ecr

import (
	"context"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/policy"
)

func noPolicy(r *repository) error {
	return ecrapi.RepositoryPolicyNotFoundException("Repository policy does not exist for the repository with name '%s' in the registry with id '%s'", r.name(), aws.Val(r.RegistryId))
}

// SetRepositoryPolicy gives a repository its policy.
func (s *Service) SetRepositoryPolicy(ctx context.Context, in *ecrapi.SetRepositoryPolicyInput) (*ecrapi.SetRepositoryPolicyOutput, error) {
	text := aws.Val(in.PolicyText)
	if _, err := policy.Parse(text, policy.Resource); err != nil {
		return nil, ecrapi.InvalidParameterException("Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'").Because(err)
	}
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		r.Policy = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.SetRepositoryPolicyOutput{PolicyText: &text, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName}, nil
}

// GetRepositoryPolicy returns a repository's policy.
func (s *Service) GetRepositoryPolicy(ctx context.Context, in *ecrapi.GetRepositoryPolicyInput) (*ecrapi.GetRepositoryPolicyOutput, error) {
	r, err := s.get(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName)
	if err == nil && r.Policy == "" {
		err = noPolicy(&r)
	}
	if err != nil {
		return nil, err
	}
	return &ecrapi.GetRepositoryPolicyOutput{PolicyText: &r.Policy, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName}, nil
}

// DeleteRepositoryPolicy takes a repository's policy.
func (s *Service) DeleteRepositoryPolicy(ctx context.Context, in *ecrapi.DeleteRepositoryPolicyInput) (*ecrapi.DeleteRepositoryPolicyOutput, error) {
	var text string
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		if r.Policy == "" {
			return noPolicy(r)
		}
		text, r.Policy = r.Policy, ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.DeleteRepositoryPolicyOutput{PolicyText: &text, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName}, nil
}
