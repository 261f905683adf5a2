package definition

import (
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// checkDependencies refuses what could never start.
func checkDependencies(d *ecsapi.TaskDefinition) error {
	after := map[string][]string{}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		for _, dep := range c.DependsOn {
			target := Container(d, aws.Val(dep.ContainerName))
			if target == nil {
				return ecsapi.ClientException("Cannot depend on container %s because it does not exist", aws.Val(dep.ContainerName))
			}
			switch aws.Val(dep.Condition) {
			case ecsapi.ContainerConditionHealthy:
				if target.HealthCheck == nil {
					return ecsapi.ClientException("A dependency container with HEALTHY condition must have health check configured")
				}
			case ecsapi.ContainerConditionComplete, ecsapi.ContainerConditionSuccess:
				if essential(target) {
					return ecsapi.ClientException("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container")
				}
			}
			after[*c.Name] = append(after[*c.Name], *target.Name)
		}
	}
	if circular(after) {
		return ecsapi.ClientException("Container dependencies must not be circular.")
	}
	return nil
}

func circular(after map[string][]string) bool {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(name string) bool
	visit = func(name string) bool {
		switch state[name] {
		case visiting:
			return true
		case done:
			return false
		}
		state[name] = visiting
		if slices.ContainsFunc(after[name], visit) {
			return true
		}
		state[name] = done
		return false
	}
	for name := range after {
		if visit(name) {
			return true
		}
	}
	return false
}

func essential(c *ecsapi.ContainerDefinition) bool { return c.Essential == nil || *c.Essential }
