package ecr

import (
	"context"
	"slices"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
)

// StartLifecyclePolicyPreview notes for which policy the repository's images are
// to be looked at: one that is given, or its own.
func (s *Service) StartLifecyclePolicyPreview(ctx context.Context, in *ecrapi.StartLifecyclePolicyPreviewInput) (*ecrapi.StartLifecyclePolicyPreviewOutput, error) {
	text := aws.Val(in.LifecyclePolicyText)
	if text != "" {
		if err := checkLifecycle(text); err != nil {
			return nil, err
		}
	}
	r, err := s.change(ctx, registryOf(ctx, in.RegistryId), in.RepositoryName, func(r *repository) error {
		if text == "" {
			text = r.Lifecycle
		}
		if text == "" {
			return noLifecycle(r)
		}
		r.Preview = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecrapi.StartLifecyclePolicyPreviewOutput{
		LifecyclePolicyText: &text, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName, Status: aws.Ptr(ecrapi.LifecyclePolicyPreviewStatusInProgress),
	}, nil
}

// GetLifecyclePolicyPreview says which images the policy would expire, as they are
// now; nothing is deleted.
func (s *Service) GetLifecyclePolicyPreview(ctx context.Context, in *ecrapi.GetLifecyclePolicyPreviewInput) (*ecrapi.GetLifecyclePolicyPreviewOutput, error) {
	place := registryOf(ctx, in.RegistryId)
	r, err := s.get(ctx, place, in.RepositoryName)
	if err == nil && r.Preview == "" {
		err = ecrapi.LifecyclePolicyPreviewNotFoundException("Lifecycle policy preview does not exist for the repository with name '%s' in the registry with id '%s'", r.name(), aws.Val(r.RegistryId))
	}
	if err != nil {
		return nil, err
	}
	rules, err := parseLifecycle(r.Preview)
	if err != nil {
		return nil, aws.Internal(err)
	}
	images, err := s.images.List(ctx, place.Account, place.Region, r.ID)
	if err != nil {
		return nil, err
	}
	over := planExpiry(rules, images, s.clock.Now().UTC().Truncate(time.Second))
	results := []ecrapi.LifecyclePolicyPreviewResult{}
	for i := range images {
		img := &images[i]
		at := slices.IndexFunc(over, func(e expiry) bool { return e.image == img.Digest })
		if at < 0 || !previewed(in, img) {
			continue
		}
		results = append(results, ecrapi.LifecyclePolicyPreviewResult{
			Action: &ecrapi.LifecyclePolicyRuleAction{Type: aws.Ptr(ecrapi.ImageActionTypeExpire)}, AppliedRulePriority: aws.Ptr(int32(over[at].rule)),
			ImageDigest: aws.Ptr(img.Digest.String()), ImagePushedAt: &img.PushedAt, ImageTags: img.Tags,
		})
	}
	slices.SortFunc(results, func(a, b ecrapi.LifecyclePolicyPreviewResult) int {
		return b.ImagePushedAt.Compare(*a.ImagePushedAt)
	})
	return &ecrapi.GetLifecyclePolicyPreviewOutput{
		LifecyclePolicyText: &r.Preview, RegistryId: r.RegistryId, RepositoryName: r.RepositoryName, Status: aws.Ptr(ecrapi.LifecyclePolicyPreviewStatusComplete),
		PreviewResults: results, Summary: &ecrapi.LifecyclePolicyPreviewSummary{ExpiringImageTotalCount: aws.Ptr(int32(len(over)))},
	}, nil
}

// previewed tells whether a preview's ids and filter mean an image.
func previewed(in *ecrapi.GetLifecyclePolicyPreviewInput, i *image) bool {
	if in.Filter != nil {
		switch aws.Val(in.Filter.TagStatus) {
		case ecrapi.TagStatusTagged:
			return len(i.Tags) > 0
		case ecrapi.TagStatusUntagged:
			return len(i.Tags) == 0
		}
	}
	return len(in.ImageIds) == 0 || slices.ContainsFunc(in.ImageIds, func(id ecrapi.ImageIdentifier) bool {
		return aws.Val(id.ImageDigest) == i.Digest.String() || id.ImageTag != nil && slices.Contains(i.Tags, *id.ImageTag)
	})
}

// DescribeRegistry shows the registry: nothing is replicated from it.
func (s *Service) DescribeRegistry(ctx context.Context, _ *ecrapi.DescribeRegistryInput) (*ecrapi.DescribeRegistryOutput, error) {
	return &ecrapi.DescribeRegistryOutput{
		RegistryId: aws.Ptr(registryOf(ctx, nil).Account), ReplicationConfiguration: &ecrapi.ReplicationConfiguration{Rules: []ecrapi.ReplicationRule{}},
	}, nil
}

// GetRegistryScanningConfiguration shows what every registry begins with; no rule
// can be put, since nothing here scans.
func (s *Service) GetRegistryScanningConfiguration(ctx context.Context, _ *ecrapi.GetRegistryScanningConfigurationInput) (*ecrapi.GetRegistryScanningConfigurationOutput, error) {
	return &ecrapi.GetRegistryScanningConfigurationOutput{
		RegistryId: aws.Ptr(registryOf(ctx, nil).Account), ScanningConfiguration: &ecrapi.RegistryScanningConfiguration{Rules: []ecrapi.RegistryScanningRule{}, ScanType: aws.Ptr(ecrapi.ScanTypeBasic)},
	}, nil
}
