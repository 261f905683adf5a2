package tag_test

import (
	"fmt"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/tag"
)

func tags(keys ...string) (out []ecsapi.Tag) {
	for _, k := range keys {
		out = append(out, ecsapi.Tag{Key: &k, Value: aws.Ptr("x")})
	}
	return out
}

func many(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("k", i))
	}
	return keys
}

func TestCheck(t *testing.T) {
	for text, c := range map[string][]ecsapi.Tag{
		"": tags("a", "A"),
		"Some tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @. Tag keys can not start with aws:.": tags("AWS:x"),
		"Duplicate tag keys found. Please note that Tag keys are case insensitive.":                                                                     tags("a", "a"),
		"Tag keys can not be null or empty.":       tags(""),
		"Tags can not have more than 50 elements.": tags(many(51)...),
	} {
		said := ""
		if err := tag.Check(c); err != nil {
			said = aws.AsError(err).Message
		}
		if said != text {
			t.Errorf("%q, not %q", said, text)
		}
	}
}

// What ECS put there itself does not keep anybody from adding tags.
func TestManagedTagsDoNotCount(t *testing.T) {
	all := tag.Merge(tags("aws:ecs:clusterName", "aws:ecs:serviceName"), tags(many(50)...))
	if err := tag.Count(all); err != nil || len(all) != 52 {
		t.Error(len(all), err)
	}
	if err := tag.Count(append(all, tags("one more")...)); err == nil {
		t.Error("51 tags of a user's")
	}
}
