package resources

import (
	"strconv"
	"time"

	"minato/aws"
	s3 "minato/aws/api/s3"
)

// lifecycleRule is a rule as CloudFormation has it, which is not as S3 has it.
type lifecycleRule struct {
	ID                                *string `json:"Id"`
	Status                            *string
	Prefix                            *string
	TagFilters                        []s3.Tag
	ObjectSizeGreaterThan             any
	ObjectSizeLessThan                any
	ExpirationInDays                  *int32
	ExpirationDate                    *string
	ExpiredObjectDeleteMarker         *bool
	NoncurrentVersionExpirationInDays *int32
	NoncurrentVersionExpiration       *s3.NoncurrentVersionExpiration
	AbortIncompleteMultipartUpload    *s3.AbortIncompleteMultipartUpload
	Transition                        *s3.Transition
	Transitions                       []s3.Transition
	NoncurrentVersionTransition       any
	NoncurrentVersionTransitions      []any
}

// lifecycle reads LifecycleConfiguration.
func lifecycle(of map[string]any) (*s3.PutBucketLifecycleConfigurationInput, error) {
	c := properties(of, "LifecycleConfiguration")
	in := &s3.PutBucketLifecycleConfigurationInput{LifecycleConfiguration: &s3.BucketLifecycleConfiguration{Rules: []s3.LifecycleRule{}}}
	if least := text(c["TransitionDefaultMinimumObjectSize"]); least != "" {
		in.TransitionDefaultMinimumObjectSize = &least
	}
	read, err := into(map[string]any{"Rules": c["Rules"]}, new(struct{ Rules []lifecycleRule }))
	if err != nil {
		return nil, err
	}
	for _, r := range read.Rules {
		rule, err := r.rule()
		if err != nil {
			return nil, err
		}
		in.LifecycleConfiguration.Rules = append(in.LifecycleConfiguration.Rules, rule)
	}
	return in, nil
}

func (r *lifecycleRule) rule() (s3.LifecycleRule, error) {
	out := s3.LifecycleRule{ID: r.ID, Status: r.Status, Transitions: r.Transitions, AbortIncompleteMultipartUpload: r.AbortIncompleteMultipartUpload, NoncurrentVersionExpiration: r.NoncurrentVersionExpiration}
	if r.Transition != nil {
		out.Transitions = append(out.Transitions, *r.Transition)
	}
	if r.NoncurrentVersionTransition != nil || len(r.NoncurrentVersionTransitions) > 0 {
		out.NoncurrentVersionTransitions = []s3.NoncurrentVersionTransition{{}}
	}
	if r.NoncurrentVersionExpirationInDays != nil && out.NoncurrentVersionExpiration == nil {
		out.NoncurrentVersionExpiration = &s3.NoncurrentVersionExpiration{NoncurrentDays: r.NoncurrentVersionExpirationInDays}
	}
	if r.ExpirationInDays != nil || r.ExpirationDate != nil || r.ExpiredObjectDeleteMarker != nil {
		out.Expiration = &s3.LifecycleExpiration{Days: r.ExpirationInDays, ExpiredObjectDeleteMarker: r.ExpiredObjectDeleteMarker}
	}
	if r.ExpirationDate != nil {
		at, err := time.Parse(time.RFC3339, *r.ExpirationDate)
		if err != nil {
			return out, aws.Errorf("InvalidRequest", "ExpirationDate %q is no date such as 2026-01-01T00:00:00.000Z", *r.ExpirationDate)
		}
		out.Expiration.Date = &at
	}
	all := s3.LifecycleRuleAndOperator{Prefix: r.Prefix, Tags: r.TagFilters}
	for _, size := range []struct {
		from any
		to   **int64
	}{{r.ObjectSizeGreaterThan, &all.ObjectSizeGreaterThan}, {r.ObjectSizeLessThan, &all.ObjectSizeLessThan}} {
		if size.from == nil {
			continue
		}
		n, err := strconv.ParseInt(text(size.from), 10, 64)
		if err != nil {
			return out, aws.Errorf("InvalidRequest", "The size %v is no number", size.from)
		}
		*size.to = &n
	}
	out.Filter = filter(all)
	return out, nil
}

// filter is what a rule is for, in the one form that S3 takes for it.
func filter(all s3.LifecycleRuleAndOperator) *s3.LifecycleRuleFilter {
	n := len(all.Tags)
	for _, said := range []bool{all.Prefix != nil, all.ObjectSizeGreaterThan != nil, all.ObjectSizeLessThan != nil} {
		if said {
			n++
		}
	}
	switch {
	case n > 1:
		return &s3.LifecycleRuleFilter{And: &all}
	case len(all.Tags) == 1:
		return &s3.LifecycleRuleFilter{Tag: &all.Tags[0]}
	case n == 0:
		return &s3.LifecycleRuleFilter{Prefix: aws.Ptr("")}
	}
	return &s3.LifecycleRuleFilter{Prefix: all.Prefix, ObjectSizeGreaterThan: all.ObjectSizeGreaterThan, ObjectSizeLessThan: all.ObjectSizeLessThan}
}
