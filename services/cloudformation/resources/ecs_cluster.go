package resources

import (
	"context"

	"minato/aws"
	ecs "minato/aws/api/ecs"
)

// ecsResources makes clusters and task definitions.
type ecsResources struct{ api ecs.API }

func ecsTypes(inv aws.Invoker) map[string]Type {
	v := ecsResources{ecs.NewClient(inv)}
	return map[string]Type{
		"AWS::ECS::Cluster": {Create: v.createCluster, Ready: v.readyCluster, Update: v.updateCluster, Delete: v.deleteCluster, Gone: v.goneCluster, Named: "ClusterName"},
		"AWS::ECS::ClusterCapacityProviderAssociations": {
			Create: func(ctx context.Context, r *Request) (string, error) {
				return r.str("Cluster"), v.associate(ctx, aws.Ptr(r.str("Cluster")), r.Properties)
			},
			Update: func(ctx context.Context, r *Request) error { return v.associate(ctx, &r.PhysicalID, r.Properties) },
			Delete: func(ctx context.Context, r *Request) error {
				return gone(v.associate(ctx, &r.PhysicalID, nil), "ClusterNotFoundException")
			},
		},
		"AWS::ECS::TaskDefinition": {Create: v.register, Ready: v.readyDefinition, Update: v.updateDefinition, Delete: v.deregister},
	}
}

func ecsTags(r *Request) []ecs.Tag {
	return tags(r, func(k, v string) ecs.Tag { return ecs.Tag{Key: &k, Value: &v} })
}

// updateECSTags brings the tags of any ECS resource up to date.
func updateECSTags(ctx context.Context, api ecs.API, r *Request, arn string) error {
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := api.UntagResource(ctx, &ecs.UntagResourceInput{ResourceArn: &arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &ecs.TagResourceInput{ResourceArn: &arn}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, ecs.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := api.TagResource(ctx, in)
	return err
}

// settings gives the property ClusterSettings the API's name.
func settings(properties map[string]any) map[string]any {
	out := without(properties, "Tags", "ClusterSettings")
	if v, ok := properties["ClusterSettings"]; ok {
		out["settings"] = v
	}
	return out
}

func (v ecsResources) createCluster(ctx context.Context, r *Request) (string, error) {
	in, err := into(settings(r.Properties), new(ecs.CreateClusterInput))
	if err != nil {
		return "", err
	}
	name := r.name("ClusterName", 255)
	in.ClusterName, in.Tags = &name, ecsTags(r)
	if r.str("ClusterName") != "" {
		// CreateCluster of a name that is there answers with that cluster, which
		// is not the stack's to take.
		if c, err := v.cluster(ctx, name); err != nil || c != nil {
			if err == nil {
				err = aws.Errorf("AlreadyExists", "Resource of type 'AWS::ECS::Cluster' with identifier '%s' already exists.", name)
			}
			return "", err
		}
	}
	if _, err := v.api.CreateCluster(ctx, in); err != nil {
		return "", err
	}
	return name, nil
}

// cluster returns an active cluster, nil for none.
func (v ecsResources) cluster(ctx context.Context, name string) (*ecs.Cluster, error) {
	out, err := v.api.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{name}})
	if err != nil || len(out.Clusters) == 0 || aws.Val(out.Clusters[0].Status) == "INACTIVE" {
		return nil, gone(err, "ClusterNotFoundException")
	}
	return &out.Clusters[0], nil
}

func (v ecsResources) readyCluster(ctx context.Context, r *Request) (map[string]any, bool, error) {
	c, err := v.cluster(ctx, r.PhysicalID)
	if err != nil || c == nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(c.ClusterArn)}, aws.Val(c.Status) == "ACTIVE", nil
}

func (v ecsResources) updateCluster(ctx context.Context, r *Request) error {
	if r.changed("CapacityProviders", "DefaultCapacityProviderStrategy") {
		if err := v.associate(ctx, &r.PhysicalID, r.Properties); err != nil {
			return err
		}
	}
	in, err := into(without(settings(r.Properties), "ClusterName", "CapacityProviders", "DefaultCapacityProviderStrategy"), new(ecs.UpdateClusterInput))
	if err != nil {
		return err
	}
	in.Cluster = &r.PhysicalID
	if _, err := v.api.UpdateCluster(ctx, in); err != nil {
		return err
	}
	return updateECSTags(ctx, v.api, r, text(r.Attributes["Arn"]))
}

// associate gives a cluster the capacity providers of properties: none of nil.
func (v ecsResources) associate(ctx context.Context, cluster *string, properties map[string]any) error {
	in, err := into(map[string]any{
		"CapacityProviders": properties["CapacityProviders"], "DefaultCapacityProviderStrategy": properties["DefaultCapacityProviderStrategy"],
	}, new(ecs.PutClusterCapacityProvidersInput))
	if err != nil {
		return err
	}
	in.Cluster = cluster
	if in.CapacityProviders == nil {
		in.CapacityProviders = []string{}
	}
	if in.DefaultCapacityProviderStrategy == nil {
		in.DefaultCapacityProviderStrategy = []ecs.CapacityProviderStrategyItem{}
	}
	_, err = v.api.PutClusterCapacityProviders(ctx, in)
	return err
}

func (v ecsResources) deleteCluster(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: &r.PhysicalID})
	return gone(err, "ClusterNotFoundException")
}

func (v ecsResources) goneCluster(ctx context.Context, r *Request) (bool, error) {
	c, err := v.cluster(ctx, r.PhysicalID)
	return err == nil && c == nil, err
}

func (v ecsResources) register(ctx context.Context, r *Request) (string, error) {
	properties := without(r.Properties, "Tags")
	if proxy, ok := properties["ProxyConfiguration"].(map[string]any); ok {
		proxy = without(proxy)
		proxy["properties"] = proxy["ProxyConfigurationProperties"]
		properties["ProxyConfiguration"] = without(proxy, "ProxyConfigurationProperties")
	}
	in, err := into(properties, new(ecs.RegisterTaskDefinitionInput))
	if err != nil {
		return "", err
	}
	family := r.str("Family")
	if family == "" {
		family = r.StackName + "-" + r.LogicalID + "-" + r.Suffix
	}
	in.Family, in.Tags = &family, ecsTags(r)
	out, err := v.api.RegisterTaskDefinition(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.TaskDefinition.TaskDefinitionArn), nil
}

func (v ecsResources) readyDefinition(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"TaskDefinitionArn": r.PhysicalID}, true, nil
}

func (v ecsResources) updateDefinition(ctx context.Context, r *Request) error {
	return updateECSTags(ctx, v.api, r, r.PhysicalID)
}

func (v ecsResources) deregister(ctx context.Context, r *Request) error {
	_, err := v.api.DeregisterTaskDefinition(ctx, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: &r.PhysicalID})
	return err
}
