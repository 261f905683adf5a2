// Package alarmrule is the language of composite alarms: which states of which
// alarms make one. It is pure.
//
//	rule    = and { "OR" and }
//	and     = not { "AND" not }
//	not     = "NOT" not | primary
//	primary = "TRUE" | "FALSE" | "(" rule ")" | state "(" alarm ")"
//	        | "AT_LEAST" "(" count "," ["NOT"] state "," "(" alarm { "," alarm } ")" ")"
//	state   = "ALARM" | "OK" | "INSUFFICIENT_DATA"
//	alarm   = name or ARN, in quotes if it holds spaces, commas or parentheses
//	count   = number | number "%"
package alarmrule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of AWS's.
const (
	maxAlarms   = 100
	maxElements = 500
	maxDepth    = 60
)

// Rule is a parsed rule.
type Rule struct {
	root   *node
	alarms []string
}

// Alarms are the names and ARNs in the rule, each once, as they are written.
func (r *Rule) Alarms() []string { return r.alarms }

type node struct {
	op     string // "TRUE", "FALSE", "NOT", "AND", "OR", "AT_LEAST" or a state
	not    bool   // AT_LEAST counts those that are not in the state
	state  string
	alarms []string
	count  int
	args   []*node
}

// Eval tells whether the rule holds; state is the state of an alarm.
func (r *Rule) Eval(state func(alarm string) string) bool { return r.root.eval(state) }

func (n *node) eval(state func(string) string) bool {
	switch n.op {
	case "TRUE":
		return true
	case "FALSE":
		return false
	case "NOT":
		return !n.args[0].eval(state)
	case "AND":
		return n.args[0].eval(state) && n.args[1].eval(state)
	case "OR":
		return n.args[0].eval(state) || n.args[1].eval(state)
	}
	met := 0
	for _, a := range n.alarms {
		if (state(a) == n.state) != n.not {
			met++
		}
	}
	return met >= n.count
}

// token is a word, a sign or a name, with where it begins.
type token struct {
	text   string
	quoted bool
	at     int
}

// Parse reads a rule.
func Parse(text string) (*Rule, error) {
	if text != strings.TrimSpace(text) || text == "" {
		return nil, fmt.Errorf("AlarmRule must not contain leading or trailing whitespace or be null")
	}
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens, end: len(text)}
	root, err := p.rule(0)
	if err == nil && p.i < len(p.tokens) {
		err = p.unexpected()
	}
	if err != nil {
		return nil, err
	}
	r := &Rule{root: root}
	r.collect(root)
	if len(r.alarms) > maxAlarms {
		return nil, fmt.Errorf("AlarmRule must not reference more than %d alarms", maxAlarms)
	}
	return r, nil
}

func (r *Rule) collect(n *node) {
	for _, a := range n.alarms {
		if !slices.Contains(r.alarms, a) {
			r.alarms = append(r.alarms, a)
		}
	}
	for _, a := range n.args {
		r.collect(a)
	}
}

func inRule(format string, args ...any) error {
	//lint:ignore ST1005 AWS's text
	return fmt.Errorf("Error in AlarmRule expression [%s]", fmt.Sprintf(format, args...))
}

func scan(text string) ([]token, error) {
	var out []token
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '(', ')', ',':
			out = append(out, token{string(c), false, i})
			i++
		case '"', '\'':
			name, n, ok := quoted(text[i:])
			if !ok {
				return nil, inRule("missing closing quote for the quote at position %d", i+1)
			}
			out = append(out, token{name, true, i})
			i += n
		default:
			j := i
			for j < len(text) && !strings.ContainsRune(" \t\r\n(),\"'", rune(text[j])) {
				j++
			}
			out = append(out, token{text[i:j], false, i})
			i = j
		}
		if len(out) > 4*maxElements {
			return nil, inRule("more than %d elements", maxElements)
		}
	}
	return out, nil
}

// quoted reads a name in quotes; a backslash keeps the sign after it.
func quoted(text string) (name string, n int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case text[i] == text[0]:
			return b.String(), i + 1, true
		default:
			b.WriteByte(text[i])
		}
	}
	return "", 0, false
}

type parser struct {
	tokens []token
	i, end int
}

func (p *parser) is(text string) bool {
	return p.i < len(p.tokens) && !p.tokens[p.i].quoted && p.tokens[p.i].text == text
}

func (p *parser) take(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) unexpected() error {
	if p.i >= len(p.tokens) {
		return inRule("the expression ends too early, at position %d", p.end+1)
	}
	return inRule("unsupported token '%s' at position %d", p.tokens[p.i].text, p.tokens[p.i].at+1)
}

func (p *parser) expect(text string) error {
	if !p.take(text) {
		return p.unexpected()
	}
	return nil
}

func (p *parser) rule(depth int) (*node, error) {
	return p.chain("OR", depth, func() (*node, error) { return p.chain("AND", depth, func() (*node, error) { return p.not(depth) }) })
}

func (p *parser) chain(op string, depth int, next func() (*node, error)) (*node, error) {
	if depth > maxDepth {
		return nil, inRule("nested too deeply")
	}
	left, err := next()
	for err == nil && p.take(op) {
		var right *node
		right, err = next()
		left = &node{op: op, args: []*node{left, right}}
	}
	return left, err
}

func (p *parser) not(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, inRule("nested too deeply")
	}
	if p.take("NOT") {
		n, err := p.not(depth + 1)
		return &node{op: "NOT", args: []*node{n}}, err
	}
	switch {
	case p.take("("):
		n, err := p.rule(depth + 1)
		if err == nil {
			err = p.expect(")")
		}
		return n, err
	case p.take("TRUE"):
		return &node{op: "TRUE"}, nil
	case p.take("FALSE"):
		return &node{op: "FALSE"}, nil
	case p.take("AT_LEAST"):
		return p.atLeast()
	}
	state, err := p.state()
	if err != nil {
		return nil, err
	}
	n := &node{op: state, state: state, count: 1}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	if n.alarms, err = p.alarms(1); err != nil {
		return nil, err
	}
	return n, p.expect(")")
}

func (p *parser) state() (string, error) {
	for _, s := range []string{"ALARM", "OK", "INSUFFICIENT_DATA"} {
		if p.take(s) {
			return s, nil
		}
	}
	return "", p.unexpected()
}

// alarms reads names between commas, at most a number of them.
func (p *parser) alarms(most int) ([]string, error) {
	var out []string
	for {
		if p.i >= len(p.tokens) || !p.tokens[p.i].quoted && slices.Contains([]string{"(", ")", ","}, p.tokens[p.i].text) || p.tokens[p.i].text == "" {
			return nil, p.unexpected()
		}
		out = append(out, p.tokens[p.i].text)
		p.i++
		if len(out) == most || !p.take(",") {
			return out, nil
		}
	}
}

// atLeast reads AT_LEAST(2, ALARM, (a, b, c)), the count also as 50%.
func (p *parser) atLeast() (*node, error) {
	n := &node{op: "AT_LEAST"}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	if p.i >= len(p.tokens) {
		return nil, p.unexpected()
	}
	text, percent := strings.CutSuffix(p.tokens[p.i].text, "%")
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || percent && count > 100 {
		return nil, p.unexpected()
	}
	p.i++
	if err := p.expect(","); err != nil {
		return nil, err
	}
	n.not = p.take("NOT")
	if n.state, err = p.state(); err != nil {
		return nil, err
	}
	for _, sign := range []string{",", "("} {
		if err := p.expect(sign); err != nil {
			return nil, err
		}
	}
	if n.alarms, err = p.alarms(-1); err != nil {
		return nil, err
	}
	for range 2 {
		if err := p.expect(")"); err != nil {
			return nil, err
		}
	}
	if percent {
		count = (count*len(n.alarms) + 99) / 100
	}
	if count > len(n.alarms) {
		return nil, inRule("AT_LEAST asks for %d of %d alarms", count, len(n.alarms))
	}
	n.count = count
	return n, nil
}
