package listing_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
	"minato/services/ecs/listing"
)

// Whoever follows the tokens sees everything once and in order, and what is
// deleted on the way hides nothing else.
func TestPagesAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,4}`), 0, 20, rapid.ID[string]).Draw(t, "all")
		slices.Sort(all)
		size := rapid.Int32Range(1, 7).Draw(t, "size")
		gone := rapid.Bool().Draw(t, "the last of a page goes")
		var seen []string
		var token *string
		left := slices.Clone(all)
		for {
			page, next, err := listing.Page(left, token, &size, 10)
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, page...)
			if gone && len(page) > 0 {
				left = slices.DeleteFunc(slices.Clone(left), func(s string) bool { return s == page[len(page)-1] })
			}
			if token = next; token == nil {
				break
			}
		}
		if !slices.Equal(seen, all) {
			t.Fatalf("%v, not %v", seen, all)
		}
	})
}

func TestNonsenseIsRefused(t *testing.T) {
	for _, size := range []int32{-1, 0, 101} {
		if _, _, err := listing.Page(nil, nil, &size, 10); err == nil || aws.AsError(err).Message != "maxResults must be between 1 and 100." {
			t.Errorf("%d: %v", size, err)
		}
	}
	for _, token := range []string{"zzz", "%", "YWJj"} {
		if _, _, err := listing.Page([]string{"a"}, &token, nil, 10); err == nil || aws.AsError(err).Code != "InvalidParameterException" {
			t.Errorf("%s: %v", token, err)
		}
	}
	if page, next, err := listing.Page(make([]string, 11), nil, nil, 10); len(page) != 10 || next == nil || err != nil {
		t.Error(page, next, err)
	}
}
