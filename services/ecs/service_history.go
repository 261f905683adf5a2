package ecs

import (
	"context"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/listing"
	"minato/services/ecs/revision"
	"minato/services/ecs/rollout"
	"minato/store"
)

// maxDescribed is how many deployments or revisions can be described at once.
const maxDescribed = 20

// deployments is the table of service deployments, revisions that of service
// revisions; below the region the keys are the cluster, the service and the id.
func (s *Service) deployments() store.Table[revision.Deployment] {
	return store.NewTable[revision.Deployment](s.Store, "ecs/service-deployment")
}

func (s *Service) revisions() store.Table[revision.Record] {
	return store.NewTable[revision.Record](s.Store, "ecs/service-revision")
}

// begin begins a new deployment of a service: a rollout with its revision, and a
// service deployment that leads to it. One that is under way ends where it is.
func (s *Service) begin(tx *store.Tx, r *rollout.Service, n rollout.Rollout, now *time.Time) error {
	if err := s.endDeployment(tx, r, revision.Newer, now); err != nil {
		return err
	}
	var sources []string
	for i := range r.Rollouts {
		sources = append(sources, r.RevisionARN(r.Rollouts[i].Id))
	}
	r.Begin(n, now)
	p := r.Primary()
	target := r.RevisionARN(p.Id)
	if err := s.revisions().TxPut(tx, revision.Record{ServiceRevision: ecsapi.ServiceRevision{
		ServiceRevisionArn: &target, ServiceArn: r.ServiceArn, ClusterArn: r.ClusterArn, CreatedAt: now,
		TaskDefinition: p.TaskDefinition, LaunchType: p.LaunchType, CapacityProviderStrategy: p.CapacityProviderStrategy,
		PlatformVersion: p.PlatformVersion, PlatformFamily: p.PlatformFamily, NetworkConfiguration: p.NetworkConfiguration,
		LoadBalancers: r.LoadBalancers, ResolvedConfiguration: p.ResolvedBalancers(), GuardDutyEnabled: aws.Ptr(false),
	}}, r.History(revision.Of(*p.Id))...); err != nil {
		return err
	}
	d := revision.New(&r.Service, r.Place, r.Cluster, sources, target, r.Wanted(unpaced).Threshold(), *now)
	r.Deployment = d.ID()
	return s.deployments().TxPut(tx, d, r.History(r.Deployment)...)
}

func unpaced(d time.Duration) time.Duration { return d }

// endDeployment ends the service deployment that is under way.
func (s *Service) endDeployment(tx *store.Tx, r *rollout.Service, c revision.Cause, now *time.Time) error {
	d, found, err := s.deployments().TxGet(tx, r.History(r.Deployment)...)
	if err != nil || !found || !d.Ongoing() {
		return err
	}
	d.Fail(c, *now)
	return s.deployments().TxPut(tx, d, r.History(r.Deployment)...)
}

// historyKey is the key that an ARN of the caller's own region means.
func historyKey(p arn.Place, kind, text string) ([]string, error) {
	a, ids, ok := revision.IDs(kind, text)
	switch {
	case !ok:
		return nil, invalid("Invalid identifier: Unexpected %s identifier.", kind)
	case a.Region != p.Region:
		return nil, invalid("Invalid region %s in ARN: %s", a.Region, text)
	}
	return []string{a.Account, a.Region, ids[0], ids[1], ids[2]}, nil
}

// described reads the records of a table that ARNs name, and what is missing.
func described[T any](ctx context.Context, t store.Table[T], kind string, arns []string) (out []T, missing []ecsapi.Failure, err error) {
	if len(arns) > maxDescribed {
		return nil, nil, invalid("%sArns can have at most %d items.", map[string]string{"service-revision": "serviceRevision", "service-deployment": "serviceDeployment"}[kind], maxDescribed)
	}
	p := at(ctx)
	missing = []ecsapi.Failure{}
	for _, text := range arns {
		key, err := historyKey(p, kind, text)
		if err != nil {
			return nil, nil, err
		}
		rec, found, err := t.Get(ctx, key...)
		if err != nil {
			return nil, nil, err
		}
		if found && key[0] == p.Account {
			out = append(out, rec)
		} else {
			missing = append(missing, ecsapi.Failure{Arn: &text, Reason: aws.Ptr("MISSING")})
		}
	}
	return out, missing, nil
}

// DescribeServiceRevisions shows what services' tasks are, or were, made of.
func (s *Service) DescribeServiceRevisions(ctx context.Context, in *ecsapi.DescribeServiceRevisionsInput) (*ecsapi.DescribeServiceRevisionsOutput, error) {
	recs, missing, err := described(ctx, s.revisions(), "service-revision", in.ServiceRevisionArns)
	out := &ecsapi.DescribeServiceRevisionsOutput{ServiceRevisions: []ecsapi.ServiceRevision{}, Failures: missing}
	for i := range recs {
		out.ServiceRevisions = append(out.ServiceRevisions, recs[i].ServiceRevision)
	}
	return out, err
}

// DescribeServiceDeployments shows how services go, or went, to a revision.
func (s *Service) DescribeServiceDeployments(ctx context.Context, in *ecsapi.DescribeServiceDeploymentsInput) (*ecsapi.DescribeServiceDeploymentsOutput, error) {
	recs, missing, err := described(ctx, s.deployments(), "service-deployment", in.ServiceDeploymentArns)
	out := &ecsapi.DescribeServiceDeploymentsOutput{ServiceDeployments: []ecsapi.ServiceDeployment{}, Failures: missing}
	for i := range recs {
		out.ServiceDeployments = append(out.ServiceDeployments, recs[i].ServiceDeployment)
	}
	return out, err
}

// ListServiceDeployments lists a service's deployments, the newest first.
func (s *Service) ListServiceDeployments(ctx context.Context, in *ecsapi.ListServiceDeploymentsInput) (*ecsapi.ListServiceDeploymentsOutput, error) {
	if _, err := s.cluster(ctx, in.Cluster); err != nil {
		return nil, err
	}
	ids, err := serviceIDs(ctx, in.Cluster, in.Service)
	if err != nil {
		return nil, err
	}
	if _, found, err := s.services().Get(ctx, ids...); err != nil || !found {
		if err == nil {
			err = serviceNotFound()
		}
		return nil, err
	}
	all, err := s.deployments().List(ctx, ids...)
	if err != nil {
		return nil, err
	}
	kept := revision.Filter(all, in)
	briefs := map[string]ecsapi.ServiceDeploymentBrief{}
	var arns []string
	for i := range kept {
		b := kept[i].Brief()
		briefs[*b.ServiceDeploymentArn] = b
		arns = append(arns, *b.ServiceDeploymentArn)
	}
	out := &ecsapi.ListServiceDeploymentsOutput{ServiceDeployments: []ecsapi.ServiceDeploymentBrief{}}
	arns, out.NextToken, err = listing.Page(arns, in.NextToken, in.MaxResults, listing.Most)
	for _, a := range arns {
		out.ServiceDeployments = append(out.ServiceDeployments, briefs[a])
	}
	return out, err
}

// StopServiceDeployment asks for a deployment to go back to where it came from,
// or to stay where it is.
func (s *Service) StopServiceDeployment(ctx context.Context, in *ecsapi.StopServiceDeploymentInput) (*ecsapi.StopServiceDeploymentOutput, error) {
	key, err := historyKey(at(ctx), "service-deployment", aws.Val(in.ServiceDeploymentArn))
	if err != nil {
		return nil, err
	}
	kind := aws.Val(in.StopType)
	if kind == "" {
		kind = ecsapi.StopServiceDeploymentStopTypeRollback
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, found, err := s.services().TxGet(tx, key[:4]...)
		if err != nil {
			return err
		}
		d, known, err := s.deployments().TxGet(tx, key...)
		switch {
		case err != nil:
			return err
		case !found || !known || key[0] != at(ctx).Account:
			return ecsapi.ServiceDeploymentNotFoundException("Service deployment not found.")
		case !d.Ongoing() || r.Deployment != d.ID():
			return ecsapi.ConflictException("The service deployment cannot be stopped because it is in the %s state.", aws.Val(d.Status))
		case d.LifecycleStage != nil && *d.LifecycleStage == ecsapi.ServiceDeploymentLifecycleStageCleanUp:
			return ecsapi.ConflictException("The service deployment cannot be stopped because it is in the CLEAN_UP lifecycle stage.")
		case kind == ecsapi.StopServiceDeploymentStopTypeRollback && !d.RollingBack() && r.WayBack() == nil:
			return ecsapi.ConflictException("The service deployment cannot be rolled back because the service has no earlier service revision that was deployed successfully.")
		}
		d.Ask(kind, *s.now())
		r.Generation++
		if err := s.deployments().TxPut(tx, d, key...); err != nil {
			return err
		}
		return s.services().TxPut(tx, r, key[:4]...)
	})
	if err != nil {
		return nil, err
	}
	return &ecsapi.StopServiceDeploymentOutput{ServiceDeploymentArn: in.ServiceDeploymentArn}, nil
}

// forgetHistory removes what nobody needs of a service's history: all of it once
// the service is gone.
func (s *Service) forgetHistory(ctx context.Context, r *rollout.Service, now time.Time) error {
	deployments, err := s.deployments().List(ctx, r.IDs()...)
	if err != nil {
		return err
	}
	revisions, err := s.revisions().List(ctx, r.IDs()...)
	if err != nil {
		return err
	}
	var needed []string
	for i := range r.Rollouts {
		needed = append(needed, revision.Of(aws.Val(r.Rollouts[i].Id)))
	}
	if r.Stable != nil {
		needed = append(needed, revision.Of(aws.Val(r.Stable.Id)))
	}
	old, unneeded := revision.Expired(deployments, revisions, needed, now)
	for _, id := range old {
		if err := s.deployments().Delete(ctx, r.History(id)...); err != nil {
			return err
		}
	}
	for _, id := range unneeded {
		if err := s.revisions().Delete(ctx, r.History(id)...); err != nil {
			return err
		}
	}
	return nil
}
