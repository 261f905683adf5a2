package ecs

import (
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// TestUnservedOfRunTask: what a task would be run without is refused.
func TestUnservedOfRunTask(t *testing.T) {
	y := newYard(t)
	for _, c := range []struct {
		change     func(in *ecsapi.RunTaskInput)
		code, text string
	}{
		{func(in *ecsapi.RunTaskInput) {
			in.PlacementStrategy = []ecsapi.PlacementStrategy{{Type: aws.Ptr("spread")}}
		}, "InvalidParameterException", "Placement constraints and strategies are not supported for the FARGATE launch type."},
		{func(in *ecsapi.RunTaskInput) {
			in.VolumeConfigurations = []ecsapi.TaskVolumeConfiguration{{Name: aws.Ptr("data")}}
		}, "UnsupportedFeatureException", "EBS volumes: not served by minato"},
		{func(in *ecsapi.RunTaskInput) {
			in.Overrides = &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{Name: aws.Ptr("chat"), EnvironmentFiles: []ecsapi.EnvironmentFile{{Type: aws.Ptr("s3"), Value: aws.Ptr("arn:aws:s3:::b/k")}}}}}
		}, "UnsupportedFeatureException", "the container override environmentFiles: not served by minato"},
	} {
		in := &ecsapi.RunTaskInput{Cluster: aws.Ptr("chat"), TaskDefinition: creation().TaskDefinition, LaunchType: aws.Ptr("FARGATE"), NetworkConfiguration: creation().NetworkConfiguration}
		c.change(in)
		fails(t, second(y.ecs.RunTask(y.ctx, in)), c.code, c.text)
	}
}
