package ssm

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/ssm"
)

// GetParametersByPath returns the parameters below a path with their values.
func (s *Service) GetParametersByPath(ctx context.Context, in *api.GetParametersByPathInput) (*api.GetParametersByPathOutput, error) {
	path := *in.Path
	if err := checkPath(path); err != nil {
		return nil, err
	}
	match, err := compile(in.ParameterFilters, []string{"Type", "KeyId", "Label"})
	if err != nil {
		return nil, err
	}
	all, err := s.list(ctx, func(r *parameter) bool {
		return under(r.Name, path, aws.Val(in.Recursive)) && match(r)
	})
	if err != nil {
		return nil, err
	}
	all, next, err := page(all, func(r parameter) string { return r.Name }, in.NextToken, in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	out := &api.GetParametersByPathOutput{NextToken: next, Parameters: []api.Parameter{}}
	label := labelWanted(in.ParameterFilters)
	for _, r := range all {
		v := r.Newest
		if label != nil {
			if v, err = s.labelled(ctx, &r, label); err != nil {
				return nil, err
			}
		}
		p, err := s.shown(ctx, &r, &v, aws.Val(in.WithDecryption))
		if err != nil {
			return nil, err
		}
		out.Parameters = append(out.Parameters, *p)
	}
	return out, nil
}

// labelWanted are the labels that a filter asks for; the versions that have
// them are returned, not the newest.
func labelWanted(in []api.ParameterStringFilter) []string {
	for _, f := range in {
		if aws.Val(f.Key) == "Label" {
			return f.Values
		}
	}
	return nil
}

func (s *Service) labelled(ctx context.Context, r *parameter, labels []string) (version, error) {
	for _, l := range labels {
		if n, ok := r.Labels[l]; ok {
			v, found, err := s.version(ctx, r, n)
			if err != nil || found {
				return v, err
			}
		}
	}
	return r.Newest, nil
}

// DescribeParameters lists parameters without their values.
func (s *Service) DescribeParameters(ctx context.Context, in *api.DescribeParametersInput) (*api.DescribeParametersOutput, error) {
	if len(in.Filters) > 0 && len(in.ParameterFilters) > 0 {
		return nil, invalid("You can use either Filters or ParameterFilters in a single request.")
	}
	filters := in.ParameterFilters
	for _, f := range in.Filters {
		filters = append(filters, api.ParameterStringFilter{Key: f.Key, Option: aws.Ptr("BeginsWith"), Values: f.Values})
		if aws.Val(f.Key) == "Type" {
			filters[len(filters)-1].Option = nil
		}
	}
	match, err := compile(filters, []string{"Path", "Name", "Type", "KeyId", "Tier", "DataType", "tag:"})
	if err != nil {
		return nil, err
	}
	if aws.Val(in.Shared) {
		return &api.DescribeParametersOutput{Parameters: []api.ParameterMetadata{}}, nil // no account shares any
	}
	all, err := s.list(ctx, match)
	if err != nil {
		return nil, err
	}
	all, next, err := page(all, func(r parameter) string { return r.Name }, in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeParametersOutput{NextToken: next, Parameters: []api.ParameterMetadata{}}
	for _, r := range all {
		v := &r.Newest
		out.Parameters = append(out.Parameters, api.ParameterMetadata{
			ARN: aws.Ptr(place(ctx).Parameter(r.Name)), Name: &r.Name, Type: &v.Type, Version: &v.Number, DataType: &v.DataType, Tier: &v.Tier, KeyId: v.KeyID,
			AllowedPattern: v.Pattern, Description: v.About, LastModifiedDate: &v.At, LastModifiedUser: &v.By, Policies: []api.ParameterInlinePolicy{},
		})
	}
	return out, nil
}

// list are the caller's parameters that match, by name.
func (s *Service) list(ctx context.Context, match func(*parameter) bool) ([]parameter, error) {
	p := place(ctx)
	all, err := s.parameters.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(r parameter) bool { return !match(&r) })
	slices.SortFunc(all, func(a, b parameter) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// compile checks filters and makes them one test: a parameter must match all,
// each by any of its values.
func compile(in []api.ParameterStringFilter, known []string) (func(*parameter) bool, error) {
	seen := map[string]bool{}
	for i := range in {
		f := &in[i]
		key, option := aws.Val(f.Key), aws.Val(f.Option)
		kind := key
		if strings.HasPrefix(key, "tag:") {
			kind = "tag:"
		}
		options := []string{"BeginsWith", "Equals"}
		switch kind {
		case "Path":
			options = []string{"Recursive", "OneLevel"}
		case "Name":
			options = []string{"BeginsWith", "Equals", "Contains"}
		case "Label", "Type", "Tier":
			options = []string{"Equals"}
		}
		switch {
		case !slices.Contains(known, kind):
			shown := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return k == "tag:" || k == "DataType" })
			return nil, api.InvalidFilterKey("The following filter key is not valid: %s. Valid filter keys include: [%s].", key, strings.Join(shown, ", "))
		case seen[key]:
			return nil, api.InvalidFilterKey("The following filter is duplicated in the request: %s. A request can contain only one occurrence of a specific filter.", key)
		case option != "" && !slices.Contains(options, option):
			return nil, api.InvalidFilterOption("The following filter option is not valid: %s. Valid options include: [%s].", option, strings.Join(options, ", "))
		case len(f.Values) == 0 && kind != "tag:":
			return nil, api.InvalidFilterValue("The following filter values are missing : null for filter key %s", key)
		}
		seen[key] = true
		if kind == "Path" {
			for _, v := range f.Values {
				if err := checkPath(v); err != nil {
					return nil, err
				}
			}
		}
	}
	return func(r *parameter) bool {
		return !slices.ContainsFunc(in, func(f api.ParameterStringFilter) bool { return !matches(r, f) })
	}, nil
}

// matches tells whether a parameter matches a filter.
func matches(r *parameter, f api.ParameterStringFilter) bool {
	key, option := aws.Val(f.Key), aws.Val(f.Option)
	var text string
	switch key {
	case "Path":
		return slices.ContainsFunc(f.Values, func(v string) bool { return under(r.Name, v, option == "Recursive") })
	case "Label":
		return slices.ContainsFunc(f.Values, func(v string) bool { _, ok := r.Labels[v]; return ok })
	case "Name":
		text = r.Name
	case "Type":
		text = r.Newest.Type
	case "KeyId":
		text = aws.Val(r.Newest.KeyID)
	case "Tier":
		text = r.Newest.Tier
	case "DataType":
		text = r.Newest.DataType
	default: // tag:KEY
		i := slices.IndexFunc(r.Tags, func(t api.Tag) bool { return "tag:"+aws.Val(t.Key) == key })
		if i < 0 {
			return false
		}
		if len(f.Values) == 0 {
			return true
		}
		text = aws.Val(r.Tags[i].Value)
	}
	return slices.ContainsFunc(f.Values, func(v string) bool {
		switch option {
		case "BeginsWith":
			// A name may be given without its first slash.
			return strings.HasPrefix(text, v) || key == "Name" && strings.HasPrefix(text, "/"+v)
		case "Contains":
			return strings.Contains(text, v)
		}
		return text == v || key == "Name" && text == "/"+v
	})
}
