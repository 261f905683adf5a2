package main

import (
	"fmt"
	"strings"
	"unicode"
)

// exported makes a Go name of a model's name: the first letter upper case, as
// the AWS SDKs do, so that code reads like AWS's documentation.
func exported(name string) string {
	name = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, name)
	return strings.ToUpper(name[:1]) + name[1:]
}

// constant makes the Go name of an enum's value: LaunchType and "FARGATE" give
// LaunchTypeFargate.
func constant(enum, value string) string {
	words := strings.FieldsFunc(value, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var b strings.Builder
	b.WriteString(enum)
	for _, w := range words {
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}

// scope holds the names of a package and refuses to give one twice.
type scope map[string]string

// declare takes a name for what; it fails when the name is taken.
func (s scope) declare(name, what string) error {
	if old, taken := s[name]; taken {
		return fmt.Errorf("%s and %s would both be called %s", old, what, name)
	}
	s[name] = what
	return nil
}

// free returns name, or the first of name2, name3, … that is not taken, and takes it.
func (s scope) free(name, what string) string {
	try := name
	for i := 2; s[try] != ""; i++ {
		try = fmt.Sprintf("%s%d", name, i)
	}
	s[try] = what
	return try
}
