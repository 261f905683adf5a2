package rds

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
)

const maxTags = 50

// mergeTags adds tags to those there are; the same key again replaces.
func mergeTags(tags, added []rdsapi.Tag) ([]rdsapi.Tag, error) {
	tags = slices.Clone(tags)
	for _, t := range added {
		key := aws.Val(t.Key)
		if key == "" || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, invalidValue("The tag key %q is not valid: it must not be empty or begin with aws:", key)
		}
		t.Value = aws.Ptr(aws.Val(t.Value))
		if i := slices.IndexFunc(tags, func(o rdsapi.Tag) bool { return aws.Val(o.Key) == key }); i >= 0 {
			tags[i] = t
		} else {
			tags = append(tags, t)
		}
	}
	if len(tags) > maxTags {
		return nil, invalidValue("A resource has at most %d tags.", maxTags)
	}
	return tags, nil
}

// tagged runs f on the tags of the resource an ARN names, and keeps what f returns.
func (s *Service) tagged(ctx context.Context, name string, f func([]rdsapi.Tag) ([]rdsapi.Tag, error)) error {
	a, ok := arn.Parse(name)
	p := here(ctx)
	if !ok || a.Service != "rds" || a.Region != p.Region || a.Account != p.Account {
		return invalidValue("Invalid resource name: %s", name)
	}
	id, found, err := a.ID(), false, error(nil)
	var absent error
	switch a.Kind() {
	case "db":
		absent = noInstance(id)
		found, err = s.instances.Update(ctx, func(r *instance) (err error) { r.TagList, err = f(r.TagList); return err }, p.Account, p.Region, id)
	case "subgrp":
		absent = noSubnetGroup(id)
		found, err = s.subnetGroups.Update(ctx, func(r *subnetGroup) (err error) { r.Tags, err = f(r.Tags); return err }, p.Account, p.Region, id)
	case "pg":
		absent = noParameterGroup(id)
		found, err = s.parameterGroups.Update(ctx, func(r *parameterGroup) (err error) { r.Tags, err = f(r.Tags); return err }, p.Account, p.Region, id)
	case "snapshot":
		absent = noSnapshot(id)
		found, err = s.snapshots.Update(ctx, func(r *snapshot) (err error) { r.TagList, err = f(r.TagList); return err }, p.Account, p.Region, id)
	default:
		return invalidValue("Invalid resource name: %s", name)
	}
	if err == nil && !found {
		err = absent
	}
	return err
}

// AddTagsToResource implements rdsapi.API.
func (s *Service) AddTagsToResource(ctx context.Context, in *rdsapi.AddTagsToResourceInput) (*rdsapi.AddTagsToResourceOutput, error) {
	err := s.tagged(ctx, aws.Val(in.ResourceName), func(tags []rdsapi.Tag) ([]rdsapi.Tag, error) { return mergeTags(tags, in.Tags) })
	if err != nil {
		return nil, err
	}
	return &rdsapi.AddTagsToResourceOutput{}, nil
}

// RemoveTagsFromResource implements rdsapi.API.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *rdsapi.RemoveTagsFromResourceInput) (*rdsapi.RemoveTagsFromResourceOutput, error) {
	err := s.tagged(ctx, aws.Val(in.ResourceName), func(tags []rdsapi.Tag) ([]rdsapi.Tag, error) {
		return slices.DeleteFunc(tags, func(t rdsapi.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) }), nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.RemoveTagsFromResourceOutput{}, nil
}

// ListTagsForResource implements rdsapi.API.
func (s *Service) ListTagsForResource(ctx context.Context, in *rdsapi.ListTagsForResourceInput) (*rdsapi.ListTagsForResourceOutput, error) {
	out := &rdsapi.ListTagsForResourceOutput{TagList: []rdsapi.Tag{}}
	// Tags that are kept as they were are not written.
	err := s.tagged(ctx, aws.Val(in.ResourceName), func(tags []rdsapi.Tag) ([]rdsapi.Tag, error) {
		out.TagList = append([]rdsapi.Tag{}, tags...)
		return tags, nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
