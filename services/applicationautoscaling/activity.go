package applicationautoscaling

import (
	"cmp"
	"context"
	"slices"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
)

// activity is the record of a scaling activity.
type activity struct {
	autoapi.ScalingActivity
}

// kept is how long AWS shows scaling activities.
const kept = 42 * 24 * time.Hour

// DescribeScalingActivities lists what was scaled, the newest first.
func (s *Service) DescribeScalingActivities(ctx context.Context, in *autoapi.DescribeScalingActivitiesInput) (*autoapi.DescribeScalingActivitiesOutput, error) {
	p := place(ctx)
	out := &autoapi.DescribeScalingActivitiesOutput{ScalingActivities: []autoapi.ScalingActivity{}}
	all, err := s.activities.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(a activity) bool {
		return *in.ServiceNamespace != *a.ServiceNamespace || in.ScalableDimension != nil && *in.ScalableDimension != *a.ScalableDimension ||
			in.ResourceId != nil && *in.ResourceId != *a.ResourceId
	})
	slices.SortFunc(all, func(a, b activity) int {
		return cmp.Or(b.StartTime.Compare(*a.StartTime), cmp.Compare(*a.ActivityId, *b.ActivityId))
	})
	// Newest first means that keys rise from the far future to the past.
	key := func(a activity) string {
		return time.Unix(1<<33-a.StartTime.Unix(), int64(999_999_999-a.StartTime.Nanosecond())).UTC().Format("2006-01-02T15:04:05.000000000") + *a.ActivityId
	}
	all, out.NextToken, err = page(all, key, in.NextToken, in.MaxResults)
	for _, a := range all {
		out.ScalingActivities = append(out.ScalingActivities, a.ScalingActivity)
	}
	return out, err
}

// forget deletes the activities that are too old to be shown, also those of targets
// that are gone.
func (s *Service) forget(ctx context.Context, now time.Time) error {
	keys, err := s.activities.Keys(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		a, found, err := s.activities.ReadKey(ctx, key)
		if err == nil && found && now.Sub(*a.StartTime) > kept {
			err = s.activities.Delete(ctx, s.activities.IDs(key)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
