package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// quantifier says how the values of a request's key are combined.
type quantifier uint8

const (
	single   quantifier = iota // no prefix: one of the values
	anyValue                   // ForAnyValue:
	allValue                   // ForAllValues:
)

// condition is one operator with one key and the values a policy gives for it.
type condition struct {
	key        string // lower case
	quantifier quantifier
	ifExists   bool
	negated    bool
	null       bool   // the operator Null: wanted says what it asks for
	wanted     bool   // Null: the key must be absent
	tests      []test // one per value of the policy; one must hold
}

// test is the compiled comparison with one value of a policy.
type test func(value string, keys lookup) bool

// operator compiles one value of a policy for an operator.
type operator func(value string, variables bool) (test, bool)

// operators are the positive forms; a Not form is the same, negated.
var operators = map[string]struct {
	compile operator
	negated bool
}{
	"StringEquals":              {stringTest(false, false), false},
	"StringNotEquals":           {stringTest(false, false), true},
	"StringEqualsIgnoreCase":    {stringTest(false, true), false},
	"StringNotEqualsIgnoreCase": {stringTest(false, true), true},
	"StringLike":                {stringTest(true, false), false},
	"StringNotLike":             {stringTest(true, false), true},
	"NumericEquals":             {numericTest(func(c int) bool { return c == 0 }), false},
	"NumericNotEquals":          {numericTest(func(c int) bool { return c == 0 }), true},
	"NumericLessThan":           {numericTest(func(c int) bool { return c < 0 }), false},
	"NumericLessThanEquals":     {numericTest(func(c int) bool { return c <= 0 }), false},
	"NumericGreaterThan":        {numericTest(func(c int) bool { return c > 0 }), false},
	"NumericGreaterThanEquals":  {numericTest(func(c int) bool { return c >= 0 }), false},
	"DateEquals":                {dateTest(func(c int) bool { return c == 0 }), false},
	"DateNotEquals":             {dateTest(func(c int) bool { return c == 0 }), true},
	"DateLessThan":              {dateTest(func(c int) bool { return c < 0 }), false},
	"DateLessThanEquals":        {dateTest(func(c int) bool { return c <= 0 }), false},
	"DateGreaterThan":           {dateTest(func(c int) bool { return c > 0 }), false},
	"DateGreaterThanEquals":     {dateTest(func(c int) bool { return c >= 0 }), false},
	"Bool":                      {boolTest, false},
	"BinaryEquals":              {binaryTest, false},
	"IpAddress":                 {addressTest, false},
	"NotIpAddress":              {addressTest, true},
	"ArnEquals":                 {arnTest, false},
	"ArnLike":                   {arnTest, false},
	"ArnNotEquals":              {arnTest, true},
	"ArnNotLike":                {arnTest, true},
}

// compileConditions compiles a Condition element.
func compileConditions(raw map[string]map[string]json.RawMessage, variables bool) ([]condition, error) {
	var out []condition
	for name, keys := range raw {
		c, compile, ok := parseOperator(name)
		if !ok {
			return nil, errSyntax()
		}
		for key, value := range keys {
			if !strings.Contains(key, ":") {
				return nil, malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
			}
			values, ok := scalarList(value)
			if !ok {
				return nil, errSyntax()
			}
			one := c
			one.key = strings.ToLower(key)
			if one.null {
				if len(values) != 1 || (!strings.EqualFold(values[0], "true") && !strings.EqualFold(values[0], "false")) {
					return nil, errSyntax()
				}
				one.wanted = strings.EqualFold(values[0], "true")
				out = append(out, one)
				continue
			}
			for _, v := range values {
				t, ok := compile(v, variables)
				if !ok {
					return nil, errSyntax()
				}
				one.tests = append(one.tests, t)
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// parseOperator takes an operator's name apart.
func parseOperator(name string) (c condition, compile operator, ok bool) {
	switch rest, found := strings.CutPrefix(name, "ForAnyValue:"); {
	case found:
		name, c.quantifier = rest, anyValue
	default:
		if rest, found := strings.CutPrefix(name, "ForAllValues:"); found {
			name, c.quantifier = rest, allValue
		}
	}
	if name == "Null" {
		c.null = true
		return c, nil, true
	}
	name, c.ifExists = strings.CutSuffix(name, "IfExists")
	op, ok := operators[name]
	c.negated = op.negated
	return c, op.compile, ok
}

// holds reports whether the condition is met by the request's keys.
func (c *condition) holds(keys lookup) bool {
	values, present := keys(c.key)
	present = present && len(values) > 0
	if c.null {
		return present != c.wanted
	}
	if !present {
		// An absent key meets a Not operator and ForAllValues, as on AWS.
		return c.ifExists || c.quantifier == allValue || (c.negated && c.quantifier == single)
	}
	switch c.quantifier {
	case anyValue:
		for _, v := range values {
			if c.one(v, keys) != c.negated {
				return true
			}
		}
		return false
	case allValue:
		for _, v := range values {
			if c.one(v, keys) == c.negated {
				return false
			}
		}
		return true
	}
	for _, v := range values {
		if c.one(v, keys) {
			return !c.negated
		}
	}
	return c.negated
}

// one reports whether a value of the request meets one of the policy's values.
func (c *condition) one(value string, keys lookup) bool {
	for _, t := range c.tests {
		if t(value, keys) {
			return true
		}
	}
	return false
}

func stringTest(wildcards, fold bool) operator {
	return func(value string, variables bool) (test, bool) {
		g := compileGlob(value, globOptions{wildcards: wildcards, variables: variables, fold: fold})
		return func(v string, keys lookup) bool {
			if fold {
				v = foldText(v)
			}
			return g.match(v, keys)
		}, true
	}
}

func numericTest(want func(int) bool) operator {
	return func(value string, _ bool) (test, bool) {
		limit, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, false
		}
		return func(v string, _ lookup) bool {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return false
			}
			switch {
			case n < limit:
				return want(-1)
			case n > limit:
				return want(1)
			}
			return want(0)
		}, true
	}
}

func dateTest(want func(int) bool) operator {
	return func(value string, _ bool) (test, bool) {
		limit, ok := parseDate(value)
		if !ok {
			return nil, false
		}
		return func(v string, _ lookup) bool {
			t, ok := parseDate(v)
			return ok && want(t.Compare(limit))
		}, true
	}
}

// parseDate reads ISO 8601 in the forms W3C's profile allows, or epoch seconds.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return time.Unix(n, 0), true
	}
	return time.Time{}, false
}

func boolTest(value string, _ bool) (test, bool) {
	if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		return nil, false
	}
	return func(v string, _ lookup) bool { return strings.EqualFold(v, value) }, true
}

func binaryTest(value string, _ bool) (test, bool) {
	want, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, false
	}
	return func(v string, _ lookup) bool {
		got, err := base64.StdEncoding.DecodeString(v)
		return err == nil && bytes.Equal(got, want)
	}, true
}

func addressTest(value string, _ bool) (test, bool) {
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return nil, false
		}
		prefix = netip.PrefixFrom(a, a.BitLen())
	}
	return func(v string, _ lookup) bool {
		a, err := netip.ParseAddr(v)
		return err == nil && prefix.Contains(a.Unmap())
	}, true
}

// arnTest compares the six parts of an ARN one by one: a wildcard does not
// reach over a colon, except in the last part.
func arnTest(value string, variables bool) (test, bool) {
	parts := splitARN(value)
	if len(parts) != 6 && value != "*" {
		return nil, false
	}
	globs := make([]glob, len(parts))
	for i, p := range parts {
		globs[i] = compileGlob(p, globOptions{wildcards: true, variables: variables})
	}
	return func(v string, keys lookup) bool {
		if value == "*" {
			return true
		}
		got := splitARN(v)
		if len(got) != len(globs) {
			return false
		}
		for i := range globs {
			if !globs[i].match(got[i], keys) {
				return false
			}
		}
		return true
	}, true
}

// splitARN cuts at the first five colons that are not inside a variable.
func splitARN(s string) []string {
	var out []string
	start, depth := 0, 0
	for i := 0; i < len(s) && len(out) < 5; i++ {
		switch {
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == ':' && depth == 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// scalarList decodes a string, boolean or number, or a list of them, as text.
func scalarList(raw json.RawMessage) ([]string, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil, false
	}
	list, isList := v.([]any)
	if !isList {
		list = []any{v}
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case bool:
			out = append(out, strconv.FormatBool(v))
		case json.Number:
			out = append(out, v.String())
		default:
			return nil, false
		}
	}
	return out, true
}
