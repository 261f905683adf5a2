package definition

import (
	"cmp"
	"encoding/json"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// maxOverrides is how long the overrides of a task may be, as JSON.
const maxOverrides = 8192

// CheckOverrides refuses what RunTask may not override of a task definition.
func CheckOverrides(d *ecsapi.TaskDefinition, o *ecsapi.TaskOverride) error {
	if o == nil {
		return nil
	}
	if len(o.InferenceAcceleratorOverrides) > 0 {
		return ecsapi.UnsupportedFeatureException("inference accelerators: not served by minato")
	}
	if b, err := json.Marshal(o); err != nil || len(b) > maxOverrides {
		return ecsapi.InvalidParameterException("Container Overrides length must be at most %d", maxOverrides)
	}
	for _, c := range o.ContainerOverrides {
		if name, asked := aws.Asked(c, "EnvironmentFiles", "ResourceRequirements"); asked {
			return ecsapi.UnsupportedFeatureException("the container override %s%s: not served by minato", strings.ToLower(name[:1]), name[1:])
		}
		if c.Name == nil {
			return ecsapi.InvalidParameterException("Container override name should not be null.")
		}
		if Container(d, *c.Name) == nil {
			return ecsapi.InvalidParameterException("Override for container named %s is not a container in the TaskDefinition.", *c.Name)
		}
	}
	if err := CheckStorage(o.EphemeralStorage); err != nil {
		return err
	}
	if o.Cpu != nil || o.Memory != nil {
		return FargateSize(cmp.Or(aws.Val(o.Cpu), aws.Val(d.Cpu)), cmp.Or(aws.Val(o.Memory), aws.Val(d.Memory)))
	}
	return nil
}
