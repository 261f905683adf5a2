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

// maxLabels is how many labels a version may have.
const maxLabels = 10

// labelsOf are the labels of a version.
func labelsOf(r *parameter, n int64) []string {
	var out []string
	for l, of := range r.Labels {
		if of == n {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	return out
}

// goodLabel tells whether a label may be given.
func goodLabel(l string) bool {
	low := strings.ToLower(l)
	return labelForm.MatchString(l) && (l[0] < '0' || l[0] > '9') && !strings.HasPrefix(low, "aws") && !strings.HasPrefix(low, "ssm")
}

// LabelParameterVersion puts labels on a version, the newest if none is named;
// each label is on one version of the parameter.
func (s *Service) LabelParameterVersion(ctx context.Context, in *api.LabelParameterVersionInput) (*api.LabelParameterVersionOutput, error) {
	var out *api.LabelParameterVersionOutput
	err := s.change(ctx, *in.Name, func(tx *store.Tx, p arn.Place, r *parameter) error {
		n := r.Newest.Number
		if in.ParameterVersion != nil && *in.ParameterVersion != 0 {
			n = *in.ParameterVersion
		}
		if n < r.Oldest || n > r.Newest.Number {
			return noVersion(n, *in.Name)
		}
		out = &api.LabelParameterVersionOutput{ParameterVersion: &n, InvalidLabels: []string{}}
		if r.Labels == nil {
			r.Labels = map[string]int64{}
		}
		for _, l := range in.Labels {
			if goodLabel(l) {
				r.Labels[l] = n
			} else {
				out.InvalidLabels = append(out.InvalidLabels, l)
			}
		}
		if len(labelsOf(r, n)) > maxLabels {
			return api.ParameterVersionLabelLimitExceeded("A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// UnlabelParameterVersion takes labels from a version.
func (s *Service) UnlabelParameterVersion(ctx context.Context, in *api.UnlabelParameterVersionInput) (*api.UnlabelParameterVersionOutput, error) {
	var out *api.UnlabelParameterVersionOutput
	err := s.change(ctx, *in.Name, func(_ *store.Tx, _ arn.Place, r *parameter) error {
		n := *in.ParameterVersion
		if n < r.Oldest || n > r.Newest.Number {
			return noVersion(n, *in.Name)
		}
		out = &api.UnlabelParameterVersionOutput{RemovedLabels: []string{}, InvalidLabels: []string{}}
		for _, l := range in.Labels {
			if of, ok := r.Labels[l]; ok && of == n {
				delete(r.Labels, l)
				out.RemovedLabels = append(out.RemovedLabels, l)
			} else {
				out.InvalidLabels = append(out.InvalidLabels, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// GetParameterHistory returns a parameter's versions, the oldest first.
func (s *Service) GetParameterHistory(ctx context.Context, in *api.GetParameterHistoryInput) (*api.GetParameterHistoryOutput, error) {
	r, found, err := s.find(ctx, *in.Name)
	if err == nil && !found {
		err = notFound(*in.Name)
	}
	if err != nil {
		return nil, err
	}
	p := place(ctx)
	all, err := s.versions.List(ctx, p.Account, p.Region, r.ID)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all, next, err := page(all, func(v version) string { return number(v.Number) }, in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.GetParameterHistoryOutput{NextToken: next, Parameters: []api.ParameterHistory{}}
	for _, v := range all {
		value, err := s.value(&r, &v, aws.Val(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, api.ParameterHistory{
			Name: &r.Name, Type: &v.Type, Value: value, Version: &v.Number, DataType: &v.DataType, Tier: &v.Tier, KeyId: v.KeyID, AllowedPattern: v.Pattern,
			Description: v.About, LastModifiedDate: &v.At, LastModifiedUser: &v.By, Labels: labelsOf(&r, v.Number), Policies: []api.ParameterInlinePolicy{},
		})
	}
	return out, nil
}
