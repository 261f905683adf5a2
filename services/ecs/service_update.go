package ecs

import (
	"cmp"
	"context"
	"errors"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/clusterconfig"
	"minato/services/ecs/revision"
	"minato/services/ecs/rollout"
	"minato/services/ecs/serviceconfig"
	"minato/store"
)

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
func (s *Service) activeService(ctx context.Context, cluster, service *string) (rollout.Service, error) {
	if _, err := s.cluster(ctx, cluster); err != nil {
		return rollout.Service{}, err
	}
	ids, err := serviceIDs(ctx, cluster, service)
	if err != nil {
		return rollout.Service{}, err
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

// errOutdated says that a service changed while an update of it was checked.
var errOutdated = errors.New("the service changed meanwhile")

// UpdateService changes a service. What its tasks are made of, and
// forceNewDeployment, begin a new deployment; a count or a percentage does not.
func (s *Service) UpdateService(ctx context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	for {
		out, err := s.updateService(ctx, in)
		if !errors.Is(err, errOutdated) {
			return out, err
		}
	}
}

// updateService is UpdateService on the service as it is read; errOutdated when it
// is another by the time of the write.
func (s *Service) updateService(ctx context.Context, in *ecsapi.UpdateServiceInput) (*ecsapi.UpdateServiceOutput, error) {
	rec, err := s.activeService(ctx, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if err := serviceconfig.Update(&rec.Service, in); err != nil {
		return nil, err
	}
	if len(in.CapacityProviderStrategy) > 0 {
		cluster, err := s.cluster(ctx, in.Cluster)
		if err == nil {
			err = clusterconfig.Strategy(&cluster.Cluster, in.CapacityProviderStrategy)
		}
		if err != nil {
			return nil, err
		}
	}
	// What EC2, ELB and ECR say is asked for outside the transaction, which applies
	// the change to what is there.
	next := rec
	if err := serviceconfig.Apply(&next.Service, in); err != nil {
		return nil, err
	}
	if err := serviceconfig.Balancers(next.DeploymentConfiguration, next.LoadBalancers); err != nil {
		return nil, err
	}
	if err := s.checkEnterable(ctx, &next, in); err != nil {
		return nil, err
	}
	renew := serviceconfig.Renews(&rec.Service, &next.Service, in)
	var made rollout.Rollout
	if renew {
		reference := aws.Val(rec.TaskDefinition)
		if in.TaskDefinition != nil {
			reference = *in.TaskDefinition
		}
		definition, err := s.runnableDefinition(ctx, reference)
		if err != nil {
			return nil, err
		}
		subnets, err := s.surroundings(ctx, &next, &definition)
		if err != nil {
			return nil, err
		}
		made = next.Make(&definition.TaskDefinition, subnets)
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, found, err := s.services().TxGet(tx, rec.IDs()...)
		switch {
		case err != nil:
			return err
		case !found:
			return serviceNotFound()
		case aws.Val(r.Status) != statusActive:
			return ecsapi.ServiceNotActiveException("Service was not ACTIVE.")
		case r.Generation != rec.Generation, aws.Val(r.Primary().Id) != aws.Val(rec.Primary().Id): // updated, or rolled back
			return errOutdated
		}
		if err := serviceconfig.Apply(&r.Service, in); err != nil {
			return err
		}
		r.Generation++
		r.Calm = false
		if renew {
			r.TaskDefinition = made.TaskDefinition
			err = s.begin(tx, &r, made, s.now())
		} else if p := r.Primary(); p != nil {
			p.DesiredCount, p.UpdatedAt = r.DesiredCount, s.now()
		}
		next = r
		return cmp.Or(err, s.services().TxPut(tx, r, r.IDs()...))
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.UpdateServiceOutput{Service: aws.Ptr(next.Shown(true))}, nil
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
	var rec rollout.Service
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
		case aws.Val(rec.DesiredCount) > 0 && !serviceconfig.Daemon(rec.SchedulingStrategy) && !aws.Val(in.Force):
			return invalid("The service cannot be stopped while it is scaled above 0.")
		}
		rec.Status, rec.DesiredCount = aws.Ptr(serviceDraining), aws.Ptr[int32](0)
		rec.Generation++
		for i := range rec.Rollouts {
			rec.Rollouts[i].DesiredCount = aws.Ptr[int32](0)
		}
		if err := s.endDeployment(tx, &rec, revision.Deleted, s.now()); err != nil {
			return err
		}
		return s.services().TxPut(tx, rec, ids...)
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.DeleteServiceOutput{Service: aws.Ptr(rec.Shown(true))}, nil
}
