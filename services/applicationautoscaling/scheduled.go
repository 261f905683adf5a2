package applicationautoscaling

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/applicationautoscaling/schedule"
	"minato/store"
)

// scheduled is the record of a scheduled action.
type scheduled struct {
	autoapi.ScheduledAction
	Place arn.Place
	// Ran is up to when it was seen to: when it last ran, or was made or changed.
	Ran time.Time
}

// PutScheduledAction makes a scheduled action or changes one: what is not given
// stays.
func (s *Service) PutScheduledAction(ctx context.Context, in *autoapi.PutScheduledActionInput) (*autoapi.PutScheduledActionOutput, error) {
	p, resource, name := place(ctx), aws.Val(in.ResourceId), aws.Val(in.ScheduledActionName)
	if err := served(*in.ServiceNamespace, aws.Val(in.ScalableDimension), resource); err != nil {
		return nil, err
	}
	if strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || strings.ContainsRune(":/|", r) }) {
		return nil, invalid("1 validation error detected: Value '%s' at 'scheduledActionName' failed to satisfy constraint: Member must not begin or end with a space, nor contain control characters, colons, slashes and bars", name)
	}
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if err := s.registered(tx, p, resource); err != nil {
			return err
		}
		a, exists, err := s.scheduled.TxGet(tx, p.Account, p.Region, resource, name)
		if err != nil {
			return err
		}
		if !exists {
			a = scheduled{Place: p, ScheduledAction: autoapi.ScheduledAction{
				CreationTime: aws.Ptr(s.now()), ResourceId: &resource, ScalableDimension: in.ScalableDimension, ServiceNamespace: in.ServiceNamespace, ScheduledActionName: &name,
				ScheduledActionARN: aws.Ptr(p.Of("autoscaling", "scheduledAction:"+ids.UUID()+":resource/ecs/"+resource+":scheduledActionName/"+name)),
			}}
		}
		if in.Schedule != nil {
			a.Schedule = in.Schedule
		}
		if in.Timezone != nil {
			a.Timezone = in.Timezone
		}
		if in.StartTime != nil {
			a.StartTime = in.StartTime
		}
		if in.EndTime != nil {
			a.EndTime = in.EndTime
		}
		if in.ScalableTargetAction != nil {
			a.ScalableTargetAction = in.ScalableTargetAction
		}
		if err := a.check(); err != nil {
			return err
		}
		a.Ran = s.now()
		return s.scheduled.TxPut(tx, a, p.Account, p.Region, resource, name)
	})
	return &autoapi.PutScheduledActionOutput{}, err
}

func (a *scheduled) check() error {
	switch {
	case a.Schedule == nil:
		return invalid("Schedule is required for a new scheduled action.")
	case a.ScalableTargetAction == nil || a.ScalableTargetAction.MinCapacity == nil && a.ScalableTargetAction.MaxCapacity == nil:
		return invalid("At least one of the minimum and maximum capacity must be specified in ScalableTargetAction.")
	case a.StartTime != nil && a.EndTime != nil && !a.StartTime.Before(*a.EndTime):
		return invalid("End time must be later than start time.")
	}
	if _, err := schedule.Parse(*a.Schedule, aws.Val(a.Timezone)); err != nil {
		return invalid("Invalid schedule expression: %s", err)
	}
	return checkBounds(a.ScalableTargetAction.MinCapacity, a.ScalableTargetAction.MaxCapacity)
}

// due is when the action runs next; false if never again.
func (a *scheduled) due() (time.Time, bool) {
	sch, err := schedule.Parse(aws.Val(a.Schedule), aws.Val(a.Timezone))
	if err != nil {
		return time.Time{}, false
	}
	start, after := *a.CreationTime, a.Ran
	if a.StartTime != nil {
		start = *a.StartTime
		if before := start.Add(-time.Millisecond); before.After(after) {
			after = before
		}
	}
	t, ok := sch.Next(after, start)
	return t, ok && (a.EndTime == nil || !t.After(*a.EndTime))
}

// DeleteScheduledAction deletes a scheduled action.
func (s *Service) DeleteScheduledAction(ctx context.Context, in *autoapi.DeleteScheduledActionInput) (*autoapi.DeleteScheduledActionOutput, error) {
	p, resource, name := place(ctx), aws.Val(in.ResourceId), aws.Val(in.ScheduledActionName)
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		a, found, err := s.scheduled.TxGet(tx, p.Account, p.Region, resource, name)
		switch {
		case err != nil:
			return err
		case !found || *a.ServiceNamespace != *in.ServiceNamespace:
			return autoapi.ObjectNotFoundException("No scheduled action found for service namespace: %s, resource ID: %s, scalable dimension: %s: %s", *in.ServiceNamespace, resource, *in.ScalableDimension, name)
		}
		s.scheduled.TxDelete(tx, p.Account, p.Region, resource, name)
		return nil
	})
	return &autoapi.DeleteScheduledActionOutput{}, err
}

// DescribeScheduledActions lists scheduled actions.
func (s *Service) DescribeScheduledActions(ctx context.Context, in *autoapi.DescribeScheduledActionsInput) (*autoapi.DescribeScheduledActionsOutput, error) {
	p := place(ctx)
	out := &autoapi.DescribeScheduledActionsOutput{ScheduledActions: []autoapi.ScheduledAction{}}
	all, err := s.scheduled.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(a scheduled) bool {
		return *in.ServiceNamespace != *a.ServiceNamespace || in.ScalableDimension != nil && *in.ScalableDimension != aws.Val(a.ScalableDimension) ||
			in.ResourceId != nil && *in.ResourceId != *a.ResourceId || len(in.ScheduledActionNames) > 0 && !slices.Contains(in.ScheduledActionNames, *a.ScheduledActionName)
	})
	key := func(a scheduled) string { return *a.ResourceId + "\x00" + *a.ScheduledActionName }
	slices.SortFunc(all, func(a, b scheduled) int { return strings.Compare(key(a), key(b)) })
	all, out.NextToken, err = page(all, key, in.NextToken, in.MaxResults)
	for _, a := range all {
		out.ScheduledActions = append(out.ScheduledActions, a.ScheduledAction)
	}
	return out, err
}
