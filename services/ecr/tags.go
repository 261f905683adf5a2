package ecr

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
)

const maxTags = 50

// mergeTags adds tags to those that are there.
func mergeTags(have, add []ecrapi.Tag) ([]ecrapi.Tag, error) {
	out := slices.Clone(have)
	for _, t := range add {
		if strings.HasPrefix(strings.ToLower(aws.Val(t.Key)), "aws:") {
			return nil, ecrapi.InvalidTagParameterException("Invalid parameter at 'tags' failed to satisfy constraint: 'Tag keys must not begin with aws:'")
		}
		i := slices.IndexFunc(out, func(o ecrapi.Tag) bool { return aws.Val(o.Key) == aws.Val(t.Key) })
		if i < 0 {
			out = append(out, t)
		} else {
			out[i] = t
		}
	}
	if len(out) > maxTags {
		return nil, ecrapi.TooManyTagsException("The repository must not have more than %d tags.", maxTags)
	}
	return out, nil
}

// tagged takes the ARN of a repository apart.
func tagged(resource *string) (arn.Place, *string, error) {
	a, ok := arn.Parse(aws.Val(resource))
	if !ok || a.Service != "ecr" || a.Kind() != "repository" {
		return arn.Place{}, nil, ecrapi.InvalidParameterException("Invalid parameter at 'resourceArn' failed to satisfy constraint: 'Invalid ARN'")
	}
	return arn.In(a.Region, a.Account), aws.Ptr(a.ID()), nil
}

// TagResource adds tags to a repository.
func (s *Service) TagResource(ctx context.Context, in *ecrapi.TagResourceInput) (*ecrapi.TagResourceOutput, error) {
	place, name, err := tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, place, name, func(r *repository) (err error) {
		r.Tags, err = mergeTags(r.Tags, in.Tags)
		return err
	})
	return &ecrapi.TagResourceOutput{}, err
}

// UntagResource removes tags of a repository.
func (s *Service) UntagResource(ctx context.Context, in *ecrapi.UntagResourceInput) (*ecrapi.UntagResourceOutput, error) {
	place, name, err := tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	_, err = s.change(ctx, place, name, func(r *repository) error {
		r.Tags = slices.DeleteFunc(r.Tags, func(t ecrapi.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
		return nil
	})
	return &ecrapi.UntagResourceOutput{}, err
}

// ListTagsForResource lists the tags of a repository.
func (s *Service) ListTagsForResource(ctx context.Context, in *ecrapi.ListTagsForResourceInput) (*ecrapi.ListTagsForResourceOutput, error) {
	place, name, err := tagged(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	r, err := s.get(ctx, place, name)
	if err != nil {
		return nil, err
	}
	return &ecrapi.ListTagsForResourceOutput{Tags: append([]ecrapi.Tag{}, r.Tags...)}, nil
}
