package ecs

import (
	"context"
	"errors"
	"net"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/services/ecs/definition"
	"minato/services/ecs/failure"
	"minato/services/ecs/pull"
	"minato/services/ecs/record"
)

// How often and how long a task tries to reach ECR. These are real attempts and
// real time-outs: a route that comes late is found.
const (
	reachRetries = 3
	reachTimeout = 2 * time.Second
)

// reachRegistry finds out whether the task's own interface reaches ECR.
func (s *Service) reachRegistry(ctx context.Context, t *record.Task, region string) error {
	err := s.reach(ctx, t, 1+reachRetries)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return failure.Of(err, "%s", pull.NoWay(region, s.Registry.String(), reachRetries, err))
}

// reach connects to AWS's services from the task's own interface, by its own
// routes and groups.
func (s *Service) reach(ctx context.Context, t *record.Task, attempts int) error {
	return s.waiting(func() error { return s.tryToReach(ctx, t, attempts) })
}

func (s *Service) tryToReach(ctx context.Context, t *record.Task, attempts int) error {
	var last error
	for range attempts {
		dctx, cancel := context.WithTimeout(ctx, reachTimeout)
		conn, err := s.Runtime.Dial(dctx, t.RuntimeGroup(), s.Registry.String())
		cancel()
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = err
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			// Refused, or no route at all: not worth a pause, but worth a retry.
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return last
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logInToRegistry asks for ECR's login as the execution role.
func (s *Service) logInToRegistry(ctx context.Context, t *record.Task, d *record.TaskDefinition) error {
	role := t.ExecutionRole(d)
	if role == "" {
		return failure.Of(nil, "%s", pull.NoLogin("no execution role was given for this task"))
	}
	ctx, err := s.asRole(ctx, t, role)
	if err != nil {
		return err
	}
	if _, err := s.ECR.GetAuthorizationToken(ctx, &ecrapi.GetAuthorizationTokenInput{}); err != nil {
		e := aws.AsError(err)
		return failure.Of(err, "%s", pull.NoLogin(e.Code+": "+e.Message))
	}
	return nil
}

// resolve asks ECR, as the execution role, what an image's tag stands for.
func (s *Service) resolve(ctx context.Context, t *record.Task, d *record.TaskDefinition, ref pull.Ref) (string, error) {
	ctx, err := s.asRole(ctx, t, t.ExecutionRole(d))
	if err != nil {
		return "", err
	}
	return pull.Resolve(ctx, s.ECR, ref, definition.Architecture(&d.TaskDefinition))
}
