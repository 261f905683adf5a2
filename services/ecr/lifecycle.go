package ecr

import (
	"context"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
)

func noLifecycle(r *repository) error {
	return ecrapi.LifecyclePolicyNotFoundException("Lifecycle policy does not exist for the repository with name '%s' in the registry with id '%s'", r.name(), aws.Val(r.RegistryId))
}

// checkLifecycle refuses a policy that cannot be read, in ECR's words.
func checkLifecycle(text string) error {
	if _, err := parseLifecycle(text); err != nil {
		return ecrapi.InvalidParameterException("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: %v'", err)
	}
	return nil
}

// PutLifecyclePolicy gives a repository its lifecycle policy; Sweep applies it.
func (s *Service) PutLifecyclePolicy(ctx context.Context, in *ecrapi.PutLifecyclePolicyInput) (*ecrapi.PutLifecyclePolicyOutput, error) {
	text := aws.Val(in.LifecyclePolicyText)
	if err := checkLifecycle(text); err != nil {
		return nil, err
	}
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		r.Lifecycle, r.Evaluated = text, nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.PutLifecyclePolicyOutput{LifecyclePolicyText: &text, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName}, nil
}

// GetLifecyclePolicy returns a repository's lifecycle policy.
func (s *Service) GetLifecyclePolicy(ctx context.Context, in *ecrapi.GetLifecyclePolicyInput) (*ecrapi.GetLifecyclePolicyOutput, error) {
	r, err := s.get(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName)
	if err == nil && r.Lifecycle == "" {
		err = noLifecycle(&r)
	}
	if err != nil {
		return nil, err
	}
	return &ecrapi.GetLifecyclePolicyOutput{LifecyclePolicyText: &r.Lifecycle, LastEvaluatedAt: r.Evaluated, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName}, nil
}

// DeleteLifecyclePolicy takes a repository's lifecycle policy.
func (s *Service) DeleteLifecyclePolicy(ctx context.Context, in *ecrapi.DeleteLifecyclePolicyInput) (*ecrapi.DeleteLifecyclePolicyOutput, error) {
	out := &ecrapi.DeleteLifecyclePolicyOutput{}
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		if r.Lifecycle == "" {
			return noLifecycle(r)
		}
		out.LifecyclePolicyText, out.LastEvaluatedAt = aws.Ptr(r.Lifecycle), r.Evaluated
		r.Lifecycle, r.Evaluated = "", nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.RegistryId, out.RepositoryName = r.RegistryId, r.RepositoryName
	return out, nil
}

// applyLifecycles deletes the images that lifecycle policies say are over.
func (s *Service) applyLifecycles(ctx context.Context) error {
	all, err := s.repositories.List(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Lifecycle == "" {
			continue
		}
		if err := s.applyLifecycle(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) applyLifecycle(ctx context.Context, r repository) error {
	rules, err := parseLifecycle(r.Lifecycle)
	if err != nil {
		return err
	}
	a, ok := arn.Parse(aws.Val(r.RepositoryArn))
	if !ok {
		return aws.Errorf("InternalFailure", "the repository %s has no ARN", r.name())
	}
	place := arn.In(a.Region, a.Account)
	images, err := s.images.List(ctx, place.Account, place.Region, r.ID)
	if err != nil {
		return err
	}
	now := s.clock.Now().UTC().Truncate(time.Second)
	for _, e := range planExpiry(rules, images, now) {
		d := e.image
		_, failure, err := s.deleteImage(ctx, place, r.name(), ecrapi.ImageIdentifier{ImageDigest: aws.Ptr(d.String())})
		if err != nil {
			return err
		}
		if failure == nil {
			s.log.Info("an image was expired by its repository's lifecycle policy", "repository", r.name(), "digest", d)
		}
	}
	_, err = s.change(ctx, place, r.RepositoryName, func(current *repository) error {
		if current.Lifecycle == r.Lifecycle {
			current.Evaluated = &now
		}
		return nil
	})
	if aws.IsCode(err, "RepositoryNotFoundException") {
		return nil
	}
	return err
}
