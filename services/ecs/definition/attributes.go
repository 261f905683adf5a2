package definition

import (
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

const (
	capability = "ecs.capability."
	longer     = "com.amazonaws." + capability // how the older ones begin
	dockerAPI  = longer + "docker-remote-api."
)

// attributes are what a container instance must have for a task to be placed on
// it, in ECS's words (Amazon ECS Developer Guide, "Task placement constraints").
// On Fargate nothing is placed by them; tools show and compare them.
func attributes(d *ecsapi.TaskDefinition) []ecsapi.Attribute {
	var names []string
	need := func(when bool, all ...string) {
		if when {
			names = append(names, all...)
		}
	}
	executes := d.ExecutionRoleArn != nil
	need(aws.Val(d.NetworkMode) == Awsvpc, dockerAPI+"1.18", capability+"task-eni")
	need(aws.Val(d.TaskRoleArn) != "", longer+"task-iam-role")
	need(aws.Val(d.TaskRoleArn) != "" && aws.Val(d.NetworkMode) == "host", longer+"task-iam-role-network-host")
	need(d.PidMode != nil || d.IpcMode != nil, capability+"pid-ipc-namespace-sharing")
	for i := range d.Volumes {
		if efs := d.Volumes[i].EfsVolumeConfiguration; efs != nil {
			need(true, capability+"efs", dockerAPI+"1.25")
			need(efs.AuthorizationConfig != nil || aws.Val(efs.TransitEncryption) == "ENABLED", capability+"efsAuth")
		}
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		ecr := strings.Contains(aws.Val(c.Image), ".dkr.ecr.")
		need(ecr, longer+"ecr-auth")
		need(ecr && executes, capability+"execution-role-ecr-pull")
		if l := c.LogConfiguration; l != nil {
			driver := aws.Val(l.LogDriver)
			need(true, longer+"logging-driver."+driver, dockerAPI+"1.19")
			need(driver == "awslogs" && executes, capability+"execution-role-awslogs")
			for _, s := range l.SecretOptions {
				need(true, capability+"secrets."+secretStore(s)+".bootstrap.log-driver")
			}
		}
		for _, s := range c.Secrets {
			need(true, capability+"secrets."+secretStore(s)+".environment-variables")
		}
		need(len(c.EnvironmentFiles) > 0, capability+"env-files.s3")
		need(c.HealthCheck != nil, capability+"container-health-check", dockerAPI+"1.24")
		need(c.HealthCheck != nil && c.HealthCheck.StartPeriod != nil, dockerAPI+"1.29")
		need(len(c.DependsOn) > 0 || c.StartTimeout != nil || c.StopTimeout != nil, capability+"container-ordering")
		need(c.MemoryReservation != nil, dockerAPI+"1.21")
		need(aws.Val(c.ReadonlyRootFilesystem), dockerAPI+"1.17")
		need(aws.Val(c.Privileged), longer+"privileged-container")
	}
	slices.Sort(names)
	out := []ecsapi.Attribute{}
	for _, name := range slices.Compact(names) {
		out = append(out, ecsapi.Attribute{Name: &name})
	}
	return out
}

// secretStore is how attributes call the service that keeps a secret.
func secretStore(s ecsapi.Secret) string {
	if a, ok := arn.Parse(aws.Val(s.ValueFrom)); ok && a.Service == "secretsmanager" {
		return "asm"
	}
	return "ssm"
}
