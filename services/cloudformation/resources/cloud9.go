package resources

import (
	"context"

	"minato/aws"
	cloud9 "minato/aws/api/cloud9"
)

// cloud9Resources makes workspaces.
type cloud9Resources struct{ api cloud9.API }

func cloud9Types(inv aws.Invoker) map[string]Type {
	v := cloud9Resources{cloud9.NewClient(inv)}
	return map[string]Type{
		"AWS::Cloud9::EnvironmentEC2": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone},
	}
}

func (v cloud9Resources) create(ctx context.Context, r *Request) (string, error) {
	if _, given := r.Properties["Repositories"]; given {
		return "", aws.Errorf("InvalidRequest", "The property Repositories of AWS::Cloud9::EnvironmentEC2 is not supported by minato")
	}
	in, err := into(without(r.Properties, "Tags"), new(cloud9.CreateEnvironmentEC2Input))
	if err != nil {
		return "", err
	}
	in.Name, in.ClientRequestToken = aws.Ptr(r.name("Name", 60)), r.token()
	in.Tags = tags(r, func(k, v string) cloud9.Tag { return cloud9.Tag{Key: &k, Value: &v} })
	out, err := v.api.CreateEnvironmentEC2(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.EnvironmentId), nil
}

func (v cloud9Resources) describe(ctx context.Context, id string) (*cloud9.Environment, error) {
	out, err := v.api.DescribeEnvironments(ctx, &cloud9.DescribeEnvironmentsInput{EnvironmentIds: []string{id}})
	if err != nil || len(out.Environments) == 0 {
		return nil, gone(err, "NotFoundException")
	}
	return &out.Environments[0], nil
}

func (v cloud9Resources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	e, err := v.describe(ctx, r.PhysicalID)
	if err != nil || e == nil {
		return nil, false, err
	}
	state, reason := cloud9.EnvironmentLifecycleStatusCreated, ""
	if e.Lifecycle != nil {
		state, reason = aws.Val(e.Lifecycle.Status), aws.Val(e.Lifecycle.Reason)
	}
	if state == cloud9.EnvironmentLifecycleStatusCreateFailed {
		return nil, false, NotStabilized("Environment %s failed to create: %s", r.PhysicalID, reason)
	}
	return map[string]any{"Arn": aws.Val(e.Arn), "Name": aws.Val(e.Name), "Id": r.PhysicalID}, state == cloud9.EnvironmentLifecycleStatusCreated, nil
}

func (v cloud9Resources) update(ctx context.Context, r *Request) error {
	if r.changed("Name", "Description") {
		if _, err := v.api.UpdateEnvironment(ctx, &cloud9.UpdateEnvironmentInput{EnvironmentId: &r.PhysicalID, Name: r.ptr("Name"), Description: r.ptr("Description")}); err != nil {
			return err
		}
	}
	set, gone := tagChanges(r)
	arn := aws.Ptr(text(r.Attributes["Arn"]))
	if len(gone) > 0 {
		if _, err := v.api.UntagResource(ctx, &cloud9.UntagResourceInput{ResourceARN: arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &cloud9.TagResourceInput{ResourceARN: arn}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, cloud9.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.api.TagResource(ctx, in)
	return err
}

func (v cloud9Resources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteEnvironment(ctx, &cloud9.DeleteEnvironmentInput{EnvironmentId: &r.PhysicalID})
	return gone(err, "NotFoundException")
}

func (v cloud9Resources) gone(ctx context.Context, r *Request) (bool, error) {
	e, err := v.describe(ctx, r.PhysicalID)
	return err == nil && e == nil, err
}
