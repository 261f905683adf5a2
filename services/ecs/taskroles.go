package ecs

import (
	"context"

	"minato/aws"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway/metadata"
	"minato/services/ecs/failure"
	"minato/services/ecs/record"
)

// session returns a task's session of a role, made or renewed if need be.
func (s *Service) session(ctx context.Context, t *record.Task, role string) (*metadata.Credentials, error) {
	asTasks := identity.With(ctx, identity.ServiceCaller(TasksPrincipal, t.Place.Account, t.Place.Region))
	return s.sessions.Get(asTasks, role, t.ID)
}

// assume fetches keys of a role for a task: the role must trust ECS's tasks.
func (s *Service) assume(ctx context.Context, role, task string) (*metadata.Credentials, error) {
	out, err := s.STS.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &role, RoleSessionName: &task})
	if aws.IsCode(err, "AccessDenied") || aws.IsCode(err, "AccessDeniedException") || aws.IsCode(err, "NoSuchEntity") {
		return nil, failure.Of(err, "ECS was unable to assume the role '%s' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.", role)
	}
	if err != nil {
		return nil, err
	}
	a, _ := arn.Parse(role)
	ecs := identity.From(ctx)
	return &metadata.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, Token: *out.Credentials.SessionToken, Expiration: *out.Credentials.Expiration,
		Caller: identity.Caller{
			Kind: identity.AssumedRole, Account: a.Account, Region: ecs.Region, Partition: ecs.Partition,
			ARN: *out.AssumedRoleUser.Arn, UserID: *out.AssumedRoleUser.AssumedRoleId, PrincipalID: role,
		},
	}, nil
}

// asRole is ctx with the identity of a task's session of a role.
func (s *Service) asRole(ctx context.Context, t *record.Task, role string) (context.Context, error) {
	session, err := s.session(ctx, t, role)
	if err != nil {
		return nil, err
	}
	return identity.With(ctx, session.Caller), nil
}

// forgetTask lets go of what is remembered of a task besides its record.
func (s *Service) forgetTask(t *record.Task) {
	s.held.Drop(t.ID)
	s.sessions.Forget(t.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range t.Containers {
		delete(s.logged, aws.Val(c.RuntimeId))
	}
}
