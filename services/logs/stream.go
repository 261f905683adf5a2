package logs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/internal/ids"
	"minato/store"
)

// stream is the record of a log stream.
type stream struct {
	logsapi.LogStream
	ID string `json:"id"` // names its series in the group's log
}

// CreateLogStream makes a stream. The group is read in the same transaction,
// so that none is made in a group that is being deleted.
func (s *Service) CreateLogStream(ctx context.Context, in *logsapi.CreateLogStreamInput) (*logsapi.CreateLogStreamOutput, error) {
	groupName, name, p := aws.Val(in.LogGroupName), aws.Val(in.LogStreamName), place(ctx)
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		g, found, err := s.groups.TxGet(tx, p.Account, p.Region, groupName)
		if err != nil {
			return err
		}
		if !found {
			return noGroup()
		}
		_, found, err = s.streams.TxGet(tx, p.Account, p.Region, g.ID, name)
		if err != nil {
			return err
		}
		if found {
			return logsapi.ResourceAlreadyExistsException("The specified log stream already exists")
		}
		return s.streams.TxPut(tx, stream{
			LogStream: logsapi.LogStream{
				LogStreamName: &name, Arn: aws.Ptr(p.LogStream(groupName, name)),
				CreationTime: aws.Ptr(s.nowMillis()), StoredBytes: aws.Ptr[int64](0),
			},
			ID: ids.Hex(16),
		}, p.Account, p.Region, g.ID, name)
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.CreateLogStreamOutput{}, nil
}

// DeleteLogStream deletes a stream; its events are no longer found.
func (s *Service) DeleteLogStream(ctx context.Context, in *logsapi.DeleteLogStreamInput) (*logsapi.DeleteLogStreamOutput, error) {
	p := place(ctx)
	g, err := s.findGroup(ctx, aws.Val(in.LogGroupName))
	if err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		_, found, err := s.streams.TxGet(tx, p.Account, p.Region, g.ID, aws.Val(in.LogStreamName))
		if err != nil {
			return err
		}
		if !found {
			return noStream()
		}
		s.streams.TxDelete(tx, p.Account, p.Region, g.ID, aws.Val(in.LogStreamName))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.DeleteLogStreamOutput{}, nil
}

// DescribeLogStreams lists the streams of a group by name or by the time of
// their last event.
func (s *Service) DescribeLogStreams(ctx context.Context, in *logsapi.DescribeLogStreamsInput) (*logsapi.DescribeLogStreamsOutput, error) {
	name, err := groupName(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return nil, err
	}
	byTime := aws.Val(in.OrderBy) == logsapi.OrderByLastEventTime
	if byTime && in.LogStreamNamePrefix != nil {
		return nil, logsapi.InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	g, err := s.findGroup(ctx, name)
	if err != nil {
		return nil, err
	}
	p := place(ctx)
	all, err := s.streams.List(ctx, p.Account, p.Region, g.ID)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(st stream) bool {
		return !strings.HasPrefix(aws.Val(st.LogStreamName), aws.Val(in.LogStreamNamePrefix))
	})
	key := func(st stream) string {
		if byTime {
			return fmt.Sprintf("%020d%s", aws.Val(st.LastEventTimestamp), aws.Val(st.LogStreamName))
		}
		return aws.Val(st.LogStreamName)
	}
	direction := 1
	if aws.Val(in.Descending) {
		direction = -1
	}
	slices.SortFunc(all, func(a, b stream) int { return direction * cmp.Compare(key(a), key(b)) })
	less := func(a, b string) bool { return direction*cmp.Compare(a, b) < 0 }
	out := &logsapi.DescribeLogStreamsOutput{LogStreams: []logsapi.LogStream{}}
	if all, out.NextToken, err = page(all, key, less, in.NextToken, limit(in.Limit, 50)); err != nil {
		return nil, err
	}
	for _, st := range all {
		out.LogStreams = append(out.LogStreams, st.LogStream)
	}
	return out, nil
}
