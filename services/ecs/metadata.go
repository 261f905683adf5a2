package ecs

import (
	"context"
	"errors"

	"minato/aws"
	"minato/aws/arn"
	"minato/dataplane/container"
	"minato/gateway/metadata"
	"minato/services/ecs/inside"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/services/ecs/spec"
)

var _ metadata.Tasks = (*Service)(nil)

// behind finds the task behind a network interface that a filter takes.
func (s *Service) behind(ctx context.Context, eni string, is func(t *record.Task) bool) (*record.Task, error) {
	all, err := s.tasks.ReadAll(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if t := &all[i]; t.ENI == eni && aws.Val(t.LastStatus) != life.Stopped && is(t) {
			return t, nil
		}
	}
	return nil, nil
}

// hasContainer tells whether a task has a container of a runtime id, which is
// what its metadata URI ends with.
func hasContainer(id string) func(t *record.Task) bool {
	return func(t *record.Task) bool {
		for i := range t.Containers {
			if aws.Val(t.Containers[i].RuntimeId) == id {
				return true
			}
		}
		return false
	}
}

// insideOf is what a task is told about itself, as far as records say it.
func (s *Service) insideOf(ctx context.Context, t *record.Task) (*inside.Task, error) {
	d, _, err := s.definition(ctx, t.Place, *t.TaskDefinitionArn)
	if err != nil {
		return nil, err
	}
	return &inside.Task{
		Task: &t.Task, Definition: &d.TaskDefinition, Address: t.Address, Subnet: t.Subnet.CIDR, Resolver: spec.Resolver, Seen: map[string]container.Status{},
		LogStream: func(name string) string { return t.LogStream(logOptions(&d.TaskDefinition, name), name) },
	}, nil
}

// Task implements metadata.Tasks.
func (s *Service) Task(ctx context.Context, eni, metadataID string) (*metadata.Task, error) {
	t, err := s.behind(ctx, eni, hasContainer(metadataID))
	if err != nil || t == nil {
		return nil, err
	}
	told, err := s.insideOf(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, c := range t.Containers {
		status, err := s.Runtime.Get(ctx, *c.RuntimeId)
		if err == nil {
			told.Seen[*c.Name] = status
		} else if !errors.Is(err, container.ErrNotFound) {
			return nil, err
		}
	}
	return told.Metadata(), nil
}

// Stats implements metadata.Tasks.
func (s *Service) Stats(ctx context.Context, eni, metadataID string) (*metadata.Stats, error) {
	t, err := s.behind(ctx, eni, hasContainer(metadataID))
	if err != nil || t == nil {
		return nil, err
	}
	m, err := s.Runtime.Stats(ctx, metadataID)
	if errors.Is(err, container.ErrNotRunning) || errors.Is(err, container.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return (&inside.Task{Task: &t.Task}).Stats(metadataID, &m), nil
}

// AsTaskRole implements metadata.Tasks.
func (s *Service) AsTaskRole(ctx context.Context, eni, metadataID string) (context.Context, error) {
	t, role, err := s.roleBehind(ctx, eni, hasContainer(metadataID))
	if err != nil || role == "" {
		return nil, err
	}
	return s.asRole(ctx, t, role)
}

// TaskCredentials implements metadata.Tasks.
func (s *Service) TaskCredentials(ctx context.Context, eni, id string) (*metadata.Credentials, error) {
	t, role, err := s.roleBehind(ctx, eni, func(t *record.Task) bool { return id != "" && t.CredentialsID == id })
	if err != nil || role == "" {
		return nil, err
	}
	return s.session(ctx, t, role)
}

// roleBehind finds the task behind a network interface that a filter takes, and
// its role; "" when there is none of either.
func (s *Service) roleBehind(ctx context.Context, eni string, is func(t *record.Task) bool) (*record.Task, string, error) {
	t, err := s.behind(ctx, eni, is)
	if err != nil || t == nil {
		return nil, "", err
	}
	d, _, err := s.definition(ctx, t.Place, *t.TaskDefinitionArn)
	if err != nil {
		return nil, "", err
	}
	role := t.TaskRole(&d)
	if !arn.Is(role) {
		role = ""
	}
	return t, role, nil
}
