package cloudwatch

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
)

const (
	maxQueries       = 500
	maxQueriedPoints = 100_800
)

// GetMetricData returns time series of metrics and of expressions over them.
func (s *Service) GetMetricData(ctx context.Context, in *cwapi.GetMetricDataInput) (*cwapi.GetMetricDataOutput, error) {
	switch {
	case len(in.MetricDataQueries) == 0:
		return nil, missing("The parameter MetricDataQueries is required.")
	case len(in.MetricDataQueries) > maxQueries:
		return nil, invalid("The collection MetricDataQueries must not have a size greater than %d.", maxQueries)
	case !in.StartTime.Before(*in.EndTime):
		return nil, invalid("The parameter StartTime must be less than the parameter EndTime.")
	}
	if in.LabelOptions != nil && in.LabelOptions.Timezone != nil && *in.LabelOptions.Timezone != "+0000" {
		return nil, refused("LabelOptions.Timezone")
	}
	set, err := parseQueries(in.MetricDataQueries)
	if err != nil {
		return nil, err
	}
	limit := int(aws.Val(in.MaxDatapoints))
	if limit <= 0 || limit > maxQueriedPoints {
		limit = maxQueriedPoints
	}
	skip := 0
	if in.NextToken != nil {
		b, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err == nil {
			skip, err = strconv.Atoi(string(b))
		}
		if err != nil || skip < 0 {
			return nil, cwapi.InvalidNextToken("Invalid NextToken")
		}
	}
	results, err := s.run(ctx, set, in.StartTime.UnixMilli(), in.EndTime.UnixMilli())
	if err != nil {
		return nil, err
	}
	out := &cwapi.GetMetricDataOutput{MetricDataResults: []cwapi.MetricDataResult{}, Messages: []cwapi.MessageData{}}
	seen, sent := 0, 0
	for _, r := range results {
		times, values := slices.Clone(r.series.Times), slices.Clone(r.series.Values)
		if aws.Val(in.ScanBy) != cwapi.ScanByTimestampAscending {
			slices.Reverse(times)
			slices.Reverse(values)
		}
		from := min(len(times), max(0, skip-seen))
		to := min(len(times), from+limit-sent)
		seen += len(times)
		if skip >= seen && len(times) > 0 {
			continue // on an earlier page
		}
		res := cwapi.MetricDataResult{Id: aws.Ptr(r.id), Label: aws.Ptr(r.label), StatusCode: aws.Ptr(cwapi.StatusCodeComplete), Timestamps: []time.Time{}, Values: []float64{}}
		for i := from; i < to; i++ {
			res.Timestamps = append(res.Timestamps, time.UnixMilli(times[i]).UTC())
			res.Values = append(res.Values, values[i])
		}
		sent += to - from
		if to < len(times) {
			res.StatusCode = aws.Ptr(cwapi.StatusCodePartialData)
		}
		out.MetricDataResults = append(out.MetricDataResults, res)
	}
	if skip+sent < seen {
		out.NextToken = aws.Ptr(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d", skip+sent)))
	}
	return out, nil
}
