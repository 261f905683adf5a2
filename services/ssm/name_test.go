package ssm

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"db": "", "/db": "", "/prod/db": "", "/prod/db.host_1-a": "", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o": "",
		"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p": "HierarchyLevelLimitExceededException: A hierarchy can have a maximum of 15 levels.",
		"prod/db":                          "ValidationException: Parameter name must be a fully qualified name.",
		"/aws/db":                          "AccessDeniedException: No access to reserved parameter name: /aws/db.",
		"aws":                              `ValidationException: Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`,
		"AWSdb":                            `ValidationException: Parameter name: can't be prefixed with "aws" or "ssm"`,
		"/ssm/db":                          `ValidationException: Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path`,
		"a b":                              `ValidationException: Parameter name: can't be prefixed with "ssm" (case-insensitive). If formed as a path`,
		"/prod/":                           "ValidationException: ", "/prod//db": "ValidationException: ", "": "ValidationException: ", "/": "ValidationException: ",
		"/" + strings.Repeat("x", 1011): "ValidationException: Parameter name can be at most 1011 characters long.",
	} {
		err := checkName(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][2]string{
		"db": {"db", ""}, "/prod/db:3": {"/prod/db", "3"}, "/prod/db:live": {"/prod/db", "live"}, "db:": {"db", ""}, "a:b:c": {"a", "b:c"}, "": {"", ""},
		"arn:aws:ssm:us-east-1:000000000000:parameter/prod/db":   {"arn:aws:ssm:us-east-1:000000000000:parameter/prod/db", ""},
		"arn:aws:ssm:us-east-1:000000000000:parameter/prod/db:2": {"arn:aws:ssm:us-east-1:000000000000:parameter/prod/db", "2"},
	} {
		if n, s := split(text); [2]string{n, s} != want {
			t.Errorf("%s: %q %q", text, n, s)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("/prod/db:3")
	f.Add("arn:aws:ssm:us-east-1:000000000000:parameter/prod/db:live")
	f.Fuzz(func(t *testing.T, text string) {
		name, selector := split(text)
		if text != name && text != name+":"+selector {
			t.Errorf("%q is split into %q and %q", text, name, selector)
		}
	})
}

// TestUnder: what is directly below a path is below it recursively, and every
// good name is below the root.
func TestUnder(t *testing.T) {
	part := rapid.StringMatching(`[a-z]{1,3}`)
	path := rapid.Custom(func(t *rapid.T) string {
		return "/" + strings.Join(rapid.SliceOfN(part, 1, 4).Draw(t, "parts"), "/")
	})
	rapid.Check(t, func(t *rapid.T) {
		name, at := path.Draw(t, "name"), path.Draw(t, "path")
		all, direct := under(name, at, true), under(name, at, false)
		if want := strings.HasPrefix(name, at+"/"); all != want {
			t.Fatalf("%s below %s: %v", name, at, all)
		}
		if direct != (all && levels(name) == levels(at)+1) {
			t.Fatalf("%s directly below %s: %v", name, at, direct)
		}
		if under(name, at+"/", true) != all || !under(name, "/", true) {
			t.Fatalf("%s, %s", name, at)
		}
	})
}
