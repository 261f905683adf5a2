package cloudwatch

import (
	"context"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/gateway"
)

// checks asks IAM for the operation's action: on the alarms or dashboards that
// are named, and on "*" for metrics, which have no ARN.
func checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	p := place(ctx)
	one := func(resource string) []gateway.Check {
		return []gateway.Check{{Action: op.Action(), Resource: resource}}
	}
	each := func(names []string, resource func(string) string) []gateway.Check {
		var out []gateway.Check
		for _, n := range names {
			out = append(out, gateway.Check{Action: op.Action(), Resource: resource(n)})
		}
		return out
	}
	byAlarm := func(name string) string { return alarmARN(p, name) }
	byDashboard := func(name string) string { return dashboardARN(p, name) }
	created := func(name string, tags []cwapi.Tag) []gateway.Check {
		context := requestTags(tags)
		out := []gateway.Check{{Action: op.Action(), Resource: name, Context: context}}
		if len(tags) > 0 {
			out = append(out, gateway.Check{Action: "cloudwatch:TagResource", Resource: name, Context: context})
		}
		return out
	}
	switch in := in.(type) {
	case *cwapi.PutMetricDataInput:
		return []gateway.Check{{Action: op.Action(), Resource: "*", Context: map[string][]string{"cloudwatch:namespace": {aws.Val(in.Namespace)}}}}
	case *cwapi.PutMetricAlarmInput:
		return created(byAlarm(aws.Val(in.AlarmName)), in.Tags)
	case *cwapi.PutCompositeAlarmInput:
		return created(byAlarm(aws.Val(in.AlarmName)), in.Tags)
	case *cwapi.PutDashboardInput:
		return one(byDashboard(aws.Val(in.DashboardName)))
	case *cwapi.SetAlarmStateInput:
		return one(byAlarm(aws.Val(in.AlarmName)))
	case *cwapi.DescribeAlarmHistoryInput:
		return one(byAlarm(or(aws.Val(in.AlarmName), "*")))
	case *cwapi.DescribeAlarmsInput:
		if len(in.AlarmNames) > 0 {
			return each(in.AlarmNames, byAlarm)
		}
		return one(byAlarm(aws.Val(in.AlarmNamePrefix) + "*"))
	case *cwapi.DeleteAlarmsInput:
		return each(in.AlarmNames, byAlarm)
	case *cwapi.EnableAlarmActionsInput:
		return each(in.AlarmNames, byAlarm)
	case *cwapi.DisableAlarmActionsInput:
		return each(in.AlarmNames, byAlarm)
	case *cwapi.GetDashboardInput:
		return one(byDashboard(aws.Val(in.DashboardName)))
	case *cwapi.DeleteDashboardsInput:
		return each(in.DashboardNames, byDashboard)
	case *cwapi.TagResourceInput:
		return []gateway.Check{{Action: op.Action(), Resource: aws.Val(in.ResourceARN), Context: requestTags(in.Tags)}}
	case *cwapi.UntagResourceInput:
		return []gateway.Check{{Action: op.Action(), Resource: aws.Val(in.ResourceARN), Context: map[string][]string{"aws:TagKeys": in.TagKeys}}}
	case *cwapi.ListTagsForResourceInput:
		return one(aws.Val(in.ResourceARN))
	}
	return nil
}

func requestTags(tags []cwapi.Tag) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	out := map[string][]string{}
	for _, t := range tags {
		out["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], aws.Val(t.Key))
	}
	return out
}

// or returns s, or the other when s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
