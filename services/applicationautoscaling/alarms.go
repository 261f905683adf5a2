package applicationautoscaling

import (
	"context"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
)

// How long the alarms of target tracking look before they call, and at which part
// of the target the lower one lies: AWS's.
const (
	highAfter = 3 * time.Minute
	lowAfter  = 15 * time.Minute
	lowPart   = 0.9
)

// period is the alarms' period: a minute, divided by the pace down to
// CloudWatch's shortest.
func (s *Service) period() int32 {
	paced := s.Clock.Paced(time.Minute)
	for _, p := range []int32{10, 20, 30} {
		if paced <= time.Duration(p)*time.Second {
			return p
		}
	}
	return 60
}

// periods are how many of the alarms' periods it takes until one calls: as many
// as there are minutes, and fewer where the pace would have shorter periods than
// CloudWatch has.
func (s *Service) periods(after time.Duration) int32 {
	period := time.Duration(s.period()) * time.Second
	return int32(max(1, min(after/time.Minute, (s.Clock.Paced(after)+period-1)/period)))
}

// metric is the metric that a policy of target tracking follows. perMinute says
// that it is a sum over a minute.
func (o *policy) metric() (m cwapi.Metric, statistic string, unit *string, perMinute bool) {
	c := o.TargetTrackingScalingPolicyConfiguration
	d := func(name, value string) cwapi.Dimension {
		return cwapi.Dimension{Name: aws.Ptr(name), Value: aws.Ptr(value)}
	}
	if custom := c.CustomizedMetricSpecification; custom != nil {
		m = cwapi.Metric{Namespace: custom.Namespace, MetricName: custom.MetricName}
		for _, x := range custom.Dimensions {
			m.Dimensions = append(m.Dimensions, d(*x.Name, *x.Value))
		}
		return m, *custom.Statistic, custom.Unit, *custom.Statistic == cwapi.StatisticSum || *custom.Statistic == cwapi.StatisticSampleCount
	}
	switch *c.PredefinedMetricSpecification.PredefinedMetricType {
	case autoapi.MetricTypeALBRequestCountPerTarget:
		balancer, group, _ := balancerOf(aws.Val(c.PredefinedMetricSpecification.ResourceLabel))
		return cwapi.Metric{Namespace: aws.Ptr("AWS/ApplicationELB"), MetricName: aws.Ptr("RequestCountPerTarget"), Dimensions: []cwapi.Dimension{d("LoadBalancer", balancer), d("TargetGroup", group)}},
			cwapi.StatisticSum, nil, true
	case autoapi.MetricTypeECSServiceAverageMemoryUtilization:
		m.MetricName = aws.Ptr("MemoryUtilization")
	default:
		m.MetricName = aws.Ptr("CPUUtilization")
	}
	cluster, service, _ := serviceOf(*o.ResourceId)
	m.Namespace, m.Dimensions = aws.Ptr("AWS/ECS"), []cwapi.Dimension{d("ClusterName", cluster), d("ServiceName", service)}
	return m, cwapi.StatisticAverage, nil, false
}

// target is what the metric should be over a period of the alarms.
func (o *policy) target(period int32) float64 {
	t := *o.TargetTrackingScalingPolicyConfiguration.TargetValue
	if _, _, _, perMinute := o.metric(); perMinute {
		t *= float64(period) / 60
	}
	return t
}

// wanted are the alarms that a policy should have.
func (s *Service) wanted(o policy) []*cwapi.PutMetricAlarmInput {
	if !o.tracks() {
		return nil
	}
	m, statistic, unit, _ := o.metric()
	period := s.period()
	make := func(kind, operator string, periods int32, threshold float64) *cwapi.PutMetricAlarmInput {
		return &cwapi.PutMetricAlarmInput{
			AlarmName: aws.Ptr(o.alarm(kind)), AlarmDescription: aws.Ptr("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy " + *o.PolicyARN + "."),
			AlarmActions: []string{*o.PolicyARN}, Namespace: m.Namespace, MetricName: m.MetricName, Dimensions: m.Dimensions, Statistic: &statistic, Unit: unit,
			Period: &period, EvaluationPeriods: &periods, Threshold: &threshold, ComparisonOperator: &operator,
		}
	}
	out := []*cwapi.PutMetricAlarmInput{make("AlarmHigh", cwapi.ComparisonOperatorGreaterThanThreshold, s.periods(highAfter), o.target(period))}
	if o.alarm("AlarmLow") != "" {
		out = append(out, make("AlarmLow", cwapi.ComparisonOperatorLessThanThreshold, s.periods(lowAfter), lowPart*o.target(period)))
	}
	return out
}

// ensureAlarms makes the alarms of a policy that are not there or not as they
// should be.
func (s *Service) ensureAlarms(ctx context.Context, o policy) error {
	ctx = own(ctx, o.Place)
	want := s.wanted(o)
	if len(want) == 0 {
		return nil
	}
	have, err := s.described(ctx, &cwapi.DescribeAlarmsInput{ActionPrefix: o.PolicyARN})
	if err != nil {
		return err
	}
	for _, w := range want {
		if a, ok := have[*w.AlarmName]; ok && aws.Val(a.Threshold) == *w.Threshold && aws.Val(a.Period) == *w.Period && aws.Val(a.EvaluationPeriods) == *w.EvaluationPeriods && aws.Val(a.MetricName) == *w.MetricName &&
			aws.Val(a.Namespace) == *w.Namespace && len(a.Dimensions) == len(w.Dimensions) && aws.Val(a.Statistic) == *w.Statistic {
			continue
		}
		if _, err := s.CloudWatch.PutMetricAlarm(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// described are alarms by name.
func (s *Service) described(ctx context.Context, in *cwapi.DescribeAlarmsInput) (map[string]cwapi.MetricAlarm, error) {
	out := map[string]cwapi.MetricAlarm{}
	for {
		page, err := s.CloudWatch.DescribeAlarms(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, a := range page.MetricAlarms {
			out[*a.AlarmName] = a
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return out, nil
		}
	}
}

// dropAlarms deletes the alarms that policies of target tracking have made.
func (s *Service) dropAlarms(ctx context.Context, p arn.Place, gone ...policy) error {
	for _, o := range gone {
		if !o.tracks() {
			continue
		}
		for _, a := range o.Alarms {
			_, err := s.CloudWatch.DeleteAlarms(own(ctx, p), &cwapi.DeleteAlarmsInput{AlarmNames: []string{*a.AlarmName}})
			if err != nil && !aws.IsCode(err, "ResourceNotFound") {
				return err
			}
		}
	}
	return nil
}

// callers are the customer's alarms whose actions name a policy.
func (s *Service) callers(ctx context.Context, o policy) ([]autoapi.Alarm, error) {
	have, err := s.described(ctx, &cwapi.DescribeAlarmsInput{ActionPrefix: o.PolicyARN})
	out := []autoapi.Alarm{}
	for name, a := range have {
		out = append(out, autoapi.Alarm{AlarmName: aws.Ptr(name), AlarmARN: a.AlarmArn})
	}
	return out, err
}

// latest is the last value that a metric had in the last periods.
func (s *Service) latest(ctx context.Context, queries []cwapi.MetricDataQuery, period int32, periods int32) (float64, bool, error) {
	now := s.Clock.Now()
	end := now.Truncate(time.Duration(min(period, 60)) * time.Second)
	out, err := s.CloudWatch.GetMetricData(ctx, &cwapi.GetMetricDataInput{
		StartTime: aws.Ptr(end.Add(-time.Duration(period*(periods+2)) * time.Second)), EndTime: &end, MetricDataQueries: queries, ScanBy: aws.Ptr(cwapi.ScanByTimestampDescending),
	})
	if err != nil {
		return 0, false, err
	}
	for _, r := range out.MetricDataResults {
		if len(r.Values) > 0 {
			return r.Values[0], true, nil
		}
	}
	return 0, false, nil
}

// one is the query of one metric.
func one(m cwapi.Metric, stat string, unit *string, period int32) []cwapi.MetricDataQuery {
	return []cwapi.MetricDataQuery{{Id: aws.Ptr("m"), MetricStat: &cwapi.MetricStat{Metric: &m, Period: &period, Stat: &stat, Unit: unit}}}
}
