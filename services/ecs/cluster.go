package ecs

import (
	"cmp"
	"context"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/services/ecs/clusterconfig"
	"minato/services/ecs/exec"
	"minato/services/ecs/life"
	"minato/services/ecs/listing"
	"minato/services/ecs/record"
	"minato/services/ecs/reference"
	"minato/services/ecs/serviceconfig"
	"minato/services/ecs/tag"
	"minato/services/ecs/view"
	"minato/store"
)

// Statuses of clusters and services.
const (
	statusActive   = "ACTIVE"
	statusInactive = "INACTIVE"
	// statusLeaving is that of a cluster of which it is found out whether it can be
	// deleted: nothing new gets into it.
	statusLeaving = "DEPROVISIONING"
)

const defaultCluster = reference.DefaultCluster

// clusterName is the name of the cluster that a call means.
func clusterName(cluster *string) (string, error) { return reference.Cluster(cluster) }

// cluster returns the active cluster that a call means.
func (s *Service) cluster(ctx context.Context, cluster *string) (record.Cluster, error) {
	name, err := clusterName(cluster)
	if err != nil {
		return record.Cluster{}, err
	}
	p := at(ctx)
	c, found, err := s.clusters.Get(ctx, p.Account, p.Region, name)
	if err == nil && (!found || aws.Val(c.Status) == statusInactive) {
		err = clusterNotFound()
	}
	return c, err
}

// enter makes a transaction that puts something into a cluster fail if the cluster
// is being deleted, or is by the time of the commit.
func (s *Service) enter(tx *store.Tx, p arn.Place, cluster string) error {
	c, found, err := s.clusters.TxGet(tx, p.Account, p.Region, cluster)
	if err == nil && (!found || aws.Val(c.Status) != statusActive) {
		err = clusterNotFound()
	}
	return err
}

// CreateCluster makes a cluster; one that is there is returned as it is.
func (s *Service) CreateCluster(ctx context.Context, in *ecsapi.CreateClusterInput) (*ecsapi.CreateClusterOutput, error) {
	name := defaultCluster
	if in.ClusterName != nil {
		name = *in.ClusterName
	}
	if err := clusterconfig.Name(name); err != nil {
		return nil, err
	}
	if in.ServiceConnectDefaults != nil {
		return nil, notServed("Service Connect")
	}
	if err := exec.CheckConfiguration(in.Configuration); err != nil {
		return nil, err
	}
	if err := cmp.Or(clusterconfig.CheckSettings(in.Settings), clusterconfig.Capacity(in.CapacityProviders, in.DefaultCapacityProviderStrategy),
		serviceconfig.Strategy(in.CapacityProviders, in.DefaultCapacityProviderStrategy)); err != nil {
		return nil, err
	}
	if err := tag.Check(in.Tags); err != nil {
		return nil, err
	}
	p := at(ctx)
	// What is on for new clusters is an account setting.
	insights := []ecsapi.ClusterSetting{{Name: aws.Ptr(ecsapi.ClusterSettingNameContainerInsights), Value: aws.Ptr(s.accountSetting(ctx, p, identity.From(ctx).PrincipalID, ecsapi.ClusterSettingNameContainerInsights))}}
	var c record.Cluster
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		var found bool
		var err error
		if c, found, err = s.clusters.TxGet(tx, p.Account, p.Region, name); err != nil {
			return err
		}
		if found && aws.Val(c.Status) == statusActive {
			return nil
		}
		c = record.Cluster{Cluster: ecsapi.Cluster{
			ClusterArn: aws.Ptr(p.ECSCluster(name)), ClusterName: &name, Status: aws.Ptr(statusActive), Tags: in.Tags,
			CapacityProviders: in.CapacityProviders, DefaultCapacityProviderStrategy: in.DefaultCapacityProviderStrategy,
			Settings: clusterconfig.Settings(insights, in.Settings), Configuration: in.Configuration,
		}}
		return s.clusters.TxPut(tx, c, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.shownCluster(ctx, c, []string{ecsapi.ClusterFieldTags, ecsapi.ClusterFieldSettings, ecsapi.ClusterFieldConfigurations})
	return &ecsapi.CreateClusterOutput{Cluster: shown}, err
}

// shownCluster is a cluster with its counts and the fields that were asked for.
func (s *Service) shownCluster(ctx context.Context, rec record.Cluster, include []string) (*ecsapi.Cluster, error) {
	c := rec.Cluster
	if !slices.Contains(include, ecsapi.ClusterFieldTags) {
		c.Tags = nil
	}
	if !slices.Contains(include, ecsapi.ClusterFieldSettings) {
		c.Settings = nil
	}
	if !slices.Contains(include, ecsapi.ClusterFieldConfigurations) {
		c.Configuration = nil
	}
	c.RegisteredContainerInstancesCount = aws.Ptr(int32(0))
	c.RunningTasksCount, c.PendingTasksCount, c.ActiveServicesCount = aws.Ptr(int32(0)), aws.Ptr(int32(0)), aws.Ptr(int32(0))
	tasks, err := s.tasksOf(ctx, *c.ClusterName)
	if err != nil {
		return nil, err
	}
	for _, t := range tasks {
		switch aws.Val(t.LastStatus) {
		case life.Running:
			*c.RunningTasksCount++
		case life.Provisioning, life.Pending, life.Activating:
			*c.PendingTasksCount++
		}
	}
	p := at(ctx)
	services, err := s.services().List(ctx, p.Account, p.Region, *c.ClusterName)
	if err != nil {
		return nil, err
	}
	var shown []*ecsapi.Service
	for i := range services {
		shown = append(shown, &services[i].Service)
		if aws.Val(services[i].Status) != statusInactive {
			*c.ActiveServicesCount++
		}
	}
	if slices.Contains(include, ecsapi.ClusterFieldStatistics) {
		c.Statistics = view.Statistics(*c.RunningTasksCount, *c.PendingTasksCount, shown)
	}
	view.Cluster(&c)
	return &c, nil
}

// DescribeClusters shows clusters.
func (s *Service) DescribeClusters(ctx context.Context, in *ecsapi.DescribeClustersInput) (*ecsapi.DescribeClustersOutput, error) {
	asked := in.Clusters
	if len(asked) > listing.Most {
		return nil, invalid("Clusters can not have more than %d elements.", listing.Most)
	}
	if len(asked) == 0 {
		asked = []string{defaultCluster}
	}
	p := at(ctx)
	out := &ecsapi.DescribeClustersOutput{Clusters: []ecsapi.Cluster{}, Failures: []ecsapi.Failure{}}
	for _, text := range asked {
		name, err := clusterName(&text)
		if err != nil {
			return nil, err
		}
		c, found, err := s.clusters.Get(ctx, p.Account, p.Region, name)
		if err != nil {
			return nil, err
		}
		if !found {
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: aws.Ptr(p.ECSCluster(name)), Reason: aws.Ptr("MISSING")})
			continue
		}
		shown, err := s.shownCluster(ctx, c, in.Include)
		if err != nil {
			return nil, err
		}
		out.Clusters = append(out.Clusters, *shown)
	}
	return out, nil
}

// ListClusters lists the ARNs of the active clusters.
func (s *Service) ListClusters(ctx context.Context, in *ecsapi.ListClustersInput) (*ecsapi.ListClustersOutput, error) {
	p := at(ctx)
	all, err := s.clusters.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for _, c := range all {
		if aws.Val(c.Status) == statusActive {
			arns = append(arns, *c.ClusterArn)
		}
	}
	arns, next, err := listing.Page(arns, in.NextToken, in.MaxResults, listing.Most)
	return &ecsapi.ListClustersOutput{ClusterArns: arns, NextToken: next}, err
}

// UpdateCluster changes a cluster's settings and configuration.
func (s *Service) UpdateCluster(ctx context.Context, in *ecsapi.UpdateClusterInput) (*ecsapi.UpdateClusterOutput, error) {
	if in.ServiceConnectDefaults != nil {
		return nil, notServed("Service Connect")
	}
	if err := cmp.Or(clusterconfig.CheckSettings(in.Settings), exec.CheckConfiguration(in.Configuration)); err != nil {
		return nil, err
	}
	c, err := s.changeCluster(ctx, in.Cluster, func(c *record.Cluster) {
		c.Settings = clusterconfig.Settings(c.Settings, in.Settings)
		if in.Configuration != nil {
			c.Configuration = in.Configuration
		}
	})
	return &ecsapi.UpdateClusterOutput{Cluster: c}, err
}

// UpdateClusterSettings changes a cluster's settings.
func (s *Service) UpdateClusterSettings(ctx context.Context, in *ecsapi.UpdateClusterSettingsInput) (*ecsapi.UpdateClusterSettingsOutput, error) {
	if err := clusterconfig.CheckSettings(in.Settings); err != nil {
		return nil, err
	}
	c, err := s.changeCluster(ctx, in.Cluster, func(c *record.Cluster) { c.Settings = clusterconfig.Settings(c.Settings, in.Settings) })
	return &ecsapi.UpdateClusterSettingsOutput{Cluster: c}, err
}

// changeCluster changes an active cluster and shows it.
func (s *Service) changeCluster(ctx context.Context, cluster *string, f func(c *record.Cluster)) (*ecsapi.Cluster, error) {
	name, err := clusterName(cluster)
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	var rec record.Cluster
	found, err := s.clusters.Update(ctx, func(c *record.Cluster) error {
		if aws.Val(c.Status) == statusInactive {
			return clusterNotFound()
		}
		f(c)
		rec = *c
		return nil
	}, p.Account, p.Region, name)
	if err == nil && !found {
		err = clusterNotFound()
	}
	if err != nil {
		return nil, err
	}
	return s.shownCluster(ctx, rec, []string{ecsapi.ClusterFieldTags, ecsapi.ClusterFieldSettings, ecsapi.ClusterFieldConfigurations})
}

// DeleteCluster makes a cluster inactive, if nothing is in it: which is looked at
// when nothing can get into it any more. If we die meanwhile, deleting it again
// finds the answer.
func (s *Service) DeleteCluster(ctx context.Context, in *ecsapi.DeleteClusterInput) (*ecsapi.DeleteClusterOutput, error) {
	to := func(status string) (*ecsapi.Cluster, error) {
		return s.changeCluster(ctx, in.Cluster, func(c *record.Cluster) {
			if c.Status = &status; status == statusInactive {
				c.Tags = nil
			}
		})
	}
	c, err := to(statusLeaving)
	if err != nil {
		return nil, err
	}
	if err := s.empty(ctx, *c.ClusterName); err != nil {
		_, again := to(statusActive)
		return nil, cmp.Or(again, err)
	}
	c, err = to(statusInactive)
	return &ecsapi.DeleteClusterOutput{Cluster: c}, err
}

// empty refuses a cluster in which there is something.
func (s *Service) empty(ctx context.Context, cluster string) error {
	n, err := s.activeServices(ctx, cluster)
	if err != nil {
		return err
	}
	if n > 0 {
		return ecsapi.ClusterContainsServicesException("The Cluster cannot be deleted while Services are active.")
	}
	tasks, err := s.tasksOf(ctx, cluster)
	if err == nil && slices.ContainsFunc(tasks, func(t record.Task) bool { return aws.Val(t.LastStatus) != life.Stopped }) {
		err = ecsapi.ClusterContainsTasksException("The Cluster cannot be deleted while Tasks are active.")
	}
	return err
}
