// Package listing cuts what ECS lists into pages.
package listing

import (
	"encoding/base64"
	"slices"
	"strings"

	ecsapi "minato/aws/api/ecs"
)

// Most is how many things ECS lists in one page.
const Most = 100

// mark begins what a token says, so that a text that is none is known.
const mark = "after "

// Page cuts out of ARNs or names the page after a token, which names the last one
// before it: as many as are asked for, or the usual number. They need not be
// sorted, but their order must be lasting.
func Page(all []string, token *string, size *int32, usual int) ([]string, *string, error) {
	if size != nil {
		if *size < 1 || *size > Most {
			return nil, nil, ecsapi.InvalidParameterException("maxResults must be between 1 and %d.", Most)
		}
		usual = int(*size)
	}
	if token != nil && *token != "" {
		said, err := base64.RawURLEncoding.DecodeString(*token)
		last, ok := strings.CutPrefix(string(said), mark)
		if err != nil || !ok {
			return nil, nil, ecsapi.InvalidParameterException("Invalid token.")
		}
		i := slices.Index(all, last)
		if i < 0 {
			// It is gone meanwhile: what comes after it in the order of names.
			if i = slices.IndexFunc(all, func(a string) bool { return a > last }) - 1; i < -1 {
				i = len(all) - 1
			}
		}
		all = all[i+1:]
	}
	if len(all) <= usual {
		return all, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(mark + all[usual-1]))
	return all[:usual], &next, nil
}
