package logs

import (
	"context"
	"reflect"

	"minato/aws"
	logsapi "minato/aws/api/logs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
)

// checks asks IAM for the operation's action on the group or stream. As on AWS
// the resource of a group's operations ends with ":log-stream:" without a name,
// which the usual policies' "log-group:NAME:*" matches.
func checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := identity.From(ctx)
	p := arn.In(c.Region, c.Account)
	switch in := in.(type) {
	case *logsapi.DescribeLogGroupsInput:
		return one(op, p.LogStream("", ""), nil)
	case *logsapi.TagResourceInput:
		return one(op, taggedARN(p, in.ResourceArn), requestTags(in.Tags))
	case *logsapi.UntagResourceInput:
		return one(op, taggedARN(p, in.ResourceArn), map[string][]string{"aws:TagKeys": in.TagKeys})
	case *logsapi.ListTagsForResourceInput:
		return one(op, taggedARN(p, in.ResourceArn), nil)
	case *logsapi.CreateLogGroupInput:
		out := one(op, p.LogStream(aws.Val(in.LogGroupName), ""), requestTags(in.Tags))
		if len(in.Tags) > 0 {
			out = append(out, gateway.Check{Action: "logs:TagResource", Resource: p.LogGroup(aws.Val(in.LogGroupName)), Context: requestTags(in.Tags)})
		}
		return out
	case *logsapi.PutLogEventsInput:
		return one(op, p.LogStream(aws.Val(in.LogGroupName), aws.Val(in.LogStreamName)), nil)
	case *logsapi.GetLogEventsInput:
		name, _ := groupName(in.LogGroupName, in.LogGroupIdentifier)
		return one(op, p.LogStream(name, aws.Val(in.LogStreamName)), nil)
	case *logsapi.CreateLogStreamInput:
		return one(op, p.LogStream(aws.Val(in.LogGroupName), aws.Val(in.LogStreamName)), nil)
	case *logsapi.DeleteLogStreamInput:
		return one(op, p.LogStream(aws.Val(in.LogGroupName), aws.Val(in.LogStreamName)), nil)
	}
	name, _ := groupName(member(in, "LogGroupName"), member(in, "LogGroupIdentifier"))
	return one(op, p.LogStream(name, ""), nil)
}

// taggedARN is the ARN of the caller's group that an ARN names: its name is all
// that the operations take of it.
func taggedARN(p arn.Place, resource *string) string {
	name, ok := groupOfARN(aws.Val(resource))
	if !ok {
		return aws.Val(resource)
	}
	return p.LogGroup(name)
}

func one(op *aws.Operation, resource string, context map[string][]string) []gateway.Check {
	return []gateway.Check{{Action: op.Action(), Resource: resource, Context: context}}
}

func requestTags(tags map[string]string) map[string][]string {
	if len(tags) == 0 {
		return nil
	}
	out := map[string][]string{}
	for k, v := range tags {
		out["aws:RequestTag/"+k] = []string{v}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], k)
	}
	return out
}

// member is a string member of an input that may not have it.
func member(in any, name string) *string {
	f := reflect.ValueOf(in).Elem().FieldByName(name)
	if !f.IsValid() {
		return nil
	}
	p, _ := f.Interface().(*string)
	return p
}
