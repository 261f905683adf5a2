package rollout

import (
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/revision"
	"minato/services/ecs/serviceconfig"
)

// History is the key of a service deployment or revision of the service.
func (r *Service) History(id string) []string { return append(r.IDs(), id) }

// RevisionARN is the ARN of the revision that a rollout leads to.
func (r *Service) RevisionARN(id *string) string {
	return r.Place.Of("ecs", "service-revision/"+r.Cluster+"/"+aws.Val(r.ServiceName)+"/"+revision.Of(aws.Val(id)))
}

// showHistory says what a service is on its way to.
func (r *Service) showHistory(out *ecsapi.Service) {
	if r.Deployment != "" {
		out.CurrentServiceDeployment = aws.Ptr(r.Place.Of("ecs", "service-deployment/"+r.Cluster+"/"+aws.Val(r.ServiceName)+"/"+r.Deployment))
	}
	for i := range r.Rollouts {
		x := &r.Rollouts[i]
		c := r.Count(x)
		out.CurrentServiceRevisions = append(out.CurrentServiceRevisions, ecsapi.ServiceCurrentRevisionSummary{
			Arn: aws.Ptr(r.RevisionARN(x.Id)), RequestedTaskCount: &c.Requested, RunningTaskCount: &c.Running, PendingTaskCount: &c.Pending,
		})
	}
}

// Count are the tasks of a rollout.
func (r *Service) Count(x *Rollout) revision.Count {
	c := revision.Count{Running: aws.Val(x.RunningCount), Pending: aws.Val(x.PendingCount)}
	green := r.Green()
	if aws.Val(x.Status) == Primary || green != nil && aws.Val(x.Id) == green.Blue {
		c.Requested = aws.Val(r.DesiredCount)
	}
	if green != nil || r.Strategy() != ecsapi.DeploymentStrategyRolling {
		production, test := r.traffic(x)
		c.Production, c.Test = &production, &test
	}
	return c
}

// Uses tells whether tasks of the service are made of a task definition, or will be
// if it goes back.
func (r *Service) Uses(definition string) bool {
	of := func(x Rollout) bool { return aws.Val(x.TaskDefinition) == definition }
	return slices.ContainsFunc(r.Rollouts, of) || r.Stable != nil && of(*r.Stable)
}

// WayBack is the rollout to which the service can go back; nil without one.
func (r *Service) WayBack() *Rollout {
	if g := r.Green(); g != nil {
		if blue := r.Find(g.Blue); blue != nil {
			return blue
		}
	}
	if p := r.Primary(); p == nil || r.Stable == nil || aws.Val(r.Stable.Id) == aws.Val(p.Id) {
		return nil
	}
	return r.Stable
}

// GoBack makes an earlier rollout the primary one again. As long as it has tasks
// they are the ones to go back to, and stay.
func (r *Service) GoBack(back Rollout, now *time.Time) {
	if i := slices.IndexFunc(r.Rollouts, func(x Rollout) bool { return aws.Val(x.Id) == aws.Val(back.Id) }); i >= 0 {
		back = r.Rollouts[i]
		r.Rollouts = slices.Delete(slices.Clone(r.Rollouts), i, i+1)
	}
	r.Begin(back, now)
	p := r.Primary()
	r.TaskDefinition, r.NetworkConfiguration, r.LoadBalancers = p.TaskDefinition, p.NetworkConfiguration, p.LoadBalancers
	if p.Configured != nil {
		r.LoadBalancers = p.Configured
	}
	r.LaunchType, r.CapacityProviderStrategy = p.LaunchType, p.CapacityProviderStrategy
	if (r.PlatformVersion == nil) != (p.PlatformVersion == nil) {
		r.PlatformVersion = p.PlatformVersion
	}
}

// Resolved are the images of a rollout's containers, as far as it is settled
// what their tags mean.
func (r *Rollout) Resolved(d *ecsapi.TaskDefinition) []ecsapi.ContainerImage {
	var out []ecsapi.ContainerImage
	for _, c := range d.ContainerDefinitions {
		x := ecsapi.ContainerImage{ContainerName: c.Name, Image: c.Image}
		if digest := r.Images[aws.Val(c.Name)]; digest != "" {
			x.ImageDigest = &digest
		}
		out = append(out, x)
	}
	return out
}

// Make makes a rollout of the service as it is wanted now.
func (r *Service) Make(d *ecsapi.TaskDefinition, subnets []Subnet) Rollout {
	return Rollout{
		Deployment: ecsapi.Deployment{
			TaskDefinition: d.TaskDefinitionArn, LaunchType: r.LaunchType, CapacityProviderStrategy: r.CapacityProviderStrategy,
			PlatformVersion: serviceconfig.Resolved(r.PlatformVersion), PlatformFamily: r.PlatformFamily, NetworkConfiguration: r.NetworkConfiguration,
		},
		Subnets: subnets, LoadBalancers: r.LoadBalancers,
		Checked: slices.ContainsFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return c.HealthCheck != nil }),
	}
}

// TaskTags are the tags of the service's new tasks.
func (r *Service) TaskTags(definition []ecsapi.Tag) []ecsapi.Tag {
	var out []ecsapi.Tag
	switch aws.Val(r.PropagateTags) {
	case ecsapi.PropagateTagsService:
		out = slices.Clone(r.Tags)
	case ecsapi.PropagateTagsTaskDefinition:
		out = slices.Clone(definition)
	}
	if aws.Val(r.EnableECSManagedTags) {
		out = append(out,
			ecsapi.Tag{Key: aws.Ptr("aws:ecs:clusterName"), Value: &r.Cluster},
			ecsapi.Tag{Key: aws.Ptr("aws:ecs:serviceName"), Value: r.ServiceName},
		)
	}
	return out
}
