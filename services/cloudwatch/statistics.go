package cloudwatch

import (
	"context"
	"slices"
	"strconv"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/services/cloudwatch/statistics"
)

// maxDatapoints is how many GetMetricStatistics returns.
const maxDatapoints = 1440

// GetMetricStatistics returns the statistics of one metric, a datapoint a period.
func (s *Service) GetMetricStatistics(ctx context.Context, in *cwapi.GetMetricStatisticsInput) (*cwapi.GetMetricStatisticsOutput, error) {
	m, err := metricOf(in.Namespace, in.MetricName, in.Dimensions, "")
	if err != nil {
		return nil, err
	}
	period := int64(*in.Period) * 1000
	switch {
	case !validPeriod(*in.Period):
		return nil, badValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
	case !in.StartTime.Before(*in.EndTime):
		return nil, badCombination("The parameter StartTime must be less than the parameter EndTime.")
	case len(in.Statistics) == 0 && len(in.ExtendedStatistics) == 0:
		return nil, badCombination("At least one of the parameters Statistics and ExtendedStatistics must be specified.")
	}
	start, end := floor(in.StartTime.UnixMilli(), min(period, 60_000)), in.EndTime.UnixMilli()
	if n := (end - start + period - 1) / period; n > maxDatapoints {
		return nil, badCombination("You have requested up to %s datapoints, which exceeds the limit of 1,440. You may reduce the datapoints requested by increasing Period, or decreasing the time range.", thousands(n))
	}
	extended := make([]statistics.Stat, len(in.ExtendedStatistics))
	for i, name := range in.ExtendedStatistics {
		if extended[i], err = statistics.Parse(name); err != nil || !extended[i].Extended() {
			return nil, badValue("The value %s for parameter ExtendedStatistics.member.%d is invalid.", name, i+1)
		}
	}
	samples, err := s.metrics.Read(ctx, logName(place(ctx)), m, start, end)
	if err != nil {
		return nil, internal(err)
	}
	out := &cwapi.GetMetricStatisticsOutput{Label: in.MetricName, Datapoints: []cwapi.Datapoint{}}
	for _, unit := range unitsOf(samples) {
		if in.Unit != nil && *in.Unit != unit {
			continue
		}
		for _, b := range statistics.Aggregate(withUnit(samples, unit), start, end, period) {
			out.Datapoints = append(out.Datapoints, datapoint(b, unit, in.Statistics, extended))
		}
	}
	return out, nil
}

func datapoint(b statistics.Bucket, unit string, basic []string, extended []statistics.Stat) cwapi.Datapoint {
	d := cwapi.Datapoint{Timestamp: aws.Ptr(time.UnixMilli(b.Start).UTC()), Unit: aws.Ptr(unit)}
	for name, f := range map[string]**float64{"SampleCount": &d.SampleCount, "Sum": &d.Sum, "Average": &d.Average, "Minimum": &d.Minimum, "Maximum": &d.Maximum} {
		if slices.Contains(basic, name) {
			if stat, err := statistics.Parse(name); err == nil {
				if v, ok := b.Of(stat); ok {
					*f = &v
				}
			}
		}
	}
	for _, stat := range extended {
		if v, ok := b.Of(stat); ok {
			if d.ExtendedStatistics == nil {
				d.ExtendedStatistics = map[string]float64{}
			}
			d.ExtendedStatistics[stat.String()] = v
		}
	}
	return d
}

// validPeriod tells whether CloudWatch has such periods, in seconds.
func validPeriod(p int32) bool {
	return slices.Contains([]int32{1, 5, 10, 20, 30}, p) || p > 0 && p%60 == 0
}

func floor(t, step int64) int64 { return t - ((t%step)+step)%step }

// thousands writes a number as AWS does: 2,016.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
