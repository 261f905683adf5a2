package listing

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// ship is a resource to choose from.
type ship struct {
	id, port string
	tags     []ec2api.Tag
}

func (s *ship) attribute(name string) ([]string, bool) {
	if name == "port" {
		return []string{s.port}, true
	}
	return nil, false
}

func tag(key, value string) ec2api.Tag { return ec2api.Tag{Key: &key, Value: &value} }

func filter(name string, values ...string) ec2api.Filter {
	return ec2api.Filter{Name: &name, Values: values}
}

func choose(fleet []ship, ids []string, filters ...ec2api.Filter) (string, error) {
	out, err := Choose(fleet, ids, filters, func(s *ship) string { return s.id }, func(s *ship) []ec2api.Tag { return s.tags }, (*ship).attribute,
		func(id string) error { return aws.Errorf("InvalidShip.NotFound", "no %s", id) })
	var names []string
	for _, s := range out {
		names = append(names, s.id)
	}
	return strings.Join(names, " "), err
}

func TestChoose(t *testing.T) {
	fleet := []ship{
		{"s-1", "kobe", []ec2api.Tag{tag("crew", "red"), tag("old", "")}},
		{"s-2", "kobe", []ec2api.Tag{tag("crew", "blue")}},
		{"s-3", "osaka", nil},
	}
	for name, c := range map[string]struct {
		ids     []string
		filters []ec2api.Filter
		want    string
	}{
		"all":                      {nil, nil, "s-1 s-2 s-3"},
		"ids, in the list's order": {[]string{"s-3", "s-1"}, nil, "s-1 s-3"},
		"an attribute":             {nil, []ec2api.Filter{filter("port", "kobe")}, "s-1 s-2"},
		"one of the values":        {nil, []ec2api.Filter{filter("port", "x", "o*a")}, "s-3"},
		"all of the filters":       {nil, []ec2api.Filter{filter("port", "kobe"), filter("tag:crew", "blue")}, "s-2"},
		"a tag's key":              {nil, []ec2api.Filter{filter("tag-key", "old")}, "s-1"},
		"a tag's value":            {nil, []ec2api.Filter{filter("tag-value", "")}, "s-1"},
		"ids and filters":          {[]string{"s-1"}, []ec2api.Filter{filter("tag:crew", "blue")}, ""},
		"no values match nothing":  {nil, []ec2api.Filter{filter("port")}, ""},
	} {
		if got, err := choose(fleet, c.ids, c.filters...); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestChooseRefuses(t *testing.T) {
	if _, err := choose([]ship{{id: "s-1"}}, []string{"s-1", "s-9"}); !aws.IsCode(err, "InvalidShip.NotFound") {
		t.Errorf("an id of nothing: %v", err)
	}
	for _, fleet := range [][]ship{nil, {{id: "s-1"}}} {
		if _, err := choose(fleet, nil, filter("mast", "x")); !aws.IsCode(err, "InvalidParameterValue") {
			t.Errorf("an unknown filter of %d: %v", len(fleet), err)
		}
	}
}

// TestLike holds filters' values against what they are as regular expressions.
func TestLike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`([ab*?]|\\[ab*?\\])*`).Draw(t, "pattern")
		s := rapid.StringMatching(`[ab*?\\]*`).Draw(t, "s")
		var re strings.Builder
		for i := 0; i < len(pattern); i++ {
			switch c := pattern[i]; c {
			case '*':
				re.WriteString(".*")
			case '?':
				re.WriteString(".")
			case '\\':
				i++
				re.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
			default:
				re.WriteByte(c)
			}
		}
		if got, want := like(pattern, s), regexp.MustCompile(`\A(?:`+re.String()+`)\z`).MatchString(s); got != want {
			t.Fatalf("like(%q, %q) is %v", pattern, s, got)
		}
	})
}

// TestLikeIsQuick would not end if every * were tried again.
func TestLikeIsQuick(t *testing.T) {
	if like(strings.Repeat("*a", 200)+"b", strings.Repeat("a", 10_000)) {
		t.Error("there is no b")
	}
}

func TestPage(t *testing.T) {
	items := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	var got []int
	var token *string
	for {
		p, next, err := Page(items, aws.Ptr(int32(minPage)), token)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p...)
		if token = next; token == nil {
			break
		}
	}
	if !slices.Equal(got, items) {
		t.Errorf("the pages are %v", got)
	}
	if _, _, err := Page(items, aws.Ptr(int32(minPage-1)), nil); !aws.IsCode(err, "InvalidParameterValue") {
		t.Errorf("a page that is too small: %v", err)
	}
	for _, bad := range []string{"!", "LTE", "OTk"} { // not base64, -1, 99
		if _, _, err := Page(items, nil, &bad); !aws.IsCode(err, "InvalidParameterValue") {
			t.Errorf("token %q: %v", bad, err)
		}
	}
}
