package rds

import (
	"slices"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
)

// longestPage is the greatest MaxRecords of most operations.
const longestPage = 100

// page cuts a sorted list at MaxRecords; the marker is the key of the last item
// that was returned.
func page[T any](all []T, key func(T) string, marker *string, most *int32) ([]T, *string, error) {
	return pageUpTo(longestPage, all, key, marker, most)
}

// pageUpTo is page for an operation with a greater MaxRecords.
func pageUpTo[T any](longest int, all []T, key func(T) string, marker *string, most *int32) ([]T, *string, error) {
	limit := longestPage
	if most != nil {
		limit = int(*most)
		if limit < 20 || limit > longest {
			return nil, nil, invalidValue("Invalid value %d for MaxRecords. Must be between 20 and %d", limit, longest)
		}
	}
	if after := aws.Val(marker); after != "" {
		i := slices.IndexFunc(all, func(v T) bool { return key(v) > after })
		if i < 0 {
			return nil, nil, nil
		}
		all = all[i:]
	}
	if len(all) <= limit {
		return all, nil, nil
	}
	return all[:limit], aws.Ptr(key(all[limit-1])), nil
}

// filter keeps what matches every filter; values of names it does not know are
// refused, as RDS does.
func filter[T any](all []T, filters []rdsapi.Filter, fields map[string]func(T) string) ([]T, error) {
	for _, f := range filters {
		name := aws.Val(f.Name)
		field, known := fields[name]
		if !known {
			return nil, invalidValue("Unrecognized filter name: %s", name)
		}
		all = slices.DeleteFunc(slices.Clone(all), func(v T) bool {
			return !slices.ContainsFunc(f.Values, func(want string) bool { return strings.EqualFold(want, field(v)) })
		})
	}
	return all, nil
}
