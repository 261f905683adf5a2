package cloud9

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	cloud9api "minato/aws/api/cloud9"
)

func checkTags(tags []cloud9api.Tag) error {
	for _, t := range tags {
		if strings.HasPrefix(strings.ToLower(aws.Val(t.Key)), "aws:") && !strings.HasPrefix(aws.Val(t.Key), "aws:cloudformation:") {
			return cloud9api.BadRequestException("Tag keys that begin with aws: are reserved.")
		}
	}
	return nil
}

// TagResource adds tags to an environment.
func (s *Service) TagResource(ctx context.Context, in *cloud9api.TagResourceInput) (*cloud9api.TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return &cloud9api.TagResourceOutput{}, s.change(ctx, idOf(aws.Val(in.ResourceARN)), func(e *environment) error {
		for _, t := range in.Tags {
			e.Tags = slices.DeleteFunc(e.Tags, func(o cloud9api.Tag) bool { return aws.Val(o.Key) == aws.Val(t.Key) })
			e.Tags = append(e.Tags, t)
		}
		if len(e.Tags) > 50 {
			return cloud9api.BadRequestException("An environment has 50 tags at most.")
		}
		return nil
	})
}

// UntagResource removes tags from an environment.
func (s *Service) UntagResource(ctx context.Context, in *cloud9api.UntagResourceInput) (*cloud9api.UntagResourceOutput, error) {
	return &cloud9api.UntagResourceOutput{}, s.change(ctx, idOf(aws.Val(in.ResourceARN)), func(e *environment) error {
		e.Tags = slices.DeleteFunc(e.Tags, func(o cloud9api.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(o.Key)) })
		return nil
	})
}

// ListTagsForResource lists the tags of an environment.
func (s *Service) ListTagsForResource(ctx context.Context, in *cloud9api.ListTagsForResourceInput) (*cloud9api.ListTagsForResourceOutput, error) {
	e, err := s.find(ctx, idOf(aws.Val(in.ResourceARN)))
	if err != nil {
		return nil, err
	}
	return &cloud9api.ListTagsForResourceOutput{Tags: append([]cloud9api.Tag{}, e.Tags...)}, nil
}
