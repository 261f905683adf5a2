package cloudwatch

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/dataplane/segments"
)

// writeHistory appends a line to an alarm's history.
func (s *Service) writeHistory(p arn.Place, a *alarm, t todo) error {
	name := aws.Val(a.common().name)
	item := cwapi.AlarmHistoryItem{
		AlarmName: &name, AlarmType: aws.Ptr(a.kind()), HistoryItemType: &t.Type, HistorySummary: aws.Ptr(short(t.Summary, 255)), HistoryData: text(t.Data), Timestamp: &t.At,
	}
	b, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("cloudwatch: the history of %s: %w", name, err)
	}
	l, err := s.records.Log(logName(p))
	if err != nil {
		return fmt.Errorf("cloudwatch: %w", err)
	}
	return l.Append(name, s.clock.Now().UnixMilli(), []segments.Entry{{Time: t.At.UnixMilli(), Data: b}})
}

// DescribeAlarmHistory returns what happened to alarms, the newest first unless
// asked otherwise.
func (s *Service) DescribeAlarmHistory(ctx context.Context, in *cwapi.DescribeAlarmHistoryInput) (*cwapi.DescribeAlarmHistoryOutput, error) {
	if in.AlarmContributorId != nil {
		return nil, refused("AlarmContributorId")
	}
	l, err := s.records.Log(logName(place(ctx)))
	if err != nil {
		return nil, internal(err)
	}
	limit := int(aws.Val(in.MaxRecords))
	if limit == 0 {
		limit = 100
	}
	q := segments.Query{Limit: limit, Bytes: 4 << 20, Backward: aws.Val(in.ScanBy) != cwapi.ScanByTimestampAscending}
	q.From = s.clock.Now().AddDate(0, 0, -historyDays).UnixMilli()
	if in.StartDate != nil {
		q.From = max(q.From, in.StartDate.UnixMilli())
	}
	if in.EndDate != nil {
		q.To = max(in.EndDate.UnixMilli(), 1)
	}
	if in.AlarmName != nil {
		q.Series = func(name string) bool { return name == *in.AlarmName }
	}
	parse := func(r segments.Record) (item cwapi.AlarmHistoryItem, ok bool) {
		ok = json.Unmarshal(r.Data, &item) == nil && (in.HistoryItemType == nil || *in.HistoryItemType == aws.Val(item.HistoryItemType)) &&
			(len(in.AlarmTypes) == 0 || slices.Contains(in.AlarmTypes, aws.Val(item.AlarmType)))
		return item, ok
	}
	q.Match = func(r segments.Record) bool { _, ok := parse(r); return ok }
	if in.NextToken != nil {
		var p segments.Position
		b, err := base64.RawURLEncoding.DecodeString(*in.NextToken)
		if err == nil {
			_, err = fmt.Sscanf(string(b), "%d/%d", &p.Time, &p.Number)
		}
		if err != nil {
			return nil, cwapi.InvalidNextToken("Invalid NextToken")
		}
		if q.Backward {
			q.Before = &p
		} else {
			q.After = &p
		}
	}
	records, more, err := l.Read(ctx, q)
	if err != nil {
		return nil, internal(err)
	}
	if q.Backward {
		slices.Reverse(records)
	}
	out := &cwapi.DescribeAlarmHistoryOutput{AlarmHistoryItems: []cwapi.AlarmHistoryItem{}}
	for _, r := range records {
		if item, ok := parse(r); ok {
			item.Timestamp = aws.Ptr(time.UnixMilli(r.Time).UTC())
			out.AlarmHistoryItems = append(out.AlarmHistoryItems, item)
		}
	}
	if more {
		p := records[len(records)-1].Position()
		out.NextToken = aws.Ptr(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%d", p.Time, p.Number)))
	}
	return out, nil
}
