package pattern_test

import (
	"errors"
	"testing"

	"minato/services/logs/pattern"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{`""`, "anything", true},
		{"ERROR", "[ERROR 400] BAD REQUEST", true},
		{"ERROR", "[error 400]", false},
		{"ERROR", "ERRORS", false},
		{"ERROR", "ERRORS and ERROR", true},
		{"ERROR 400", "400 is the ERROR", true},
		{"ERROR 401", "[ERROR 400]", false},
		{`"BAD REQUEST"`, "[ERROR 400] BAD REQUEST", true},
		{`"REQUEST BAD"`, "[ERROR 400] BAD REQUEST", false},
		{`"GET /a"`, `x "GET /a" y`, true},
		{`"say \"hi\""`, `they say "hi" now`, true},
		{"ERROR -400", "[ERROR 401]", true},
		{"ERROR -400", "[ERROR 400]", false},
		{`-"/health"`, "GET /health", false},
		{`-"/health"`, "GET /", true},
		{"?ERROR ?WARN", "WARN x", true},
		{"?ERROR ?WARN", "INFO x", false},
		{"?WARN ERROR", "ERROR", true},
		{"?ERROR 400", "INFO 400", true},
		{`%5\d\d%`, "status 503", true},
		{`%5\d\d%`, "status 403", false},
		{"こんにちは", "text=こんにちは!", true},
		{`{ $.level = "error" }`, `{"level":"error"}`, true},
		{`{ $.level = "error" }`, `{"level":"info"}`, false},
		{`{ $.level = "error" }`, `level=error`, false},
		{`{ $.level = error }`, `{"level":"error"}`, true},
		{`{$.level != "error"}`, `{"level":"info"}`, true},
		{`{$.level != "error"}`, `{}`, false},
		{`{ $.path = "/a*" }`, `{"path":"/abc"}`, true},
		{`{ $.path = "/a*" }`, `{"path":"/b"}`, false},
		{`{ $.status >= 500 }`, `{"status":503}`, true},
		{`{ $.status >= 500 }`, `{"status":"503"}`, false},
		{`{ $.status = 5* }`, `{"status":503}`, true},
		{`{ $.a.b[1].c < 1.5e0 }`, `{"a":{"b":[0,{"c":1}]}}`, true},
		{`{ $.list[*] = 3 }`, `{"list":[1,2,3]}`, true},
		{`{ $.["a b"] = 1 }`, `{"a b":1}`, false}, // AWS writes $["a b"]
		{`{ $["a b"] = 1 }`, `{"a b":1}`, true},
		{`{ $.x IS NULL }`, `{"x":null}`, true},
		{`{ $.x IS NULL }`, `{}`, false},
		{`{ $.x NOT EXISTS }`, `{}`, true},
		{`{ $.x NOT EXISTS }`, `{"x":null}`, false},
		{`{ $.x IS TRUE && $.y IS FALSE }`, `{"x":true,"y":false}`, true},
		{`{ $.a = 1 || $.b = 1 && $.c = 1 }`, `{"a":1}`, true},
		{`{ ($.a = 1 || $.b = 1) && $.c = 1 }`, `{"a":1}`, false},
		{`{ ($.a = 1 || $.b = 1) && ($.c = 1) }`, `{"b":1,"c":1}`, true},
		{`{ $.p = %^/v\d% }`, `{"p":"/v1/x"}`, true},
	} {
		p, err := pattern.Compile(c.pattern)
		if err != nil {
			if c.want {
				t.Errorf("%s: %v", c.pattern, err)
			}
			continue
		}
		if got := p.Match(c.message); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.message, got)
		}
	}
}

func TestSyntax(t *testing.T) {
	for _, text := range []string{
		`"open`, "-", "? a", "a.b", "%(%", "%open", "[ip, user]", "{", "{}", "{ $.a }", "{ $.a = }", "{ a = 1 }", "{ $.a = 1 &&}",
		"{ ($.a = 1 }", "{ $.a = 1 ) }", "{ $.a < x }", "{ $.a IS }", "{ $.a NOT }", "{ $.[0] = 1 }", "{ $[x] = 1 }", "{ $. = 1 }",
	} {
		if _, err := pattern.Compile(text); !errors.Is(err, pattern.ErrSyntax) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add(`{ ($.a.b[1] = "x*" || $.c IS NULL) && $["d"] >= 1.5 }`, `{"a":{"b":[1,"x"]}}`)
	f.Add(`a -"b c" ?d %e%`, "a b c")
	f.Fuzz(func(t *testing.T, text, message string) {
		if p, err := pattern.Compile(text); err == nil {
			p.Match(message)
		}
	})
}
