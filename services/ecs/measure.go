package ecs

import (
	"context"
	"strconv"

	"minato/aws"
	"minato/aws/arn"
	"minato/services/ecs/life"
	"minato/services/ecs/metrics"
)

// measured is what the metrics are of.
type measured struct{ *Service }

// As is part of metrics.World.
func (measured) As(ctx context.Context, p arn.Place) context.Context { return own(ctx, p) }

// RunningTasks is part of metrics.World.
func (m measured) RunningTasks(ctx context.Context) (map[arn.Place][]metrics.Task, error) {
	records, err := m.tasks.ReadAll(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := m.clusters.Keys(ctx)
	if err != nil {
		return nil, err
	}
	out := map[arn.Place][]metrics.Task{}
	for _, k := range keys {
		ids := m.clusters.IDs(k)
		out[arn.In(ids[1], ids[0])] = nil
	}
	for i := range records {
		t := &records[i]
		if aws.Val(t.LastStatus) != life.Running {
			continue
		}
		one := metrics.Task{Place: t.Place, Cluster: t.Cluster}
		one.CPU, _ = strconv.ParseFloat(aws.Val(t.Cpu), 64)
		one.Memory, _ = strconv.ParseFloat(aws.Val(t.Memory), 64)
		if name, ok := t.OfService(); ok {
			one.Service = name
		}
		for j := range t.Containers {
			one.Containers = append(one.Containers, aws.Val(t.Containers[j].RuntimeId))
		}
		out[t.Place] = append(out[t.Place], one)
	}
	return out, nil
}

// InsightsOf is part of metrics.World.
func (m measured) InsightsOf(ctx context.Context, p arn.Place) (clusters []string, services []metrics.Service, err error) {
	all, err := m.clusters.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if !metrics.HasInsights(&all[i].Cluster) {
			continue
		}
		name := aws.Val(all[i].ClusterName)
		clusters = append(clusters, name)
		list, err := m.services().List(ctx, p.Account, p.Region, name)
		if err != nil {
			return nil, nil, err
		}
		for j := range list {
			if s, ok := metrics.ServiceOf(name, &list[j].Service, len(list[j].Rollouts)); ok {
				services = append(services, s)
			}
		}
	}
	return clusters, services, nil
}
