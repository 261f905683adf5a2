package expression

import (
	"fmt"
	"math"
	"sort"
)

// Series is a time series: values at rising times, in milliseconds.
type Series struct {
	Label  string
	Period int64 // milliseconds
	Times  []int64
	Values []float64
}

// at is the value at a time.
func (s Series) at(t int64) (float64, bool) {
	i := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] >= t })
	if i < len(s.Times) && s.Times[i] == t {
		return s.Values[i], true
	}
	return 0, false
}

// each is the series of f of every value.
func (s Series) each(f func(i int) float64) Series {
	out := Series{Label: s.Label, Period: s.Period, Times: s.Times, Values: make([]float64, len(s.Values))}
	for i := range s.Values {
		out.Values[i] = f(i)
	}
	return out
}

// Kind is what a Value is.
type Kind uint8

// The kinds of values.
const (
	Scalar Kind = iota
	TimeSeries
	Array // of time series
	Text
)

var kindNames = [...]string{"Scalar", "TimeSeries", "TimeSeries[]", "String"}

// Value is what an expression yields.
type Value struct {
	Kind   Kind
	Number float64  // of a Scalar
	Series []Series // one of a TimeSeries, any number of an Array
	text   string
}

// Of is the value of a time series.
func Of(s Series) Value { return Value{Kind: TimeSeries, Series: []Series{s}} }

func number(f float64) Value { return Value{Kind: Scalar, Number: f} }
func array(s []Series) Value { return Value{Kind: Array, Series: s} }
func (v Value) one() Series  { return v.Series[0] }
func (v Value) is(kinds ...Kind) bool {
	for _, k := range kinds {
		if v.Kind == k {
			return true
		}
	}
	return false
}

// Env is what an expression is evaluated in.
type Env struct {
	// Lookup is the value of an id.
	Lookup func(id string) (Value, error)
	// Metrics are the time series of the metrics (not expressions) whose ids
	// contain a text, in the order of the query.
	Metrics func(contains string) ([]Series, error)
	// Start, End and Period say which periods there are, in milliseconds.
	Start, End, Period int64
}

// times are the beginnings of all periods.
func (e Env) times() []int64 {
	var out []int64
	if e.Period <= 0 {
		return nil
	}
	for t := e.Start; t < e.End; t += e.Period {
		out = append(out, t)
	}
	return out
}

// Eval is the expression's value.
func (e *Expr) Eval(env Env) (Value, error) { return env.eval(e.root) }

func (e Env) eval(n *node) (Value, error) {
	switch n.op {
	case "number":
		return number(n.number), nil
	case "text":
		return Value{Kind: Text, text: n.text}, nil
	case "id":
		return e.Lookup(n.text)
	}
	args := make([]Value, len(n.args))
	for i, a := range n.args {
		var err error
		if args[i], err = e.eval(a); err != nil {
			return Value{}, err
		}
	}
	switch n.op {
	case "call":
		return functions[n.text].run(e, args)
	case "list":
		return e.list(args)
	case "neg":
		return binary("-", number(0), args[0])
	}
	return binary(n.op, args[0], args[1])
}

// list is an array of its elements; scalars become series of every period.
func (e Env) list(args []Value) (Value, error) {
	out := array(nil)
	for _, a := range args {
		switch a.Kind {
		case Scalar:
			out.Series = append(out.Series, e.constant(a.Number))
		case Text:
			return out, fmt.Errorf("a list can not hold a String")
		default:
			out.Series = append(out.Series, a.Series...)
		}
	}
	return out, nil
}

func (e Env) constant(f float64) Series {
	s := Series{Period: e.Period, Times: e.times()}
	return Series{Period: s.Period, Times: s.Times, Values: make([]float64, len(s.Times))}.each(func(int) float64 { return f })
}

// operators are the arithmetic, the comparisons and the logic: these yield 1 or 0.
var operators = map[string]func(a, b float64) float64{
	"+":  func(a, b float64) float64 { return a + b },
	"-":  func(a, b float64) float64 { return a - b },
	"*":  func(a, b float64) float64 { return a * b },
	"/":  func(a, b float64) float64 { return a / b },
	"^":  math.Pow,
	"==": func(a, b float64) float64 { return truth(a == b) },
	"!=": func(a, b float64) float64 { return truth(a != b) },
	"<":  func(a, b float64) float64 { return truth(a < b) },
	"<=": func(a, b float64) float64 { return truth(a <= b) },
	">":  func(a, b float64) float64 { return truth(a > b) },
	">=": func(a, b float64) float64 { return truth(a >= b) },
	"&&": func(a, b float64) float64 { return truth(a != 0 && b != 0) },
	"||": func(a, b float64) float64 { return truth(a != 0 || b != 0) },
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// binary applies an operator, point by point where both sides have one; what
// has no value (a division by zero) is no point.
func binary(op string, a, b Value) (Value, error) {
	if a.Kind == Text || b.Kind == Text || a.Kind == Array && b.Kind == Array {
		return Value{}, fmt.Errorf("unsupported operand type(s) for %s: '[%s, %s]'", op, kindNames[a.Kind], kindNames[b.Kind])
	}
	f := operators[op]
	switch {
	case a.Kind == Scalar && b.Kind == Scalar:
		return number(f(a.Number, b.Number)), nil
	case a.Kind == Array || b.Kind == Array:
		out := array(nil)
		list, other, swapped := a, b, false
		if b.Kind == Array {
			list, other, swapped = b, a, true
		}
		for _, s := range list.Series {
			x, y := Of(s), other
			if swapped {
				x, y = other, Of(s)
			}
			v, err := binary(op, x, y)
			if err != nil {
				return v, err
			}
			v.Series[0].Label = s.Label
			out.Series = append(out.Series, v.Series[0])
		}
		return out, nil
	}
	base := a
	if a.Kind == Scalar {
		base = b
	}
	s := base.one()
	out := Series{Label: s.Label, Period: s.Period}
	for i, t := range s.Times {
		x, y, ok := a.Number, b.Number, true
		switch {
		case a.Kind == Scalar:
			y = s.Values[i]
		case b.Kind == Scalar:
			x = s.Values[i]
		default:
			x = s.Values[i]
			y, ok = b.one().at(t)
		}
		if ok {
			out.add(t, f(x, y))
		}
	}
	return Of(out), nil
}

func (s *Series) add(t int64, f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return
	}
	s.Times, s.Values = append(s.Times, t), append(s.Values, f)
}
