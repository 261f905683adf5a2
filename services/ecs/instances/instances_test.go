package instances_test

import (
	"context"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/instances"
)

func TestThereAreNone(t *testing.T) {
	ctx := t.Context()
	n := instances.None{Active: func(_ context.Context, cluster *string) error {
		if aws.Val(cluster) == "gone" {
			return ecsapi.ClusterNotFoundException("Cluster not found.")
		}
		return nil
	}}
	list, err := n.ListContainerInstances(ctx, &ecsapi.ListContainerInstancesInput{})
	if err != nil || list.ContainerInstanceArns == nil || len(list.ContainerInstanceArns) > 0 {
		t.Error(list, err)
	}
	out, err := n.DescribeContainerInstances(ctx, &ecsapi.DescribeContainerInstancesInput{ContainerInstances: []string{"a", "b"}})
	if err != nil || len(out.Failures) != 2 || *out.Failures[1].Arn != "b" || *out.Failures[1].Reason != "MISSING" {
		t.Error(out, err)
	}
	code := func(_ any, err error) string {
		if err == nil {
			return ""
		}
		return aws.AsError(err).Code
	}
	gone := aws.Ptr("gone")
	for i, c := range []struct{ got, want string }{
		{code(n.ListContainerInstances(ctx, &ecsapi.ListContainerInstancesInput{Cluster: gone})), "ClusterNotFoundException"},
		{code(n.ListAttributes(ctx, &ecsapi.ListAttributesInput{Cluster: gone})), "ClusterNotFoundException"},
		{code(n.PutAttributes(ctx, &ecsapi.PutAttributesInput{Cluster: gone})), "ClusterNotFoundException"},
		{code(n.PutAttributes(ctx, &ecsapi.PutAttributesInput{})), "TargetNotFoundException"},
		{code(n.DeleteAttributes(ctx, &ecsapi.DeleteAttributesInput{})), "TargetNotFoundException"},
		{code(n.DescribeContainerInstances(ctx, &ecsapi.DescribeContainerInstancesInput{})), "InvalidParameterException"},
		{code(n.UpdateContainerInstancesState(ctx, &ecsapi.UpdateContainerInstancesStateInput{ContainerInstances: make([]string, 101)})), "InvalidParameterException"},
	} {
		if c.got != c.want {
			t.Errorf("%d: %q, not %q", i, c.got, c.want)
		}
	}
}
