package ecs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/store"
)

// CreateService makes a service and its first deployment; tasks follow.
func (s *Service) CreateService(ctx context.Context, in *ecsapi.CreateServiceInput) (*ecsapi.CreateServiceOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	rec, err := s.newService(ctx, &cluster, in)
	if err != nil {
		return nil, err
	}
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
		have, found, err := s.services().TxGet(tx, rec.ids()...)
		if err != nil {
			return err
		}
		switch status := aws.Val(have.Status); {
		case !found || status == statusInactive:
			return s.services().TxPut(tx, *rec, rec.ids()...)
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
	return &ecsapi.CreateServiceOutput{Service: aws.Ptr(rec.shown(true))}, nil
}

// digest tells whether two requests are the same, whatever their tokens.
func digest(in *ecsapi.CreateServiceInput) string {
	same := *in
	same.ClientToken = nil
	b, err := json.Marshal(same)
	if err != nil {
		return "" // the shapes of the API always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// newService checks a request and makes the record of it.
func (s *Service) newService(ctx context.Context, cluster *clusterRecord, in *ecsapi.CreateServiceInput) (*serviceRecord, error) {
	if err := refuseUnserved(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations); err != nil {
		return nil, err
	}
	if in.DeploymentController != nil && aws.Val(in.DeploymentController.Type) != ecsapi.DeploymentControllerTypeEcs {
		return nil, notServed("the deployment controller " + aws.Val(in.DeploymentController.Type))
	}
	switch {
	case in.SchedulingStrategy != nil && *in.SchedulingStrategy != ecsapi.SchedulingStrategyReplica:
		return nil, notServed("the scheduling strategy " + *in.SchedulingStrategy)
	case len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0:
		return nil, invalid("Placement constraints and strategies are not supported for the FARGATE launch type.")
	case in.TaskDefinition == nil:
		return nil, invalid("TaskDefinition can not be blank.")
	case in.DesiredCount == nil:
		return nil, invalid("Desired count can not be blank.")
	case *in.DesiredCount < 0:
		return nil, invalid("Desired count must be non-negative.")
	case in.HealthCheckGracePeriodSeconds != nil && len(in.LoadBalancers) == 0:
		return nil, invalid("Health check grace period is only valid for services configured to use load balancers")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	configuration, err := deploymentConfiguration(nil, in.DeploymentConfiguration)
	if err != nil {
		return nil, err
	}
	version, err := platform(in.PlatformVersion)
	if err != nil {
		return nil, err
	}
	definition, err := s.runnableDefinition(ctx, *in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	provider, err := s.capacity(cluster, &definition, in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return nil, err
	}
	launch, strategy := aws.Ptr(ecsapi.LaunchTypeFargate), []ecsapi.CapacityProviderStrategyItem(nil)
	if provider != "" {
		launch, strategy = nil, in.CapacityProviderStrategy
		if len(strategy) == 0 {
			strategy = cluster.DefaultCapacityProviderStrategy
		}
	}
	_, subnets, err := s.network(ctx, &definition, in.NetworkConfiguration)
	if err != nil {
		return nil, err
	}
	if err := s.checkBalancers(ctx, &definition, in.LoadBalancers); err != nil {
		return nil, err
	}
	p, now := at(ctx), s.now()
	rec := &serviceRecord{
		Place: p, Cluster: aws.Val(cluster.ClusterName), Request: digest(in), Generation: 1,
		Service: ecsapi.Service{
			ServiceName: in.ServiceName, ServiceArn: aws.Ptr(p.ECSService(aws.Val(cluster.ClusterName), aws.Val(in.ServiceName))),
			ClusterArn: cluster.ClusterArn, Status: aws.Ptr(statusActive), CreatedAt: now, CreatedBy: aws.Ptr(identity.From(ctx).PrincipalID),
			DesiredCount: in.DesiredCount, PendingCount: aws.Ptr[int32](0), RunningCount: aws.Ptr[int32](0),
			TaskDefinition: definition.TaskDefinitionArn, LaunchType: launch, CapacityProviderStrategy: strategy,
			PlatformVersion: version, PlatformFamily: aws.Ptr("Linux"),
			NetworkConfiguration: in.NetworkConfiguration, LoadBalancers: in.LoadBalancers, HealthCheckGracePeriodSeconds: in.HealthCheckGracePeriodSeconds,
			DeploymentConfiguration: configuration, DeploymentController: &ecsapi.DeploymentController{Type: aws.Ptr(ecsapi.DeploymentControllerTypeEcs)},
			SchedulingStrategy: aws.Ptr(ecsapi.SchedulingStrategyReplica), EnableECSManagedTags: aws.Ptr(aws.Val(in.EnableECSManagedTags)),
			EnableExecuteCommand: aws.Ptr(aws.Val(in.EnableExecuteCommand)), PropagateTags: aws.Ptr(ecsapi.PropagateTagsNone),
			AvailabilityZoneRebalancing: aws.Ptr(ecsapi.AvailabilityZoneRebalancingDisabled), Tags: in.Tags,
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
	if in.AvailabilityZoneRebalancing != nil {
		rec.AvailabilityZoneRebalancing = in.AvailabilityZoneRebalancing
	}
	if rec.balanced() {
		// The role under which ECS registers targets is its service-linked one.
		rec.RoleArn = aws.Ptr(p.Role("/aws-service-role/"+Principal+"/", "AWSServiceRoleForECS"))
	}
	rec.begin(rec.rolloutOf(&definition, subnets), now)
	return rec, nil
}

// rolloutOf makes a rollout of the service as it is wanted now.
func (r *serviceRecord) rolloutOf(d *taskDefinitionRecord, subnets []taskSubnet) rollout {
	return rollout{
		Deployment: ecsapi.Deployment{
			TaskDefinition: d.TaskDefinitionArn, LaunchType: r.LaunchType, CapacityProviderStrategy: r.CapacityProviderStrategy,
			PlatformVersion: r.PlatformVersion, PlatformFamily: r.PlatformFamily, NetworkConfiguration: r.NetworkConfiguration,
		},
		Subnets: subnets,
		Checked: slices.ContainsFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return c.HealthCheck != nil }),
	}
}

// refuseUnserved names what a service may have on AWS and not here.
func refuseUnserved(connect *ecsapi.ServiceConnectConfiguration, registries []ecsapi.ServiceRegistry, volumes []ecsapi.ServiceVolumeConfiguration, lattice []ecsapi.VpcLatticeConfiguration) error {
	switch {
	case connect != nil && aws.Val(connect.Enabled):
		return notServed("Service Connect")
	case len(registries) > 0:
		return notServed("service discovery registries")
	case len(volumes) > 0:
		return notServed("EBS volumes")
	case len(lattice) > 0:
		return notServed("VPC Lattice")
	}
	return nil
}
