package rds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/internal/ids"
)

// event is a record of "rds/event", kept for RDS's fourteen days.
type event struct {
	rdsapi.Event
	Key string `json:"key"` // orders by time, and tells events of one time apart
}

const eventsFor = 14 * 24 * time.Hour

// The kinds of things that have events.
const (
	sourceInstance = "db-instance"
	sourceSnapshot = "db-snapshot"
)

// tell writes an event. It is told on the way: a failure to write one is logged
// and does not stop what it tells of.
func (s *Service) tell(ctx context.Context, p arn.Place, source, id, resource, category, format string, args ...any) {
	e := event{Event: rdsapi.Event{
		SourceType: aws.Ptr(source), SourceIdentifier: aws.Ptr(id), SourceArn: aws.Ptr(resource), Date: s.now(),
		EventCategories: []string{category}, Message: aws.Ptr(fmt.Sprintf(format, args...)),
	}}
	e.Key = fmt.Sprintf("%015d-%s", e.Date.UnixMilli(), ids.Hex(6))
	if err := s.events.Put(ctx, e, p.Account, p.Region, e.Key); err != nil {
		s.Log.Error("an event is lost", "source", id, "message", aws.Val(e.Message), "error", err)
	}
}

// tellInstance writes an event about an instance.
func (s *Service) tellInstance(ctx context.Context, p arn.Place, id, category, format string, args ...any) {
	s.tell(ctx, p, sourceInstance, id, p.DBInstance(id), category, format, args...)
}

// forgetEvents removes events that are older than they are shown.
func (s *Service) forgetEvents(ctx context.Context, p arn.Place) error {
	limit := fmt.Sprintf("%015d", s.Clock.Now().Add(-eventsFor).UnixMilli())
	keys, err := s.events.Keys(ctx, p.Account, p.Region)
	if err != nil {
		return err
	}
	for _, key := range keys {
		id := s.events.IDs(key)
		if len(id) != 3 || id[2] >= limit {
			break
		}
		if err := s.events.Delete(ctx, id...); err != nil {
			return err
		}
	}
	return nil
}

// DescribeEvents implements rdsapi.API.
func (s *Service) DescribeEvents(ctx context.Context, in *rdsapi.DescribeEventsInput) (*rdsapi.DescribeEventsOutput, error) {
	if in.SourceIdentifier != nil && in.SourceType == nil {
		return nil, invalidCombination("SourceType must be provided when SourceIdentifier is specified.")
	}
	to := s.Clock.Now()
	from := to.Add(-time.Hour)
	if in.Duration != nil {
		from = to.Add(-time.Duration(*in.Duration) * time.Minute)
	}
	if in.StartTime != nil {
		from = *in.StartTime
	}
	if in.EndTime != nil {
		to = *in.EndTime
	}
	if from.After(to) {
		return nil, invalidCombination("The start time must be before the end time.")
	}
	p := here(ctx)
	all, err := s.events.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	var found []event
	for _, e := range all {
		wanted := !e.Date.Before(from) && !e.Date.After(to) &&
			(in.SourceType == nil || aws.Val(e.SourceType) == *in.SourceType) &&
			(in.SourceIdentifier == nil || strings.EqualFold(aws.Val(e.SourceIdentifier), *in.SourceIdentifier)) &&
			(len(in.EventCategories) == 0 || slices.ContainsFunc(e.EventCategories, func(c string) bool { return slices.Contains(in.EventCategories, c) }))
		if wanted {
			found = append(found, e)
		}
	}
	found, marker, err := page(found, func(e event) string { return e.Key }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &rdsapi.DescribeEventsOutput{Events: []rdsapi.Event{}, Marker: marker}
	for _, e := range found {
		out.Events = append(out.Events, e.Event)
	}
	return out, nil
}
