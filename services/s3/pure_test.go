package s3

import (
	"fmt"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"abc": true, "my-bucket.logs": true, "0-9": true, strings.Repeat("a", 63): true,
		"ab": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-ab": false, "ab-": false, "a..b": false, "a.-b": false, "10.0.0.1": false,
		"xn--abc": false, "abc-s3alias": false, "abc--x-s3": false, "": false,
	} {
		if validName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		header       string
		size         int64
		from, length int64
		partial      bool
		fails        bool
	}{
		{"bytes=0-0", 10, 0, 1, true, false},
		{"bytes=2-", 10, 2, 8, true, false},
		{"bytes=2-100", 10, 2, 8, true, false},
		{"bytes=-3", 10, 7, 3, true, false},
		{"bytes=-30", 10, 0, 10, true, false},
		{"bytes=10-", 10, 0, 10, false, true},
		{"bytes=-0", 10, 0, 10, false, true},
		{"bytes=0-", 0, 0, 0, false, true},
		{"bytes=5-2", 10, 0, 10, false, false},
		{"bytes=a-b", 10, 0, 10, false, false},
		{"bytes=0-1,3-4", 10, 0, 10, false, false},
		{"lines=0-1", 10, 0, 10, false, false},
		{"bytes=", 10, 0, 10, false, false},
		{"bytes=-", 10, 0, 10, false, false},
		{"bytes=99999999999999999999-", 10, 0, 10, false, false},
	} {
		got, partial, err := parseRange(c.header, c.size)
		if got != (span{c.from, c.length}) || partial != c.partial || (err != nil) != c.fails {
			t.Errorf("%s of %d: %v %v %v", c.header, c.size, got, partial, err)
		}
	}
}

func FuzzRange(f *testing.F) {
	f.Add("bytes=0-5", int64(3))
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		s, _, err := parseRange(header, size)
		if err == nil && (s.from < 0 || s.length < 0 || s.from+s.length > size) {
			t.Fatalf("%q of %d is %v", header, size, s)
		}
	})
}

func TestConditions(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	before, after := at.Add(-time.Second), at.Add(time.Second)
	mine, other := aws.Ptr(`"tag"`), aws.Ptr(`"x", "y"`)
	for name, c := range map[string]struct {
		conditions
		want string
	}{
		"none":                              {},
		"the tag":                           {conditions{match: mine}, ""},
		"a star":                            {conditions{match: aws.Ptr("*")}, ""},
		"without quotes":                    {conditions{match: aws.Ptr("tag")}, ""},
		"another tag":                       {conditions{match: other}, "PreconditionFailed"},
		"not the tag":                       {conditions{noneMatch: mine}, "NotModified"},
		"not another":                       {conditions{noneMatch: other}, ""},
		"modified since":                    {conditions{since: &before}, ""},
		"not modified since":                {conditions{since: &at}, "NotModified"},
		"unmodified since":                  {conditions{unless: &after}, ""},
		"modified though":                   {conditions{unless: &before}, "PreconditionFailed"},
		"the tag outweighs unmodified":      {conditions{match: mine, unless: &before}, ""},
		"another tag outweighs not changed": {conditions{noneMatch: other, since: &at}, ""},
	} {
		got := ""
		if err := c.check(object{ETag: "tag", Modified: at}); err != nil {
			got = err.Code
		}
		if got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestWalk compares pages of a listing with what a naive reading of the rules
// gives in one piece.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[ab/.]{1,5}`), rapid.ID[string]).Draw(t, "keys")
		sort.Strings(keys)
		prefix, delimiter := rapid.StringMatching(`[ab/]{0,2}`).Draw(t, "prefix"), rapid.SampledFrom([]string{"", "/", "a", "//"}).Draw(t, "delimiter")
		most := rapid.IntRange(1, 4).Draw(t, "most")
		var want []string
		for _, k := range keys {
			rest, ok := strings.CutPrefix(k, prefix)
			if !ok {
				continue
			}
			if i := strings.Index(rest, delimiter); delimiter != "" && i >= 0 {
				k = k[:len(prefix)+i+len(delimiter)]
			}
			if len(want) == 0 || want[len(want)-1] != k {
				want = append(want, k)
			}
		}
		next := func(after string, limit int) ([]string, error) {
			var out []string
			for _, k := range keys {
				if strings.HasPrefix(k, prefix) && k > after && len(out) < limit {
					out = append(out, k)
				}
			}
			return out, nil
		}
		var got []string
		for after, more := "", true; more; {
			page, m, err := walk(listing{prefix: prefix, delimiter: delimiter, after: after, most: most}, func(k string) string { return k }, next)
			if err != nil || len(page) > most || m && len(page) < most {
				t.Fatalf("a page of %d, more %v: %v", len(page), m, err)
			}
			for _, e := range page {
				got = append(got, e.name)
				after = e.name
			}
			more = m
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("listed %q, not %q", got, want)
		}
	})
}

func TestSource(t *testing.T) {
	for source, want := range map[string]string{
		"b/k": "b k", "/b/k/l": "b k/l", "b/a%20b%2Fc": "b a b/c", "b/k?versionId=null": "b k null", "b/k?versionId=1": "b k 1", "b": "", "b/": "", "": "", "arn:aws:s3:::b/k": "", "b/%": "",
	} {
		name, key, version, err := parseSource(source)
		if got := strings.TrimSpace(name + " " + key + " " + aws.Val(version)); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%s: %q, %v", source, got, err)
		}
	}
}

func TestTags(t *testing.T) {
	tags, err := headerTags("b=2&a=1&c=")
	if err != nil || len(tags) != 3 || *tags[0].Key != "a" || *tags[2].Value != "" {
		t.Errorf("%v %v", tags, err)
	}
	for _, bad := range []string{"a=1&a=2", "%zz", "aws:a=1", "=1", strings.Repeat("a", 129) + "=", "a=" + strings.Repeat("a", 257), "a=&b=&c=&d=&e=&f=&g=&h=&i=&j=&k="} {
		if _, err := headerTags(bad); err == nil {
			t.Errorf("%.20s was taken", bad)
		}
	}
}

// FuzzSource: a copy's source that is taken names a bucket and a key, and is read
// the same from its encoded form.
func FuzzSource(f *testing.F) {
	for _, source := range []string{"bucket/key", "/bucket/a%20b?versionId=7", "bucket/%3FversionId=x", "%2Fb/k", "arn:aws:s3:::b/k", "b/k?versionId="} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		name, key, version, err := parseSource(source)
		if err != nil {
			return
		}
		again := url.PathEscape(name) + "/" + url.PathEscape(key)
		if version != nil {
			again += "?versionId=" + *version
		}
		n2, k2, v2, err := parseSource(again)
		if err != nil && strings.HasPrefix(name, "arn:") {
			return
		}
		if err != nil || n2 != name || k2 != key || aws.Val(v2) != aws.Val(version) {
			t.Fatalf("%q is %q, %q, %q; %q is %q, %q, %q, %v", source, name, key, aws.Val(version), again, n2, k2, aws.Val(v2), err)
		}
	})
}
