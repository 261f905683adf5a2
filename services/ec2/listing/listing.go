// Package listing is what EC2's Describe operations share: which resources ids
// and filters choose, and a page of them at a time.
package listing

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// Choose keeps what the ids name, or everything without ids, and what all
// filters match. An id that names nothing is the error missing makes. The
// attribute of a resource gives the values of a filter's name; false for a name
// that resources of the kind do not have.
func Choose[T any](items []T, ids []string, filters []ec2api.Filter, id func(*T) string, tags func(*T) []ec2api.Tag, attribute func(r *T, name string) ([]string, bool), missing func(string) error) ([]T, error) {
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
		ok, err := matches(filters, tags(it), func(name string) ([]string, bool) { return attribute(it, name) })
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, *it)
		}
	}
	if len(items) == 0 { // a wrong filter is wrong also where there is nothing
		var zero T
		if _, err := matches(filters, nil, func(name string) ([]string, bool) { return attribute(&zero, name) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// matches tells whether a resource passes all filters: each by one of its values.
func matches(filters []ec2api.Filter, tags []ec2api.Tag, attribute func(name string) ([]string, bool)) (bool, error) {
	all := true
	for _, f := range filters {
		name := aws.Val(f.Name)
		have, ok := tagFilter(name, tags)
		if !ok {
			if have, ok = attribute(name); !ok {
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
// Only the last * is ever tried again: the time is at most that of the two
// lengths multiplied, whatever was asked for.
func like(pattern, s string) bool {
	p, i, star, tried := 0, 0, -1, 0
	for i < len(s) {
		if p < len(pattern) {
			c, literal, size := pattern[p], false, 1
			if c == '\\' && p+1 < len(pattern) {
				c, literal, size = pattern[p+1], true, 2
			}
			switch {
			case c == '*' && !literal:
				p, star, tried = p+1, p, i
				continue
			case c == s[i] || c == '?' && !literal:
				p, i = p+size, i+1
				continue
			}
		}
		if star < 0 {
			return false
		}
		tried++
		p, i = star+1, tried
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// Value is the list of one attribute, empty when it is not set.
func Value(p *string) []string {
	if p == nil {
		return nil
	}
	return []string{*p}
}

// Bool is the list of a boolean attribute, in which not set is false.
func Bool(p *bool) []string { return []string{strconv.FormatBool(aws.Val(p))} }

// minPage is the fewest items a page may be asked to have.
const minPage = 5

// Page cuts a listing. A token names the place to go on from.
func Page[T any](items []T, max *int32, token *string) ([]T, *string, error) {
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
