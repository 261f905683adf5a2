package cloudwatch

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
)

const maxTags = 50

// withTags adds tags to others; CloudFormation's own begin with aws:.
func withTags(have, add []cwapi.Tag) ([]cwapi.Tag, error) {
	out := slices.Clone(have)
	for _, t := range add {
		key := aws.Val(t.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") && !strings.HasPrefix(key, "aws:cloudformation:") {
			return nil, badValue("Tag keys that begin with aws: are reserved: %s", key)
		}
		out = slices.DeleteFunc(out, func(o cwapi.Tag) bool { return aws.Val(o.Key) == key })
		out = append(out, t)
	}
	if len(out) > maxTags {
		return nil, badValue("A resource can not have more than %d tags.", maxTags)
	}
	return out, nil
}

// tagged changes the tags of the alarm or dashboard that an ARN names.
func (s *Service) tagged(ctx context.Context, resource string, f func(tags *[]cwapi.Tag) error) error {
	p := place(ctx)
	a, ok := arn.Parse(resource)
	if !ok || a.Service != "cloudwatch" {
		return badValue("The value %s for parameter ResourceARN is invalid.", resource)
	}
	found := false
	var err error
	if name, ok := strings.CutPrefix(a.Resource, "alarm:"); ok && resource == alarmARN(p, name) {
		found, err = s.alarms.Update(ctx, func(a *alarm) error { return f(&a.Tags) }, p.Account, p.Region, name)
	} else if name, ok := strings.CutPrefix(a.Resource, "dashboard/"); ok && resource == dashboardARN(p, name) {
		found, err = s.dashboards.Update(ctx, func(d *dashboard) error { return f(&d.Tags) }, p.Account, name)
	}
	if err == nil && !found {
		e := cwapi.ResourceNotFoundException("Unknown")
		e.Fields = map[string]any{"ResourceType": "", "ResourceId": resource}
		err = e
	}
	return err
}

// TagResource adds tags to an alarm or dashboard.
func (s *Service) TagResource(ctx context.Context, in *cwapi.TagResourceInput) (*cwapi.TagResourceOutput, error) {
	err := s.tagged(ctx, aws.Val(in.ResourceARN), func(tags *[]cwapi.Tag) (err error) {
		*tags, err = withTags(*tags, in.Tags)
		return err
	})
	return &cwapi.TagResourceOutput{}, err
}

// UntagResource removes tags from an alarm or dashboard.
func (s *Service) UntagResource(ctx context.Context, in *cwapi.UntagResourceInput) (*cwapi.UntagResourceOutput, error) {
	err := s.tagged(ctx, aws.Val(in.ResourceARN), func(tags *[]cwapi.Tag) error {
		*tags = slices.DeleteFunc(*tags, func(t cwapi.Tag) bool { return slices.Contains(in.TagKeys, aws.Val(t.Key)) })
		return nil
	})
	return &cwapi.UntagResourceOutput{}, err
}

// ListTagsForResource lists the tags of an alarm or dashboard.
func (s *Service) ListTagsForResource(ctx context.Context, in *cwapi.ListTagsForResourceInput) (*cwapi.ListTagsForResourceOutput, error) {
	out := &cwapi.ListTagsForResourceOutput{Tags: []cwapi.Tag{}}
	err := s.tagged(ctx, aws.Val(in.ResourceARN), func(tags *[]cwapi.Tag) error {
		out.Tags = append(out.Tags, *tags...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}
