package ecs

import (
	"context"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/services/ecs/definition"
	"minato/services/ecs/envfile"
	"minato/services/ecs/failure"
	"minato/services/ecs/reach"
	"minato/services/ecs/record"
	"minato/services/ecs/secrets"
)

// secretsFor gets values for a task as its execution role, by the task's own
// route.
func (s *Service) secretsFor(t *record.Task, d *record.TaskDefinition) *secrets.Resolver {
	return &secrets.Resolver{
		Secrets: s.Secrets, Parameters: s.Parameters,
		As: func(ctx context.Context, region string) (context.Context, error) {
			role := t.ExecutionRole(d)
			if role == "" {
				return nil, failure.Of(nil, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: no execution role was given for this task")
			}
			ctx, err := s.asRole(ctx, t, role)
			if err == nil && region != "" {
				caller := identity.From(ctx)
				caller.Region = region
				ctx = identity.With(ctx, caller)
			}
			return ctx, err
		},
		Reach: func(ctx context.Context, service, region string, attempts int) (reach.Mark, error) {
			if region == "" {
				region = t.Place.Region
			}
			way, err := s.reach(ctx, t, reach.Host(service, region), attempts)
			return func(ctx context.Context) context.Context { return through(ctx, t, way.Through) }, err
		},
	}
}

// filesFor gets environment files for a task, as secretsFor secrets.
func (s *Service) filesFor(from *secrets.Resolver) *envfile.Resolver {
	return &envfile.Resolver{S3: s.Buckets, As: func(ctx context.Context) (context.Context, error) { return from.As(ctx, "") }, Reach: func(ctx context.Context, attempts int) (reach.Mark, error) {
		return from.Reach(ctx, "s3", "", attempts)
	}}
}

// environmentOf is what the secrets of a task's containers are, and what is in
// their environment files. It is kept in
// memory until the containers were made, and got anew when it is not there.
func (s *Service) environmentOf(ctx context.Context, t *record.Task, d *record.TaskDefinition, from *secrets.Resolver) (secrets.Environment, error) {
	if !secrets.Wanted(d.ContainerDefinitions) && !envfile.Wanted(d.ContainerDefinitions) {
		return nil, nil
	}
	if e, ok := s.held.Get(t.ID); ok {
		return e, nil
	}
	if from == nil {
		from = s.secretsFor(t, d)
	}
	e, err := from.Environment(ctx, d.ContainerDefinitions)
	if err != nil {
		return nil, err
	}
	err = s.filesFor(from).Add(ctx, d.ContainerDefinitions, e, func(name string) []string {
		return s.specOf(t, d).Container(definition.Container(&d.TaskDefinition, name), t.Container(name)).Env
	})
	if err != nil {
		return nil, err
	}
	s.held.Put(t.ID, e)
	return e, nil
}

// login is what a container's image is pulled with, nil for none.
func login(ctx context.Context, from *secrets.Resolver, c *ecsapi.ContainerDefinition) (*secrets.Login, error) {
	if c.RepositoryCredentials == nil {
		return nil, nil
	}
	l, err := from.Login(ctx, aws.Val(c.RepositoryCredentials.CredentialsParameter))
	return l, err
}
