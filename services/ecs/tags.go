package ecs

import (
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/record"
	"minato/services/ecs/reference"
	"minato/services/ecs/tag"
	"minato/store"
)

// tagged is something that has tags: change is given where they are kept, and
// returns false when the thing is not there.
type tagged func(tx *store.Tx, change func(tags *[]ecsapi.Tag) error) (bool, error)

// taggedOf finds what an ARN names.
func (s *Service) taggedOf(ctx context.Context, text string) (tagged, error) {
	p := at(ctx)
	a, ok := arn.Parse(text)
	if !ok || a.Service != "ecs" || a.Account != p.Account || a.Region != p.Region {
		return nil, ecsapi.InvalidParameterException("Invalid resource ARN: %s", text)
	}
	switch a.Kind() {
	case "cluster":
		return taggedIn(s.clusters, func(c *record.Cluster) *[]ecsapi.Tag { return &c.Tags }, p.Account, p.Region, a.Last()), nil
	case "task":
		return taggedIn(s.tasks, func(t *record.Task) *[]ecsapi.Tag { return &t.Tags }, p.Account, p.Region, a.Last()), nil
	case "task-definition":
		if family, revision, ok := reference.Definition(text); ok && revision > 0 {
			return taggedIn(s.definitions, func(d *record.TaskDefinition) *[]ecsapi.Tag { return &d.Tags }, record.DefinitionIDs(p, family, revision)...), nil
		}
	case "service":
		return s.taggedService(p, a), nil
	}
	return nil, ecsapi.InvalidParameterException("Invalid resource ARN: %s", text)
}

// taggedIn is a record of a table.
func taggedIn[T any](t store.Table[T], tags func(v *T) *[]ecsapi.Tag, ids ...string) tagged {
	return func(tx *store.Tx, change func(tags *[]ecsapi.Tag) error) (bool, error) {
		v, found, err := t.TxGet(tx, ids...)
		if err != nil || !found {
			return found, err
		}
		if err := change(tags(&v)); err != nil {
			return true, err
		}
		return true, t.TxPut(tx, v, ids...)
	}
}

// changeTags changes the tags of what an ARN names.
func (s *Service) changeTags(ctx context.Context, text string, change func(tags *[]ecsapi.Tag) error) error {
	thing, err := s.taggedOf(ctx, text)
	if err != nil {
		return err
	}
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		found, err := thing(tx, change)
		if err == nil && !found {
			err = ecsapi.ResourceNotFoundException("The specified resource could not be found.")
		}
		return err
	})
}

// TagResource adds tags.
func (s *Service) TagResource(ctx context.Context, in *ecsapi.TagResourceInput) (*ecsapi.TagResourceOutput, error) {
	if err := tag.Check(in.Tags); err != nil {
		return nil, err
	}
	return &ecsapi.TagResourceOutput{}, s.changeTags(ctx, *in.ResourceArn, func(tags *[]ecsapi.Tag) error {
		*tags = tag.Merge(*tags, in.Tags)
		return tag.Count(*tags)
	})
}

// UntagResource removes tags.
func (s *Service) UntagResource(ctx context.Context, in *ecsapi.UntagResourceInput) (*ecsapi.UntagResourceOutput, error) {
	return &ecsapi.UntagResourceOutput{}, s.changeTags(ctx, *in.ResourceArn, func(tags *[]ecsapi.Tag) error {
		*tags = slices.DeleteFunc(*tags, func(t ecsapi.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
		return nil
	})
}

// ListTagsForResource lists tags.
func (s *Service) ListTagsForResource(ctx context.Context, in *ecsapi.ListTagsForResourceInput) (*ecsapi.ListTagsForResourceOutput, error) {
	out := &ecsapi.ListTagsForResourceOutput{}
	return out, s.changeTags(ctx, *in.ResourceArn, func(tags *[]ecsapi.Tag) error {
		out.Tags = append([]ecsapi.Tag{}, *tags...)
		return nil
	})
}
