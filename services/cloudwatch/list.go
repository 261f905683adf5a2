package cloudwatch

import (
	"context"
	"encoding/base64"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/dataplane/metrics"
)

const metricsPage = 500

// ListMetrics lists the metrics that were given samples in the last two weeks,
// or in the last three hours.
func (s *Service) ListMetrics(ctx context.Context, in *cwapi.ListMetricsInput) (*cwapi.ListMetricsOutput, error) {
	age := oldest
	if in.RecentlyActive != nil {
		age = 3 * time.Hour
	}
	out := &cwapi.ListMetricsOutput{Metrics: []cwapi.Metric{}}
	if in.OwningAccount != nil && *in.OwningAccount != place(ctx).Account {
		return out, nil // no other account's metrics are here
	}
	all, err := s.metrics.List(ctx, logName(place(ctx)), s.clock.Now().Add(-age).UnixMilli())
	if err != nil {
		return nil, internal(err)
	}
	var matching []metrics.Info
	for _, m := range all {
		if (in.Namespace == nil || *in.Namespace == m.Metric.Namespace) && (in.MetricName == nil || *in.MetricName == m.Metric.Name) && hasAll(m.Metric, in.Dimensions) {
			matching = append(matching, m)
		}
	}
	matching, out.NextToken, err = page(matching, func(m metrics.Info) string { return m.Metric.ID() }, in.NextToken, metricsPage)
	if err != nil {
		return nil, badValue("The value for parameter NextToken is invalid.")
	}
	for _, m := range matching {
		out.Metrics = append(out.Metrics, *shape(m.Metric))
		if aws.Val(in.IncludeLinkedAccounts) {
			out.OwningAccounts = append(out.OwningAccounts, place(ctx).Account)
		}
	}
	return out, nil
}

// hasAll tells whether a metric has all dimensions, with the values if given.
func hasAll(m metrics.Metric, want []cwapi.DimensionFilter) bool {
	for _, w := range want {
		found := false
		for _, d := range m.Dimensions {
			found = found || d.Name == aws.Val(w.Name) && (w.Value == nil || *w.Value == d.Value)
		}
		if !found {
			return false
		}
	}
	return true
}

// shape is a metric as the API shows it.
func shape(m metrics.Metric) *cwapi.Metric {
	out := &cwapi.Metric{Namespace: aws.Ptr(m.Namespace), MetricName: aws.Ptr(m.Name), Dimensions: []cwapi.Dimension{}}
	for _, d := range m.Dimensions {
		out.Dimensions = append(out.Dimensions, cwapi.Dimension{Name: aws.Ptr(d.Name), Value: aws.Ptr(d.Value)})
	}
	return out
}

// page cuts a list after the item whose key a token names. An item that is gone
// meanwhile makes the token invalid, as an old one is on AWS.
func page[T any](items []T, key func(T) string, token *string, limit int) ([]T, *string, error) {
	if token != nil {
		b, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, cwapi.InvalidNextToken("Invalid NextToken")
		}
		at := -1
		for i, item := range items {
			if key(item) == string(b) {
				at = i
			}
		}
		if at < 0 {
			return nil, nil, cwapi.InvalidNextToken("Invalid NextToken")
		}
		items = items[at+1:]
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	items = items[:limit]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items, &next, nil
}
