package resources

import (
	"context"

	"minato/aws"
	cw "minato/aws/api/cloudwatch"
)

// alarmResources makes alarms and dashboards.
type alarmResources struct{ api cw.API }

func alarmTypes(inv aws.Invoker) map[string]Type {
	v := alarmResources{cw.NewClient(inv)}
	return map[string]Type{
		"AWS::CloudWatch::Alarm":          {Create: v.create(v.metric), Ready: v.ready, Update: v.update(v.metric), Delete: v.delete, Named: "AlarmName"},
		"AWS::CloudWatch::CompositeAlarm": {Create: v.create(v.composite), Ready: v.ready, Update: v.update(v.composite), Delete: v.delete, Named: "AlarmName"},
		"AWS::CloudWatch::Dashboard":      {Create: v.createDashboard, Update: v.putDashboard, Delete: v.deleteDashboard, Named: "DashboardName"},
	}
}

func alarmTag(key, value string) cw.Tag { return cw.Tag{Key: &key, Value: &value} }

// metric makes or changes an alarm on a metric.
func (v alarmResources) metric(ctx context.Context, r *Request, name string) error {
	in, err := into(without(r.Properties, "Tags"), new(cw.PutMetricAlarmInput))
	if err != nil {
		return err
	}
	in.AlarmName, in.Tags = &name, tags(r, alarmTag)
	_, err = v.api.PutMetricAlarm(ctx, in)
	return err
}

// composite makes or changes an alarm on other alarms.
func (v alarmResources) composite(ctx context.Context, r *Request, name string) error {
	in, err := into(without(r.Properties, "Tags"), new(cw.PutCompositeAlarmInput))
	if err != nil {
		return err
	}
	in.AlarmName, in.Tags = &name, tags(r, alarmTag)
	_, err = v.api.PutCompositeAlarm(ctx, in)
	return err
}

// create makes an alarm, but not one over somebody else's: Put would change it.
func (v alarmResources) create(put func(context.Context, *Request, string) error) func(context.Context, *Request) (string, error) {
	return func(ctx context.Context, r *Request) (string, error) {
		name := r.name("AlarmName", 255)
		if r.str("AlarmName") != "" && !r.Resumed {
			out, err := v.api.DescribeAlarms(ctx, &cw.DescribeAlarmsInput{AlarmNames: []string{name}, AlarmTypes: []string{cw.AlarmTypeMetricAlarm, cw.AlarmTypeCompositeAlarm}})
			if err != nil {
				return "", err
			}
			if len(out.MetricAlarms)+len(out.CompositeAlarms) > 0 {
				return "", aws.Errorf("AlreadyExists", "%s already exists", name)
			}
		}
		return name, put(ctx, r, name)
	}
}

func (v alarmResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Arn": r.Place.Of("cloudwatch", "alarm:"+r.PhysicalID)}, true, nil
}

// update puts the alarm again; tags have calls of their own then.
func (v alarmResources) update(put func(context.Context, *Request, string) error) func(context.Context, *Request) error {
	return func(ctx context.Context, r *Request) error {
		if err := put(ctx, r, r.PhysicalID); err != nil {
			return err
		}
		set, gone := tagChanges(r)
		name := aws.Ptr(r.Place.Of("cloudwatch", "alarm:"+r.PhysicalID))
		if len(gone) > 0 {
			if _, err := v.api.UntagResource(ctx, &cw.UntagResourceInput{ResourceARN: name, TagKeys: gone}); err != nil {
				return err
			}
		}
		if len(set) == 0 {
			return nil
		}
		in := &cw.TagResourceInput{ResourceARN: name}
		for _, k := range sorted(set) {
			in.Tags = append(in.Tags, alarmTag(k, set[k]))
		}
		_, err := v.api.TagResource(ctx, in)
		return err
	}
}

func (v alarmResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteAlarms(ctx, &cw.DeleteAlarmsInput{AlarmNames: []string{r.PhysicalID}})
	return gone(err, "ResourceNotFound")
}

func (v alarmResources) createDashboard(ctx context.Context, r *Request) (string, error) {
	r.PhysicalID = r.name("DashboardName", 255)
	return r.PhysicalID, v.putDashboard(ctx, r)
}

func (v alarmResources) putDashboard(ctx context.Context, r *Request) error {
	_, err := v.api.PutDashboard(ctx, &cw.PutDashboardInput{DashboardName: &r.PhysicalID, DashboardBody: r.ptr("DashboardBody")})
	return err
}

func (v alarmResources) deleteDashboard(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteDashboards(ctx, &cw.DeleteDashboardsInput{DashboardNames: []string{r.PhysicalID}})
	return gone(err, "ResourceNotFound")
}
