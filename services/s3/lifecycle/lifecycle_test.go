package lifecycle

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	api "minato/aws/api/s3"
)

func day(n int, hour int) time.Time { return time.Date(2026, 1, n, hour, 30, 0, 0, time.UTC) }

func midnightOf(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

// TestPlan: what a rule does to which versions, and when for the first time.
func TestPlan(t *testing.T) {
	five := int64(5)
	object := Version{ID: "1", Modified: day(15, 10), Size: 10, Tags: map[string]string{"keep": "no"}}
	newer := Version{ID: "2", Modified: day(16, 1)}
	was := object
	was.Since = newer.Modified
	marker := Version{ID: "m", Modified: day(16, 1), Marker: true}
	for name, c := range map[string]struct {
		rule     Rule
		versions []Version
		first    time.Time // at which it does something
		want     string
	}{
		// S3's own example: 10:30 on the 15th and three days are the 19th at midnight.
		"days":                        {Rule{Days: 3}, []Version{object}, midnightOf(19), "expire 1"},
		"a date":                      {Rule{Date: midnightOf(20)}, []Version{object}, midnightOf(20), "expire 1"},
		"another prefix":              {Rule{Days: 3, Prefix: "x"}, []Version{object}, time.Time{}, ""},
		"the prefix":                  {Rule{Days: 3, Prefix: "ke"}, []Version{object}, midnightOf(19), "expire 1"},
		"another tag":                 {Rule{Days: 3, Tags: map[string]string{"keep": "yes"}}, []Version{object}, time.Time{}, ""},
		"the tag":                     {Rule{Days: 3, Tags: map[string]string{"keep": "no"}}, []Version{object}, midnightOf(19), "expire 1"},
		"larger":                      {Rule{Days: 3, Larger: &five}, []Version{object}, midnightOf(19), "expire 1"},
		"smaller":                     {Rule{Days: 3, Smaller: &five}, []Version{object}, time.Time{}, ""},
		"only the current one":        {Rule{Days: 3}, []Version{newer, was}, midnightOf(20), "expire 2"},
		"noncurrent":                  {Rule{Noncurrent: 2}, []Version{newer, was}, midnightOf(19), "remove 1"},
		"behind a marker":             {Rule{Noncurrent: 2}, []Version{marker, was}, midnightOf(19), "remove 1"},
		"newer ones stay":             {Rule{Noncurrent: 2, Keep: 1}, []Version{newer, was, was}, midnightOf(19), "remove 1"},
		"enough stay":                 {Rule{Noncurrent: 2, Keep: 2}, []Version{newer, was, was}, time.Time{}, ""},
		"a lone marker":               {Rule{LoneMarkers: true}, []Version{marker}, midnightOf(1), "remove m"},
		"a marker that hides":         {Rule{LoneMarkers: true}, []Version{marker, was}, time.Time{}, ""},
		"a lone marker of an age":     {Rule{Days: 1}, []Version{marker}, midnightOf(18), "remove m"},
		"markers have no tags":        {Rule{Days: 1, Tags: map[string]string{"keep": "no"}}, []Version{marker}, time.Time{}, ""},
		"a marker that is not latest": {Rule{Noncurrent: 1}, []Version{newer, {ID: "m", Marker: true, Modified: day(15, 1), Since: newer.Modified}}, midnightOf(18), "remove m"},
	} {
		c.rule.Enabled = true
		show := func(now time.Time, enabled bool) string {
			c.rule.Enabled = enabled
			var out []string
			for _, a := range Plan([]Rule{c.rule}, "key", c.versions, now) {
				out = append(out, map[Kind]string{Expire: "expire ", Remove: "remove "}[a.Kind]+a.Version.ID)
			}
			return strings.Join(out, ", ")
		}
		if c.first.IsZero() {
			c.first = midnightOf(31)
		} else if c.rule.LoneMarkers {
			c.first = midnightOf(1)
		} else if got := show(c.first.Add(-time.Nanosecond), true); got != "" {
			t.Errorf("%s: %q too early", name, got)
		}
		if got := show(c.first, true); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
		if got := show(c.first, false); got != "" {
			t.Errorf("%s: %q by a rule that is disabled", name, got)
		}
	}
}

// TestPlanKeeps: whatever the rules, a current version is never removed for good,
// no version is acted on twice, what is done stays due, and a marker that hides
// something stays.
func TestPlanKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rules []Rule
		for range rapid.IntRange(1, 3).Draw(t, "rules") {
			rules = append(rules, Rule{
				ID: fmt.Sprint(len(rules)), Enabled: rapid.Bool().Draw(t, "enabled"), Days: rapid.IntRange(0, 3).Draw(t, "days"), LoneMarkers: rapid.Bool().Draw(t, "markers"),
				Noncurrent: rapid.IntRange(0, 3).Draw(t, "noncurrent"), Keep: rapid.IntRange(0, 3).Draw(t, "keep"),
			})
		}
		var versions []Version
		at := day(20, 1)
		for i := range rapid.IntRange(1, 5).Draw(t, "versions") {
			v := Version{ID: fmt.Sprint(i), Marker: rapid.Bool().Draw(t, "marker")}
			if i > 0 {
				v.Since = at
			}
			at = at.Add(-time.Duration(rapid.IntRange(0, 60).Draw(t, "age")) * time.Hour)
			v.Modified = at
			versions = append(versions, v)
		}
		now := day(20, 1).Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "now")) * time.Hour)
		seen := map[string]bool{}
		for _, a := range Plan(rules, "k", versions, now) {
			current := a.Version.ID == "0"
			switch {
			case seen[a.Version.ID]:
				t.Fatalf("version %s twice", a.Version.ID)
			case a.Kind == Expire && (!current || a.Version.Marker):
				t.Fatalf("%+v expires", a.Version)
			case a.Kind == Remove && current && (!a.Version.Marker || len(versions) > 1):
				t.Fatalf("%+v is removed", a.Version)
			}
			seen[a.Version.ID] = true
		}
		for _, a := range Plan(rules, "k", versions, now.Add(time.Hour)) {
			delete(seen, a.Version.ID)
		}
		if len(seen) > 0 {
			t.Fatalf("%v was due, and is not an hour later", seen)
		}
	})
}

func TestAbort(t *testing.T) {
	rules := []Rule{{Enabled: true, Prefix: "a", AbortUploads: 1}, {Prefix: "b", AbortUploads: 1}, {Enabled: true, Prefix: "c", Days: 1}}
	for key, want := range map[string]bool{"a/k": true, "b/k": false, "c/k": false} {
		if Abort(rules, key, day(1, 5), midnightOf(3)) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	if Abort(rules, "a", day(1, 5), midnightOf(3).Add(-1)) {
		t.Error("too early")
	}
}

func TestParse(t *testing.T) {
	p := aws.Ptr[string]
	n := aws.Ptr[int32]
	enabled, all := p("Enabled"), &api.LifecycleRuleFilter{Prefix: p("")}
	days := &api.LifecycleExpiration{Days: n(1)}
	tag := func(k string) api.Tag { return api.Tag{Key: &k, Value: p("v")} }
	midnight, noon := midnightOf(1), midnightOf(1).Add(12*time.Hour)
	for name, c := range map[string]struct {
		rules []api.LifecycleRule
		want  string
	}{
		"none":             {nil, "MalformedXML"},
		"days":             {[]api.LifecycleRule{{Status: enabled, Filter: all, Expiration: days}}, ""},
		"an empty filter":  {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{}, Expiration: days}}, ""},
		"the old prefix":   {[]api.LifecycleRule{{Status: enabled, Prefix: p("a/"), Expiration: days}}, ""},
		"both":             {[]api.LifecycleRule{{Status: enabled, Prefix: p(""), Filter: all, Expiration: days}}, "MalformedXML"},
		"neither":          {[]api.LifecycleRule{{Status: enabled, Expiration: days}}, "MalformedXML"},
		"no action":        {[]api.LifecycleRule{{Status: enabled, Filter: all}}, "InvalidRequest"},
		"no status":        {[]api.LifecycleRule{{Filter: all, Expiration: days}}, "MalformedXML"},
		"no days":          {[]api.LifecycleRule{{Status: enabled, Filter: all, Expiration: &api.LifecycleExpiration{Days: n(0)}}}, "InvalidArgument"},
		"two ends":         {[]api.LifecycleRule{{Status: enabled, Filter: all, Expiration: &api.LifecycleExpiration{Days: n(1), Date: &midnight}}}, "MalformedXML"},
		"a date":           {[]api.LifecycleRule{{Status: enabled, Filter: all, Expiration: &api.LifecycleExpiration{Date: &midnight}}}, ""},
		"noon":             {[]api.LifecycleRule{{Status: enabled, Filter: all, Expiration: &api.LifecycleExpiration{Date: &noon}}}, "InvalidArgument"},
		"twice":            {[]api.LifecycleRule{{ID: p("x"), Status: enabled, Filter: all, Expiration: days}, {ID: p("x"), Status: enabled, Filter: all, Expiration: days}}, "InvalidArgument"},
		"a long id":        {[]api.LifecycleRule{{ID: p(strings.Repeat("x", 256)), Status: enabled, Filter: all, Expiration: days}}, "InvalidArgument"},
		"a transition":     {[]api.LifecycleRule{{Status: enabled, Filter: all, Transitions: []api.Transition{{Days: n(1), StorageClass: p("GLACIER")}}}}, "NotImplemented"},
		"and":              {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Prefix: p("a"), Tags: []api.Tag{tag("a"), tag("b")}}}, Expiration: days}}, ""},
		"and of one":       {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Prefix: p("a")}}, Expiration: days}}, "MalformedXML"},
		"two without and":  {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{Prefix: p("a"), ObjectSizeLessThan: aws.Ptr(int64(3))}, Expiration: days}}, "MalformedXML"},
		"a tag twice":      {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{Tags: []api.Tag{tag("a"), tag("a")}}}, Expiration: days}}, "InvalidRequest"},
		"sizes":            {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{And: &api.LifecycleRuleAndOperator{ObjectSizeGreaterThan: aws.Ptr(int64(3)), ObjectSizeLessThan: aws.Ptr(int64(3))}}, Expiration: days}}, "InvalidRequest"},
		"uploads by tag":   {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{Tag: aws.Ptr(tag("a"))}, AbortIncompleteMultipartUpload: &api.AbortIncompleteMultipartUpload{DaysAfterInitiation: n(1)}}}, "InvalidRequest"},
		"markers by tag":   {[]api.LifecycleRule{{Status: enabled, Filter: &api.LifecycleRuleFilter{Tag: aws.Ptr(tag("a"))}, Expiration: &api.LifecycleExpiration{ExpiredObjectDeleteMarker: aws.Ptr(true)}}}, "InvalidRequest"},
		"noncurrent":       {[]api.LifecycleRule{{Status: enabled, Filter: all, NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{NoncurrentDays: n(30), NewerNoncurrentVersions: n(100)}}}, ""},
		"too many newer":   {[]api.LifecycleRule{{Status: enabled, Filter: all, NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{NoncurrentDays: n(30), NewerNoncurrentVersions: n(101)}}}, "InvalidArgument"},
		"noncurrent never": {[]api.LifecycleRule{{Status: enabled, Filter: all, NoncurrentVersionExpiration: &api.NoncurrentVersionExpiration{}}}, "InvalidArgument"},
	} {
		_, err := Parse(c.rules)
		if got := codeOf(err); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return aws.AsError(err).Code
}
