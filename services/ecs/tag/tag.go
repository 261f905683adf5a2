// Package tag holds ECS's rules for tags, in its words.
package tag

import (
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

const most = 50

// Check refuses tags that nobody may set.
func Check(tags []ecsapi.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := aws.Val(t.Key)
		switch {
		case key == "":
			return ecsapi.InvalidParameterException("Tag keys can not be null or empty.")
		case own(t):
			return ecsapi.InvalidParameterException("Some tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @. Tag keys can not start with aws:.")
		case seen[key]:
			return ecsapi.InvalidParameterException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[key] = true
	}
	return Count(tags)
}

// Count refuses too many tags; those that AWS sets itself, aws:…, do not count.
func Count(tags []ecsapi.Tag) error {
	n := 0
	for _, t := range tags {
		if !own(t) {
			n++
		}
	}
	if n > most {
		return ecsapi.InvalidParameterException("Tags can not have more than %d elements.", most)
	}
	return nil
}

// own tells whether a tag is AWS's own.
func own(t ecsapi.Tag) bool { return strings.HasPrefix(strings.ToLower(aws.Val(t.Key)), "aws:") }

// Merge are the tags with those that change.
func Merge(tags, change []ecsapi.Tag) []ecsapi.Tag {
	out := slices.Clone(tags)
	for _, c := range change {
		if i := slices.IndexFunc(out, func(t ecsapi.Tag) bool { return aws.Val(t.Key) == aws.Val(c.Key) }); i >= 0 {
			out[i] = c
		} else {
			out = append(out, c)
		}
	}
	return out
}
