package rollout

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/clusterconfig"
	"minato/services/ecs/rights"
	"minato/services/ecs/serviceconfig"
)

// New makes a service of what CreateService was given and has checked, if its
// tasks can run as it wants them to.
func New(p arn.Place, cluster *ecsapi.Cluster, d *ecsapi.TaskDefinition, in *ecsapi.CreateServiceInput, configuration *ecsapi.DeploymentConfiguration, by string, now *time.Time) (*Service, error) {
	r := &Service{
		Place: p, Cluster: aws.Val(cluster.ClusterName), Request: serviceconfig.Digest(in), Generation: 1,
		Service: ecsapi.Service{
			ServiceName: in.ServiceName, ServiceArn: aws.Ptr(p.ECSService(aws.Val(cluster.ClusterName), aws.Val(in.ServiceName))),
			ClusterArn: cluster.ClusterArn, Status: aws.Ptr("ACTIVE"), CreatedAt: now, CreatedBy: &by,
			DesiredCount: aws.Ptr(aws.Val(in.DesiredCount)), PendingCount: aws.Ptr[int32](0), RunningCount: aws.Ptr[int32](0),
			TaskDefinition: d.TaskDefinitionArn, LaunchType: in.LaunchType,
			NetworkConfiguration: in.NetworkConfiguration, LoadBalancers: in.LoadBalancers, HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds,
			DeploymentConfiguration: configuration, DeploymentController: &ecsapi.DeploymentController{Type: aws.Ptr(ecsapi.DeploymentControllerTypeEcs)},
			SchedulingStrategy: aws.Ptr(ecsapi.SchedulingStrategyReplica), EnableECSManagedTags: aws.Ptr(aws.Val(in.EnableECSManagedTags)),
			EnableExecuteCommand: aws.Ptr(aws.Val(in.EnableExecuteCommand)), PropagateTags: aws.Ptr(ecsapi.PropagateTagsNone),
			AvailabilityZoneRebalancing: aws.Ptr(ecsapi.AvailabilityZoneRebalancingEnabled), Tags: in.Tags,
			PlacementConstraints: []ecsapi.PlacementConstraint{}, PlacementStrategy: []ecsapi.PlacementStrategy{},
			ServiceRegistries: []ecsapi.ServiceRegistry{},
		},
	}
	if r.LoadBalancers == nil {
		r.LoadBalancers = []ecsapi.LoadBalancer{}
	} else if r.HealthCheckGracePeriodSeconds == nil && len(r.LoadBalancers) > 0 {
		r.HealthCheckGracePeriodSeconds = aws.Ptr[int32](0)
	}
	if in.PropagateTags != nil {
		r.PropagateTags = in.PropagateTags
	}
	if in.SchedulingStrategy != nil {
		r.SchedulingStrategy = in.SchedulingStrategy
	}
	switch {
	case in.AvailabilityZoneRebalancing != nil:
		r.AvailabilityZoneRebalancing = in.AvailabilityZoneRebalancing
	case serviceconfig.Daemon(in.SchedulingStrategy):
		r.AvailabilityZoneRebalancing = aws.Ptr(ecsapi.AvailabilityZoneRebalancingDisabled)
	}
	if r.Balanced() {
		// The role under which ECS registers targets is its service-linked one.
		r.RoleArn = aws.Ptr(p.Role("/aws-service-role/"+rights.Principal+"/", "AWSServiceRoleForECS"))
	}
	return r, r.place(cluster, d, in)
}

// place settles on what the service's tasks run.
func (r *Service) place(cluster *ecsapi.Cluster, d *ecsapi.TaskDefinition, in *ecsapi.CreateServiceInput) (err error) {
	if in.LaunchType == nil && len(in.CapacityProviderStrategy) == 0 && len(cluster.DefaultCapacityProviderStrategy) == 0 {
		r.LaunchType = aws.Ptr(ecsapi.LaunchTypeEc2)
	}
	if t := aws.Val(r.LaunchType); (t == ecsapi.LaunchTypeEc2 || t == ecsapi.LaunchTypeExternal) && len(in.CapacityProviderStrategy) == 0 {
		if !slices.Contains(d.Compatibilities, t) {
			return ecsapi.InvalidParameterException("Task definition does not support launch_type %s.", t)
		}
		if in.PlatformVersion != nil {
			return ecsapi.InvalidParameterException("The platform version must be null when specifying an EC2 launch type.")
		}
		r.PlacementConstraints = append(r.PlacementConstraints, in.PlacementConstraints...)
		r.PlacementStrategy = append(r.PlacementStrategy, in.PlacementStrategy...)
		return nil
	}
	if len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0 {
		return serviceconfig.Placement()
	}
	if r.PlatformVersion, err = serviceconfig.Platform(in.PlatformVersion); err != nil {
		return err
	}
	r.PlatformFamily = aws.Ptr("Linux")
	strategy, err := clusterconfig.Placement(cluster, d, in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return err
	}
	if len(strategy) > 0 {
		r.LaunchType, r.CapacityProviderStrategy = nil, strategy
	}
	return nil
}
