// Package pattern compiles the filter patterns of CloudWatch Logs and matches
// events with them:
//
//	ERROR timeout          every term, anywhere in the event, as whole words
//	"GET /comment"         a phrase; terms with other characters than letters, digits and _ are quoted
//	ERROR -healthcheck     not this one
//	?ERROR ?WARN           any of them (ignored beside other terms, as on AWS)
//	%5\d\d%                a regular expression
//	{ $.level = "error" && ($.status >= 500 || $.path = "/a*") }   members of JSON events
//
// The patterns for space-delimited events ([a, b, …]) are not served.
package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern decides which events are wanted.
type Pattern struct{ match func(message string) bool }

// Match tells whether an event's message is wanted.
func (p Pattern) Match(message string) bool { return p.match == nil || p.match(message) }

// All tells that the pattern wants every event.
func (p Pattern) All() bool { return p.match == nil }

// ErrSyntax is wrapped by every error of Compile.
var ErrSyntax = errors.New("invalid filter pattern")

// Compile reads a filter pattern; the empty one matches everything.
func Compile(text string) (Pattern, error) {
	if !utf8.ValidString(text) {
		return Pattern{}, fmt.Errorf("%w: not UTF-8", ErrSyntax)
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "" || text == `""`:
		return Pattern{}, nil
	case strings.HasPrefix(text, "{"):
		return compileJSON(text)
	case strings.HasPrefix(text, "["):
		return Pattern{}, fmt.Errorf("%w: patterns for space-delimited events are not supported", ErrSyntax)
	}
	return compileTerms(text)
}

// term is one term of an unstructured pattern.
type term struct {
	matches func(string) bool
	mode    byte // '+', '-' or '?'
}

func compileTerms(text string) (Pattern, error) {
	var must, not, any []func(string) bool
	for text != "" {
		t, rest, err := nextTerm(text)
		if err != nil {
			return Pattern{}, err
		}
		switch t.mode {
		case '-':
			not = append(not, t.matches)
		case '?':
			any = append(any, t.matches)
		default:
			must = append(must, t.matches)
		}
		text = strings.TrimLeftFunc(rest, unicode.IsSpace)
	}
	if len(must)+len(not) > 0 {
		any = nil // "the question mark will be ignored"
	}
	return Pattern{func(s string) bool {
		for _, m := range not {
			if m(s) {
				return false
			}
		}
		for _, m := range must {
			if !m(s) {
				return false
			}
		}
		for _, m := range any {
			if m(s) {
				return true
			}
		}
		return len(any) == 0
	}}, nil
}

func nextTerm(text string) (term, string, error) {
	t := term{mode: '+'}
	if text[0] == '-' || text[0] == '?' {
		t.mode, text = text[0], text[1:]
	}
	switch {
	case text == "" || unicode.IsSpace(rune(text[0])):
		return t, "", fmt.Errorf("%w: a %c without a term", ErrSyntax, t.mode)
	case text[0] == '"':
		phrase, rest, err := quoted(text)
		if err != nil {
			return t, "", err
		}
		t.matches = words(phrase)
		return t, rest, nil
	case text[0] == '%':
		re, rest, err := regular(text)
		if err != nil {
			return t, "", err
		}
		t.matches = re.MatchString
		return t, rest, nil
	}
	end := strings.IndexFunc(text, unicode.IsSpace)
	if end < 0 {
		end = len(text)
	}
	word := text[:end]
	if i := strings.IndexFunc(word, func(r rune) bool { return !wordRune(r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(word[i:])
		return t, "", fmt.Errorf("%w: the character %q must stand in double quotes", ErrSyntax, r)
	}
	t.matches = words(word)
	return t, text[end:], nil
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// quoted reads a string in double quotes; \" and \\ stand for themselves.
func quoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("%w: a double quote is not closed", ErrSyntax)
}

// regular reads a regular expression between percent signs.
func regular(text string) (re *regexp.Regexp, rest string, err error) {
	end := strings.IndexByte(text[1:], '%')
	if end < 0 {
		return nil, "", fmt.Errorf("%w: a regular expression is not closed by %%", ErrSyntax)
	}
	re, err = regexp.Compile(text[1 : end+1])
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return re, text[end+2:], nil
}

// words matches a phrase where it does not begin or end in the middle of a word.
func words(phrase string) func(string) bool {
	first, _ := utf8.DecodeRuneInString(phrase)
	last, _ := utf8.DecodeLastRuneInString(phrase)
	return func(s string) bool {
		for at := 0; ; {
			i := strings.Index(s[at:], phrase)
			if i < 0 {
				return false
			}
			i += at
			before, _ := utf8.DecodeLastRuneInString(s[:i])
			after, _ := utf8.DecodeRuneInString(s[i+len(phrase):])
			if !(wordRune(first) && wordRune(before)) && !(wordRune(last) && wordRune(after)) {
				return true
			}
			_, size := utf8.DecodeRuneInString(s[i:])
			if size == 0 {
				return false
			}
			at = i + size
		}
	}
}
