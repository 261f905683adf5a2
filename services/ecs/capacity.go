package ecs

import (
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/clusterconfig"
	"minato/services/ecs/listing"
	"minato/services/ecs/record"
	"minato/services/ecs/serviceconfig"
)

// fargate are the capacity providers that every account has.
var fargate = []string{ecsapi.CapacityProviderTypeFargate, ecsapi.CapacityProviderTypeFargateSpot}

// DescribeCapacityProviders shows Fargate's capacity providers; there are no
// others.
func (s *Service) DescribeCapacityProviders(ctx context.Context, in *ecsapi.DescribeCapacityProvidersInput) (*ecsapi.DescribeCapacityProvidersOutput, error) {
	known := fargate
	if in.Cluster != nil {
		c, err := s.cluster(ctx, in.Cluster)
		if err != nil {
			return nil, err
		}
		known = c.CapacityProviders
	}
	asked := known
	if len(in.CapacityProviders) > 0 {
		asked = in.CapacityProviders
	}
	p := at(ctx)
	out := &ecsapi.DescribeCapacityProvidersOutput{CapacityProviders: []ecsapi.CapacityProvider{}, Failures: []ecsapi.Failure{}}
	var names []string
	for _, text := range asked {
		if name, ok := nameOf("capacity-provider", text); ok && slices.Contains(known, name) {
			names = append(names, name)
		} else {
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: aws.Ptr(p.Of("ecs", "capacity-provider/"+name)), Reason: aws.Ptr("MISSING")})
		}
	}
	names, next, err := listing.Page(names, in.NextToken, in.MaxResults, listing.Most)
	for _, name := range names {
		out.CapacityProviders = append(out.CapacityProviders, ecsapi.CapacityProvider{
			Name: &name, CapacityProviderArn: aws.Ptr(p.Of("ecs", "capacity-provider/"+name)), Type: &name, Status: aws.Ptr(ecsapi.CapacityProviderStatusActive),
		})
	}
	out.NextToken = next
	return out, err
}

// PutClusterCapacityProviders says which capacity providers a cluster has, and
// which of them are meant when a call names none.
func (s *Service) PutClusterCapacityProviders(ctx context.Context, in *ecsapi.PutClusterCapacityProvidersInput) (*ecsapi.PutClusterCapacityProvidersOutput, error) {
	c, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := clusterconfig.Capacity(in.CapacityProviders, in.DefaultCapacityProviderStrategy); err != nil {
		return nil, err
	}
	if err := serviceconfig.Strategy(in.CapacityProviders, in.DefaultCapacityProviderStrategy); err != nil {
		return nil, err
	}
	p := at(ctx)
	services, err := s.services().List(ctx, p.Account, p.Region, aws.Val(c.ClusterName))
	if err != nil {
		return nil, err
	}
	for i := range services {
		for _, item := range services[i].CapacityProviderStrategy {
			if name := aws.Val(item.CapacityProvider); aws.Val(services[i].Status) != statusInactive && slices.Contains(c.CapacityProviders, name) && !slices.Contains(in.CapacityProviders, name) {
				return nil, ecsapi.ResourceInUseException("The specified capacity provider is in use and cannot be removed.")
			}
		}
	}
	shown, err := s.changeCluster(ctx, in.Cluster, func(c *record.Cluster) {
		c.CapacityProviders, c.DefaultCapacityProviderStrategy = in.CapacityProviders, in.DefaultCapacityProviderStrategy
	})
	return &ecsapi.PutClusterCapacityProvidersOutput{Cluster: shown}, err
}

// Task sets belong to services of the deployment controllers EXTERNAL and
// CODE_DEPLOY, which CreateService refuses: every service that there is deploys
// by itself.
func (s *Service) noTaskSets(ctx context.Context, cluster, service *string) error {
	r, err := s.activeService(ctx, cluster, service)
	if err != nil {
		return err
	}
	return invalid("Task sets are not supported for the service %s, whose deployment controller is %s. They belong to services of the deployment controllers EXTERNAL and CODE_DEPLOY.", aws.Val(r.ServiceName), aws.Val(r.DeploymentController.Type))
}

// CreateTaskSet fails: see noTaskSets.
func (s *Service) CreateTaskSet(ctx context.Context, in *ecsapi.CreateTaskSetInput) (*ecsapi.CreateTaskSetOutput, error) {
	return nil, s.noTaskSets(ctx, in.Cluster, in.Service)
}

// UpdateTaskSet fails: see noTaskSets.
func (s *Service) UpdateTaskSet(ctx context.Context, in *ecsapi.UpdateTaskSetInput) (*ecsapi.UpdateTaskSetOutput, error) {
	return nil, s.noTaskSets(ctx, in.Cluster, in.Service)
}

// DeleteTaskSet fails: see noTaskSets.
func (s *Service) DeleteTaskSet(ctx context.Context, in *ecsapi.DeleteTaskSetInput) (*ecsapi.DeleteTaskSetOutput, error) {
	return nil, s.noTaskSets(ctx, in.Cluster, in.Service)
}

// DescribeTaskSets fails: see noTaskSets.
func (s *Service) DescribeTaskSets(ctx context.Context, in *ecsapi.DescribeTaskSetsInput) (*ecsapi.DescribeTaskSetsOutput, error) {
	return nil, s.noTaskSets(ctx, in.Cluster, in.Service)
}

// UpdateServicePrimaryTaskSet fails: see noTaskSets.
func (s *Service) UpdateServicePrimaryTaskSet(ctx context.Context, in *ecsapi.UpdateServicePrimaryTaskSetInput) (*ecsapi.UpdateServicePrimaryTaskSetOutput, error) {
	return nil, s.noTaskSets(ctx, in.Cluster, in.Service)
}
