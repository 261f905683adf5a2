package logs

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/dataplane/segments"
	"minato/services/logs/pattern"
)

// A page of events: at most 10,000, and about 1 MiB.
const (
	maxPageEvents = 10000
	maxPageBytes  = 1 << 20
)

// GetLogEvents returns the events of a stream, oldest first: the last ones, or
// from the head on, or what a token points at.
func (s *Service) GetLogEvents(ctx context.Context, in *logsapi.GetLogEventsInput) (*logsapi.GetLogEventsOutput, error) {
	name, err := groupName(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	g, err := s.findGroup(ctx, name)
	if err != nil {
		return nil, err
	}
	st, err := s.findStream(ctx, g, aws.Val(in.LogStreamName))
	if err != nil {
		return nil, err
	}
	q := segments.Query{
		Series: func(id string) bool { return id == st.ID }, From: s.oldest(g, in.StartTime), To: aws.Val(in.EndTime),
		Limit: limit(in.Limit, maxPageEvents), Bytes: maxPageBytes, Overhead: eventOverhead,
		Backward: !aws.Val(in.StartFromHead),
	}
	at := segments.Position{}
	if in.NextToken != nil {
		direction, p, err := parseEventToken(*in.NextToken)
		if err != nil {
			return nil, err
		}
		at = p
		if q.Backward = direction == "b"; q.Backward {
			q.Before = &at
		} else {
			q.After = &at
		}
	}
	records, _, err := s.read(ctx, g, q)
	if err != nil {
		return nil, err
	}
	out := &logsapi.GetLogEventsOutput{Events: []logsapi.OutputLogEvent{}}
	for _, r := range records {
		out.Events = append(out.Events, logsapi.OutputLogEvent{Timestamp: &r.Time, IngestionTime: &r.Ingested, Message: aws.Ptr(string(r.Data))})
	}
	first, last := at, at
	if n := len(records); n > 0 {
		first, last = records[0].Position(), records[n-1].Position()
	}
	// At the end the same token comes back, which is how clients know it.
	out.NextBackwardToken, out.NextForwardToken = eventToken("b", first), eventToken("f", last)
	return out, nil
}

// FilterLogEvents returns the events of a group's streams that match a pattern,
// oldest first.
func (s *Service) FilterLogEvents(ctx context.Context, in *logsapi.FilterLogEventsInput) (*logsapi.FilterLogEventsOutput, error) {
	name, err := groupName(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != nil {
		return nil, logsapi.InvalidParameterException("logStreamNamePrefix and logStreamNames are mutually exclusive parameters.")
	}
	pat, err := pattern.Compile(aws.Val(in.FilterPattern))
	if err != nil {
		return nil, logsapi.InvalidParameterException("Invalid filter pattern: %s", strings.TrimPrefix(err.Error(), pattern.ErrSyntax.Error()+": "))
	}
	g, err := s.findGroup(ctx, name)
	if err != nil {
		return nil, err
	}
	names, err := s.streamsOf(ctx, g, in.LogStreamNames, aws.Val(in.LogStreamNamePrefix))
	if err != nil {
		return nil, err
	}
	q := segments.Query{
		Series: func(id string) bool { _, ok := names[id]; return ok }, From: s.oldest(g, in.StartTime),
		Limit: limit(in.Limit, maxPageEvents), Bytes: maxPageBytes, Overhead: eventOverhead,
	}
	if in.EndTime != nil {
		q.To = *in.EndTime + 1 // here the end is included, in GetLogEvents it is not
	}
	if !pat.All() {
		q.Match = func(r segments.Record) bool { return pat.Match(string(r.Data)) }
	}
	if in.NextToken != nil {
		b, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		after, ok := parseEventID(string(b))
		if err != nil || !ok {
			return nil, badToken()
		}
		q.After = &after
	}
	records, more, err := s.read(ctx, g, q)
	if err != nil {
		return nil, err
	}
	out := &logsapi.FilterLogEventsOutput{Events: []logsapi.FilteredLogEvent{}, SearchedLogStreams: []logsapi.SearchedLogStream{}}
	for _, r := range records {
		out.Events = append(out.Events, logsapi.FilteredLogEvent{
			EventId: aws.Ptr(eventID(r.Position())), LogStreamName: aws.Ptr(names[r.Series]),
			Timestamp: &r.Time, IngestionTime: &r.Ingested, Message: aws.Ptr(string(r.Data)),
		})
	}
	if more {
		out.NextToken = aws.Ptr(base64.RawURLEncoding.EncodeToString([]byte(eventID(records[len(records)-1].Position()))))
	}
	return out, nil
}

// streamsOf returns the names of the streams asked for by their ids.
func (s *Service) streamsOf(ctx context.Context, g group, names []string, prefix string) (map[string]string, error) {
	byID := map[string]string{}
	for _, name := range names {
		st, err := s.findStream(ctx, g, name)
		if err != nil {
			return nil, err
		}
		byID[st.ID] = name
	}
	if len(names) > 0 {
		return byID, nil
	}
	p := place(ctx)
	all, err := s.streams.List(ctx, p.Account, p.Region, g.ID)
	if err != nil {
		return nil, aws.Internal(err)
	}
	for _, st := range all {
		if name := aws.Val(st.LogStreamName); strings.HasPrefix(name, prefix) {
			byID[st.ID] = name
		}
	}
	return byID, nil
}

// oldest is the time from which events are shown: the one asked for, but none
// that has expired, though its segment may still be there.
func (s *Service) oldest(g group, start *int64) int64 {
	from := aws.Val(start)
	if g.RetentionInDays != nil {
		from = max(from, s.clock.Now().AddDate(0, 0, -int(*g.RetentionInDays)).UnixMilli())
	}
	return from
}

func (s *Service) read(ctx context.Context, g group, q segments.Query) ([]segments.Record, bool, error) {
	l, err := s.events.Log(g.ID)
	if err != nil {
		return nil, false, aws.Internal(err)
	}
	records, more, err := l.Read(ctx, q)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, false, err
	case err != nil:
		return nil, false, aws.Internal(err)
	}
	return records, more, nil
}
