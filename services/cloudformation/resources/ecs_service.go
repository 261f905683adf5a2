package resources

import (
	"context"
	"errors"
	"strings"

	"minato/aws"
	ecs "minato/aws/api/ecs"
	"minato/aws/arn"
)

// serviceResources makes ECS services.
type serviceResources struct{ api ecs.API }

func serviceTypes(inv aws.Invoker) map[string]Type {
	v := serviceResources{ecs.NewClient(inv)}
	return map[string]Type{
		"AWS::ECS::Service": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone, Named: "ServiceName"},
	}
}

// input gives properties the API's names.
func serviceInput(properties map[string]any) map[string]any {
	out := without(properties, "Tags", "PlacementStrategies", "ForceNewDeployment")
	if v, ok := properties["PlacementStrategies"]; ok {
		out["placementStrategy"] = v
	}
	return out
}

func (v serviceResources) create(ctx context.Context, r *Request) (string, error) {
	in, err := into(serviceInput(r.Properties), new(ecs.CreateServiceInput))
	if err != nil {
		return "", err
	}
	in.ServiceName, in.ClientToken, in.Tags = aws.Ptr(r.name("ServiceName", 255)), r.token(), ecsTags(r)
	if in.DesiredCount == nil && aws.Val(in.SchedulingStrategy) != ecs.SchedulingStrategyDaemon {
		in.DesiredCount = aws.Ptr(int32(1)) // CloudFormation's default
	}
	out, err := v.api.CreateService(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.Service.ServiceArn), nil
}

// cluster is the cluster that the service's ARN names.
func cluster(id string) *string {
	a, _ := arn.Parse(id)
	name, _, _ := strings.Cut(a.ID(), "/")
	return &name
}

func (v serviceResources) describe(ctx context.Context, id string) (*ecs.Service, error) {
	out, err := v.api.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: cluster(id), Services: []string{id}})
	if err != nil || len(out.Services) == 0 || aws.Val(out.Services[0].Status) == "INACTIVE" {
		return nil, gone(err, "ClusterNotFoundException", "ServiceNotFoundException")
	}
	return &out.Services[0], nil
}

// ready waits for the steady state: one deployment, completed, all tasks run.
func (v serviceResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	s, err := v.describe(ctx, r.PhysicalID)
	if err != nil || s == nil {
		return nil, false, err
	}
	steady := len(s.Deployments) == 1 && aws.Val(s.RunningCount) == aws.Val(s.DesiredCount)
	for _, d := range s.Deployments {
		if aws.Val(d.Status) != "PRIMARY" {
			continue
		}
		switch aws.Val(d.RolloutState) {
		case ecs.DeploymentRolloutStateFailed:
			return nil, false, breakerTripped()
		case ecs.DeploymentRolloutStateInProgress:
			steady = false
		}
	}
	if wanted, ok := r.Properties["TaskDefinition"].(string); ok && steady && !runs(s, wanted) {
		// It came to rest with another definition: it was rolled back.
		return nil, false, breakerTripped()
	}
	return map[string]any{"Name": aws.Val(s.ServiceName), "ServiceArn": r.PhysicalID}, steady, nil
}

func breakerTripped() error {
	return &aws.Error{Code: "GeneralServiceException", Message: "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'."}
}

// runs tells whether a service runs a task definition, which is given by its
// ARN, or by its family with or without a revision.
func runs(s *ecs.Service, definition string) bool {
	have := aws.Val(s.TaskDefinition)
	name := have[strings.LastIndex(have, "/")+1:]
	family, _, _ := strings.Cut(name, ":")
	return definition == have || definition == name || definition == family
}

func (v serviceResources) update(ctx context.Context, r *Request) error {
	if r.changed("LaunchType", "DeploymentController") {
		return aws.Errorf("InvalidRequest", "The launch type and the deployment controller of a service can not be changed")
	}
	properties := serviceInput(r.Properties)
	for name := range properties {
		if !r.changed(name) && name != "placementStrategy" {
			delete(properties, name)
		}
	}
	in, err := into(properties, new(ecs.UpdateServiceInput))
	if err != nil {
		return err
	}
	in.Cluster, in.Service = cluster(r.PhysicalID), &r.PhysicalID
	if force, ok := r.Properties["ForceNewDeployment"].(map[string]any); ok && r.changed("ForceNewDeployment") {
		if yes, _ := boolean(force, "EnableForceNewDeployment"); yes {
			in.ForceNewDeployment = &yes
		}
	}
	if _, err := v.api.UpdateService(ctx, in); err != nil {
		return err
	}
	return updateECSTags(ctx, v.api, r, r.PhysicalID)
}

// delete drains the service; force spares the call that sets it to zero tasks.
func (v serviceResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: cluster(r.PhysicalID), Service: &r.PhysicalID, Force: aws.Ptr(true)})
	var e *aws.Error
	if errors.As(err, &e) && e.Code == "ServiceNotActiveException" {
		return nil
	}
	return gone(err, "ServiceNotFoundException", "ClusterNotFoundException")
}

func (v serviceResources) gone(ctx context.Context, r *Request) (bool, error) {
	s, err := v.describe(ctx, r.PhysicalID)
	return err == nil && s == nil, err
}
