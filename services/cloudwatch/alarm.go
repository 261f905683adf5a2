package cloudwatch

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/services/cloudwatch/statistics"
	"minato/store"
)

// What an alarm may treat a missing datapoint as.
const (
	treatMissing      = "missing"
	treatIgnore       = "ignore"
	treatBreaching    = "breaching"
	treatNotBreaching = "notBreaching"
)

// alarm is the record of an alarm: of a metric one or a composite one.
type alarm struct {
	Metric    *cwapi.MetricAlarm    `json:"metric,omitempty"`
	Composite *cwapi.CompositeAlarm `json:"composite,omitempty"`
	Tags      []cwapi.Tag           `json:"tags,omitempty"`
	// Held is until when a state of SetAlarmState is not evaluated anew.
	Held *time.Time `json:"held,omitempty"`
	// Todo is what the last changes still ask for, oldest first.
	Todo []todo `json:"todo,omitempty"`
}

// todo is a line of history to write, or an action to take and then to write
// what came of it.
type todo struct {
	At      time.Time `json:"at"`
	Type    string    `json:"type"`
	Summary string    `json:"summary,omitempty"`
	Data    string    `json:"data,omitempty"`
	Action  string    `json:"action,omitempty"` // ARN
}

// common are the members that both kinds have.
type common struct {
	name, arn, state *string
	enabled          *bool
	onAlarm, onOK    []string
	onMissing        []string
	since            *time.Time // the last change of state
}

func (a *alarm) common() common {
	if m := a.Metric; m != nil {
		return common{m.AlarmName, m.AlarmArn, m.StateValue, m.ActionsEnabled, m.AlarmActions, m.OKActions, m.InsufficientDataActions, m.StateTransitionedTimestamp}
	}
	c := a.Composite
	return common{c.AlarmName, c.AlarmArn, c.StateValue, c.ActionsEnabled, c.AlarmActions, c.OKActions, c.InsufficientDataActions, c.StateTransitionedTimestamp}
}

// kind is the AlarmType.
func (a *alarm) kind() string {
	if a.Metric != nil {
		return cwapi.AlarmTypeMetricAlarm
	}
	return cwapi.AlarmTypeCompositeAlarm
}

// actions are those of a state.
func (c common) actions(state string) []string {
	switch state {
	case cwapi.StateValueAlarm:
		return c.onAlarm
	case cwapi.StateValueOk:
		return c.onOK
	}
	return c.onMissing
}

// become sets the state and notes what follows of a change of it.
func (a *alarm) become(state, reason, data string, now time.Time) {
	before := a.common()
	changed := aws.Val(before.state) != state
	if m := a.Metric; m != nil {
		m.StateValue, m.StateReason, m.StateReasonData, m.StateUpdatedTimestamp = &state, &reason, text(data), &now
		if changed {
			m.StateTransitionedTimestamp = &now
		}
	} else {
		c := a.Composite
		c.StateValue, c.StateReason, c.StateReasonData, c.StateUpdatedTimestamp = &state, &reason, text(data), &now
		if changed {
			c.StateTransitionedTimestamp = &now
		}
	}
	if !changed {
		return
	}
	type seen struct {
		StateValue      string          `json:"stateValue"`
		StateReason     string          `json:"stateReason"`
		StateReasonData json.RawMessage `json:"stateReasonData,omitempty"`
	}
	now3 := seen{StateValue: state, StateReason: reason}
	if json.Valid([]byte(data)) {
		now3.StateReasonData = json.RawMessage(data)
	}
	history, err := json.Marshal(map[string]any{
		"version": "1.0", "oldState": map[string]string{"stateValue": aws.Val(before.state)}, "newState": now3,
	})
	if err != nil || len(history) > 4095 {
		history = nil
	}
	a.Todo = append(a.Todo, todo{At: now, Type: cwapi.HistoryItemTypeStateUpdate, Summary: "Alarm updated from " + aws.Val(before.state) + " to " + state, Data: string(history)})
	if aws.Val(before.enabled) {
		for _, action := range before.actions(state) {
			a.Todo = append(a.Todo, todo{At: now, Type: cwapi.HistoryItemTypeAction, Action: action})
		}
	}
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// configured notes in the history that the alarm was created or updated.
func (a *alarm) configured(what string, now time.Time) {
	a.Todo = append(a.Todo, todo{At: now, Type: cwapi.HistoryItemTypeConfigurationUpdate, Summary: `Alarm "` + aws.Val(a.common().name) + `" ` + what})
}

// PutMetricAlarm makes an alarm on a metric or an expression, or changes one.
func (s *Service) PutMetricAlarm(ctx context.Context, in *cwapi.PutMetricAlarmInput) (*cwapi.PutMetricAlarmOutput, error) {
	if err := checkMetricAlarm(in); err != nil {
		return nil, err
	}
	p, now, name := place(ctx), s.clock.Now().UTC(), aws.Val(in.AlarmName)
	m := &cwapi.MetricAlarm{
		ActionsEnabled: in.ActionsEnabled, AlarmActions: listed(in.AlarmActions), AlarmArn: aws.Ptr(alarmARN(p, name)), AlarmConfigurationUpdatedTimestamp: &now,
		AlarmDescription: in.AlarmDescription, AlarmName: in.AlarmName, ComparisonOperator: in.ComparisonOperator, DatapointsToAlarm: in.DatapointsToAlarm,
		Dimensions: in.Dimensions, EvaluateLowSampleCountPercentile: in.EvaluateLowSampleCountPercentile, EvaluationPeriods: in.EvaluationPeriods,
		ExtendedStatistic: in.ExtendedStatistic, InsufficientDataActions: listed(in.InsufficientDataActions), MetricName: in.MetricName, Metrics: in.Metrics,
		Namespace: in.Namespace, OKActions: listed(in.OKActions), Period: in.Period, Statistic: in.Statistic, Threshold: in.Threshold,
		TreatMissingData: in.TreatMissingData, Unit: in.Unit,
	}
	if m.ActionsEnabled == nil {
		m.ActionsEnabled = aws.Ptr(true)
	}
	if in.MetricName != nil && m.Dimensions == nil {
		m.Dimensions = []cwapi.Dimension{}
	}
	err := s.put(ctx, name, in.Tags, func(a *alarm, exists bool) error {
		switch {
		case exists && a.Metric == nil:
			return invalid("Could not save the alarm as a composite alarm with the name %s exists.", name)
		case exists:
			o := a.Metric
			m.StateValue, m.StateReason, m.StateReasonData = o.StateValue, o.StateReason, o.StateReasonData
			m.StateUpdatedTimestamp, m.StateTransitionedTimestamp = o.StateUpdatedTimestamp, o.StateTransitionedTimestamp
		default:
			m.StateValue, m.StateReason = aws.Ptr(cwapi.StateValueInsufficientData), aws.Ptr("Unchecked: Initial alarm creation")
			m.StateUpdatedTimestamp, m.StateTransitionedTimestamp = &now, &now
		}
		a.Metric = m
		return nil
	})
	return &cwapi.PutMetricAlarmOutput{}, err
}

// listed is a list that is never nil: alarms show their empty ones.
func listed(list []string) []string { return append([]string{}, list...) }

// maxAlarms is CloudWatch's quota of an account and region.
const maxAlarms = 5000

// put makes or changes an alarm in a transaction.
func (s *Service) put(ctx context.Context, name string, tags []cwapi.Tag, f func(a *alarm, exists bool) error) error {
	p, now := place(ctx), s.clock.Now().UTC()
	return store.Update(ctx, s.store, func(tx *store.Tx) error {
		a, exists, err := s.alarms.TxGet(tx, p.Account, p.Region, name)
		if err != nil {
			return err
		}
		if !exists {
			all, err := s.alarms.Keys(ctx, p.Account, p.Region)
			if err != nil {
				return err
			}
			if len(all) >= maxAlarms {
				return cwapi.LimitExceededFault("The maximum number of alarms, %d, has been reached.", maxAlarms)
			}
			if a.Tags, err = withTags(nil, tags); err != nil {
				return err
			}
		}
		if err := f(&a, exists); err != nil {
			return err
		}
		if exists {
			a.configured("updated", now)
		} else {
			a.configured("created", now)
		}
		return s.alarms.TxPut(tx, a, p.Account, p.Region, name)
	})
}

func checkMetricAlarm(in *cwapi.PutMetricAlarmInput) error {
	if name, asked := aws.Asked(in, "EvaluationCriteria", "EvaluationInterval", "ThresholdMetricId"); asked {
		return refused(name)
	}
	if err := checkActions(in.AlarmActions, in.OKActions, in.InsufficientDataActions); err != nil {
		return err
	}
	n := aws.Val(in.EvaluationPeriods)
	switch {
	case in.EvaluationPeriods == nil:
		return missing("The parameter EvaluationPeriods is required.")
	case in.ComparisonOperator == nil:
		return missing("The parameter ComparisonOperator is required.")
	case operatorWords[*in.ComparisonOperator] == "":
		return invalid("The comparison operator %s needs an anomaly detection model, which is not supported by minato.", *in.ComparisonOperator)
	case in.Threshold == nil:
		return missing("The parameter Threshold is required.")
	case in.DatapointsToAlarm != nil && *in.DatapointsToAlarm > n:
		return invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods")
	case in.TreatMissingData != nil && !slices.Contains([]string{treatMissing, treatIgnore, treatBreaching, treatNotBreaching}, *in.TreatMissingData):
		return invalid("Invalid value for TreatMissingData: %s. Valid values are: breaching, notBreaching, ignore, missing.", *in.TreatMissingData)
	case in.EvaluateLowSampleCountPercentile != nil && !slices.Contains([]string{"evaluate", "ignore"}, *in.EvaluateLowSampleCountPercentile):
		return invalid("Option %s is not supported for EvaluateLowSampleCountPercentile.", *in.EvaluateLowSampleCountPercentile)
	}
	if err := number(*in.Threshold, "Threshold"); err != nil {
		return err
	}
	qs, err := alarmQueries(in.Metrics, in.MetricName, in.Namespace, in.Dimensions, in.Period, in.Statistic, in.ExtendedStatistic, in.Unit)
	if err != nil {
		return err
	}
	watched := qs.watched()
	seconds := watched.period / 1000
	switch {
	case seconds != 10 && seconds != 20 && seconds != 30 && seconds%60 != 0:
		return invalid("Period must be 10, 20, 30 or a multiple of 60")
	case seconds < 3600 && int64(n)*seconds > 86400:
		return invalid("Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).")
	case int64(n)*seconds > 7*86400:
		return invalid("Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800).")
	}
	return nil
}

// alarmQueries are the queries of an alarm: those it was given, or one made of
// its metric.
func alarmQueries(given []cwapi.MetricDataQuery, name, namespace *string, dimensions []cwapi.Dimension, period *int32, statistic, extended, unit *string) (queries, error) {
	if len(given) > 0 {
		if name != nil || namespace != nil || len(dimensions) > 0 || period != nil || statistic != nil || extended != nil || unit != nil {
			return nil, badCombination("The parameters Metrics and MetricName, Namespace, Dimensions, Period, Unit, Statistic, ExtendedStatistic are mutually exclusive.")
		}
		if len(given) > 20 {
			return nil, invalid("The collection Metrics must not have a size greater than 20.")
		}
		qs, err := parseQueries(given)
		if err != nil {
			return nil, err
		}
		returning := 0
		for _, q := range qs {
			if q.returns() {
				returning++
			}
		}
		if returning != 1 {
			return nil, invalid("Exactly one element of the metrics list should return data.")
		}
		return qs, nil
	}
	switch {
	case name == nil || namespace == nil:
		return nil, missing("Exactly one of Metrics or MetricName, with Namespace, must be specified.")
	case period == nil:
		return nil, missing("The parameter Period is required.")
	case (statistic == nil) == (extended == nil):
		return nil, badCombination("Exactly one of the parameters Statistic and ExtendedStatistic must be specified.")
	}
	stat := or(aws.Val(statistic), aws.Val(extended))
	if parsed, err := statistics.Parse(stat); err != nil || extended != nil && !parsed.Extended() {
		return nil, invalid("The value %s for parameter ExtendedStatistic is not supported.", stat)
	}
	return parseQueries([]cwapi.MetricDataQuery{{Id: aws.Ptr("m1"), MetricStat: &cwapi.MetricStat{
		Metric: &cwapi.Metric{MetricName: name, Namespace: namespace, Dimensions: dimensions}, Period: period, Stat: &stat, Unit: unit,
	}}})
}

// watched is the query that the alarm is about.
func (qs queries) watched() *query {
	for _, q := range qs {
		if q.returns() {
			return q
		}
	}
	return nil
}

// checkActions refuses what is no ARN.
func checkActions(lists ...[]string) error {
	for _, list := range lists {
		for _, a := range list {
			if _, ok := arn.Parse(a); !ok {
				return invalid("Invalid arn syntax: %s", a)
			}
		}
	}
	return nil
}

// SetAlarmState sets an alarm's state for a while: the next evaluation says
// again what it is.
func (s *Service) SetAlarmState(ctx context.Context, in *cwapi.SetAlarmStateInput) (*cwapi.SetAlarmStateOutput, error) {
	if in.StateReasonData != nil && !json.Valid([]byte(*in.StateReasonData)) {
		return nil, cwapi.InvalidFormatFault("StateReasonData is not valid JSON.")
	}
	now, p := s.clock.Now().UTC(), place(ctx)
	found, err := s.alarms.Update(ctx, func(a *alarm) error {
		a.become(*in.StateValue, *in.StateReason, aws.Val(in.StateReasonData), now)
		if a.Metric != nil {
			a.Held = aws.Ptr(heldUntil(a.Metric, now))
		}
		return nil
	}, p.Account, p.Region, aws.Val(in.AlarmName))
	if err == nil && !found {
		err = cwapi.ResourceNotFound("Unknown")
	}
	return &cwapi.SetAlarmStateOutput{}, err
}

// heldUntil is when an alarm is evaluated again after its state was set: at the
// end of one of its periods, but not at once.
func heldUntil(m *cwapi.MetricAlarm, now time.Time) time.Time {
	step := int64(60_000)
	if m.Period != nil {
		step = min(step, int64(*m.Period)*1000)
	}
	return time.UnixMilli(floor(now.UnixMilli()+step+step/2, step)).UTC()
}

// EnableAlarmActions lets alarms act; names that are not there are passed over, as on AWS.
func (s *Service) EnableAlarmActions(ctx context.Context, in *cwapi.EnableAlarmActionsInput) (*cwapi.EnableAlarmActionsOutput, error) {
	return &cwapi.EnableAlarmActionsOutput{}, s.enable(ctx, in.AlarmNames, true)
}

// DisableAlarmActions keeps alarms from acting.
func (s *Service) DisableAlarmActions(ctx context.Context, in *cwapi.DisableAlarmActionsInput) (*cwapi.DisableAlarmActionsOutput, error) {
	return &cwapi.DisableAlarmActionsOutput{}, s.enable(ctx, in.AlarmNames, false)
}

func (s *Service) enable(ctx context.Context, names []string, on bool) error {
	p, now := place(ctx), s.clock.Now().UTC()
	for _, name := range names {
		_, err := s.alarms.Update(ctx, func(a *alarm) error {
			if aws.Val(a.common().enabled) == on {
				return nil
			}
			if a.Metric != nil {
				a.Metric.ActionsEnabled, a.Metric.AlarmConfigurationUpdatedTimestamp = &on, &now
			} else {
				a.Composite.ActionsEnabled, a.Composite.AlarmConfigurationUpdatedTimestamp = &on, &now
			}
			a.configured("updated", now)
			return nil
		}, p.Account, p.Region, name)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteAlarms deletes alarms: all of them, or none when one is not there or a
// composite alarm that stays depends on it.
func (s *Service) DeleteAlarms(ctx context.Context, in *cwapi.DeleteAlarmsInput) (*cwapi.DeleteAlarmsOutput, error) {
	p, now := place(ctx), s.clock.Now().UTC()
	var gone []alarm
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		gone = nil
		all, err := s.alarms.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		for _, name := range in.AlarmNames {
			a, found, err := s.alarms.TxGet(tx, p.Account, p.Region, name)
			if err != nil {
				return err
			}
			if !found {
				return cwapi.ResourceNotFound("Unknown")
			}
			for _, other := range all {
				if other.Composite != nil && !slices.Contains(in.AlarmNames, aws.Val(other.Composite.AlarmName)) && slices.Contains(childrenOf(other.Composite), name) {
					return invalid("Cannot delete the alarm %s as the composite alarm %s depends on it.", name, aws.Val(other.Composite.AlarmName))
				}
			}
			gone = append(gone, a)
			s.alarms.TxDelete(tx, p.Account, p.Region, name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, a := range gone {
		a.configured("deleted", now)
		if err := s.writeHistory(p, &a, a.Todo[len(a.Todo)-1]); err != nil {
			s.log.Warn("the history of a deleted alarm", "alarm", aws.Val(a.common().name), "error", err)
		}
	}
	return &cwapi.DeleteAlarmsOutput{}, nil
}
