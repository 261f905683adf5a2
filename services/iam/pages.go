package iam

import (
	"encoding/base64"
	"sort"
	"strings"

	"minato/aws"
)

// defaultPage is the number of items IAM answers with when none is asked for.
const defaultPage = 100

// page sorts items by key and cuts out the page after a marker. The answer is
// never nil: clients of the query protocol expect the empty list.
func page[T any](items []T, key func(*T) string, marker *string, max *int32) (list []T, next *string, truncated *bool, err error) {
	after := ""
	if marker != nil {
		b, err := base64.RawURLEncoding.DecodeString(*marker)
		if err != nil {
			return nil, nil, nil, aws.Errorf("ValidationError", "Invalid Marker.")
		}
		after = string(b)
	}
	limit := defaultPage
	if max != nil {
		limit = int(*max)
	}
	sort.SliceStable(items, func(i, j int) bool { return key(&items[i]) < key(&items[j]) })
	list = []T{}
	for i := range items {
		k := key(&items[i])
		if after != "" && k <= after {
			continue
		}
		if len(list) == limit {
			last := base64.RawURLEncoding.EncodeToString([]byte(key(&list[limit-1])))
			return list, &last, aws.Ptr(true), nil
		}
		list = append(list, items[i])
	}
	return list, nil, aws.Ptr(false), nil
}

// self is the key of a list of names.
func self(s *string) string { return *s }

// underPath reports whether an entity's path is below a prefix; no prefix
// means "/".
func underPath(path, prefix *string) bool {
	return strings.HasPrefix(aws.Val(path), aws.Val(prefix))
}
