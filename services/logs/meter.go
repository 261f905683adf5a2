package logs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/dataplane/segments"
)

const (
	// Principal is the name of the service that counts metric filters' events.
	Principal = "logs.amazonaws.com"
	maxData   = 1000 // metrics' values in a PutMetricData
	maxValues = 150  // different ones of a metric at a time
)

// meterEvents gives CloudWatch what a group's metric filters make of events that
// were stored. The caller's events are safe already: what goes wrong here is
// logged, and not told again, which would count it twice.
func (s *Service) meterEvents(ctx context.Context, g group, entries []segments.Entry) {
	if aws.Val(g.MetricFilterCount) == 0 || s.metrics == nil {
		return
	}
	p := place(ctx)
	filters, err := s.filters.List(ctx, p.Account, p.Region, g.ID)
	if err == nil {
		for namespace, data := range measured(filters, entries) {
			for chunk := range slices.Chunk(data, maxData) {
				if err == nil {
					_, err = s.metrics.PutMetricData(asLogs(ctx, p), &cwapi.PutMetricDataInput{Namespace: &namespace, MetricData: chunk})
				}
			}
		}
	}
	if err != nil {
		s.log.Warn("metric filters' values were not written", "group", aws.Val(g.LogGroupName), "error", err)
	}
}

// asLogs is ctx for calls that the service makes for itself. They go on when the
// client whose events are counted does not wait any more.
func asLogs(ctx context.Context, p arn.Place) context.Context {
	return identity.With(context.WithoutCancel(ctx), identity.ServiceCaller(Principal, p.Account, p.Region))
}

// measured are the values that filters make of events, by namespace; equal ones
// of a metric within a minute are one with a count.
func measured(filters []metricFilter, entries []segments.Entry) map[string][]cwapi.MetricDatum {
	out := map[string][]cwapi.MetricDatum{}
	for _, f := range filters {
		m, err := newMeter(f.FilterPattern, f.MetricTransformations)
		if err != nil {
			continue // was checked when it was put
		}
		namespace := aws.Val(m.to.MetricNamespace)
		at := map[string]int{}
		for _, e := range entries {
			n, dimensions, ok := m.read(string(e.Data))
			if !ok {
				continue
			}
			minute := time.UnixMilli(e.Time).UTC().Truncate(time.Minute)
			key := fmt.Sprint(minute.Unix())
			for _, d := range dimensions {
				key += "\x00" + *d.Name + "\x00" + *d.Value
			}
			i, there := at[key]
			if !there || len(out[namespace][i].Values) == maxValues {
				i = len(out[namespace])
				at[key] = i
				out[namespace] = append(out[namespace], cwapi.MetricDatum{MetricName: m.to.MetricName, Dimensions: dimensions, Timestamp: &minute, Unit: m.to.Unit})
			}
			d := &out[namespace][i]
			if v := slices.Index(d.Values, n); v >= 0 {
				d.Counts[v]++
			} else {
				d.Values, d.Counts = append(d.Values, n), append(d.Counts, 1)
			}
		}
	}
	return out
}
