package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/services/cloudwatch/alarmrule"
	"minato/services/cloudwatch/statistics"
)

// lookEvery is how often an alarm is looked at, paced, besides the end of each
// of its periods.
const lookEvery = 10 * time.Second

// alarmReconciler evaluates metric alarms and does what all alarms still have to
// do. Its keys are those of the alarms.
type alarmReconciler struct{ *Service }

// Keys is part of controller.Reconciler.
func (r *alarmReconciler) Keys(ctx context.Context) ([]string, error) { return r.alarms.Keys(ctx) }

// Reconcile is part of controller.Reconciler.
func (r *alarmReconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	a, found, err := r.alarms.GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	ids := r.alarms.IDs(key)
	p := arn.In(ids[1], ids[0])
	ctx = identity.With(ctx, identity.ServiceCaller("cloudwatch.amazonaws.com", p.Account, p.Region))
	if len(a.Todo) > 0 {
		return controller.Result{}, r.settle(ctx, p, key, a) // the store wakes us again
	}
	if a.Metric == nil {
		return controller.Result{}, nil
	}
	now := r.clock.Now().UTC()
	if a.Held != nil && now.Before(*a.Held) {
		return controller.Result{After: a.Held.Sub(now)}, nil
	}
	next, err := r.evaluate(ctx, key, a, now)
	return controller.Result{After: next}, err
}

// settle writes history and takes actions, then takes both off the record.
func (s *Service) settle(ctx context.Context, p arn.Place, key string, a alarm) error {
	for _, t := range a.Todo {
		if t.Action != "" {
			t = s.act(ctx, a, t)
		}
		if err := s.writeHistory(p, &a, t); err != nil {
			return err
		}
	}
	done := len(a.Todo)
	_, err := s.alarms.UpdateKey(ctx, key, func(now *alarm) error {
		now.Todo = slices.Delete(now.Todo, 0, min(done, len(now.Todo)))
		return nil
	})
	return err
}

// act takes an action and returns the line of history about it.
func (s *Service) act(ctx context.Context, a alarm, t todo) todo {
	err := s.take(ctx, t.Action)
	if err == nil {
		t.Summary = "Successfully executed action " + t.Action
	} else {
		t.Summary = short(fmt.Sprintf("Failed to execute action %s. Received error: %q", t.Action, err.Error()), 255)
	}
	data := map[string]any{"actionState": "Succeeded", "stateUpdateTimestamp": t.At.UnixMilli(), "notificationResource": t.Action, "alarmName": aws.Val(a.common().name)}
	if err != nil {
		data["actionState"], data["error"] = "Failed", err.Error()
		s.log.Warn("an alarm's action failed", "alarm", aws.Val(a.common().name), "action", t.Action, "error", err)
	}
	if b, err := json.Marshal(data); err == nil && len(b) <= 4095 {
		t.Data = string(b)
	}
	return t
}

// take does what an action's ARN stands for.
func (s *Service) take(ctx context.Context, action string) error {
	a, ok := arn.Parse(action)
	switch {
	case !ok:
		//lint:ignore ST1005 AWS's text
		return fmt.Errorf("Invalid arn syntax: %s", action)
	case a.Service == "autoscaling" && strings.HasPrefix(a.Resource, "scalingPolicy:") && s.scale != nil:
		return s.scale(ctx, action)
	}
	return fmt.Errorf("actions of %s are not served by minato", a.Service)
}

func short(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// evaluate says what a metric alarm's state is, and when to look again.
func (r *alarmReconciler) evaluate(ctx context.Context, key string, a alarm, now time.Time) (time.Duration, error) {
	m := a.Metric
	qs, err := alarmQueries(m.Metrics, m.MetricName, m.Namespace, m.Dimensions, m.Period, m.Statistic, m.ExtendedStatistic, m.Unit)
	if err != nil {
		return 0, fmt.Errorf("the alarm %s: %w", key, err)
	}
	q := qs.watched()
	step := min(q.period, 60_000)
	end := floor(now.UnixMilli(), step)
	next := time.UnixMilli(end + step).Sub(now)
	if paced := r.clock.Paced(lookEvery); paced < next {
		next = max(paced, 500*time.Millisecond)
	}
	rule := rules{
		periods: int(*m.EvaluationPeriods), points: int(*m.EvaluationPeriods), operator: *m.ComparisonOperator, threshold: *m.Threshold,
		treat: or(aws.Val(m.TreatMissingData), treatMissing),
	}
	if m.DatapointsToAlarm != nil {
		rule.points = int(*m.DatapointsToAlarm)
	}
	slots, err := r.slots(ctx, qs, q, end, rule.periods+moreSlots)
	if err != nil {
		return next, err
	}
	v := rule.judge(slots)
	if aws.Val(m.EvaluateLowSampleCountPercentile) == "ignore" && q.expr == nil && tooFew(q.stat, v.used) {
		v.keep = true
	}
	if v.keep || v.state == aws.Val(m.StateValue) && !unchecked(m) {
		return next, nil
	}
	_, err = r.alarms.UpdateKey(ctx, key, func(current *alarm) error {
		if current.Metric == nil || !same(current.Metric, m) {
			return nil // changed meanwhile: the store wakes us for it
		}
		current.Held = nil
		current.become(v.state, rule.reason(v), rule.reasonData(v, now, statisticName(m), m.Unit, int32(q.period/1000)), now)
		return nil
	})
	return next, err
}

// unchecked tells that an alarm was never evaluated: then its reason changes even
// if its state does not.
func unchecked(m *cwapi.MetricAlarm) bool {
	return strings.HasPrefix(aws.Val(m.StateReason), "Unchecked:")
}

// same tells whether nobody has changed or set the alarm since it was read.
func same(a, b *cwapi.MetricAlarm) bool {
	return a.AlarmConfigurationUpdatedTimestamp.Equal(*b.AlarmConfigurationUpdatedTimestamp) && a.StateUpdatedTimestamp.Equal(*b.StateUpdatedTimestamp)
}

// statisticName is the statistic as a reason's data calls it.
func statisticName(m *cwapi.MetricAlarm) string {
	return or(aws.Val(m.Statistic), aws.Val(m.ExtendedStatistic))
}

// slots are the last periods before an end, oldest first.
func (s *Service) slots(ctx context.Context, qs queries, q *query, end int64, n int) ([]slot, error) {
	start := end - int64(n)*q.period
	out := make([]slot, n)
	for i := range out {
		out[i].start = time.UnixMilli(start + int64(i)*q.period).UTC()
	}
	if q.expr == nil {
		samples, err := s.metrics.Read(ctx, logName(place(ctx)), q.metric, start, end)
		if err != nil {
			return nil, err
		}
		if u := q.MetricStat.Unit; u != nil {
			samples = withUnit(samples, *u)
		}
		for _, b := range statistics.Aggregate(samples, start, end, q.period) {
			if value, ok := b.Of(q.stat); ok {
				i := (b.Start - start) / q.period
				out[i].there, out[i].value, out[i].count = true, value, b.Count
			}
		}
		return out, nil
	}
	// An expression's periods lie on the clock, so one that has not ended is left out.
	from := floor(start, q.period)
	to := floor(end, q.period)
	for i := range out {
		out[i].start = time.UnixMilli(to - int64(n-i)*q.period).UTC()
	}
	results, err := s.run(ctx, qs, from, to)
	if err != nil || len(results) != 1 {
		return out, err // an expression of several series is none an alarm can watch
	}
	for i, t := range results[0].series.Times {
		if at := n - int((to-t)/q.period); at >= 0 && at < n {
			out[at].there, out[at].value = true, results[0].series.Values[i]
		}
	}
	return out, nil
}

// tooFew tells whether there are too few samples for a percentile to say much.
func tooFew(stat statistics.Stat, used []slot) bool {
	p, ok := stat.Percent()
	if !ok {
		return false
	}
	need := 10 / (1 - p)
	if p < 0.5 {
		need = 10 / p
	}
	for _, s := range used {
		if s.count < need {
			return true
		}
	}
	return len(used) == 0
}

// compositesKey is the one key of the composite reconciler: composites hang on
// one another.
const compositesKey = "all"

// compositeReconciler evaluates the composite alarms.
type compositeReconciler struct{ *Service }

// Keys is part of controller.Reconciler.
func (r *compositeReconciler) Keys(context.Context) ([]string, error) {
	return []string{compositesKey}, nil
}

// Reconcile is part of controller.Reconciler. A change of one wakes it again, so
// that those above follow.
func (r *compositeReconciler) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	keys, err := r.alarms.Keys(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	all := map[string]alarm{} // by ARN
	byKey := map[string]alarm{}
	composites := []string{}
	for _, key := range keys {
		a, found, err := r.alarms.GetKey(ctx, key)
		if err != nil {
			return controller.Result{}, err
		}
		if found {
			all[aws.Val(a.common().arn)] = a
			byKey[key] = a
			if a.Composite != nil {
				composites = append(composites, key)
			}
		}
	}
	now := r.clock.Now().UTC()
	for _, key := range composites {
		a, ids := byKey[key], r.alarms.IDs(key)
		state, reason, data := judgeComposite(a.Composite, arn.In(ids[1], ids[0]), all)
		if state == aws.Val(a.Composite.StateValue) {
			continue
		}
		_, err := r.alarms.UpdateKey(ctx, key, func(current *alarm) error {
			if current.Composite != nil && aws.Val(current.Composite.AlarmRule) == aws.Val(a.Composite.AlarmRule) {
				current.become(state, reason, data, now)
			}
			return nil
		})
		if err != nil {
			return controller.Result{}, err
		}
	}
	return controller.Result{}, nil
}

// judgeComposite says what a composite alarm's state is: ALARM while its rule
// holds, INSUFFICIENT_DATA while none of its alarms knows anything, else OK.
func judgeComposite(c *cwapi.CompositeAlarm, p arn.Place, all map[string]alarm) (state, reason, data string) {
	rule, err := alarmrule.Parse(aws.Val(c.AlarmRule))
	if err != nil {
		return aws.Val(c.StateValue), "", ""
	}
	stateOf := func(name string) string {
		a, ok := all[alarmARN(p, nameOf(name))]
		if !ok {
			return cwapi.StateValueInsufficientData
		}
		return aws.Val(a.common().state)
	}
	state = cwapi.StateValueOk
	if rule.Eval(stateOf) {
		state = cwapi.StateValueAlarm
	}
	type trigger struct {
		ARN   string `json:"arn"`
		State struct {
			Value     string `json:"value"`
			Timestamp string `json:"timestamp"`
		} `json:"state"`
	}
	var newest *alarm
	var triggers []trigger
	unknown := 0
	for _, name := range rule.Alarms() {
		if stateOf(name) == cwapi.StateValueInsufficientData {
			unknown++
		}
		a, ok := all[alarmARN(p, nameOf(name))]
		if !ok {
			continue
		}
		co := a.common()
		t := trigger{ARN: aws.Val(co.arn)}
		t.State.Value, t.State.Timestamp = aws.Val(co.state), stamp(*co.since)
		triggers = append(triggers, t)
		if newest == nil || co.since.After(*newest.common().since) {
			newest = &a
		}
	}
	if state == cwapi.StateValueOk && unknown > 0 && unknown == len(rule.Alarms()) {
		state = cwapi.StateValueInsufficientData
	}
	reason = "The alarm rule is " + strings.ToLower(aws.Val(c.AlarmRule))
	if newest != nil {
		co := newest.common()
		reason = fmt.Sprintf("%s transitioned to %s at %s", aws.Val(co.arn), aws.Val(co.state), co.since.UTC().Format("Monday 02 January, 2006 15:04:05 MST"))
	}
	if b, err := json.Marshal(map[string]any{"triggeringAlarms": triggers}); err == nil && len(b) <= 4000 {
		data = string(b)
	}
	return state, short(reason, 1023), data
}
