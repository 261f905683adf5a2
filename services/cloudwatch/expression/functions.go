package expression

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"time"
)

// function is one of metric math's functions.
type function struct {
	least, most int // parameters
	run         func(e Env, args []Value) (Value, error)
}

// elsewhere are the functions whose data is not here.
var elsewhere = []string{"SEARCH", "ANOMALY_DETECTION_BAND", "INSIGHT_RULE_METRIC", "SERVICE_QUOTA", "DB_PERF_INSIGHTS", "LAMBDA"}

var functions map[string]function

func init() {
	functions = map[string]function{
		"ABS": pointwise(math.Abs), "CEIL": pointwise(math.Ceil), "FLOOR": pointwise(math.Floor), "LOG": pointwise(math.Log), "LOG10": pointwise(math.Log10),
		"AVG": reduce(mean), "SUM": reduce(sum), "MAX": reduce(slices.Max[[]float64]), "MIN": reduce(slices.Min[[]float64]), "STDDEV": reduce(stddev),
		"DATAPOINT_COUNT": reduce(func(v []float64) float64 { return float64(len(v)) }),
		"DIFF":            series(diff), "DIFF_TIME": series(diffTime), "RATE": series(rate), "RUNNING_SUM": series(runningSum),
		"EPOCH": calendar(func(t time.Time) float64 { return float64(t.Unix()) }), "MINUTE": calendar(func(t time.Time) float64 { return float64(t.Minute()) }),
		"HOUR": calendar(func(t time.Time) float64 { return float64(t.Hour()) }), "DATE": calendar(func(t time.Time) float64 { return float64(t.Day()) }),
		"DAY": calendar(func(t time.Time) float64 { return float64((int(t.Weekday())+6)%7 + 1) }), "MONTH": calendar(func(t time.Time) float64 { return float64(t.Month()) }),
		"YEAR": calendar(func(t time.Time) float64 { return float64(t.Year()) }),
		"FILL": {2, 2, func(e Env, a []Value) (Value, error) { return fill(e, a[0], a[1]) }},
		"IF":   {2, 3, condition}, "METRICS": {0, 1, metricsOf}, "METRIC_COUNT": {1, 1, metricCount},
		"FIRST": {1, 1, pick(0)}, "LAST": {1, 1, pick(-1)}, "SORT": {3, 4, sorted}, "SLICE": {2, 3, slice},
		"REMOVE_EMPTY": {1, 1, removeEmpty}, "TIME_SERIES": {1, 1, timeSeries}, "PERIOD": {1, 1, period},
	}
}

func wrong(name string, a Value) error {
	return fmt.Errorf("%s does not take a %s", name, kindNames[a.Kind])
}

// pointwise is a function of each value.
func pointwise(f func(float64) float64) function {
	return function{1, 1, func(_ Env, a []Value) (Value, error) {
		switch a[0].Kind {
		case Scalar:
			return number(f(a[0].Number)), nil
		case Text:
			return Value{}, fmt.Errorf("the function does not take a String")
		}
		out := Value{Kind: a[0].Kind}
		for _, s := range a[0].Series {
			n := Series{Label: s.Label, Period: s.Period}
			for i, t := range s.Times {
				n.add(t, f(s.Values[i]))
			}
			out.Series = append(out.Series, n)
		}
		return out, nil
	}}
}

// reduce makes a number of a series, and of an array a series: of all its
// values at each time.
func reduce(f func([]float64) float64) function {
	return function{1, 1, func(_ Env, a []Value) (Value, error) {
		switch a[0].Kind {
		case Scalar:
			return number(f([]float64{a[0].Number})), nil
		case TimeSeries:
			if len(a[0].one().Values) == 0 {
				return number(math.NaN()), nil
			}
			return number(f(a[0].one().Values)), nil
		case Text:
			return Value{}, fmt.Errorf("the function does not take a String")
		}
		at := map[int64][]float64{}
		var times []int64
		out := Series{}
		for _, s := range a[0].Series {
			out.Period = max(out.Period, s.Period)
			for i, t := range s.Times {
				if at[t] == nil {
					times = append(times, t)
				}
				at[t] = append(at[t], s.Values[i])
			}
		}
		slices.Sort(times)
		for _, t := range times {
			out.add(t, f(at[t]))
		}
		return Of(out), nil
	}}
}

func sum(v []float64) float64 {
	total := 0.0
	for _, f := range v {
		total += f
	}
	return total
}

func mean(v []float64) float64 { return sum(v) / float64(len(v)) }

func stddev(v []float64) float64 {
	m, total := mean(v), 0.0
	for _, f := range v {
		total += (f - m) * (f - m)
	}
	return math.Sqrt(total / float64(len(v)))
}

// series is a function of a series, or of each in an array.
func series(f func(Series) Series) function {
	return function{1, 1, func(_ Env, a []Value) (Value, error) {
		if !a[0].is(TimeSeries, Array) {
			return Value{}, fmt.Errorf("the function does not take a %s", kindNames[a[0].Kind])
		}
		out := Value{Kind: a[0].Kind}
		for _, s := range a[0].Series {
			n := f(s)
			n.Label, n.Period = s.Label, s.Period
			out.Series = append(out.Series, n)
		}
		return out, nil
	}}
}

// pairs is f of every value and the one before it.
func pairs(s Series, f func(before, now float64, seconds float64) float64) (out Series) {
	for i := 1; i < len(s.Times); i++ {
		out.add(s.Times[i], f(s.Values[i-1], s.Values[i], float64(s.Times[i]-s.Times[i-1])/1000))
	}
	return out
}

func diff(s Series) Series {
	return pairs(s, func(a, b, _ float64) float64 { return b - a })
}

func diffTime(s Series) Series {
	return pairs(s, func(_, _, seconds float64) float64 { return seconds })
}

func rate(s Series) Series {
	return pairs(s, func(a, b, seconds float64) float64 { return (b - a) / seconds })
}

func runningSum(s Series) Series {
	total := 0.0
	return s.each(func(i int) float64 { total += s.Values[i]; return total })
}

// calendar is a function of each point's time.
func calendar(f func(time.Time) float64) function {
	return series(func(s Series) Series {
		return s.each(func(i int) float64 { return f(time.UnixMilli(s.Times[i]).UTC()) })
	})
}

// fill gives a series points where it has none: a number, another series'
// values, the value before, or what lies on the line between its neighbours.
func fill(e Env, v, with Value) (Value, error) {
	if !v.is(TimeSeries, Array) {
		return v, wrong("FILL", v)
	}
	out := Value{Kind: v.Kind}
	for _, s := range v.Series {
		n := Series{Label: s.Label, Period: s.Period}
		for _, t := range e.times() {
			if f, ok := s.at(t); ok {
				n.add(t, f)
				continue
			}
			i := sort.Search(len(s.Times), func(i int) bool { return s.Times[i] > t }) // the point after t
			switch {
			case with.Kind == Scalar:
				n.add(t, with.Number)
			case with.Kind == TimeSeries:
				if f, ok := with.one().at(t); ok {
					n.add(t, f)
				}
			case with.Kind == Text && with.text == "REPEAT":
				if i > 0 {
					n.add(t, s.Values[i-1])
				}
			case with.Kind == Text && with.text == "LINEAR":
				if i > 0 && i < len(s.Times) {
					part := float64(t-s.Times[i-1]) / float64(s.Times[i]-s.Times[i-1])
					n.add(t, s.Values[i-1]+part*(s.Values[i]-s.Values[i-1]))
				}
			default:
				return v, wrong("FILL", with)
			}
		}
		out.Series = append(out.Series, n)
	}
	return out, nil
}

// condition is IF(condition, value, otherwise).
func condition(_ Env, a []Value) (Value, error) {
	for _, v := range a {
		if !v.is(Scalar, TimeSeries) {
			return Value{}, wrong("IF", v)
		}
	}
	choose := func(c float64) *Value {
		switch {
		case c != 0:
			return &a[1]
		case len(a) == 3:
			return &a[2]
		}
		return nil
	}
	if a[0].Kind == Scalar {
		if v := choose(a[0].Number); v != nil {
			return *v, nil
		}
		return Of(Series{}), nil
	}
	s := a[0].one()
	out := Series{Label: s.Label, Period: s.Period}
	for i, t := range s.Times {
		v := choose(s.Values[i])
		switch {
		case v == nil:
		case v.Kind == Scalar:
			out.add(t, v.Number)
		default:
			if f, ok := v.one().at(t); ok {
				out.add(t, f)
			}
		}
	}
	return Of(out), nil
}

func metricsOf(e Env, a []Value) (Value, error) {
	contains := ""
	if len(a) == 1 {
		if a[0].Kind != Text {
			return Value{}, wrong("METRICS", a[0])
		}
		contains = a[0].text
	}
	s, err := e.Metrics(contains)
	return array(s), err
}

func metricCount(_ Env, a []Value) (Value, error) {
	if !a[0].is(TimeSeries, Array) {
		return Value{}, wrong("METRIC_COUNT", a[0])
	}
	return number(float64(len(a[0].Series))), nil
}

// pick is the first or last series of an array.
func pick(i int) func(Env, []Value) (Value, error) {
	return func(_ Env, a []Value) (Value, error) {
		if !a[0].is(TimeSeries, Array) || len(a[0].Series) == 0 {
			return Value{}, fmt.Errorf("FIRST and LAST take an array of time series that is not empty")
		}
		if i < 0 {
			return Of(a[0].Series[len(a[0].Series)-1]), nil
		}
		return Of(a[0].Series[i]), nil
	}
}

// sorted is SORT(array, function, order [, limit]): function and order are ids
// to the parser, texts to us.
func sorted(_ Env, a []Value) (Value, error) {
	if a[0].Kind != Array || a[1].Kind != Text || a[2].Kind != Text || len(a) == 4 && a[3].Kind != Scalar {
		return Value{}, fmt.Errorf("SORT takes an array, a function, ASC or DESC and a number")
	}
	by := map[string]func([]float64) float64{"AVG": mean, "MIN": slices.Min[[]float64], "MAX": slices.Max[[]float64], "SUM": sum}[strings.ToUpper(a[1].text)]
	order := strings.ToUpper(a[2].text)
	if by == nil || order != "ASC" && order != "DESC" {
		return Value{}, fmt.Errorf("SORT knows AVG, MIN, MAX and SUM, ASC and DESC")
	}
	list := slices.Clone(a[0].Series)
	key := func(s Series) float64 {
		if len(s.Values) == 0 {
			return math.Inf(-1)
		}
		return by(s.Values)
	}
	sort.SliceStable(list, func(i, j int) bool {
		if order == "DESC" {
			i, j = j, i
		}
		return key(list[i]) < key(list[j])
	})
	if len(a) == 4 {
		list = list[:min(len(list), max(0, int(min(a[3].Number, 1e6))))]
	}
	return array(list), nil
}

// slice is SLICE(array, from [, to]); of two parameters the one element.
func slice(_ Env, a []Value) (Value, error) {
	if a[0].Kind != Array || a[1].Kind != Scalar || len(a) == 3 && a[2].Kind != Scalar {
		return Value{}, fmt.Errorf("SLICE takes an array and numbers")
	}
	list := a[0].Series
	bound := func(f float64) int { return min(len(list), max(0, int(min(max(f, 0), 1e6)))) }
	from := bound(a[1].Number)
	if len(a) == 2 {
		if from >= len(list) {
			return Value{}, fmt.Errorf("SLICE: the array has %d time series", len(list))
		}
		return Of(list[from]), nil
	}
	return array(list[from:max(from, bound(a[2].Number))]), nil
}

func removeEmpty(_ Env, a []Value) (Value, error) {
	if a[0].Kind != Array {
		return Value{}, wrong("REMOVE_EMPTY", a[0])
	}
	out := array(nil)
	for _, s := range a[0].Series {
		if len(s.Values) > 0 {
			out.Series = append(out.Series, s)
		}
	}
	return out, nil
}

func timeSeries(e Env, a []Value) (Value, error) {
	if a[0].Kind != Scalar {
		return Value{}, wrong("TIME_SERIES", a[0])
	}
	return Of(e.constant(a[0].Number)), nil
}

func period(e Env, a []Value) (Value, error) {
	if !a[0].is(TimeSeries) {
		return Value{}, wrong("PERIOD", a[0])
	}
	p := a[0].one().Period
	if p == 0 {
		p = e.Period
	}
	return number(float64(p) / 1000), nil
}
