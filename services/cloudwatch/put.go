package cloudwatch

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/identity"
	"minato/dataplane/metrics"
)

const (
	maxData   = 1000 // metrics of a call
	maxValues = 150  // values of a metric of a call
	oldest    = 14 * 24 * time.Hour
	newest    = 2 * time.Hour
)

// largest is the bound of values, of either sign.
var largest = math.Pow(2, 360)

// PutMetricData stores samples of metrics.
func (s *Service) PutMetricData(ctx context.Context, in *cwapi.PutMetricDataInput) (*cwapi.PutMetricDataOutput, error) {
	switch namespace := aws.Val(in.Namespace); {
	case len(in.EntityMetricData) > 0:
		return nil, refused("EntityMetricData")
	case strings.HasPrefix(namespace, "AWS/") && identity.From(ctx).Kind != identity.Service:
		return nil, badValue("The value AWS/ for parameter Namespace is invalid.")
	case len(in.MetricData) == 0:
		return nil, missing("The parameter MetricData is required.")
	case len(in.MetricData) > maxData:
		return nil, badValue("The collection MetricData must not have a size greater than %d.", maxData)
	}
	now := s.clock.Now()
	points := make([]metrics.Point, len(in.MetricData))
	for i, d := range in.MetricData {
		m, err := metricOf(in.Namespace, d.MetricName, d.Dimensions, fmt.Sprintf("MetricData.member.%d.", i+1))
		if err != nil {
			return nil, err
		}
		sample, err := sampleOf(d, now, fmt.Sprintf("MetricData.member.%d.", i+1))
		if err != nil {
			return nil, err
		}
		points[i] = metrics.Point{Metric: m, Sample: sample}
	}
	if err := s.metrics.Put(ctx, logName(place(ctx)), points); err != nil {
		return nil, internal(err)
	}
	return &cwapi.PutMetricDataOutput{}, nil
}

// metricOf is the metric that a call names.
func metricOf(namespace, name *string, dimensions []cwapi.Dimension, path string) (metrics.Metric, error) {
	m := metrics.Metric{Namespace: aws.Val(namespace), Name: aws.Val(name)}
	seen := map[string]bool{}
	for i, d := range dimensions {
		n, v := aws.Val(d.Name), aws.Val(d.Value)
		switch {
		case strings.TrimSpace(n) == "" || strings.HasPrefix(n, ":"):
			return m, badValue("The value %s for parameter %sDimensions.member.%d.Name is invalid.", n, path, i+1)
		case strings.TrimSpace(v) == "":
			return m, badValue("The value %s for parameter %sDimensions.member.%d.Value is invalid.", v, path, i+1)
		case seen[n]:
			return m, badValue("The parameter %sDimensions must not contain the dimension name %s more than once.", path, n)
		}
		seen[n] = true
		m.Dimensions = append(m.Dimensions, metrics.Dimension{Name: n, Value: v})
	}
	return m.Sorted(), nil
}

// sampleOf is the sample that a datum is.
func sampleOf(d cwapi.MetricDatum, now time.Time, path string) (metrics.Sample, error) {
	var none metrics.Sample
	at := now
	if d.Timestamp != nil {
		at = *d.Timestamp
	}
	switch resolution := aws.Val(d.StorageResolution); {
	case at.Before(now.Add(-oldest)):
		return none, badValue("The parameter %sTimestamp must specify a time no more than two weeks in the past.", path)
	case at.After(now.Add(newest)):
		return none, badValue("The parameter %sTimestamp must specify a time no more than two hours in the future.", path)
	case d.StorageResolution != nil && resolution != 1 && resolution != 60:
		return none, badValue("The parameter %sStorageResolution must be 1 or 60.", path)
	}
	unit, high := aws.Val(d.Unit), aws.Val(d.StorageResolution) == 1
	if unit == cwapi.StandardUnitNone {
		unit = ""
	}
	set := 0
	for _, given := range []bool{d.Value != nil, d.StatisticValues != nil, d.Values != nil} {
		if given {
			set++
		}
	}
	if set > 1 {
		return none, badCombination("The parameters %[1]sValue, %[1]sValues and %[1]sStatisticValues are mutually exclusive and you have specified more than one.", path)
	}
	switch {
	case d.Value != nil:
		if err := number(*d.Value, path+"Value"); err != nil {
			return none, err
		}
		return metrics.Of(at.UnixMilli(), unit, high, []metrics.Value{{Value: *d.Value, Count: 1}}), nil
	case d.Values != nil:
		values, err := valuesOf(d, path)
		if err != nil {
			return none, err
		}
		return metrics.Of(at.UnixMilli(), unit, high, values), nil
	case d.StatisticValues != nil:
		v := d.StatisticValues
		out := metrics.Sample{Time: at.UnixMilli(), Unit: unit, High: high, Count: aws.Val(v.SampleCount), Sum: aws.Val(v.Sum), Min: aws.Val(v.Minimum), Max: aws.Val(v.Maximum)}
		for name, f := range map[string]float64{"SampleCount": out.Count, "Sum": out.Sum, "Minimum": out.Min, "Maximum": out.Max} {
			if err := number(f, path+"StatisticValues."+name); err != nil {
				return none, err
			}
		}
		if out.Count <= 0 {
			return none, badValue("The parameter %sStatisticValues.SampleCount must be greater than 0.", path)
		}
		if out.Min > out.Max {
			return none, badCombination("The parameter %[1]sStatisticValues.Maximum must be greater than or equal to %[1]sStatisticValues.Minimum.", path)
		}
		return out, nil
	}
	return none, missing("At least one of the parameters %[1]sValue, %[1]sValues and %[1]sStatisticValues must be specified.", path)
}

func valuesOf(d cwapi.MetricDatum, path string) ([]metrics.Value, error) {
	switch {
	case len(d.Values) == 0:
		return nil, missing("The parameter %sValues is required.", path)
	case len(d.Values) > maxValues:
		return nil, badValue("The collection %sValues must not have a size greater than %d.", path, maxValues)
	case d.Counts != nil && len(d.Counts) != len(d.Values):
		return nil, badValue("The parameters %[1]sValues and %[1]sCounts must be of the same size.", path)
	}
	out := make([]metrics.Value, len(d.Values))
	for i, f := range d.Values {
		if err := number(f, fmt.Sprintf("%sValues.member.%d", path, i+1)); err != nil {
			return nil, err
		}
		out[i] = metrics.Value{Value: f, Count: 1}
		if d.Counts != nil {
			if out[i].Count = d.Counts[i]; !(out[i].Count > 0) || out[i].Count > largest {
				return nil, badValue("The value %v for parameter %sCounts.member.%d is invalid.", d.Counts[i], path, i+1)
			}
		}
	}
	return out, nil
}

// number refuses what is none and what is out of CloudWatch's range.
func number(f float64, path string) error {
	if math.IsNaN(f) || math.Abs(f) > largest {
		return badValue("The value %v for parameter %s is invalid.", f, path)
	}
	return nil
}
