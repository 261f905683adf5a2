package match

import (
	"regexp"
	"strings"
	"testing"
)

// globExpression is a pattern as a regular expression: what it means, slowly.
func globExpression(p string, fold bool) *regexp.Regexp {
	text := strings.ReplaceAll(strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, `(?:.|\n)*`), `\?`, `(?:.|\n)`)
	if fold {
		text = "(?i)" + text
	}
	return regexp.MustCompile("^" + text + `\z`)
}

func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r > 126 }) < 0
}

// FuzzGlob: the matcher of rules agrees with what its patterns mean.
func FuzzGlob(f *testing.F) {
	f.Add("/img/*.pn?", "/img/a/b.png", false)
	f.Add("*.Example.com", "www.example.COM", true)
	f.Add("a*a*a*a*b", strings.Repeat("a", 50), false)
	f.Add("**?", "", true)
	f.Fuzz(func(t *testing.T, p, s string, fold bool) {
		if len(p) > 64 || len(s) > 256 || !ascii(p) || !ascii(s) || strings.ContainsAny(p, "\x01\x02") {
			return // characters of several bytes are matched byte by byte
		}
		if got, want := glob(p, []byte(s), fold), globExpression(p, fold).MatchString(s); got != want {
			t.Fatalf("glob(%q, %q, %v) is %v", p, s, fold, got)
		}
	})
}
