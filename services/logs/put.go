package logs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/dataplane/segments"
)

// AWS's limits of a PutLogEvents batch.
const (
	maxBatchBytes = 1 << 20
	maxEventBytes = 1 << 20
	eventOverhead = 26 // counted for each event besides its message
	maxBatchSpan  = 24 * time.Hour
	maxFuture     = 2 * time.Hour
	maxPast       = 14 * 24 * time.Hour
)

// PutLogEvents stores a batch of events of a stream. Events that are too old
// or too new are left out and named in the answer; the others are kept.
// Sequence tokens are given and not asked for, as on AWS since 2023.
func (s *Service) PutLogEvents(ctx context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	entries, err := batch(in.LogEvents)
	if err != nil {
		return nil, err
	}
	g, err := s.findGroup(ctx, aws.Val(in.LogGroupName))
	if err != nil {
		return nil, err
	}
	st, err := s.findStream(ctx, g, aws.Val(in.LogStreamName))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	entries, rejected := sift(entries, now, g.RetentionInDays)
	if len(entries) > 0 {
		if err := s.append(ctx, g, st, now.UnixMilli(), entries); err != nil {
			return nil, err
		}
		s.meterEvents(ctx, g, entries)
	}
	return &logsapi.PutLogEventsOutput{
		NextSequenceToken: aws.Ptr(fmt.Sprintf("%056d", now.UnixNano())), RejectedLogEventsInfo: rejected,
	}, nil
}

// batch checks what AWS refuses a whole batch for.
func batch(events []logsapi.InputLogEvent) ([]segments.Entry, error) {
	entries := make([]segments.Entry, len(events))
	size := 0
	for i, e := range events {
		entries[i] = segments.Entry{Time: aws.Val(e.Timestamp), Data: []byte(aws.Val(e.Message))}
		n := len(entries[i].Data) + eventOverhead
		if n > maxEventBytes {
			return nil, logsapi.InvalidParameterException("Log event too large: %d bytes exceeds limit of %d", n, maxEventBytes)
		}
		size += n
		if i > 0 && entries[i].Time < entries[i-1].Time {
			return nil, logsapi.InvalidParameterException("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatchBytes {
		return nil, logsapi.InvalidParameterException("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	if n := len(entries); n > 0 && entries[n-1].Time-entries[0].Time > maxBatchSpan.Milliseconds() {
		return nil, logsapi.InvalidParameterException("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return entries, nil
}

// sift leaves out the events at both ends of a batch that AWS does not take.
// The end indexes are those after the last one left out.
func sift(entries []segments.Entry, now time.Time, retentionDays *int32) ([]segments.Entry, *logsapi.RejectedLogEventsInfo) {
	var rejected logsapi.RejectedLogEventsInfo
	before := func(t time.Time) (n int32) {
		for int(n) < len(entries) && entries[n].Time < t.UnixMilli() {
			n++
		}
		return n
	}
	start := before(now.Add(-maxPast))
	if start > 0 {
		rejected.TooOldLogEventEndIndex = aws.Ptr(start)
	}
	if retentionDays != nil {
		if n := before(now.AddDate(0, 0, -int(*retentionDays))); n > start {
			rejected.ExpiredLogEventEndIndex = aws.Ptr(n)
			start = n
		}
	}
	end := max(start, before(now.Add(maxFuture)))
	if int(end) < len(entries) {
		rejected.TooNewLogEventStartIndex = aws.Ptr(end)
	}
	if rejected == (logsapi.RejectedLogEventsInfo{}) {
		return entries, nil
	}
	return entries[start:end], &rejected
}

// append puts the events on disk and writes the stream's times.
func (s *Service) append(ctx context.Context, g group, st stream, now int64, entries []segments.Entry) error {
	l, err := s.events.Log(g.ID)
	if err == nil {
		err = l.Append(st.ID, now, entries)
	}
	if errors.Is(err, segments.ErrRemoved) {
		return noGroup() // deleted meanwhile
	}
	if err != nil {
		return logsapi.ServiceUnavailableException("The service cannot complete the request.").Because(err)
	}
	p := place(ctx)
	first, last := entries[0].Time, entries[len(entries)-1].Time
	_, err = s.streams.Update(ctx, func(rec *stream) error {
		if rec.ID != st.ID {
			return nil // made again meanwhile
		}
		if rec.FirstEventTimestamp == nil || first < *rec.FirstEventTimestamp {
			rec.FirstEventTimestamp = &first
		}
		if rec.LastEventTimestamp == nil || last > *rec.LastEventTimestamp {
			rec.LastEventTimestamp = &last
		}
		rec.LastIngestionTime = &now
		return nil
	}, p.Account, p.Region, g.ID, aws.Val(st.LogStreamName))
	if err != nil {
		// The events are stored; saying otherwise would have them sent twice.
		s.log.Warn("a log stream's times were not written", "group", aws.Val(g.LogGroupName), "stream", aws.Val(st.LogStreamName), "error", err)
	}
	return nil
}
