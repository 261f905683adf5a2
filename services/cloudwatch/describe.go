package cloudwatch

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
)

// DescribeAlarms lists alarms by name; composite ones only when they are asked for.
func (s *Service) DescribeAlarms(ctx context.Context, in *cwapi.DescribeAlarmsInput) (*cwapi.DescribeAlarmsOutput, error) {
	if in.AlarmNamePrefix != nil && len(in.AlarmNames) > 0 {
		return nil, badCombination("AlarmNamePrefix and AlarmNames must not be specified at the same time.")
	}
	p := place(ctx)
	all, err := s.alarms.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, internal(err)
	}
	types := in.AlarmTypes
	if len(types) == 0 {
		types = []string{cwapi.AlarmTypeMetricAlarm}
	}
	var family []string
	switch {
	case in.ChildrenOfAlarmName != nil && in.ParentsOfAlarmName != nil:
		return nil, badCombination("ChildrenOfAlarmName and ParentsOfAlarmName must not be specified at the same time.")
	case in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil:
		if name, asked := aws.Asked(in, "AlarmNames", "AlarmNamePrefix", "ActionPrefix", "StateValue"); asked {
			return nil, badCombination("%s must not be specified together with ChildrenOfAlarmName or ParentsOfAlarmName.", name)
		}
		types = []string{cwapi.AlarmTypeMetricAlarm, cwapi.AlarmTypeCompositeAlarm}
		family = relatives(all, aws.Val(in.ChildrenOfAlarmName), aws.Val(in.ParentsOfAlarmName))
	}
	related := in.ChildrenOfAlarmName != nil || in.ParentsOfAlarmName != nil
	var matching []alarm
	for _, a := range all {
		c := a.common()
		switch {
		case !slices.Contains(types, a.kind()),
			len(in.AlarmNames) > 0 && !slices.Contains(in.AlarmNames, aws.Val(c.name)),
			in.AlarmNamePrefix != nil && !strings.HasPrefix(aws.Val(c.name), *in.AlarmNamePrefix),
			in.StateValue != nil && aws.Val(c.state) != *in.StateValue,
			in.ActionPrefix != nil && !anyPrefix(*in.ActionPrefix, c.onAlarm, c.onOK, c.onMissing),
			related && !slices.Contains(family, aws.Val(c.name)):
		default:
			matching = append(matching, a)
		}
	}
	slices.SortFunc(matching, func(a, b alarm) int { return strings.Compare(aws.Val(a.common().name), aws.Val(b.common().name)) })
	limit := int(aws.Val(in.MaxRecords))
	if limit == 0 {
		limit = 50
		if len(in.AlarmNames) > 0 {
			limit = 100
		}
	}
	out := &cwapi.DescribeAlarmsOutput{MetricAlarms: []cwapi.MetricAlarm{}, CompositeAlarms: []cwapi.CompositeAlarm{}}
	matching, out.NextToken, err = page(matching, func(a alarm) string { return aws.Val(a.common().name) }, in.NextToken, limit)
	if err != nil {
		return nil, err
	}
	for _, a := range matching {
		if a.Metric != nil {
			out.MetricAlarms = append(out.MetricAlarms, *a.Metric)
		} else {
			out.CompositeAlarms = append(out.CompositeAlarms, *a.Composite)
		}
	}
	return out, nil
}

// relatives are the alarms in an alarm's rule, or those whose rules name it.
func relatives(all []alarm, parent, child string) []string {
	var out []string
	for _, a := range all {
		if a.Composite == nil {
			continue
		}
		if name := aws.Val(a.Composite.AlarmName); name == parent {
			out = append(out, childrenOf(a.Composite)...)
		} else if child != "" && slices.Contains(childrenOf(a.Composite), child) {
			out = append(out, name)
		}
	}
	return out
}

func anyPrefix(prefix string, lists ...[]string) bool {
	for _, list := range lists {
		for _, s := range list {
			if strings.HasPrefix(s, prefix) {
				return true
			}
		}
	}
	return false
}

// DescribeAlarmsForMetric lists the alarms on one metric.
func (s *Service) DescribeAlarmsForMetric(ctx context.Context, in *cwapi.DescribeAlarmsForMetricInput) (*cwapi.DescribeAlarmsForMetricOutput, error) {
	m, err := metricOf(in.Namespace, in.MetricName, in.Dimensions, "")
	if err != nil {
		return nil, err
	}
	p := place(ctx)
	all, err := s.alarms.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, internal(err)
	}
	out := &cwapi.DescribeAlarmsForMetricOutput{MetricAlarms: []cwapi.MetricAlarm{}}
	for _, a := range all {
		o := a.Metric
		if o == nil || o.MetricName == nil {
			continue
		}
		theirs, err := metricOf(o.Namespace, o.MetricName, o.Dimensions, "")
		if err != nil || theirs.ID() != m.ID() || !matches(in.Statistic, o.Statistic) || !matches(in.ExtendedStatistic, o.ExtendedStatistic) ||
			!matches(in.Unit, o.Unit) || in.Period != nil && *in.Period != aws.Val(o.Period) {
			continue
		}
		out.MetricAlarms = append(out.MetricAlarms, *o)
	}
	return out, nil
}

// matches tells whether nothing is asked for, or what is there.
func matches(asked, there *string) bool { return asked == nil || aws.Val(there) == *asked }
