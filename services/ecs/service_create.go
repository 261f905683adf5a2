package ecs

import (
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/services/ecs/awsvpc"
	"minato/services/ecs/definition"
	"minato/services/ecs/exec"
	"minato/services/ecs/loadbalancer"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
	"minato/services/ecs/serviceconfig"
	"minato/services/ecs/tag"
	"minato/store"
)

// CreateService makes a service and its first deployment; tasks follow.
func (s *Service) CreateService(ctx context.Context, in *ecsapi.CreateServiceInput) (*ecsapi.CreateServiceOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	rec, definition, subnets, err := s.newService(ctx, &cluster, in)
	if err != nil {
		return nil, err
	}
	began := s.now()
	made := rec.Make(&definition.TaskDefinition, subnets)
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		// Reading the cluster here makes the commit fail if it is deleted
		// meanwhile.
		c, found, err := s.clusters.TxGet(tx, rec.Place.Account, rec.Place.Region, rec.Cluster)
		if err != nil {
			return err
		}
		if !found || aws.Val(c.Status) != statusActive {
			return clusterNotFound()
		}
		have, found, err := s.services().TxGet(tx, rec.IDs()...)
		if err != nil {
			return err
		}
		switch status := aws.Val(have.Status); {
		case !found || status == statusInactive:
			fresh := *rec
			if err := s.begin(tx, &fresh, made, began); err != nil {
				return err
			}
			*rec = fresh
			return s.services().TxPut(tx, fresh, rec.IDs()...)
		case status == serviceDraining:
			return invalid("Unable to Start a service that is still Draining.")
		case have.Request != rec.Request:
			return invalid("Creation of service was not idempotent.")
		}
		*rec = have
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.CreateServiceOutput{Service: aws.Ptr(rec.Shown(true))}, nil
}

// newService checks a request and makes the record of it.
func (s *Service) newService(ctx context.Context, cluster *record.Cluster, in *ecsapi.CreateServiceInput) (*rollout.Service, *record.TaskDefinition, []rollout.Subnet, error) {
	fail := func(err error) (*rollout.Service, *record.TaskDefinition, []rollout.Subnet, error) {
		return nil, nil, nil, err
	}
	if err := serviceconfig.Create(in); err != nil {
		return fail(err)
	}
	if err := tag.Check(in.Tags); err != nil {
		return fail(err)
	}
	configuration, err := serviceconfig.Deployment(nil, in.DeploymentConfiguration, serviceconfig.Daemon(in.SchedulingStrategy))
	if err != nil {
		return fail(err)
	}
	definition, err := s.runnableDefinition(ctx, *in.TaskDefinition)
	if err != nil {
		return fail(err)
	}
	if aws.Val(in.EnableExecuteCommand) && aws.Val(definition.TaskRoleArn) == "" {
		return fail(exec.NoServiceRole("created"))
	}
	p, now := at(ctx), s.now()
	rec := &rollout.Service{
		Place: p, Cluster: aws.Val(cluster.ClusterName), Request: serviceconfig.Digest(in), Generation: 1,
		Service: ecsapi.Service{
			ServiceName: in.ServiceName, ServiceArn: aws.Ptr(p.ECSService(aws.Val(cluster.ClusterName), aws.Val(in.ServiceName))),
			ClusterArn: cluster.ClusterArn, Status: aws.Ptr(statusActive), CreatedAt: now, CreatedBy: aws.Ptr(identity.From(ctx).PrincipalID),
			DesiredCount: aws.Ptr(aws.Val(in.DesiredCount)), PendingCount: aws.Ptr[int32](0), RunningCount: aws.Ptr[int32](0),
			TaskDefinition: definition.TaskDefinitionArn, LaunchType: in.LaunchType,
			NetworkConfiguration: in.NetworkConfiguration, LoadBalancers: in.LoadBalancers, HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds,
			DeploymentConfiguration: configuration, DeploymentController: &ecsapi.DeploymentController{Type: aws.Ptr(ecsapi.DeploymentControllerTypeEcs)},
			SchedulingStrategy: aws.Ptr(ecsapi.SchedulingStrategyReplica), EnableECSManagedTags: aws.Ptr(aws.Val(in.EnableECSManagedTags)),
			EnableExecuteCommand: aws.Ptr(aws.Val(in.EnableExecuteCommand)), PropagateTags: aws.Ptr(ecsapi.PropagateTagsNone),
			AvailabilityZoneRebalancing: aws.Ptr(ecsapi.AvailabilityZoneRebalancingEnabled), Tags: in.Tags,
			PlacementConstraints: []ecsapi.PlacementConstraint{}, PlacementStrategy: []ecsapi.PlacementStrategy{},
			ServiceRegistries: []ecsapi.ServiceRegistry{},
		},
	}
	if rec.LoadBalancers == nil {
		rec.LoadBalancers = []ecsapi.LoadBalancer{}
	} else if rec.HealthCheckGracePeriodSeconds == nil && len(rec.LoadBalancers) > 0 {
		rec.HealthCheckGracePeriodSeconds = aws.Ptr[int32](0)
	}
	if in.PropagateTags != nil {
		rec.PropagateTags = in.PropagateTags
	}
	if in.SchedulingStrategy != nil {
		rec.SchedulingStrategy = in.SchedulingStrategy
	}
	switch {
	case in.AvailabilityZoneRebalancing != nil:
		rec.AvailabilityZoneRebalancing = in.AvailabilityZoneRebalancing
	case serviceconfig.Daemon(in.SchedulingStrategy):
		rec.AvailabilityZoneRebalancing = aws.Ptr(ecsapi.AvailabilityZoneRebalancingDisabled)
	}
	if rec.Balanced() {
		// The role under which ECS registers targets is its service-linked one.
		rec.RoleArn = aws.Ptr(p.Role("/aws-service-role/"+Principal+"/", "AWSServiceRoleForECS"))
	}
	if err := s.place(rec, cluster, &definition, in); err != nil {
		return fail(err)
	}
	subnets, err := s.surroundings(ctx, rec, &definition)
	return rec, &definition, subnets, err
}

// place settles on what the service's tasks run.
func (s *Service) place(rec *rollout.Service, cluster *record.Cluster, d *record.TaskDefinition, in *ecsapi.CreateServiceInput) (err error) {
	if in.LaunchType == nil && len(in.CapacityProviderStrategy) == 0 && len(cluster.DefaultCapacityProviderStrategy) == 0 {
		rec.LaunchType = aws.Ptr(ecsapi.LaunchTypeEc2)
	}
	if t := aws.Val(rec.LaunchType); (t == ecsapi.LaunchTypeEc2 || t == ecsapi.LaunchTypeExternal) && len(in.CapacityProviderStrategy) == 0 {
		if !slices.Contains(d.Compatibilities, t) {
			return invalid("Task definition does not support launch_type %s.", t)
		}
		if in.PlatformVersion != nil {
			return invalid("The platform version must be null when specifying an EC2 launch type.")
		}
		rec.PlacementConstraints = append(rec.PlacementConstraints, in.PlacementConstraints...)
		rec.PlacementStrategy = append(rec.PlacementStrategy, in.PlacementStrategy...)
		return nil
	}
	if len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0 {
		return serviceconfig.Placement()
	}
	if rec.PlatformVersion, err = serviceconfig.Platform(in.PlatformVersion); err != nil {
		return err
	}
	rec.PlatformFamily = aws.Ptr("Linux")
	strategy, err := s.capacity(cluster, d, in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return err
	}
	if len(strategy) > 0 {
		rec.LaunchType, rec.CapacityProviderStrategy = nil, strategy
	}
	return nil
}

// surroundings checks what EC2 and ELB say of a service's network and balancers.
func (s *Service) surroundings(ctx context.Context, rec *rollout.Service, d *record.TaskDefinition) (subnets []rollout.Subnet, err error) {
	switch bare := aws.Val(d.NetworkMode) != definition.Awsvpc; {
	case bare && rec.NetworkConfiguration != nil:
		return nil, invalid("Network Configuration is not valid for the given networkMode of this task definition.")
	case !bare:
		if _, subnets, err = awsvpc.Check(own(ctx, at(ctx)), s.EC2, &d.TaskDefinition, rec.NetworkConfiguration); err != nil {
			return nil, err
		}
	}
	if err := serviceconfig.Balancers(rec.DeploymentConfiguration, rec.LoadBalancers); err != nil {
		return nil, err
	}
	return subnets, loadbalancer.Check(own(ctx, at(ctx)), s.ELB, &d.TaskDefinition, rec.LoadBalancers)
}
