package ecs

import (
	"context"
	"net"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
	"minato/gateway"
	"minato/services/ecs/definition"
	"minato/services/ecs/failure"
	"minato/services/ecs/pull"
	"minato/services/ecs/reach"
	"minato/services/ecs/record"
)

// reachRetries is how often a task tries again to reach ECR.
const reachRetries = 3

// reach connects to a host of AWS's from the task's own interface, by its own
// routes and groups, and returns the endpoint that is on the way. Its caller is
// the tasks' reconciler, which gets other work done meanwhile.
func (s *Service) reach(ctx context.Context, t *record.Task, host string, attempts int) (way reach.Way, err error) {
	err = s.waiting(ctx, t, func(ctx context.Context) (err error) { way, err = s.tryToReach(ctx, t, host, attempts); return err })
	return way, err
}

func (s *Service) tryToReach(ctx context.Context, t *record.Task, host string, attempts int) (reach.Way, error) {
	way, err := s.Ways.Way(ctx, t.Subnet.VPC, t.Subnet.ID, host)
	if err != nil {
		return way, err
	}
	return way, reach.Try(ctx, attempts, way, func(ctx context.Context, address string) (net.Conn, error) {
		return s.Runtime.Dial(ctx, t.RuntimeGroup(), address)
	})
}

// through is a context whose calls go from a task through an endpoint.
func through(ctx context.Context, t *record.Task, e *identity.Endpoint) context.Context {
	return reach.Through(ctx, e, t.Address)
}

// unreached makes the failure of a task that does not reach a host, once it is
// not the daemon that ends.
func unreached(ctx context.Context, err error, text func() string) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return failure.Of(err, "%s", text())
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logInToRegistry reaches ECR and asks for its login as the execution role.
func (s *Service) logInToRegistry(ctx context.Context, t *record.Task, d *record.TaskDefinition, region string) error {
	way, err := s.reach(ctx, t, reach.Host("api.ecr", region), 1+reachRetries)
	if err := unreached(ctx, err, func() string { return pull.NoWay(region, way.Address.String(), reachRetries, err) }); err != nil {
		return err
	}
	role := t.ExecutionRole(d)
	if role == "" {
		return failure.Of(nil, "%s", pull.NoLogin("no execution role was given for this task"))
	}
	ctx, err = s.asRole(ctx, t, role)
	if err != nil {
		return err
	}
	if _, err := s.ECR.GetAuthorizationToken(through(ctx, t, way.Through), &ecrapi.GetAuthorizationTokenInput{}); err != nil {
		e := aws.AsError(err)
		return failure.Of(err, "%s", pull.NoLogin(e.Code+": "+e.Message))
	}
	return nil
}

// resolve asks the registry, as the execution role, what an image's tag stands
// for, and reaches S3, which has the layers.
func (s *Service) resolve(ctx context.Context, t *record.Task, d *record.TaskDefinition, ref pull.Ref) (string, error) {
	way, err := s.reach(ctx, t, ref.Host(), 2)
	if err := unreached(ctx, err, func() string { return ref.Unreached(way.Address.String(), err) }); err != nil {
		return "", err
	}
	asRole, err := s.asRole(ctx, t, t.ExecutionRole(d))
	if err != nil {
		return "", err
	}
	digest, err := pull.Resolve(through(asRole, t, way.Through), s.ECR, ref, definition.Architecture(&d.TaskDefinition))
	if err != nil {
		return "", err
	}
	return digest, s.fetchLayers(ctx, t, ref)
}

// fetchLayers reaches the bucket in which ECR has the layers. They are here
// already, but where S3 is not reached, or the endpoint on the way lets nobody
// read that bucket, no image is pulled on AWS either.
func (s *Service) fetchLayers(ctx context.Context, t *record.Task, ref pull.Ref) error {
	bucket, host := reach.Layers(ref.Region)
	way, err := s.reach(ctx, t, host, 2)
	if err := unreached(ctx, err, func() string { return ref.LayersUnreached(host, way.Address.String(), err) }); err != nil {
		return err
	}
	if way.Through == nil {
		return nil
	}
	// The URL is signed by ECR, whose own bucket it is: only the endpoint's policy counts.
	owner := identity.From(through(identity.With(ctx, identity.Caller{Kind: identity.Root, Account: ref.Account, Region: ref.Region}), t, way.Through))
	object := "arn:aws:s3:::" + bucket + "/layers"
	if err := s.Authorizer.Authorize(ctx, owner, gateway.Check{Action: "s3:GetObject", Resource: object}); err != nil {
		return failure.Of(err, "%s", ref.LayersForbidden(host))
	}
	return nil
}
