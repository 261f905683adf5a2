package ecs

import (
	"context"
	"time"

	"minato/aws"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/services/ecs/record"
)

// roleSession is a session of a role for a task.
type roleSession struct {
	caller identity.Caller
	keys   stsapi.Credentials
	made   time.Time
}

// sessionMargin is how long before its end a session is replaced.
const sessionMargin = 15 * time.Minute

// session returns a task's session of a role, made or renewed if need be.
func (s *Service) session(ctx context.Context, t *record.Task, role string) (*roleSession, error) {
	key := t.ID + " " + role
	now := s.Clock.Now()
	s.mu.Lock()
	have := s.sessions[key]
	s.mu.Unlock()
	if have != nil && now.Before(have.keys.Expiration.Add(-sessionMargin)) {
		return have, nil
	}
	asTasks := identity.With(ctx, identity.ServiceCaller(TasksPrincipal, t.Place.Account, t.Place.Region))
	out, err := s.STS.AssumeRole(asTasks, &stsapi.AssumeRoleInput{RoleArn: &role, RoleSessionName: &t.ID})
	if aws.IsCode(err, "AccessDenied") || aws.IsCode(err, "AccessDeniedException") || aws.IsCode(err, "NoSuchEntity") {
		return nil, failure(err, "ECS was unable to assume the role '%s' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.", role)
	}
	if err != nil {
		return nil, err
	}
	a, _ := arn.Parse(role)
	have = &roleSession{keys: *out.Credentials, made: now, caller: identity.Caller{
		Kind: identity.AssumedRole, Account: a.Account, Region: t.Place.Region, Partition: t.Place.Partition,
		ARN: *out.AssumedRoleUser.Arn, UserID: *out.AssumedRoleUser.AssumedRoleId, PrincipalID: role,
	}}
	s.mu.Lock()
	s.sessions[key] = have
	s.mu.Unlock()
	return have, nil
}

// asRole is ctx with the identity of a task's session of a role.
func (s *Service) asRole(ctx context.Context, t *record.Task, role string) (context.Context, error) {
	session, err := s.session(ctx, t, role)
	if err != nil {
		return nil, err
	}
	return identity.With(ctx, session.caller), nil
}

// forgetTask lets go of what is remembered of a task besides its record.
func (s *Service) forgetTask(t *record.Task) {
	s.held.Drop(t.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.sessions {
		if key[:record.TaskIDLength] == t.ID {
			delete(s.sessions, key)
		}
	}
	for _, c := range t.Containers {
		delete(s.logged, aws.Val(c.RuntimeId))
	}
}
