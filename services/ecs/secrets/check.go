package secrets

import (
	"regexp"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// credentialsName is the name of a secret that holds a registry's login, where
// it is not given by its ARN.
var credentialsName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,255}$`)

// Check refuses what ECS refuses of a task definition's secrets when it is
// registered, in its words.
func Check(d *ecsapi.TaskDefinition) error {
	for i := range d.ContainerDefinitions {
		if err := checkContainer(d, &d.ContainerDefinitions[i]); err != nil {
			return err
		}
	}
	return nil
}

func checkContainer(d *ecsapi.TaskDefinition, c *ecsapi.ContainerDefinition) error {
	all := c.Secrets
	if l := c.LogConfiguration; l != nil {
		all = append(all[:len(all):len(all)], l.SecretOptions...)
	}
	if len(all) > 0 && aws.Val(d.ExecutionRoleArn) == "" {
		return ecsapi.ClientException("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.")
	}
	for _, s := range all {
		if aws.Val(s.Name) == "" || aws.Val(s.ValueFrom) == "" {
			return ecsapi.ClientException("Invalid secret for container '%s': both name and valueFrom must be specified.", aws.Val(c.Name))
		}
	}
	names := map[string]bool{}
	for _, e := range c.Environment {
		names[aws.Val(e.Name)] = true
	}
	for _, s := range c.Secrets {
		if names[aws.Val(s.Name)] {
			return ecsapi.ClientException("The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '%s'.", aws.Val(s.Name))
		}
		names[aws.Val(s.Name)] = true
	}
	if r := c.RepositoryCredentials; r != nil {
		p := aws.Val(r.CredentialsParameter)
		switch {
		case aws.Val(d.ExecutionRoleArn) == "":
			return ecsapi.ClientException("Private repository authentication requires that the task definition specify a value for executionRoleArn.")
		case !arn.Is(p) && !credentialsName.MatchString(p):
			return ecsapi.ClientException("The repository credentials parameter specified for container '%s' is invalid. Parameter names can include up to 255 letters (uppercase and lowercase), numbers, hyphens, and underscores are allowed. Spaces are not allowed.", aws.Val(c.Name))
		}
	}
	return nil
}
