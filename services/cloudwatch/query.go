package cloudwatch

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/dataplane/metrics"
	"minato/services/cloudwatch/expression"
	"minato/services/cloudwatch/statistics"
)

// query is a metric or an expression, checked.
type query struct {
	cwapi.MetricDataQuery
	id     string
	metric metrics.Metric
	stat   statistics.Stat
	expr   *expression.Expr
	period int64 // milliseconds; of an expression that of what it is made of
}

func (q *query) returns() bool { return q.ReturnData == nil || *q.ReturnData }

// queries is a set of them, in the caller's order.
type queries []*query

func (qs queries) find(id string) *query {
	for _, q := range qs {
		if q.id == id {
			return q
		}
	}
	return nil
}

var idPattern = regexp.MustCompile(`^[a-z][A-Za-z0-9_]*$`)

// parseQueries checks queries, also that no expression needs itself.
func parseQueries(in []cwapi.MetricDataQuery) (queries, error) {
	var qs queries
	for i := range in {
		q, err := parseQuery(in[i])
		if err != nil {
			return nil, err
		}
		if qs.find(q.id) != nil {
			return nil, invalid("The values for parameter id in MetricDataQueries are not unique.")
		}
		qs = append(qs, q)
	}
	for _, q := range qs {
		if q.expr != nil {
			for _, id := range q.expr.IDs() {
				if qs.find(id) == nil {
					return nil, invalid("Error in expression '%s': Undefined identifier '%s'", q.id, id)
				}
			}
		}
	}
	state := map[*query]int{} // 1 on the path, 2 done
	for _, q := range qs {
		if err := qs.settle(q, state); err != nil {
			return nil, err
		}
	}
	return qs, nil
}

// settle finds the period of an expression and refuses a circle.
func (qs queries) settle(q *query, state map[*query]int) error {
	switch {
	case state[q] == 1:
		return invalid("Error in expression '%s': Circular reference", q.id)
	case state[q] == 2 || q.expr == nil:
		return nil
	}
	state[q] = 1
	for _, other := range qs {
		if other == q || !slices.Contains(q.expr.IDs(), other.id) && !(q.expr.All() && other.expr == nil) {
			if other == q && slices.Contains(q.expr.IDs(), q.id) {
				return invalid("Error in expression '%s': Circular reference", q.id)
			}
			continue
		}
		if err := qs.settle(other, state); err != nil {
			return err
		}
		if q.Period == nil {
			q.period = max(q.period, other.period)
		}
	}
	if q.period == 0 {
		q.period = 60_000
	}
	state[q] = 2
	return nil
}

func parseQuery(in cwapi.MetricDataQuery) (*query, error) {
	q := &query{MetricDataQuery: in, id: aws.Val(in.Id)}
	switch {
	case !idPattern.MatchString(q.id):
		return nil, invalid("The value %s for parameter Id is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.", q.id)
	case in.AccountId != nil:
		return nil, refused("MetricDataQueries.AccountId")
	case (in.MetricStat == nil) == (in.Expression == nil):
		return nil, invalid("Exactly one of the parameters MetricStat and Expression must be specified for the query %s.", q.id)
	}
	if in.Period != nil {
		if !validPeriod(*in.Period) {
			return nil, invalid("Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
		}
		q.period = int64(*in.Period) * 1000
	}
	var err error
	if in.Expression != nil {
		if q.expr, err = expression.Parse(*in.Expression); err != nil {
			return nil, invalid("Error in expression '%s': %s", q.id, err)
		}
		return q, nil
	}
	m := in.MetricStat
	switch {
	case m.Metric.MetricName == nil || m.Metric.Namespace == nil:
		return nil, missing("The parameters MetricStat.Metric.Namespace and MetricStat.Metric.MetricName are required.")
	case !validPeriod(*m.Period):
		return nil, invalid("Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
	}
	if q.metric, err = metricOf(m.Metric.Namespace, m.Metric.MetricName, m.Metric.Dimensions, "MetricStat.Metric."); err != nil {
		return nil, err
	}
	if q.stat, err = statistics.Parse(aws.Val(m.Stat)); err != nil {
		return nil, invalid("The value %s for parameter Stat is invalid.", aws.Val(m.Stat))
	}
	q.period = int64(*m.Period) * 1000
	return q, nil
}

// result is a time series that a query returns.
type result struct {
	id, label string
	series    expression.Series
}

// run evaluates queries over a time.
func (s *Service) run(ctx context.Context, qs queries, start, end int64) ([]result, error) {
	r := &running{Service: s, ctx: ctx, queries: qs, place: logName(place(ctx)), start: start, end: end, done: map[string]expression.Value{}}
	var out []result
	for _, q := range qs {
		if !q.returns() {
			continue
		}
		v, err := r.value(q.id)
		if err != nil {
			return nil, err
		}
		switch v.Kind {
		case expression.TimeSeries, expression.Array:
			for _, series := range v.Series {
				label := or(aws.Val(q.Label), or(series.Label, q.id))
				if v.Kind == expression.TimeSeries && q.expr != nil {
					label = or(aws.Val(q.Label), q.id)
				}
				out = append(out, result{q.id, label, series})
			}
		default:
			return nil, invalid("Error in expression '%s': The expression must return a time series", q.id)
		}
	}
	return out, nil
}

// running is one evaluation.
type running struct {
	*Service
	ctx        context.Context
	queries    queries
	place      string
	start, end int64
	done       map[string]expression.Value
}

func (r *running) value(id string) (expression.Value, error) {
	if v, ok := r.done[id]; ok {
		return v, nil
	}
	q := r.queries.find(id)
	if q == nil {
		return expression.Value{}, fmt.Errorf("undefined identifier '%s'", id)
	}
	v, err := r.compute(q)
	if err == nil {
		r.done[id] = v
	}
	return v, err
}

func (r *running) compute(q *query) (expression.Value, error) {
	if q.expr == nil {
		s, err := r.read(q)
		return expression.Of(s), err
	}
	var failed error
	v, err := q.expr.Eval(expression.Env{
		Lookup: func(id string) (expression.Value, error) {
			v, err := r.value(id)
			failed = err
			return v, err
		},
		Metrics: func(contains string) ([]expression.Series, error) {
			var out []expression.Series
			for _, other := range r.queries {
				if other.expr == nil && strings.Contains(other.id, contains) {
					v, err := r.value(other.id)
					if err != nil {
						failed = err
						return nil, err
					}
					out = append(out, v.Series...)
				}
			}
			return out, nil
		},
		Start: floor(r.start, q.period), End: r.end, Period: q.period,
	})
	switch {
	case failed != nil:
		return v, failed
	case err != nil:
		return v, invalid("Error in expression '%s': %s", q.id, err)
	}
	return v, nil
}

// read is the time series of a metric.
func (r *running) read(q *query) (expression.Series, error) {
	out := expression.Series{Label: q.metric.Name, Period: q.period}
	start := floor(r.start, q.period)
	samples, err := r.metrics.Read(r.ctx, r.place, q.metric, start, r.end)
	if err != nil {
		return out, internal(err)
	}
	if u := q.MetricStat.Unit; u != nil {
		samples = withUnit(samples, *u)
	}
	for _, b := range statistics.Aggregate(samples, start, r.end, q.period) {
		if v, ok := b.Of(q.stat); ok {
			out.Times, out.Values = append(out.Times, b.Start), append(out.Values, v)
		}
	}
	return out, nil
}

// unitsOf are the units that samples have, in order.
func unitsOf(samples []metrics.Sample) []string {
	var out []string
	for _, s := range samples {
		if u := or(s.Unit, cwapi.StandardUnitNone); !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	slices.Sort(out)
	return out
}

func withUnit(samples []metrics.Sample, unit string) []metrics.Sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s metrics.Sample) bool { return or(s.Unit, cwapi.StandardUnitNone) != unit })
}
