package ecs

import (
	"context"
	"encoding/json"
	"slices"
	"sync"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/listing"
	"minato/services/ecs/rollout"
	"minato/store"
)

// DescribeServices shows services, those that were deleted lately too.
func (s *Service) DescribeServices(ctx context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	if len(in.Services) == 0 {
		return nil, invalid("Services can not be empty.")
	}
	if len(in.Services) > 10 {
		return nil, invalid("Services can not have more than 10 elements.")
	}
	name, err := clusterName(in.Cluster)
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	if _, found, err := s.clusters.Get(ctx, p.Account, p.Region, name); err != nil || !found {
		if err == nil {
			err = clusterNotFound()
		}
		return nil, err
	}
	out := &ecsapi.DescribeServicesOutput{Services: []ecsapi.Service{}, Failures: []ecsapi.Failure{}}
	for _, text := range in.Services {
		ids, err := serviceIDs(ctx, in.Cluster, &text)
		if err != nil {
			return nil, err
		}
		shown, found, err := s.shown.get(ctx, s, s.services().Key(ids...))
		if err != nil {
			return nil, err
		}
		if !found {
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: aws.Ptr(p.ECSService(name, ids[3])), Reason: aws.Ptr("MISSING")})
			continue
		}
		if !slices.Contains(in.Include, ecsapi.ServiceFieldTags) {
			shown.Tags = nil
		}
		out.Services = append(out.Services, shown)
	}
	return out, nil
}

// shownServices are services as they are shown, by key, with the revision of the
// record that they were made of: a service with its hundred events takes longer
// to decode than to send, and waiters ask again and again.
type shownServices struct {
	mu sync.Mutex
	m  map[string]shownService // guarded
}

type shownService struct {
	revision store.Revision
	service  ecsapi.Service // shared, so not to be changed in depth
}

// get shows the service with a key as its record is now.
func (c *shownServices) get(ctx context.Context, s *Service, key string) (ecsapi.Service, bool, error) {
	raw, found, err := s.Store.Get(ctx, key)
	if err != nil {
		return ecsapi.Service{}, false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !found {
		delete(c.m, key)
		return ecsapi.Service{}, false, nil
	}
	if have, ok := c.m[key]; ok && have.revision == raw.Revision {
		return have.service, true, nil
	}
	var rec rollout.Service
	if err := json.Unmarshal(raw.Value, &rec); err != nil {
		return ecsapi.Service{}, false, aws.Internal(err)
	}
	if c.m == nil {
		c.m = map[string]shownService{}
	}
	c.m[key] = shownService{raw.Revision, rec.Shown(true)}
	return c.m[key].service, true, nil
}

// listedServices is how many ARNs ListServices answers with unless told; other
// lists have a hundred.
const listedServices = 10

// ListServices lists the ARNs of a cluster's services that are not gone.
func (s *Service) ListServices(ctx context.Context, in *ecsapi.ListServicesInput) (*ecsapi.ListServicesOutput, error) {
	c, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	all, err := s.services().List(ctx, p.Account, p.Region, aws.Val(c.ClusterName))
	if err != nil {
		return nil, err
	}
	arns := []string{}
	for i := range all {
		r := &all[i]
		if aws.Val(r.Status) == statusInactive ||
			in.LaunchType != nil && aws.Val(r.LaunchType) != *in.LaunchType ||
			in.SchedulingStrategy != nil && aws.Val(r.SchedulingStrategy) != *in.SchedulingStrategy {
			continue
		}
		arns = append(arns, aws.Val(r.ServiceArn))
	}
	out := &ecsapi.ListServicesOutput{}
	out.ServiceArns, out.NextToken, err = listing.Page(arns, in.NextToken, in.MaxResults, listedServices)
	return out, err
}

// activeServices counts a cluster's services that are not gone.
func (s *Service) activeServices(ctx context.Context, cluster string) (int, error) {
	p := at(ctx)
	all, err := s.services().List(ctx, p.Account, p.Region, cluster)
	n := 0
	for i := range all {
		if aws.Val(all[i].Status) != statusInactive {
			n++
		}
	}
	return n, err
}

// taggedService is a service as something that has tags.
func (s *Service) taggedService(p arn.Place, a arn.ARN) tagged {
	ids := append([]string{p.Account, p.Region}, clusterAndName(a)...)
	return func(tx *store.Tx, change func(tags *[]ecsapi.Tag) error) (bool, error) {
		r, found, err := s.services().TxGet(tx, ids...)
		if err != nil || !found || aws.Val(r.Status) == statusInactive {
			return false, err
		}
		if err := change(&r.Tags); err != nil {
			return true, err
		}
		return true, s.services().TxPut(tx, r, ids...)
	}
}

// clusterAndName takes "chat/web" of a service's ARN apart; in the short form,
// without a cluster, the default one is meant.
func clusterAndName(a arn.ARN) []string {
	parts := arn.ARN{Resource: a.ID()}
	if cluster := parts.Kind(); cluster != a.ID() {
		return []string{cluster, parts.Last()}
	}
	return []string{defaultCluster, a.ID()}
}
