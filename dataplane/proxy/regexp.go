package proxy

import (
	"errors"
	"regexp"
)

// Regexp compiles a regular expression of a condition or a rewrite: RE2's syntax, but
// for classes of Unicode.
func Regexp(text string) (*regexp.Regexp, error) {
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if i++; text[i] == 'p' || text[i] == 'P' {
			return nil, errors.New("a class of Unicode")
		}
	}
	return regexp.Compile(text)
}
