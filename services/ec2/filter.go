package ec2

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// attributes gives the values of a filter's name for one resource; false for a
// name that resources of the kind do not have.
type attributes func(name string) ([]string, bool)

// chosen keeps what the ids name, or everything without ids, and what all
// filters match. An id that names nothing is the error missing makes.
func chosen[T any](items []T, ids []string, filters []ec2api.Filter, id func(*T) string, tags func(*T) []ec2api.Tag, attrs func(*T) attributes, missing func(string) error) ([]T, error) {
	if len(ids) > 0 {
		byID := map[string]bool{}
		for i := range items {
			byID[id(&items[i])] = true
		}
		for _, want := range ids {
			if !byID[want] {
				return nil, missing(want)
			}
		}
	}
	var out []T
	for i := range items {
		it := &items[i]
		if len(ids) > 0 && !slices.Contains(ids, id(it)) {
			continue
		}
		ok, err := matches(filters, tags(it), attrs(it))
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, *it)
		}
	}
	if len(items) == 0 { // a wrong filter is wrong also where there is nothing
		var zero T
		if _, err := matches(filters, nil, attrs(&zero)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// matches tells whether a resource passes all filters: each by one of its values.
func matches(filters []ec2api.Filter, tags []ec2api.Tag, attrs attributes) (bool, error) {
	all := true
	for _, f := range filters {
		name := aws.Val(f.Name)
		have, ok := tagFilter(name, tags)
		if !ok {
			if have, ok = attrs(name); !ok {
				return false, aws.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
			}
		}
		if !slices.ContainsFunc(have, func(h string) bool {
			return slices.ContainsFunc(f.Values, func(pattern string) bool { return like(pattern, h) })
		}) {
			all = false
		}
	}
	return all, nil
}

// tagFilter gives the values of the filters every taggable resource has.
func tagFilter(name string, tags []ec2api.Tag) ([]string, bool) {
	var out []string
	switch key, isTag := strings.CutPrefix(name, "tag:"); {
	case isTag:
		for _, t := range tags {
			if aws.Val(t.Key) == key {
				out = append(out, aws.Val(t.Value))
			}
		}
	case name == "tag-key":
		for _, t := range tags {
			out = append(out, aws.Val(t.Key))
		}
	case name == "tag-value":
		for _, t := range tags {
			out = append(out, aws.Val(t.Value))
		}
	default:
		return nil, false
	}
	return out, true
}

// like matches a filter's value, in which * and ? are wildcards and \ escapes.
func like(pattern, s string) bool {
	for pattern != "" {
		switch pattern[0] {
		case '*':
			for i := 0; i <= len(s); i++ {
				if like(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case '?':
			if s == "" {
				return false
			}
			pattern, s = pattern[1:], s[1:]
			continue
		case '\\':
			if len(pattern) > 1 {
				pattern = pattern[1:]
			}
		}
		if s == "" || s[0] != pattern[0] {
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}

// value is the list of one attribute, empty when it is not set.
func value(p *string) []string {
	if p == nil {
		return nil
	}
	return []string{*p}
}

func boolean(p *bool) []string { return []string{strconv.FormatBool(aws.Val(p))} }

// minPage is the fewest items a page may be asked to have.
const minPage = 5

// page cuts a listing. A token names the place to go on from.
func page[T any](items []T, max *int32, token *string) ([]T, *string, error) {
	if max != nil && *max < minPage {
		return nil, nil, aws.Errorf("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value greater than %d.", *max, minPage)
	}
	from := 0
	if token != nil {
		b, err := base64.RawURLEncoding.DecodeString(*token)
		n, numErr := strconv.Atoi(string(b))
		if err != nil || numErr != nil || n < 0 || n > len(items) {
			return nil, nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter token is invalid.", *token)
		}
		from = n
	}
	rest := items[from:]
	if max == nil || int(*max) >= len(rest) {
		return rest, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(from + int(*max))))
	return rest[:*max], &next, nil
}
