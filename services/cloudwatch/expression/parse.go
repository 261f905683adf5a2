// Package expression is CloudWatch's metric math: arithmetic, comparisons and
// functions over time series. It is pure: what an id stands for and which
// periods there are is handed in.
//
//	expression = or
//	or         = and { ("||" | "OR") and }
//	and        = compare { ("&&" | "AND") compare }
//	compare    = sum { ("==" | "!=" | "<" | "<=" | ">" | ">=") sum }
//	sum        = product { ("+" | "-") product }
//	product    = unary { ("*" | "/") unary }
//	unary      = "-" unary | power
//	power      = primary [ "^" unary ]
//	primary    = number | text | id | FUNCTION "(" [ or { "," or } ] ")" | "(" or ")" | "[" or { "," or } "]"
//
// Functions whose data is not here (SEARCH, ANOMALY_DETECTION_BAND, SELECT …)
// are refused by name.
package expression

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxText and maxDepth bound an expression; CloudWatch's longest has 2,048 characters.
const (
	maxText  = 2048
	maxDepth = 100
)

// Expr is a parsed expression.
type Expr struct {
	root *node
	ids  []string
	all  bool // METRICS() is in it
}

// IDs are the ids that the expression names, each once.
func (e *Expr) IDs() []string { return e.ids }

// All tells whether it takes every metric, by METRICS().
func (e *Expr) All() bool { return e.all }

// node is one step of an expression.
type node struct {
	op     string // "number", "text", "id", "list", "call", "neg" or an operator
	text   string // of a text, an id, a call
	number float64
	args   []*node
}

// Parse reads an expression.
func Parse(text string) (*Expr, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the expression is longer than %d characters", maxText)
	}
	tokens, err := scan(text)
	if err != nil {
		return nil, err
	}
	if len(tokens) > 0 && strings.EqualFold(tokens[0], "SELECT") {
		return nil, fmt.Errorf("queries of Metrics Insights (SELECT) are not supported by minato")
	}
	p := &parser{tokens: tokens}
	root, err := p.binary(0, 0)
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("unexpected %q", p.peek())
	}
	e := &Expr{root: root}
	e.collect(root)
	return e, nil
}

func (e *Expr) collect(n *node) {
	switch {
	case n.op == "id" && !slices.Contains(e.ids, n.text):
		e.ids = append(e.ids, n.text)
	case n.op == "call" && n.text == "METRICS":
		e.all = true
	}
	for _, a := range n.args {
		e.collect(a)
	}
}

// scan cuts the text into tokens; a text token keeps its opening quote.
func scan(text string) ([]string, error) {
	var out []string
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '"' || c == '\'':
			j := strings.IndexByte(text[i+1:], c)
			if j < 0 {
				return nil, fmt.Errorf("a text without its end")
			}
			out = append(out, `"`+text[i+1:i+1+j])
			i += j + 2
		case digit(c) || c == '.':
			j := i + 1
			for j < len(text) && (digit(text[j]) || text[j] == '.' || (text[j] == 'e' || text[j] == 'E') ||
				(text[j] == '-' || text[j] == '+') && (text[j-1] == 'e' || text[j-1] == 'E')) {
				j++
			}
			out = append(out, text[i:j])
			i = j
		case letter(c):
			j := i + 1
			for j < len(text) && (letter(text[j]) || digit(text[j])) {
				j++
			}
			out = append(out, text[i:j])
			i = j
		case i+1 < len(text) && slices.Contains([]string{"==", "!=", "<=", ">=", "&&", "||"}, text[i:i+2]):
			out = append(out, text[i:i+2])
			i += 2
		case strings.IndexByte("+-*/^()[],<>", c) >= 0:
			out = append(out, string(c))
			i++
		default:
			return nil, fmt.Errorf("unexpected character %q", c)
		}
	}
	return out, nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

type parser struct {
	tokens []string
	at     int
}

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) take(token string) bool {
	if p.peek() == token {
		p.at++
		return true
	}
	return false
}

// words are what functions take besides ids.
var words = map[string][]string{"FILL": {"REPEAT", "LINEAR"}, "SORT": {"AVG", "MIN", "MAX", "SUM", "ASC", "DESC"}}

// levels are the binary operators, weakest first.
var levels = [][]string{{"||"}, {"&&"}, {"==", "!=", "<", "<=", ">", ">="}, {"+", "-"}, {"*", "/"}}

// operator is the operator that comes next, words replaced by signs.
func (p *parser) operator() string {
	switch t := p.peek(); t {
	case "OR":
		return "||"
	case "AND":
		return "&&"
	default:
		return t
	}
}

func (p *parser) binary(level, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the expression is nested too deeply")
	}
	if level == len(levels) {
		return p.unary(depth + 1)
	}
	left, err := p.binary(level+1, depth)
	if err != nil {
		return nil, err
	}
	for op := p.operator(); op != "" && slices.Contains(levels[level], op); op = p.operator() {
		p.at++
		right, err := p.binary(level+1, depth)
		if err != nil {
			return nil, err
		}
		left = &node{op: op, args: []*node{left, right}}
	}
	return left, nil
}

func (p *parser) unary(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the expression is nested too deeply")
	}
	if p.take("-") {
		n, err := p.unary(depth + 1)
		return &node{op: "neg", args: []*node{n}}, err
	}
	left, err := p.primary(depth)
	if err != nil || !p.take("^") {
		return left, err
	}
	right, err := p.unary(depth + 1)
	return &node{op: "^", args: []*node{left, right}}, err
}

func (p *parser) primary(depth int) (*node, error) {
	t := p.peek()
	p.at++
	switch {
	case t == "":
		return nil, fmt.Errorf("the expression ends too early")
	case t == "(":
		n, err := p.binary(0, depth+1)
		if err == nil && !p.take(")") {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return n, err
	case t == "[":
		args, err := p.list("]", depth)
		return &node{op: "list", args: args}, err
	case t[0] == '"':
		return &node{op: "text", text: t[1:]}, nil
	case digit(t[0]) || t[0] == '.':
		f, err := strconv.ParseFloat(t, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", t)
		}
		return &node{op: "number", number: f}, nil
	case letter(t[0]) && p.take("("):
		name := strings.ToUpper(t)
		f, ok := functions[name]
		if !ok {
			if slices.Contains(elsewhere, name) {
				return nil, fmt.Errorf("the function %s is not supported by minato", name)
			}
			return nil, fmt.Errorf("unknown function %s", t)
		}
		args, err := p.list(")", depth)
		if err == nil && (len(args) < f.least || len(args) > f.most) {
			err = fmt.Errorf("%s takes %d to %d parameters, not %d", name, f.least, f.most, len(args))
		}
		for i, a := range args {
			// FILL(m, REPEAT) and SORT(m, AVG, DESC) take words, not ids.
			if a.op == "id" && i > 0 && slices.Contains(words[name], strings.ToUpper(a.text)) {
				a.op, a.text = "text", strings.ToUpper(a.text)
			}
		}
		return &node{op: "call", text: name, args: args}, err
	case letter(t[0]):
		return &node{op: "id", text: t}, nil
	}
	return nil, fmt.Errorf("unexpected %q", t)
}

// list reads what is between commas, up to the closing sign.
func (p *parser) list(end string, depth int) ([]*node, error) {
	var out []*node
	if p.take(end) {
		return nil, nil
	}
	for {
		n, err := p.binary(0, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if p.take(end) {
			return out, nil
		}
		if !p.take(",") {
			return nil, fmt.Errorf("%q is missing", end)
		}
	}
}
