package secretsmanager

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/store"
)

const maxTags = 50

func checkTags(tags []api.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		k := aws.Val(t.Key)
		switch {
		case k == "":
			return api.InvalidParameterException("Tag keys can't be empty.")
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return api.InvalidParameterException("Tag keys can't start with the reserved prefix aws:.")
		case seen[k]:
			return api.InvalidParameterException("Duplicate tag keys found: %s", k)
		}
		seen[k] = true
	}
	return tooMany(len(tags))
}

func tooMany(n int) error {
	if n > maxTags {
		return api.InvalidParameterException("You can't attach more than %d tags to a secret.", maxTags)
	}
	return nil
}

// mergeTags is old with the tags of add, by key; the order is that in which
// keys came.
func mergeTags(old, add []api.Tag) []api.Tag {
	out := slices.Clone(old)
	for _, t := range add {
		t.Value = aws.Ptr(aws.Val(t.Value))
		if i := slices.IndexFunc(out, func(o api.Tag) bool { return aws.Val(o.Key) == aws.Val(t.Key) }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	return out
}

// TagResource adds tags to a secret.
func (s *Service) TagResource(ctx context.Context, in *api.TagResourceInput) (*api.TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	_, err := s.changeActive(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.Tags = mergeTags(r.Tags, in.Tags)
		return tooMany(len(r.Tags))
	})
	if err != nil {
		return nil, err
	}
	return &api.TagResourceOutput{}, nil
}

// UntagResource removes tags from a secret.
func (s *Service) UntagResource(ctx context.Context, in *api.UntagResourceInput) (*api.UntagResourceOutput, error) {
	_, err := s.changeActive(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.Tags = slices.DeleteFunc(r.Tags, func(t api.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.UntagResourceOutput{}, nil
}
