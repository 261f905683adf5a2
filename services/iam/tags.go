package iam

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/store"
)

// maxTags is the most tags an entity may have.
const maxTags = 50

// mergeTags adds tags to those that are there; a key is unique without regard
// to case.
func mergeTags(have, add []iamapi.Tag) ([]iamapi.Tag, error) {
	out := slices.Clone(have)
	seen := map[string]bool{}
	for _, t := range add {
		k := fold(aws.Val(t.Key))
		if seen[k] {
			return nil, iamapi.InvalidInputException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[k] = true
		if strings.HasPrefix(k, "aws:") {
			return nil, iamapi.InvalidInputException("Tag keys starting with 'aws:' are reserved for system use.")
		}
		replaced := false
		for i := range out {
			if fold(aws.Val(out[i].Key)) == k {
				out[i], replaced = t, true
			}
		}
		if !replaced {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, iamapi.LimitExceededException("The number of tags has reached the maximum limit.")
	}
	return out, nil
}

// dropTags removes keys.
func dropTags(have []iamapi.Tag, keys []string) []iamapi.Tag {
	out := []iamapi.Tag{}
	for _, t := range have {
		drop := false
		for _, k := range keys {
			drop = drop || fold(k) == fold(aws.Val(t.Key))
		}
		if !drop {
			out = append(out, t)
		}
	}
	return out
}

func tagKey(t *iamapi.Tag) string { return aws.Val(t.Key) }

// TagUser adds tags to a user.
func (s *Service) TagUser(ctx context.Context, in *iamapi.TagUserInput) (*iamapi.TagUserOutput, error) {
	return &iamapi.TagUserOutput{}, s.changeUser(ctx, *in.UserName, func(_ *store.Tx, u *user) (err error) {
		u.Tags, err = mergeTags(u.Tags, in.Tags)
		return err
	})
}

// UntagUser removes tags from a user.
func (s *Service) UntagUser(ctx context.Context, in *iamapi.UntagUserInput) (*iamapi.UntagUserOutput, error) {
	return &iamapi.UntagUserOutput{}, s.changeUser(ctx, *in.UserName, func(_ *store.Tx, u *user) error {
		u.Tags = dropTags(u.Tags, in.TagKeys)
		return nil
	})
}

// ListUserTags lists a user's tags.
func (s *Service) ListUserTags(ctx context.Context, in *iamapi.ListUserTagsInput) (*iamapi.ListUserTagsOutput, error) {
	u, err := s.user(ctx, *in.UserName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListUserTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated, err = page(u.Tags, tagKey, in.Marker, in.MaxItems)
	return out, err
}

// TagRole adds tags to a role; service-linked roles may be tagged too.
func (s *Service) TagRole(ctx context.Context, in *iamapi.TagRoleInput) (*iamapi.TagRoleOutput, error) {
	return &iamapi.TagRoleOutput{}, s.changeRole(ctx, *in.RoleName, anyRole, func(_ *store.Tx, r *role) (err error) {
		r.Tags, err = mergeTags(r.Tags, in.Tags)
		return err
	})
}

// UntagRole removes tags from a role.
func (s *Service) UntagRole(ctx context.Context, in *iamapi.UntagRoleInput) (*iamapi.UntagRoleOutput, error) {
	return &iamapi.UntagRoleOutput{}, s.changeRole(ctx, *in.RoleName, anyRole, func(_ *store.Tx, r *role) error {
		r.Tags = dropTags(r.Tags, in.TagKeys)
		return nil
	})
}

// ListRoleTags lists a role's tags.
func (s *Service) ListRoleTags(ctx context.Context, in *iamapi.ListRoleTagsInput) (*iamapi.ListRoleTagsOutput, error) {
	r, err := s.role(ctx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListRoleTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated, err = page(r.Tags, tagKey, in.Marker, in.MaxItems)
	return out, err
}

// TagInstanceProfile adds tags to an instance profile.
func (s *Service) TagInstanceProfile(ctx context.Context, in *iamapi.TagInstanceProfileInput) (*iamapi.TagInstanceProfileOutput, error) {
	return &iamapi.TagInstanceProfileOutput{}, s.changeProfile(ctx, *in.InstanceProfileName, func(_ *store.Tx, p *profile) (err error) {
		p.Tags, err = mergeTags(p.Tags, in.Tags)
		return err
	})
}

// UntagInstanceProfile removes tags from an instance profile.
func (s *Service) UntagInstanceProfile(ctx context.Context, in *iamapi.UntagInstanceProfileInput) (*iamapi.UntagInstanceProfileOutput, error) {
	return &iamapi.UntagInstanceProfileOutput{}, s.changeProfile(ctx, *in.InstanceProfileName, func(_ *store.Tx, p *profile) error {
		p.Tags = dropTags(p.Tags, in.TagKeys)
		return nil
	})
}

// ListInstanceProfileTags lists an instance profile's tags.
func (s *Service) ListInstanceProfileTags(ctx context.Context, in *iamapi.ListInstanceProfileTagsInput) (*iamapi.ListInstanceProfileTagsOutput, error) {
	p, err := s.profile(ctx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListInstanceProfileTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated, err = page(p.Tags, tagKey, in.Marker, in.MaxItems)
	return out, err
}

// TagPolicy adds tags to a customer's policy.
func (s *Service) TagPolicy(ctx context.Context, in *iamapi.TagPolicyInput) (*iamapi.TagPolicyOutput, error) {
	return &iamapi.TagPolicyOutput{}, s.changePolicy(ctx, *in.PolicyArn, func(_ *store.Tx, p *managedPolicy) (err error) {
		p.Tags, err = mergeTags(p.Tags, in.Tags)
		return err
	})
}

// UntagPolicy removes tags from a customer's policy.
func (s *Service) UntagPolicy(ctx context.Context, in *iamapi.UntagPolicyInput) (*iamapi.UntagPolicyOutput, error) {
	return &iamapi.UntagPolicyOutput{}, s.changePolicy(ctx, *in.PolicyArn, func(_ *store.Tx, p *managedPolicy) error {
		p.Tags = dropTags(p.Tags, in.TagKeys)
		return nil
	})
}

// ListPolicyTags lists a customer's policy's tags.
func (s *Service) ListPolicyTags(ctx context.Context, in *iamapi.ListPolicyTagsInput) (*iamapi.ListPolicyTagsOutput, error) {
	p, err := s.policy(ctx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListPolicyTagsOutput{}
	out.Tags, out.Marker, out.IsTruncated, err = page(p.Tags, tagKey, in.Marker, in.MaxItems)
	return out, err
}
