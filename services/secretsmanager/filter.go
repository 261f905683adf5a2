package secretsmanager

import (
	"slices"
	"strings"
	"unicode"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
)

// filters compiles the filters of a listing: a secret must match all of them.
func filters(in []api.Filter) (func(r *secret, region string) bool, error) {
	for _, f := range in {
		if f.Key == nil || len(f.Values) == 0 {
			return nil, api.InvalidParameterException("Invalid filter: both a key and values are needed.")
		}
	}
	return func(r *secret, region string) bool {
		return !slices.ContainsFunc(in, func(f api.Filter) bool { return !matches(f, r, region) })
	}, nil
}

// matches tells whether a secret matches one filter: any of its values, none of
// those after an exclamation mark.
func matches(f api.Filter, r *secret, region string) bool {
	any, only := false, false
	for _, v := range f.Values {
		not := strings.HasPrefix(v, "!")
		hit := slices.ContainsFunc(attributes(*f.Key, r, region), func(text string) bool { return begins(*f.Key, text, strings.TrimPrefix(v, "!")) })
		if not && hit {
			return false
		}
		only = only || !not
		any = any || !not && hit
	}
	return any || !only
}

// attributes are the texts of a secret that a filter looks at.
func attributes(key string, r *secret, region string) []string {
	var out []string
	is := func(k string) bool { return key == k || key == api.FilterNameStringTypeAll }
	if is(api.FilterNameStringTypeName) {
		out = append(out, aws.Val(r.Name))
	}
	if is(api.FilterNameStringTypeDescription) {
		out = append(out, aws.Val(r.Description))
	}
	for _, t := range r.Tags {
		if is(api.FilterNameStringTypeTagKey) {
			out = append(out, aws.Val(t.Key))
		}
		if is(api.FilterNameStringTypeTagValue) {
			out = append(out, aws.Val(t.Value))
		}
	}
	if key == api.FilterNameStringTypePrimaryRegion {
		out = append(out, region)
	}
	if is(api.FilterNameStringTypeOwningService) {
		out = append(out, aws.Val(r.OwningService))
	}
	return out
}

// begins tells whether a text matches a filter's value: by its beginning, for
// a description and for "all" also by that of any of its words; these two do
// not mind the case.
func begins(key, text, value string) bool {
	if key != api.FilterNameStringTypeAll && key != api.FilterNameStringTypeDescription {
		return strings.HasPrefix(text, value)
	}
	text, value = strings.ToLower(text), strings.ToLower(value)
	if strings.HasPrefix(text, value) {
		return true
	}
	separator := func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }
	words := strings.FieldsFunc(text, separator)
	wanted := strings.FieldsFunc(value, separator)
	return len(wanted) > 0 && !slices.ContainsFunc(wanted, func(w string) bool {
		return !slices.ContainsFunc(words, func(have string) bool { return strings.HasPrefix(have, w) })
	})
}
