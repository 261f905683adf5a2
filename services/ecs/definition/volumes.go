package definition

import (
	"regexp"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

var fileSystem = regexp.MustCompile(`^fs-([0-9a-f]{8}|[0-9a-f]{17})$`)

// FileSystem tells whether a text can be the id of an EFS file system.
func FileSystem(id string) bool { return fileSystem.MatchString(id) }

// checkVolumes holds the volumes, and the containers' references to them and to
// each other's.
func checkVolumes(d *ecsapi.TaskDefinition) error {
	names := map[string]bool{}
	for i := range d.Volumes {
		v := &d.Volumes[i]
		name := aws.Val(v.Name)
		switch {
		case !familyPattern.MatchString(name):
			return ecsapi.ClientException("Invalid volume name: %s. Up to 255 letters (uppercase and lowercase), hyphens, underscores, and numbers are allowed.", name)
		case names[name]:
			return ecsapi.ClientException("Volume names must be unique. Volume name '%s' is used more than once.", name)
		}
		names[name] = true
		if err := checkEFS(v.EfsVolumeConfiguration); err != nil {
			return err
		}
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		for _, m := range c.MountPoints {
			if !names[aws.Val(m.SourceVolume)] {
				return ecsapi.ClientException("Unknown volume '%s'.", aws.Val(m.SourceVolume))
			}
			if aws.Val(m.ContainerPath) == "" {
				return ecsapi.ClientException("Invalid setting for container '%s'. The containerPath of a mount point should not be null or empty.", *c.Name)
			}
		}
		for _, from := range c.VolumesFrom {
			if Container(d, aws.Val(from.SourceContainer)) == nil {
				return ecsapi.ClientException("Invalid 'volumesFrom' setting. Unknown container: '%s'.", aws.Val(from.SourceContainer))
			}
		}
	}
	return nil
}

func checkEFS(e *ecsapi.EFSVolumeConfiguration) error {
	if e == nil {
		return nil
	}
	encrypted := aws.Val(e.TransitEncryption) == ecsapi.EFSTransitEncryptionEnabled
	auth := aws.Val(e.AuthorizationConfig)
	switch {
	case !FileSystem(aws.Val(e.FileSystemId)):
		return ecsapi.ClientException("Invalid EFS file system id: %s", aws.Val(e.FileSystemId))
	case e.TransitEncryptionPort != nil && !encrypted:
		return ecsapi.ClientException("TransitEncryptionPort requires that TransitEncryption is enabled.")
	case aws.Val(auth.Iam) == ecsapi.EFSAuthorizationConfigIAMEnabled && !encrypted:
		return ecsapi.ClientException("EFS IAM authorization requires TransitEncryption to be enabled.")
	case auth.AccessPointId != nil && !slices.Contains([]string{"", "/"}, aws.Val(e.RootDirectory)):
		return ecsapi.ClientException(`When using an EFS access point, the root directory must either be set to "/" or be omitted.`)
	}
	return nil
}
