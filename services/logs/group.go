package logs

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/store"
)

// group is the record of a log group.
type group struct {
	logsapi.LogGroup
	ID   string            `json:"id"` // names its log in the segments and is part of its streams' keys
	Tags map[string]string `json:"tags,omitempty"`
}

// retentionDays are the periods that AWS offers.
var retentionDays = []int32{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// CreateLogGroup makes a log group.
func (s *Service) CreateLogGroup(ctx context.Context, in *logsapi.CreateLogGroupInput) (*logsapi.CreateLogGroupOutput, error) {
	name, p := aws.Val(in.LogGroupName), place(ctx)
	switch class := aws.Val(in.LogGroupClass); {
	case len(name) >= 4 && strings.EqualFold(name[:4], "aws/"):
		return nil, logsapi.InvalidParameterException("Log groups starting with AWS/ are reserved for AWS.")
	case in.KmsKeyId != nil:
		return nil, logsapi.InvalidParameterException("KMS keys are not supported by minato (kmsKeyId).")
	case class != "" && class != logsapi.LogGroupClassStandard:
		return nil, logsapi.InvalidParameterException("The log group class %s is not supported by minato.", class)
	case aws.Val(in.DeletionProtectionEnabled):
		return nil, logsapi.InvalidParameterException("Deletion protection of log groups is not supported by minato.")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	g := group{
		LogGroup: logsapi.LogGroup{
			LogGroupName: &name, Arn: aws.Ptr(p.LogGroup(name) + ":*"), LogGroupArn: aws.Ptr(p.LogGroup(name)),
			CreationTime: aws.Ptr(s.nowMillis()), MetricFilterCount: aws.Ptr[int32](0), StoredBytes: aws.Ptr[int64](0),
			LogGroupClass: aws.Ptr(logsapi.LogGroupClassStandard),
		},
		ID: ids.Hex(24), Tags: in.Tags,
	}
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		_, found, err := s.groups.TxGet(tx, p.Account, p.Region, name)
		if err != nil {
			return err
		}
		if found {
			return logsapi.ResourceAlreadyExistsException("The specified log group already exists")
		}
		return s.groups.TxPut(tx, g, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &logsapi.CreateLogGroupOutput{}, nil
}

// deleteBatch is how many streams' records one transaction deletes.
const deleteBatch = 100

// DeleteLogGroup deletes a group with its streams and events. The group's own
// record goes first: from then on it does not exist, and what is left of it is
// of no group, which the reconciler sweeps after a crash.
func (s *Service) DeleteLogGroup(ctx context.Context, in *logsapi.DeleteLogGroupInput) (*logsapi.DeleteLogGroupOutput, error) {
	name, p := aws.Val(in.LogGroupName), place(ctx)
	var g group
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		var found bool
		var err error
		if g, found, err = s.groups.TxGet(tx, p.Account, p.Region, name); err != nil {
			return err
		}
		if !found {
			return noGroup()
		}
		s.groups.TxDelete(tx, p.Account, p.Region, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.deleteContents(ctx, p, g.ID); err != nil {
		return nil, aws.Internal(err)
	}
	return &logsapi.DeleteLogGroupOutput{}, nil
}

// deleteContents deletes the streams, metric filters and events of a group that is gone.
func (s *Service) deleteContents(ctx context.Context, p arn.Place, id string) error {
	keys, err := s.streams.Keys(ctx, p.Account, p.Region, id)
	if err != nil {
		return err
	}
	filters, err := s.filters.Keys(ctx, p.Account, p.Region, id)
	if err != nil {
		return err
	}
	keys = append(keys, filters...)
	for batch := range slices.Chunk(keys, deleteBatch) {
		if _, err := s.store.Commit(ctx, store.Txn{Deletes: batch}); err != nil {
			return err
		}
	}
	return s.events.Remove(id)
}

// DescribeLogGroups lists the groups by name.
func (s *Service) DescribeLogGroups(ctx context.Context, in *logsapi.DescribeLogGroupsInput) (*logsapi.DescribeLogGroupsOutput, error) {
	prefix, pattern := aws.Val(in.LogGroupNamePrefix), strings.ToLower(aws.Val(in.LogGroupNamePattern))
	if prefix != "" && pattern != "" {
		return nil, logsapi.InvalidParameterException("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	}
	wanted := map[string]bool{}
	for _, id := range in.LogGroupIdentifiers {
		name, err := groupName(nil, &id)
		if err != nil {
			return nil, err
		}
		wanted[name] = true
	}
	p := place(ctx)
	all, err := s.groups.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	out := &logsapi.DescribeLogGroupsOutput{LogGroups: []logsapi.LogGroup{}}
	var names []string
	byName := map[string]group{}
	for _, g := range all {
		name := aws.Val(g.LogGroupName)
		if strings.HasPrefix(name, prefix) && strings.Contains(strings.ToLower(name), pattern) &&
			(len(wanted) == 0 || wanted[name]) && (in.LogGroupClass == nil || *in.LogGroupClass == aws.Val(g.LogGroupClass)) {
			names = append(names, name)
			byName[name] = g
		}
	}
	slices.Sort(names)
	names, out.NextToken, err = page(names, func(n string) string { return n }, func(a, b string) bool { return a < b }, in.NextToken, limit(in.Limit, 50))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		g := byName[name]
		l, err := s.events.Log(g.ID)
		if err != nil {
			return nil, aws.Internal(err)
		}
		g.StoredBytes = aws.Ptr(l.Bytes())
		out.LogGroups = append(out.LogGroups, g.LogGroup)
	}
	return out, nil
}

func limit(asked *int32, usual int) int {
	if asked == nil {
		return usual
	}
	return int(*asked)
}

// updateGroup changes the record of the caller's group.
func (s *Service) updateGroup(ctx context.Context, name string, f func(g *group) error) error {
	p := place(ctx)
	found, err := s.groups.Update(ctx, f, p.Account, p.Region, name)
	if err == nil && !found {
		return noGroup()
	}
	return err
}

// PutRetentionPolicy sets after how many days events are deleted.
func (s *Service) PutRetentionPolicy(ctx context.Context, in *logsapi.PutRetentionPolicyInput) (*logsapi.PutRetentionPolicyOutput, error) {
	days := aws.Val(in.RetentionInDays)
	if !slices.Contains(retentionDays, days) {
		return nil, logsapi.InvalidParameterException("1 validation error detected: Value '%d' at 'retentionInDays' failed to satisfy constraint: Member must satisfy enum value set: %s",
			days, enumText(retentionDays))
	}
	err := s.updateGroup(ctx, aws.Val(in.LogGroupName), func(g *group) error { g.RetentionInDays = &days; return nil })
	if err != nil {
		return nil, err
	}
	return &logsapi.PutRetentionPolicyOutput{}, nil
}

// DeleteRetentionPolicy has events kept for ever.
func (s *Service) DeleteRetentionPolicy(ctx context.Context, in *logsapi.DeleteRetentionPolicyInput) (*logsapi.DeleteRetentionPolicyOutput, error) {
	err := s.updateGroup(ctx, aws.Val(in.LogGroupName), func(g *group) error { g.RetentionInDays = nil; return nil })
	if err != nil {
		return nil, err
	}
	return &logsapi.DeleteRetentionPolicyOutput{}, nil
}
