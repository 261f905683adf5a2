package logs

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	logsapi "minato/aws/api/logs"
	"minato/aws/arn"
	"minato/services/logs/pattern"
	"minato/store"
)

// AWS's quotas of metric filters.
const (
	maxMetricFilters    = 100 // of a log group
	maxFilterDimensions = 3
)

// metricFilter is the record of a metric filter; it is kept under its group's id
// and goes with the group.
type metricFilter struct{ logsapi.MetricFilter }

// PutMetricFilter makes a metric filter or replaces the one of that name. Events
// that are put from now on are counted.
func (s *Service) PutMetricFilter(ctx context.Context, in *logsapi.PutMetricFilterInput) (*logsapi.PutMetricFilterOutput, error) {
	if name, asked := aws.Asked(in, "ApplyOnTransformedLogs", "EmitSystemFieldDimensions", "FieldSelectionCriteria"); asked {
		return nil, logsapi.InvalidParameterException("%s of a metric filter is not supported by minato.", name)
	}
	if _, err := newMeter(in.FilterPattern, in.MetricTransformations); err != nil {
		return nil, err
	}
	g, err := s.findGroup(ctx, aws.Val(in.LogGroupName))
	if err != nil {
		return nil, err
	}
	p := place(ctx)
	f := metricFilter{logsapi.MetricFilter{
		FilterName: in.FilterName, FilterPattern: aws.Ptr(aws.Val(in.FilterPattern)), LogGroupName: in.LogGroupName, MetricTransformations: in.MetricTransformations,
		CreationTime: aws.Ptr(s.nowMillis()),
	}}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		g, have, err := s.filtersOf(tx, p, aws.Val(g.LogGroupName))
		if err != nil {
			return err
		}
		there := slices.ContainsFunc(have, func(o metricFilter) bool { return *o.FilterName == *f.FilterName })
		if !there && len(have) >= maxMetricFilters {
			return logsapi.LimitExceededException("Resource limit exceeded.")
		}
		if !there {
			g.MetricFilterCount = aws.Ptr(int32(len(have) + 1))
		}
		if err := s.groups.TxPut(tx, g, p.Account, p.Region, *g.LogGroupName); err != nil {
			return err
		}
		return s.filters.TxPut(tx, f, p.Account, p.Region, g.ID, *f.FilterName)
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.PutMetricFilterOutput{}, nil
}

// filtersOf reads a group and its metric filters. Whoever changes these writes the
// group again, so that its deletion at the same time, and other changes, are met.
func (s *Service) filtersOf(tx *store.Tx, p arn.Place, name string) (group, []metricFilter, error) {
	g, found, err := s.groups.TxGet(tx, p.Account, p.Region, name)
	if err != nil {
		return g, nil, err
	}
	if !found {
		return g, nil, noGroup()
	}
	have, err := s.filters.TxList(tx, p.Account, p.Region, g.ID)
	return g, have, err
}

// DeleteMetricFilter removes a metric filter.
func (s *Service) DeleteMetricFilter(ctx context.Context, in *logsapi.DeleteMetricFilterInput) (*logsapi.DeleteMetricFilterOutput, error) {
	p := place(ctx)
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		g, have, err := s.filtersOf(tx, p, aws.Val(in.LogGroupName))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(have, func(o metricFilter) bool { return *o.FilterName == *in.FilterName }) {
			return logsapi.ResourceNotFoundException("The specified metric filter does not exist.")
		}
		g.MetricFilterCount = aws.Ptr(int32(len(have) - 1))
		if err := s.groups.TxPut(tx, g, p.Account, p.Region, *g.LogGroupName); err != nil {
			return err
		}
		s.filters.TxDelete(tx, p.Account, p.Region, g.ID, *in.FilterName)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.DeleteMetricFilterOutput{}, nil
}

// DescribeMetricFilters lists filters by name: of a group, or of a metric.
func (s *Service) DescribeMetricFilters(ctx context.Context, in *logsapi.DescribeMetricFiltersInput) (*logsapi.DescribeMetricFiltersOutput, error) {
	if (in.MetricName == nil) != (in.MetricNamespace == nil) {
		return nil, logsapi.InvalidParameterException("If you include the metricName parameter in your request, you must also include the metricNamespace parameter.")
	}
	p := place(ctx)
	under := []string{p.Account, p.Region}
	if in.LogGroupName != nil {
		g, err := s.findGroup(ctx, *in.LogGroupName)
		if err != nil {
			return nil, err
		}
		under = append(under, g.ID)
	}
	all, err := s.filters.List(ctx, under...)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(f metricFilter) bool {
		return !strings.HasPrefix(*f.FilterName, aws.Val(in.FilterNamePrefix)) || in.MetricName != nil && !slices.ContainsFunc(f.MetricTransformations, func(t logsapi.MetricTransformation) bool {
			return aws.Val(t.MetricName) == *in.MetricName && aws.Val(t.MetricNamespace) == *in.MetricNamespace
		})
	})
	key := func(f metricFilter) string { return *f.FilterName + "\x00" + *f.LogGroupName }
	slices.SortFunc(all, func(a, b metricFilter) int { return strings.Compare(key(a), key(b)) })
	all, next, err := page(all, key, func(a, b string) bool { return a < b }, in.NextToken, limit(in.Limit, 50))
	if err != nil {
		return nil, err
	}
	out := &logsapi.DescribeMetricFiltersOutput{MetricFilters: []logsapi.MetricFilter{}, NextToken: next}
	for _, f := range all {
		out.MetricFilters = append(out.MetricFilters, f.MetricFilter)
	}
	return out, nil
}

// TestMetricFilter tells which of some messages a pattern wants.
func (s *Service) TestMetricFilter(_ context.Context, in *logsapi.TestMetricFilterInput) (*logsapi.TestMetricFilterOutput, error) {
	wanted, err := pattern.Compile(aws.Val(in.FilterPattern))
	if err != nil {
		return nil, badPattern(err)
	}
	out := &logsapi.TestMetricFilterOutput{Matches: []logsapi.MetricFilterMatchRecord{}}
	for i, m := range in.LogEventMessages {
		if wanted.Match(m) {
			out.Matches = append(out.Matches, logsapi.MetricFilterMatchRecord{EventNumber: aws.Ptr(int64(i + 1)), EventMessage: &m, ExtractedValues: map[string]string{}})
		}
	}
	return out, nil
}

func badPattern(err error) error {
	return logsapi.InvalidParameterException("Invalid metric filter pattern: %s", strings.TrimPrefix(err.Error(), pattern.ErrSyntax.Error()+": "))
}

// meter makes a metric's values of events.
type meter struct {
	wanted     pattern.Pattern
	to         logsapi.MetricTransformation
	number     float64           // of every wanted event, unless
	value      *pattern.Selector // names it
	dimensions map[string]pattern.Selector
}

// newMeter checks what a metric filter says.
func newMeter(filter *string, transformations []logsapi.MetricTransformation) (*meter, error) {
	wanted, err := pattern.Compile(aws.Val(filter))
	if err != nil {
		return nil, badPattern(err)
	}
	if len(transformations) != 1 {
		return nil, logsapi.InvalidParameterException("A metric filter must have exactly one metric transformation.")
	}
	m := &meter{wanted: wanted, to: transformations[0], dimensions: map[string]pattern.Selector{}}
	if strings.HasPrefix(aws.Val(m.to.MetricNamespace), "AWS/") {
		return nil, logsapi.InvalidParameterException("Metric namespaces starting with AWS/ are reserved for AWS.")
	}
	value := strings.TrimSpace(aws.Val(m.to.MetricValue))
	if strings.HasPrefix(value, "$") {
		sel, err := pattern.CompileSelector(value)
		if err != nil {
			return nil, logsapi.InvalidParameterException("Invalid metric transformation: metricValue '%s' is not valid", value)
		}
		m.value = &sel
	} else if m.number, err = strconv.ParseFloat(value, 64); err != nil {
		return nil, logsapi.InvalidParameterException("Invalid metric transformation: metricValue '%s' is not valid", value)
	}
	switch {
	case len(m.to.Dimensions) > maxFilterDimensions:
		return nil, logsapi.InvalidParameterException("A metric filter may have at most %d dimensions.", maxFilterDimensions)
	case len(m.to.Dimensions) > 0 && m.to.DefaultValue != nil:
		return nil, logsapi.InvalidParameterException("Invalid metric transformation: a default value and dimensions may not be used together.")
	}
	for name, text := range m.to.Dimensions {
		sel, err := pattern.CompileSelector(text)
		if err != nil {
			return nil, logsapi.InvalidParameterException("Invalid metric transformation: dimension '%s' is not valid", text)
		}
		m.dimensions[name] = sel
	}
	return m, nil
}

// read is the value of an event; false for none. An event that the pattern does
// not want has the default value, if there is one.
func (m *meter) read(message string) (float64, []cwapi.Dimension, bool) {
	if !m.wanted.Match(message) {
		return aws.Val(m.to.DefaultValue), nil, m.to.DefaultValue != nil
	}
	n := m.number
	if m.value != nil {
		text, _ := m.value.Value(message)
		var err error
		if n, err = strconv.ParseFloat(text, 64); err != nil {
			return 0, nil, false
		}
	}
	var dimensions []cwapi.Dimension
	for name, sel := range m.dimensions {
		if v, found := sel.Value(message); found && v != "" {
			dimensions = append(dimensions, cwapi.Dimension{Name: &name, Value: &v})
		}
	}
	slices.SortFunc(dimensions, func(a, b cwapi.Dimension) int { return strings.Compare(*a.Name, *b.Name) })
	return n, dimensions, true
}
