package spec

import (
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/failure"
	"minato/services/ecs/filesystem"
)

// Supported refuses what a task definition may ask for on AWS and minato does
// not do, before anything runs without it.
func Supported(d *ecsapi.TaskDefinition) error {
	for _, v := range d.Volumes {
		if _, asked := aws.Asked(v, "FsxWindowsFileServerVolumeConfiguration", "DockerVolumeConfiguration", "S3filesVolumeConfiguration", "ConfiguredAtLaunch"); asked {
			return failure.Of(nil, "ResourceInitializationError: the volume %s: not served by minato", aws.Val(v.Name))
		}
	}
	for _, v := range d.Volumes {
		if e := v.EfsVolumeConfiguration; e != nil && e.AuthorizationConfig != nil && e.AuthorizationConfig.AccessPointId != nil {
			return failure.Of(nil, "%s", filesystem.Failed("EFS access points: not served by minato"))
		}
	}
	if p := d.RuntimePlatform; p != nil && p.OperatingSystemFamily != nil && *p.OperatingSystemFamily != ecsapi.OSFamilyLinux {
		return failure.Of(nil, "ResourceInitializationError: the operating system family %s: not served by minato", *p.OperatingSystemFamily)
	}
	if d.ProxyConfiguration != nil {
		return failure.Of(nil, "ResourceInitializationError: proxyConfiguration: not served by minato")
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if name, asked := aws.Asked(c, "CredentialSpecs", "DnsSearchDomains", "DnsServers", "FirelensConfiguration", "Hostname", "ResourceRequirements"); asked {
			return failure.Of(nil, "ResourceInitializationError: %s of the container %s: not served by minato", strings.ToLower(name[:1])+name[1:], aws.Val(c.Name))
		}
		switch {
		case c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0:
			return failure.Of(nil, "ResourceInitializationError: unable to pull secrets or registry auth: secretOptions of a log configuration: not served by minato")
		case c.LogConfiguration != nil && aws.Val(c.LogConfiguration.LogDriver) != ecsapi.LogDriverAwslogs:
			return failure.Of(nil, "ResourceInitializationError: failed to validate logger args: the log driver %s: not served by minato", aws.Val(c.LogConfiguration.LogDriver))
		}
	}
	return nil
}
