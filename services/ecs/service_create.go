package ecs

import (
	"context"

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
		if err := s.enter(tx, rec.Place, rec.Cluster); err != nil {
			return err
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
	rec, err := rollout.New(at(ctx), &cluster.Cluster, &definition.TaskDefinition, in, configuration, identity.From(ctx).PrincipalID, s.now())
	if err != nil {
		return fail(err)
	}
	subnets, err := s.surroundings(ctx, rec, &definition)
	return rec, &definition, subnets, err
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
