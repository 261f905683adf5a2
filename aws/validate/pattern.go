package validate

import (
	"regexp"
	"strings"
	"sync"
)

// compiled holds the models' patterns as Go reads them, made at first use; nil
// for one that Go's regular expressions cannot say.
var compiled sync.Map // pattern as in the model → *regexp.Regexp

// matches tells whether the whole text has the form of a model's pattern. A
// pattern that Go cannot say matches everything; a test lists those.
func matches(pattern, text string) bool {
	re, ok := compiled.Load(pattern)
	if !ok {
		re, _ = compiled.LoadOrStore(pattern, compile(pattern))
	}
	r := re.(*regexp.Regexp)
	return r == nil || r.MatchString(text)
}

// astral are the two characters beyond the basic plane in the models, which
// Java's \u could not even say.
var (
	astral  = regexp.MustCompile(`\\u(10000|10FFFF)`)
	unicode = regexp.MustCompile(`\\u([0-9A-Fa-f]{4})`)
)

// surrogates says what Java says otherwise: all characters beyond the basic plane,
// and what POSIX can print.
var surrogates = strings.NewReplacer(`\uD800\uDC00-\uDBFF\uDFFF`, `\x{10000}-\x{10FFFF}`, `\p{Print}`, `[ -~]`)

// otherwise are patterns with a lookahead, which Go has not, and others that with the
// model's limits of length mean the same.
var otherwise = map[string]string{
	`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`: `[a-z0-9](?:-?[a-z0-9])+`, // an account's alias
}

// compile translates a Java pattern; AWS matches the whole value, anchored or not.
func compile(pattern string) *regexp.Regexp {
	if p, ok := otherwise[pattern]; ok {
		pattern = p
	}
	p := surrogates.Replace(pattern)
	p = astral.ReplaceAllString(p, `\x{$1}`)
	p = unicode.ReplaceAllString(p, `\x{$1}`)
	re, err := regexp.Compile(`^(?:` + p + `)$`)
	if err != nil {
		return nil
	}
	return re
}
