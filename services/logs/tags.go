package logs

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"minato/aws"
	logsapi "minato/aws/api/logs"
)

const maxTags = 50

func checkTags(tags map[string]string) error {
	for k := range tags {
		if strings.HasPrefix(strings.ToLower(k), "aws:") {
			return logsapi.InvalidParameterException("aws: prefixed tag key names are not allowed for external use.")
		}
	}
	return nil
}

// taggedGroup is the group that an ARN names; only groups have tags.
func taggedGroup(resource *string) (string, error) {
	name, ok := groupOfARN(aws.Val(resource))
	if !ok {
		return "", logsapi.InvalidParameterException("The specified resource ARN is invalid: %s", aws.Val(resource))
	}
	return name, nil
}

// TagResource adds tags to a log group.
func (s *Service) TagResource(ctx context.Context, in *logsapi.TagResourceInput) (*logsapi.TagResourceOutput, error) {
	name, err := taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	err = s.updateGroup(ctx, name, func(g *group) error {
		if g.Tags == nil {
			g.Tags = map[string]string{}
		}
		maps.Copy(g.Tags, in.Tags)
		if len(g.Tags) > maxTags {
			e := logsapi.TooManyTagsException("The resource would have %d tags, more than %d.", len(g.Tags), maxTags)
			e.Fields = map[string]any{"resourceName": aws.Val(in.ResourceArn)}
			return e
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.TagResourceOutput{}, nil
}

// UntagResource removes tags from a log group.
func (s *Service) UntagResource(ctx context.Context, in *logsapi.UntagResourceInput) (*logsapi.UntagResourceOutput, error) {
	name, err := taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	err = s.updateGroup(ctx, name, func(g *group) error {
		for _, k := range in.TagKeys {
			delete(g.Tags, k)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.UntagResourceOutput{}, nil
}

// ListTagsForResource lists the tags of a log group.
func (s *Service) ListTagsForResource(ctx context.Context, in *logsapi.ListTagsForResourceInput) (*logsapi.ListTagsForResourceOutput, error) {
	name, err := taggedGroup(in.ResourceArn)
	if err != nil {
		return nil, err
	}
	g, err := s.findGroup(ctx, name)
	if err != nil {
		return nil, err
	}
	out := &logsapi.ListTagsForResourceOutput{Tags: map[string]string{}}
	maps.Copy(out.Tags, g.Tags)
	return out, nil
}

// TagLogGroup is the older TagResource, which names the group.
func (s *Service) TagLogGroup(ctx context.Context, in *logsapi.TagLogGroupInput) (*logsapi.TagLogGroupOutput, error) {
	_, err := s.TagResource(ctx, &logsapi.TagResourceInput{ResourceArn: aws.Ptr(place(ctx).LogGroup(aws.Val(in.LogGroupName))), Tags: in.Tags})
	return &logsapi.TagLogGroupOutput{}, err
}

// UntagLogGroup is the older UntagResource.
func (s *Service) UntagLogGroup(ctx context.Context, in *logsapi.UntagLogGroupInput) (*logsapi.UntagLogGroupOutput, error) {
	_, err := s.UntagResource(ctx, &logsapi.UntagResourceInput{ResourceArn: aws.Ptr(place(ctx).LogGroup(aws.Val(in.LogGroupName))), TagKeys: in.Tags})
	return &logsapi.UntagLogGroupOutput{}, err
}

// ListTagsLogGroup is the older ListTagsForResource.
func (s *Service) ListTagsLogGroup(ctx context.Context, in *logsapi.ListTagsLogGroupInput) (*logsapi.ListTagsLogGroupOutput, error) {
	out, err := s.ListTagsForResource(ctx, &logsapi.ListTagsForResourceInput{ResourceArn: aws.Ptr(place(ctx).LogGroup(aws.Val(in.LogGroupName)))})
	if err != nil {
		return nil, err
	}
	return &logsapi.ListTagsLogGroupOutput{Tags: out.Tags}, nil
}

// enumText writes an enum as AWS's validation does: [1, 3, 5].
func enumText(values []int32) string {
	return strings.ReplaceAll(fmt.Sprint(values), " ", ", ")
}
