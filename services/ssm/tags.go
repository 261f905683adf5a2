package ssm

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/ssm"
	"minato/aws/arn"
	"minato/store"
)

const maxTags = 50

func checkTags(tags []api.Tag) error {
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(aws.Val(t.Key)), "aws:") {
			return invalid("Tag keys can't begin with the reserved prefix aws: (%s).", aws.Val(t.Key))
		}
	}
	if len(tags) > maxTags {
		return tooManyTags()
	}
	return nil
}

func tooManyTags() error {
	return api.TooManyTagsError("The Targets parameter includes too many tags. Remove one or more tags and try the command again.")
}

// mergeTags is old with the tags of add, by key.
func mergeTags(old, add []api.Tag) []api.Tag {
	out := slices.Clone(old)
	for _, t := range add {
		if i := slices.IndexFunc(out, func(o api.Tag) bool { return aws.Val(o.Key) == aws.Val(t.Key) }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	return out
}

// tagged refuses what has no tags here, and returns the parameter's name.
func tagged(kind, id *string) (string, error) {
	if aws.Val(kind) != api.ResourceTypeForTaggingParameter {
		return "", api.InvalidResourceType("The resource type isn't valid: minato has parameters only, no %s.", aws.Val(kind))
	}
	return aws.Val(id), nil
}

// changeTagged is change, with the error that the tag operations have for what
// is not there.
func (s *Service) changeTagged(ctx context.Context, name string, f func(r *parameter) error) error {
	err := s.change(ctx, name, func(_ *store.Tx, _ arn.Place, r *parameter) error { return f(r) })
	if aws.IsCode(err, "ParameterNotFound") {
		return noResource(name)
	}
	return err
}

func noResource(name string) error {
	return api.InvalidResourceId("The resource ID isn't valid: there is no parameter %s. Verify that you entered the correct ID and try again.", name)
}

// AddTagsToResource adds tags to a parameter.
func (s *Service) AddTagsToResource(ctx context.Context, in *api.AddTagsToResourceInput) (*api.AddTagsToResourceOutput, error) {
	name, err := tagged(in.ResourceType, in.ResourceId)
	if err == nil {
		err = checkTags(in.Tags)
	}
	if err == nil {
		err = s.changeTagged(ctx, name, func(r *parameter) error {
			if r.Tags = mergeTags(r.Tags, in.Tags); len(r.Tags) > maxTags {
				return tooManyTags()
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return &api.AddTagsToResourceOutput{}, nil
}

// RemoveTagsFromResource removes tags from a parameter.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *api.RemoveTagsFromResourceInput) (*api.RemoveTagsFromResourceOutput, error) {
	name, err := tagged(in.ResourceType, in.ResourceId)
	if err == nil {
		err = s.changeTagged(ctx, name, func(r *parameter) error {
			r.Tags = slices.DeleteFunc(r.Tags, func(t api.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return &api.RemoveTagsFromResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a parameter.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	name, err := tagged(in.ResourceType, in.ResourceId)
	if err != nil {
		return nil, err
	}
	r, found, err := s.find(ctx, name)
	if err == nil && !found {
		err = noResource(name)
	}
	if err != nil {
		return nil, err
	}
	return &api.ListTagsForResourceOutput{TagList: append([]api.Tag{}, r.Tags...)}, nil
}
