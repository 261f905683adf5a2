package pattern

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// condition decides about the decoded JSON of an event.
type condition func(event any) bool

// maxDepth bounds nested parentheses.
const maxDepth = 32

func compileJSON(text string) (Pattern, error) {
	if !strings.HasSuffix(text, "}") {
		return Pattern{}, fmt.Errorf("%w: { is not closed", ErrSyntax)
	}
	p := &parser{text: text[1 : len(text)-1]}
	cond, err := p.or(0)
	if err != nil {
		return Pattern{}, err
	}
	if p.space(); p.text != "" {
		return Pattern{}, p.unexpected()
	}
	return Pattern{func(message string) bool {
		d := json.NewDecoder(strings.NewReader(message))
		d.UseNumber()
		var event any
		return d.Decode(&event) == nil && !d.More() && cond(event)
	}}, nil
}

// Selector reads what a selector such as $.latency or $.a[0]["b c"] names in the
// JSON of an event; false when it names nothing there, or an object.
type Selector struct{ walk func(v any, f func(any)) }

// CompileSelector reads a selector.
func CompileSelector(text string) (Selector, error) {
	p := &parser{text: strings.TrimSpace(text)}
	walk, err := p.selector()
	if err != nil {
		return Selector{}, err
	}
	if p.text != "" {
		return Selector{}, p.unexpected()
	}
	return Selector{walk}, nil
}

// Value is the first value that the selector names in an event, as text.
func (s Selector) Value(message string) (value string, found bool) {
	d := json.NewDecoder(strings.NewReader(message))
	d.UseNumber()
	var event any
	if d.Decode(&event) != nil || d.More() {
		return "", false
	}
	s.walk(event, func(v any) {
		if found {
			return
		}
		switch v := v.(type) {
		case string:
			value, found = v, true
		case json.Number:
			value, found = v.String(), true
		case bool:
			value, found = strconv.FormatBool(v), true
		}
	})
	return value, found
}

// parser reads conditions by recursive descent: or = and ("||" and)*, and =
// one ("&&" one)*, one = "(" or ")" | selector comparison.
type parser struct{ text string }

func (p *parser) space() { p.text = strings.TrimLeftFunc(p.text, unicode.IsSpace) }

func (p *parser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.text, token)
	if ok {
		p.text = rest
	}
	return ok
}

// keyword takes a word without regard to case, if it ends there.
func (p *parser) keyword(word string) bool {
	p.space()
	if len(p.text) < len(word) || !strings.EqualFold(p.text[:len(word)], word) {
		return false
	}
	if rest := p.text[len(word):]; rest == "" || !wordRune(rune(rest[0])) {
		p.text = rest
		return true
	}
	return false
}

func (p *parser) unexpected() error {
	if p.text == "" {
		return fmt.Errorf("%w: it ends too early", ErrSyntax)
	}
	return fmt.Errorf("%w: unexpected %q", ErrSyntax, p.text)
}

func (p *parser) or(depth int) (condition, error) {
	left, err := p.and(depth)
	for err == nil && p.take("||") {
		l := left
		var r condition
		if r, err = p.and(depth); err == nil {
			left = func(v any) bool { return l(v) || r(v) }
		}
	}
	return left, err
}

func (p *parser) and(depth int) (condition, error) {
	left, err := p.one(depth)
	for err == nil && p.take("&&") {
		l := left
		var r condition
		if r, err = p.one(depth); err == nil {
			left = func(v any) bool { return l(v) && r(v) }
		}
	}
	return left, err
}

func (p *parser) one(depth int) (condition, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: too deep", ErrSyntax)
	}
	if p.take("(") {
		c, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.unexpected()
		}
		return c, err
	}
	sel, err := p.selector()
	if err != nil {
		return nil, err
	}
	test, err := p.comparison()
	if err != nil {
		return nil, err
	}
	return func(event any) bool {
		found := false
		hit := false
		sel(event, func(v any) {
			found = true
			hit = hit || test(v, true)
		})
		return hit || !found && test(nil, false)
	}, nil
}

// selector reads $.a.b[0]["c d"][*] and returns what calls f for each value
// that it names.
func (p *parser) selector() (func(v any, f func(any)), error) {
	if !p.take("$") {
		return nil, p.unexpected()
	}
	type step struct {
		name  string
		index int
		all   bool
		array bool
	}
	var steps []step
	for {
		switch {
		case strings.HasPrefix(p.text, "."):
			end := 1
			for end < len(p.text) && (wordRune(rune(p.text[end])) || p.text[end] == '-' || p.text[end] >= 0x80) {
				end++
			}
			if end == 1 {
				return nil, p.unexpected()
			}
			steps = append(steps, step{name: p.text[1:end]})
			p.text = p.text[end:]
			continue
		case strings.HasPrefix(p.text, `["`):
			name, rest, err := quoted(p.text[1:])
			if err != nil {
				return nil, err
			}
			if !strings.HasPrefix(rest, "]") {
				return nil, p.unexpected()
			}
			steps = append(steps, step{name: name})
			p.text = rest[1:]
			continue
		case strings.HasPrefix(p.text, "["):
			end := strings.IndexByte(p.text, ']')
			if end < 0 {
				return nil, p.unexpected()
			}
			s := step{array: true, all: p.text[1:end] == "*"}
			if !s.all {
				n, err := strconv.Atoi(p.text[1:end])
				if err != nil || n < 0 {
					return nil, p.unexpected()
				}
				s.index = n
			}
			steps = append(steps, s)
			p.text = p.text[end+1:]
			continue
		}
		break
	}
	var walk func(v any, i int, f func(any))
	walk = func(v any, i int, f func(any)) {
		if i == len(steps) {
			f(v)
			return
		}
		s := steps[i]
		if s.array {
			list, _ := v.([]any)
			for n, e := range list {
				if s.all || n == s.index {
					walk(e, i+1, f)
				}
			}
			return
		}
		if object, ok := v.(map[string]any); ok {
			if e, ok := object[s.name]; ok {
				walk(e, i+1, f)
			}
		}
	}
	return func(v any, f func(any)) { walk(v, 0, f) }, nil
}

// comparison reads an operator and its operand and returns the test of a value
// that was found, or not.
func (p *parser) comparison() (func(v any, found bool) bool, error) {
	switch {
	case p.keyword("IS"):
		switch {
		case p.keyword("NULL"):
			return func(v any, found bool) bool { return found && v == nil }, nil
		case p.keyword("TRUE"):
			return func(v any, _ bool) bool { return v == true }, nil
		case p.keyword("FALSE"):
			return func(v any, _ bool) bool { return v == false }, nil
		}
		return nil, p.unexpected()
	case p.keyword("NOT"):
		if !p.keyword("EXISTS") {
			return nil, p.unexpected()
		}
		return func(_ any, found bool) bool { return !found }, nil
	case p.keyword("EXISTS"):
		return func(_ any, found bool) bool { return found }, nil
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if p.take(op) {
			return p.operand(op)
		}
	}
	return nil, p.unexpected()
}

func (p *parser) operand(op string) (func(v any, found bool) bool, error) {
	p.space()
	text := ""
	switch {
	case strings.HasPrefix(p.text, "%"):
		re, rest, err := regular(p.text)
		if err != nil {
			return nil, err
		}
		p.text = rest
		return equality(op, re)
	case strings.HasPrefix(p.text, `"`):
		value, rest, err := quoted(p.text)
		if err != nil {
			return nil, err
		}
		p.text = rest
		return equality(op, wildcard(value))
	default:
		end := strings.IndexFunc(p.text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(")&|}", r) })
		if end < 0 {
			end = len(p.text)
		}
		if end == 0 {
			return nil, p.unexpected()
		}
		text, p.text = p.text[:end], p.text[end:]
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return equality(op, wildcard(text))
	}
	return func(v any, found bool) bool {
		n, ok := v.(json.Number)
		if !ok {
			return found && op == "!="
		}
		f, err := n.Float64()
		if err != nil {
			return false
		}
		switch op {
		case "=":
			return f == number
		case "!=":
			return f != number
		case "<":
			return f < number
		case "<=":
			return f <= number
		case ">":
			return f > number
		default:
			return f >= number
		}
	}, nil
}

// equality compares strings (and what a number or truth value reads as).
func equality(op string, re *regexp.Regexp) (func(v any, found bool) bool, error) {
	if op != "=" && op != "!=" {
		return nil, fmt.Errorf("%w: %s compares numbers", ErrSyntax, op)
	}
	return func(v any, found bool) bool {
		var s string
		switch v := v.(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
		case bool:
			s = strconv.FormatBool(v)
		default:
			return found && op == "!="
		}
		return re.MatchString(s) == (op == "=")
	}, nil
}

// wildcard is a whole string in which * stands for anything.
func wildcard(s string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)\A` + strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, `.*`) + `\z`)
}
