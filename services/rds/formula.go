package rds

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// expression is a formula that is being evaluated: sums of products of numbers,
// variables, and GREATEST, LEAST, SUM and log of such.
type expression struct {
	tokens    []string // those that are not read yet
	variables map[string]float64
	err       error // the first thing that was wrong
}

func (e *expression) peek() string {
	if len(e.tokens) == 0 {
		return ""
	}
	return e.tokens[0]
}

func (e *expression) next() string {
	t := e.peek()
	if t != "" {
		e.tokens = e.tokens[1:]
	}
	return t
}

func (e *expression) fail(err error) float64 {
	if e.err == nil {
		e.err = err
	}
	e.tokens = nil
	return 0
}

func (e *expression) expect(token string) {
	if t := e.next(); t != token && e.err == nil {
		e.fail(fmt.Errorf("%q stands where %q should", t, token))
	}
}

func (e *expression) sum() float64 {
	n := e.product()
	for {
		switch e.peek() {
		case "+":
			e.next()
			n += e.product()
		case "-":
			e.next()
			n -= e.product()
		default:
			return n
		}
	}
}

func (e *expression) product() float64 {
	n := e.factor()
	for {
		switch e.peek() {
		case "*":
			e.next()
			n *= e.factor()
		case "/":
			e.next()
			by := e.factor()
			if by == 0 {
				return e.fail(errors.New("division by zero"))
			}
			n /= by
		default:
			return n
		}
	}
}

func (e *expression) factor() float64 {
	t := e.next()
	if t == "(" {
		n := e.sum()
		e.expect(")")
		return n
	}
	if n, err := strconv.ParseFloat(t, 64); err == nil {
		return n
	}
	name := strings.ToLower(t)
	if n, ok := e.variables[name]; ok {
		return n
	}
	var combine func(a, b float64) float64
	switch name {
	case "greatest":
		combine = math.Max
	case "least":
		combine = math.Min
	case "sum":
		combine = func(a, b float64) float64 { return a + b }
	case "log":
		e.expect("(")
		n := e.sum()
		e.expect(")")
		return math.Log2(n)
	default:
		return e.fail(fmt.Errorf("%q is unknown", t))
	}
	e.expect("(")
	n := e.sum()
	for e.peek() == "," {
		e.next()
		n = combine(n, e.sum())
	}
	e.expect(")")
	return n
}
