package ecs

import (
	"context"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/store"
)

func serviceNotFound() error { return ecsapi.ServiceNotFoundException("Service not found.") }

// serviceIDs is the key of the service that a call means. Cluster and service
// may be named or given by their ARNs.
func serviceIDs(ctx context.Context, cluster, service *string) ([]string, error) {
	c, err := clusterName(cluster)
	if err != nil {
		return nil, err
	}
	name, ok := nameOf("service", aws.Val(service))
	if !ok {
		return nil, invalid("Invalid identifier: Unexpected service identifier.")
	}
	p := at(ctx)
	return []string{p.Account, p.Region, c, name}, nil
}

// activeService reads the service that a call means and refuses one that is
// gone.
func (s *Service) activeService(ctx context.Context, cluster, service *string) (serviceRecord, error) {
	if _, err := s.cluster(ctx, cluster); err != nil {
		return serviceRecord{}, err
	}
	ids, err := serviceIDs(ctx, cluster, service)
	if err != nil {
		return serviceRecord{}, err
	}
	rec, found, err := s.services().Get(ctx, ids...)
	switch {
	case err != nil:
		return rec, err
	case !found:
		return rec, serviceNotFound()
	case aws.Val(rec.Status) != statusActive:
		return rec, ecsapi.ServiceNotActiveException("Service was not ACTIVE.")
	}
	return rec, nil
}

// UpdateService changes a service. What its tasks are made of, and
// forceNewDeployment, begin a new deployment; a count or a percentage does not.
func (s *Service) UpdateService(ctx context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	rec, err := s.activeService(ctx, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if err := refuseUnserved(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations); err != nil {
		return nil, err
	}
	switch {
	case in.DeploymentController != nil && aws.Val(in.DeploymentController.Type) != ecsapi.DeploymentControllerTypeEcs:
		return nil, notServed("the deployment controller " + aws.Val(in.DeploymentController.Type))
	case len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0:
		return nil, invalid("Placement constraints and strategies are not supported for the FARGATE launch type.")
	case in.DesiredCount != nil && *in.DesiredCount < 0:
		return nil, invalid("Desired count must be non-negative.")
	}
	// What EC2, ELB and ECR say is asked for once, on what was read; the
	// transaction then applies the change to what is there.
	next := rec
	if err := next.apply(in); err != nil {
		return nil, err
	}
	if next.HealthCheckGracePeriodSeconds != nil && aws.Val(in.HealthCheckGracePeriodSeconds) > 0 && !next.balanced() {
		return nil, invalid("Health check grace period is only valid for services configured to use load balancers")
	}
	renew := aws.Val(in.ForceNewDeployment) || in.TaskDefinition != nil && !sameDefinition(*in.TaskDefinition, &rec) ||
		in.NetworkConfiguration != nil || in.LoadBalancers != nil || in.CapacityProviderStrategy != nil || in.PlatformVersion != nil
	var made rollout
	if renew {
		reference := aws.Val(rec.TaskDefinition)
		if in.TaskDefinition != nil {
			reference = *in.TaskDefinition
		}
		definition, err := s.runnableDefinition(ctx, reference)
		if err != nil {
			return nil, err
		}
		_, subnets, err := s.network(ctx, &definition, next.NetworkConfiguration)
		if err != nil {
			return nil, err
		}
		if err := s.checkBalancers(ctx, &definition, next.LoadBalancers); err != nil {
			return nil, err
		}
		made = next.rolloutOf(&definition, subnets)
	}
	found, err := s.services().Update(ctx, func(r *serviceRecord) error {
		if aws.Val(r.Status) != statusActive {
			return ecsapi.ServiceNotActiveException("Service was not ACTIVE.")
		}
		if err := r.apply(in); err != nil {
			return err
		}
		r.Generation++
		r.Calm = false
		if renew {
			r.TaskDefinition = made.TaskDefinition
			r.begin(made, s.now())
		} else if p := r.primary(); p != nil {
			p.DesiredCount, p.UpdatedAt = r.DesiredCount, s.now()
		}
		rec = *r
		return nil
	}, rec.ids()...)
	if err == nil && !found {
		err = serviceNotFound()
	}
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateServiceOutput{Service: aws.Ptr(rec.shown(true))}, nil
}

// sameDefinition tells whether a reference names the definition that the
// service runs. A family alone means its last revision and may be another.
func sameDefinition(text string, r *serviceRecord) bool {
	family, revision, ok := splitDefinition(text)
	haveFamily, haveRevision, _ := splitDefinition(aws.Val(r.TaskDefinition))
	return ok && revision > 0 && family == haveFamily && revision == haveRevision
}

// apply takes over what an update names.
func (r *serviceRecord) apply(in *ecsapi.UpdateServiceInput) error {
	configuration, err := deploymentConfiguration(r.DeploymentConfiguration, in.DeploymentConfiguration)
	if err != nil {
		return err
	}
	r.DeploymentConfiguration = configuration
	if in.DesiredCount != nil {
		r.DesiredCount = in.DesiredCount
	}
	if in.NetworkConfiguration != nil {
		r.NetworkConfiguration = in.NetworkConfiguration
	}
	if in.LoadBalancers != nil {
		r.LoadBalancers = in.LoadBalancers
	}
	if in.HealthCheckGracePeriodSeconds != nil {
		r.HealthCheckGracePeriodSeconds = in.HealthCheckGracePeriodSeconds
	}
	if in.CapacityProviderStrategy != nil {
		if err := checkCapacity(nil, in.CapacityProviderStrategy); err != nil {
			return err
		}
		r.LaunchType, r.CapacityProviderStrategy = nil, in.CapacityProviderStrategy
	}
	if in.PlatformVersion != nil {
		if r.PlatformVersion, err = platform(in.PlatformVersion); err != nil {
			return err
		}
	}
	for _, m := range []struct{ to, from **bool }{{&r.EnableECSManagedTags, &in.EnableECSManagedTags}, {&r.EnableExecuteCommand, &in.EnableExecuteCommand}} {
		if *m.from != nil {
			*m.to = *m.from
		}
	}
	if in.PropagateTags != nil {
		r.PropagateTags = in.PropagateTags
	}
	if in.AvailabilityZoneRebalancing != nil {
		r.AvailabilityZoneRebalancing = in.AvailabilityZoneRebalancing
	}
	return nil
}

// DeleteService begins to stop a service's tasks: it is DRAINING until they are
// gone, then INACTIVE. One that is scaled above zero goes only by force.
func (s *Service) DeleteService(ctx context.Context, in *ecsapi.DeleteServiceInput) (*ecsapi.DeleteServiceOutput, error) {
	if _, err := s.cluster(ctx, in.Cluster); err != nil {
		return nil, err
	}
	ids, err := serviceIDs(ctx, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	var rec serviceRecord
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		var found bool
		var err error
		if rec, found, err = s.services().TxGet(tx, ids...); err != nil {
			return err
		}
		switch {
		case !found:
			return serviceNotFound()
		case aws.Val(rec.Status) != statusActive:
			return nil // on its way, or gone: deleting twice is fine
		case aws.Val(rec.DesiredCount) > 0 && !aws.Val(in.Force):
			return invalid("The service cannot be stopped while it is scaled above 0.")
		}
		rec.Status, rec.DesiredCount = aws.Ptr(serviceDraining), aws.Ptr[int32](0)
		rec.Generation++
		for i := range rec.Rollouts {
			rec.Rollouts[i].DesiredCount = aws.Ptr[int32](0)
		}
		return s.services().TxPut(tx, rec, ids...)
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeleteServiceOutput{Service: aws.Ptr(rec.shown(true))}, nil
}
