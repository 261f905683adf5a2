package ecs

import (
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/record"
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

// TestUnservedOfDefinitions: a task does not start without what its definition
// asks for, and says what that is.
func TestUnservedOfDefinitions(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(d *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition)
	}{
		{"", func(d *ecsapi.TaskDefinition, _ *ecsapi.ContainerDefinition) {
			d.RuntimePlatform = &ecsapi.RuntimePlatform{OperatingSystemFamily: aws.Ptr("LINUX")}
		}},
		{"", func(_ *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) {
			c.RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(false)}
		}},
		{"the operating system family WINDOWS_SERVER_2022_CORE", func(d *ecsapi.TaskDefinition, _ *ecsapi.ContainerDefinition) {
			d.RuntimePlatform = &ecsapi.RuntimePlatform{OperatingSystemFamily: aws.Ptr("WINDOWS_SERVER_2022_CORE")}
		}},
		{"", func(_ *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) {
			c.RestartPolicy = &ecsapi.ContainerRestartPolicy{Enabled: aws.Ptr(true)}
		}},
		{"EFS access points", func(d *ecsapi.TaskDefinition, _ *ecsapi.ContainerDefinition) {
			d.Volumes = []ecsapi.Volume{{Name: aws.Ptr("data"), EfsVolumeConfiguration: &ecsapi.EFSVolumeConfiguration{AuthorizationConfig: &ecsapi.EFSAuthorizationConfig{AccessPointId: aws.Ptr("fsap-1")}}}}
		}},
		{"dnsServers of the container chat", func(_ *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) { c.DnsServers = []string{"1.1.1.1"} }},
		{"secretOptions of a log configuration", func(_ *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) {
			c.LogConfiguration = &ecsapi.LogConfiguration{LogDriver: aws.Ptr("awslogs"), SecretOptions: []ecsapi.Secret{{Name: aws.Ptr("a"), ValueFrom: aws.Ptr("b")}}}
		}},
		{"the volume data", func(d *ecsapi.TaskDefinition, _ *ecsapi.ContainerDefinition) {
			d.Volumes = []ecsapi.Volume{{Name: aws.Ptr("data"), ConfiguredAtLaunch: aws.Ptr(true)}}
		}},
	} {
		d := &record.TaskDefinition{TaskDefinition: ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: aws.Ptr("chat")}}}}
		c.change(&d.TaskDefinition, &d.ContainerDefinitions[0])
		err := supported(d)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want+": not served by minato") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
