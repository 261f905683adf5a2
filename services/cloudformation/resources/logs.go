package resources

import (
	"context"
	"strconv"
	"strings"

	"minato/aws"
	logs "minato/aws/api/logs"
)

// logsResources makes log groups.
type logsResources struct{ api logs.API }

func logsTypes(inv aws.Invoker) map[string]Type {
	v := logsResources{logs.NewClient(inv)}
	return map[string]Type{
		"AWS::Logs::LogGroup":     {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "LogGroupName"},
		"AWS::Logs::LogStream":    {Create: v.createStream, Delete: v.deleteStream, Named: "LogStreamName"},
		"AWS::Logs::MetricFilter": {Create: v.createFilter, Update: v.putFilter, Delete: v.deleteFilter, Named: "FilterName"},
	}
}

func (v logsResources) create(ctx context.Context, r *Request) (string, error) {
	name := r.name("LogGroupName", 512)
	in := &logs.CreateLogGroupInput{LogGroupName: &name, KmsKeyId: r.ptr("KmsKeyId"), LogGroupClass: r.ptr("LogGroupClass")}
	if t := tagMap(r, r.Properties); len(t) > 0 {
		in.Tags = t
	}
	if _, err := v.api.CreateLogGroup(ctx, in); r.again(err, "LogGroupName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.retention(ctx, r)
}

func (v logsResources) retention(ctx context.Context, r *Request) error {
	days := r.str("RetentionInDays")
	if days == "" {
		if r.Previous == nil || text(r.Previous["RetentionInDays"]) == "" {
			return nil
		}
		_, err := v.api.DeleteRetentionPolicy(ctx, &logs.DeleteRetentionPolicyInput{LogGroupName: &r.PhysicalID})
		return err
	}
	n, err := strconv.ParseInt(days, 10, 32)
	if err != nil {
		return aws.Errorf("InvalidRequest", "RetentionInDays must be a number, not %s", days)
	}
	_, err = v.api.PutRetentionPolicy(ctx, &logs.PutRetentionPolicyInput{LogGroupName: &r.PhysicalID, RetentionInDays: aws.Ptr(int32(n))})
	return err
}

// ready gives the ARN as AWS does, with the streams' wildcard.
func (v logsResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Arn": r.Place.LogGroup(r.PhysicalID) + ":*"}, true, nil
}

func (v logsResources) update(ctx context.Context, r *Request) error {
	if r.changed("RetentionInDays") {
		if err := v.retention(ctx, r); err != nil {
			return err
		}
	}
	set, gone := tagChanges(r)
	arn := aws.Ptr(strings.TrimSuffix(r.Place.LogGroup(r.PhysicalID), ":*"))
	if len(gone) > 0 {
		if _, err := v.api.UntagResource(ctx, &logs.UntagResourceInput{ResourceArn: arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	_, err := v.api.TagResource(ctx, &logs.TagResourceInput{ResourceArn: arn, Tags: set})
	return err
}

func (v logsResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteLogGroup(ctx, &logs.DeleteLogGroupInput{LogGroupName: &r.PhysicalID})
	return gone(err, "ResourceNotFoundException")
}

func (v logsResources) createStream(ctx context.Context, r *Request) (string, error) {
	name := r.name("LogStreamName", 512)
	_, err := v.api.CreateLogStream(ctx, &logs.CreateLogStreamInput{LogGroupName: r.ptr("LogGroupName"), LogStreamName: &name})
	return name, r.again(err, "LogStreamName")
}

func (v logsResources) deleteStream(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteLogStream(ctx, &logs.DeleteLogStreamInput{LogGroupName: r.ptr("LogGroupName"), LogStreamName: &r.PhysicalID})
	return gone(err, "ResourceNotFoundException")
}

func (v logsResources) createFilter(ctx context.Context, r *Request) (string, error) {
	r.PhysicalID = r.name("FilterName", 512)
	return r.PhysicalID, v.putFilter(ctx, r)
}

// putFilter makes or changes a metric filter. The registry has the dimensions as a
// list of keys and values, the API as a map.
func (v logsResources) putFilter(ctx context.Context, r *Request) error {
	in, err := into(without(r.Properties, "MetricTransformations"), new(logs.PutMetricFilterInput))
	if err != nil {
		return err
	}
	transformations, _ := r.Properties["MetricTransformations"].([]any)
	for _, t := range transformations {
		properties, _ := t.(map[string]any)
		to, err := into(without(properties, "Dimensions"), new(logs.MetricTransformation))
		if err != nil {
			return err
		}
		dimensions, _ := properties["Dimensions"].([]any)
		for _, d := range dimensions {
			if to.Dimensions == nil {
				to.Dimensions = map[string]string{}
			}
			pair, _ := d.(map[string]any)
			to.Dimensions[text(pair["Key"])] = text(pair["Value"])
		}
		in.MetricTransformations = append(in.MetricTransformations, *to)
	}
	in.FilterName = &r.PhysicalID
	_, err = v.api.PutMetricFilter(ctx, in)
	return err
}

func (v logsResources) deleteFilter(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteMetricFilter(ctx, &logs.DeleteMetricFilterInput{LogGroupName: r.ptr("LogGroupName"), FilterName: &r.PhysicalID})
	return gone(err, "ResourceNotFoundException")
}
