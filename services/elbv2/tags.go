package elbv2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/store"
)

const maxTags = 50

func checkTags(tags []elbapi.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.Val(t.Key)
		switch {
		case seen[key]:
			return elbapi.DuplicateTagKeysException("Tag key '%s' is specified twice", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return invalid("Tag keys cannot begin with 'aws:'")
		}
		seen[key] = true
	}
	return tooMany(tags)
}

func tooMany(tags []elbapi.Tag) error {
	if len(tags) > maxTags {
		return elbapi.TooManyTagsException("The maximum number of tags, '%d', has been reached", maxTags)
	}
	return nil
}

// tagged changes the tags of whatever of ours an ARN names.
func (s *Service) tagged(ctx context.Context, text string, f func(tags *[]elbapi.Tag) error) error {
	if _, ok := arnParts(text, "targetgroup", 2); ok {
		_, err := s.changeGroup(ctx, &text, func(g *group) error { return f(&g.Tags) })
		return err
	}
	_, err := s.changeBalancer(ctx, &text, gone(text), func(_ *store.Tx, b *balancer) error {
		tags := b.tags(text)
		if tags == nil {
			return elbapi.OperationNotPermittedException("The default rule '%s' has no tags of its own", text)
		}
		return f(tags)
	})
	return err
}

// gone is the error for a thing of the ARN's kind that is not there.
func gone(text string) func() error {
	if _, ok := arnParts(text, "listener", 4); ok {
		return listenersGone
	}
	if _, ok := arnParts(text, "listener-rule", 5); ok {
		return rulesGone
	}
	return balancersGone
}

// tags are those of the load balancer, listener or rule that an ARN names; nil
// for a default rule.
func (b *balancer) tags(text string) *[]elbapi.Tag {
	if l := b.listener(text); l != nil {
		return &l.Tags
	}
	if l := b.ruleListener(text); l != nil {
		if r := l.rule(text); r != nil {
			return &r.Tags
		}
		return nil
	}
	return &b.Tags
}

// AddTags adds tags, or gives those there are other values.
func (s *Service) AddTags(ctx context.Context, in *elbapi.AddTagsInput) (*elbapi.AddTagsOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	for _, text := range in.ResourceArns {
		err := s.tagged(ctx, text, func(tags *[]elbapi.Tag) error {
			for _, t := range in.Tags {
				i := slices.IndexFunc(*tags, func(o elbapi.Tag) bool { return aws.Val(o.Key) == aws.Val(t.Key) })
				if i < 0 {
					*tags = append(*tags, t)
				} else {
					(*tags)[i] = t
				}
			}
			return tooMany(*tags)
		})
		if err != nil {
			return nil, err
		}
	}
	return &elbapi.AddTagsOutput{}, nil
}

// RemoveTags removes tags; those that are not there are removed already.
func (s *Service) RemoveTags(ctx context.Context, in *elbapi.RemoveTagsInput) (*elbapi.RemoveTagsOutput, error) {
	for _, text := range in.ResourceArns {
		err := s.tagged(ctx, text, func(tags *[]elbapi.Tag) error {
			*tags = slices.DeleteFunc(*tags, func(t elbapi.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return &elbapi.RemoveTagsOutput{}, nil
}

// tagsOf reads the tags of whatever of ours an ARN names.
func (s *Service) tagsOf(ctx context.Context, text string) ([]elbapi.Tag, error) {
	if _, ok := arnParts(text, "targetgroup", 2); ok {
		g, err := s.readGroup(ctx, &text)
		return g.Tags, err
	}
	b, err := s.readBalancer(ctx, &text, gone(text))
	if err != nil {
		return nil, err
	}
	if tags := b.tags(text); tags != nil {
		return *tags, nil
	}
	return nil, nil
}

// DescribeTags shows the tags of things.
func (s *Service) DescribeTags(ctx context.Context, in *elbapi.DescribeTagsInput) (*elbapi.DescribeTagsOutput, error) {
	var out []elbapi.TagDescription
	for _, text := range in.ResourceArns {
		tags, err := s.tagsOf(ctx, text)
		if err != nil {
			return nil, err
		}
		out = append(out, elbapi.TagDescription{ResourceArn: &text, Tags: tags})
	}
	return &elbapi.DescribeTagsOutput{TagDescriptions: out}, nil
}
