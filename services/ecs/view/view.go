// Package view fills in what ECS's answers always carry: a list that is empty is
// there and empty, and a task shows an override for each of its containers.
// Programs read such members without asking whether they are there. Records keep
// what was said; only what is shown passes through here.
package view

import (
	"slices"
	"strconv"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// list makes an absent list an empty one.
func list[T any](l *[]T) {
	if *l == nil {
		*l = []T{}
	}
}

// Cluster fills in a cluster.
func Cluster(c *ecsapi.Cluster) {
	list(&c.Tags)
	list(&c.Settings)
	list(&c.Statistics)
	list(&c.CapacityProviders)
	list(&c.DefaultCapacityProviderStrategy)
}

// Statistics are a cluster's counts by where tasks run: all of them on Fargate,
// since there are no container instances. A service that waits for instances
// counts all the same.
func Statistics(running, pending int32, services []*ecsapi.Service) []ecsapi.KeyValuePair {
	counts := map[string]int{"runningFargateTasksCount": int(running), "pendingFargateTasksCount": int(pending)}
	for _, s := range services {
		kind := "Fargate"
		switch aws.Val(s.LaunchType) {
		case ecsapi.LaunchTypeEc2:
			kind = "EC2"
		case ecsapi.LaunchTypeExternal:
			kind = "External"
		}
		switch aws.Val(s.Status) {
		case "ACTIVE":
			counts["active"+kind+"ServiceCount"]++
		case "DRAINING":
			counts["draining"+kind+"ServiceCount"]++
		}
	}
	out := []ecsapi.KeyValuePair{}
	for _, kind := range []string{"EC2", "Fargate", "External"} {
		for _, name := range []string{"running" + kind + "TasksCount", "pending" + kind + "TasksCount", "active" + kind + "ServiceCount", "draining" + kind + "ServiceCount"} {
			out = append(out, ecsapi.KeyValuePair{Name: &name, Value: aws.Ptr(strconv.Itoa(counts[name]))})
		}
	}
	return out
}

// Service fills in a service, its tags excepted, which are shown when asked for.
func Service(s *ecsapi.Service) {
	list(&s.LoadBalancers)
	list(&s.ServiceRegistries)
	list(&s.Deployments)
	list(&s.Events)
	list(&s.PlacementConstraints)
	list(&s.PlacementStrategy)
	s.ResourceManagementType = aws.Ptr(ecsapi.ResourceManagementTypeCustomer)
}

// Definition is a task definition filled in. The record's own is left alone.
func Definition(d ecsapi.TaskDefinition) *ecsapi.TaskDefinition {
	list(&d.Volumes)
	list(&d.PlacementConstraints)
	d.ContainerDefinitions = slices.Clone(d.ContainerDefinitions)
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		list(&c.PortMappings)
		list(&c.Environment)
		list(&c.MountPoints)
		list(&c.VolumesFrom)
		list(&c.SystemControls)
	}
	return &d
}

// Task is a task filled in. The record's own is left alone.
func Task(t ecsapi.Task) ecsapi.Task {
	list(&t.Tags)
	list(&t.Attachments)
	list(&t.InferenceAccelerators)
	t.Containers = slices.Clone(t.Containers)
	var o ecsapi.TaskOverride
	if t.Overrides != nil {
		o = *t.Overrides
	}
	o.ContainerOverrides = slices.Clone(o.ContainerOverrides)
	list(&o.ContainerOverrides)
	list(&o.InferenceAcceleratorOverrides)
	for i := range t.Containers {
		c := &t.Containers[i]
		list(&c.NetworkBindings)
		list(&c.NetworkInterfaces)
		if !slices.ContainsFunc(o.ContainerOverrides, func(x ecsapi.ContainerOverride) bool { return aws.Val(x.Name) == aws.Val(c.Name) }) {
			o.ContainerOverrides = append(o.ContainerOverrides, ecsapi.ContainerOverride{Name: c.Name})
		}
	}
	t.Overrides = &o
	return t
}
