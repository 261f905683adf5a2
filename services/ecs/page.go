package ecs

import (
	"encoding/base64"
	"slices"

	ecsapi "minato/aws/api/ecs"
)

// pageSize is how many ARNs ECS lists at most, and unless told otherwise.
const pageSize = 100

// page cuts out of ARNs the page after a token, which names the last one before
// it. They need not be sorted, but their order must be lasting.
func page(arns []string, token *string, size *int32) ([]string, *string, error) {
	if token != nil && *token != "" {
		last, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, ecsapi.InvalidParameterException("Invalid token.")
		}
		i := slices.Index(arns, string(last))
		if i < 0 {
			// It is gone meanwhile: what comes after it in the order of names.
			i = slices.IndexFunc(arns, func(a string) bool { return a > string(last) }) - 1
			if i < -1 {
				i = len(arns) - 1
			}
		}
		arns = arns[i+1:]
	}
	most := pageSize
	if size != nil && *size > 0 && *size < pageSize {
		most = int(*size)
	}
	if len(arns) <= most {
		return arns, nil, nil
	}
	next := base64.RawURLEncoding.EncodeToString([]byte(arns[most-1]))
	return arns[:most], &next, nil
}
