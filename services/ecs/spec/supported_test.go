package spec

import (
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

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
		d := &ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: aws.Ptr("chat")}}}
		c.change(d, &d.ContainerDefinitions[0])
		err := Supported(d)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want+": not served by minato") {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
