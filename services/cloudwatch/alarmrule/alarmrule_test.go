package alarmrule

import (
	"strings"
	"testing"
)

var states = map[string]string{"a": "ALARM", "b": "OK", "c d": "ALARM", "arn:aws:cloudwatch:us-east-1:1:alarm:e": "INSUFFICIENT_DATA"}

func TestEval(t *testing.T) {
	for text, want := range map[string]bool{
		"TRUE":                                 true,
		"FALSE":                                false,
		"ALARM(a)":                             true,
		`ALARM("a")`:                           true,
		"ALARM('c d')":                         true,
		"ALARM(b)":                             false,
		"OK(b)":                                true,
		"NOT OK(b)":                            false,
		"NOT NOT OK(b)":                        true,
		"ALARM(a) AND ALARM(b)":                false,
		"ALARM(a) OR ALARM(b) AND ALARM(b)":    true,
		"(ALARM(a) OR ALARM(b)) AND OK(a)":     false,
		"ALARM( a )\nAND OK(\tb )":             true,
		"ALARM(a) AND NOT (ALARM(b) OR OK(a))": true,
		"INSUFFICIENT_DATA(arn:aws:cloudwatch:us-east-1:1:alarm:e)": true,
		`AT_LEAST(2, ALARM, (a, b, "c d"))`:                         true,
		`AT_LEAST(3, ALARM, (a, b, "c d"))`:                         false,
		`AT_LEAST(50%, ALARM, (a, b, "c d"))`:                       true,
		`AT_LEAST(1, NOT ALARM, (a, "c d"))`:                        false,
		`ALARM("ALARM")`:                                            false,
	} {
		r, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := r.Eval(func(a string) string { return states[a] }); got != want {
			t.Errorf("%s is %v", text, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "leading or trailing whitespace",
		" TRUE":                     "leading or trailing whitespace",
		"true":                      "unsupported token 'true' at position 1",
		"ALARM":                     "ends too early",
		"ALARM(a":                   "ends too early",
		"ALARM()":                   "unsupported token ')'",
		"ALARM(a b)":                "unsupported token 'b'",
		`ALARM("a)`:                 "closing quote",
		"ALARM(a) ALARM(b)":         "unsupported token 'ALARM' at position 10",
		"ALARM(a) AND":              "ends too early",
		"AT_LEAST(3, ALARM, (a,b))": "3 of 2",
		"AT_LEAST(x, ALARM, (a,b))": "unsupported token 'x'",
		`"TRUE"`:                    "unsupported token",
		strings.Repeat("(", 400) + "TRUE" + strings.Repeat(")", 400): "too deeply",
		strings.Repeat("NOT ", 400) + "TRUE":                         "too deeply",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	r, err := Parse("ALARM(a) OR OK(a) OR ALARM(b)")
	if err != nil || strings.Join(r.Alarms(), " ") != "a b" {
		t.Errorf("%v %v", r, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"ALARM(a) AND NOT (OK('b c') OR TRUE)", `AT_LEAST(50%, NOT OK, (a, "b\"", c))`} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if r, err := Parse(text); err == nil {
			r.Eval(func(string) string { return "OK" })
		}
	})
}
