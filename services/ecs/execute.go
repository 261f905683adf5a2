package ecs

import (
	"context"
	"errors"
	"fmt"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
	"minato/gateway/session"
	"minato/services/ecs/awslogs"
	"minato/services/ecs/definition"
	"minato/services/ecs/exec"
	"minato/services/ecs/reach"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
)

// ExecuteCommand opens a session in which a command runs in a task's container.
func (s *Service) ExecuteCommand(ctx context.Context, in *ecsapi.ExecuteCommandInput) (*ecsapi.ExecuteCommandOutput, error) {
	if !aws.Val(in.Interactive) {
		return nil, invalid("Interactive is the only mode supported currently.")
	}
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	t, found, err := s.taskOf(ctx, *cluster.ClusterName, *in.Task)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, invalid("The referenced task was not found.")
	}
	c, err := exec.Container(&t.Task, in.Container)
	if err != nil {
		return nil, err
	}
	args, err := exec.Arguments(*in.Command)
	if err != nil {
		return nil, err
	}
	if err := exec.Enterable(&t.Task, c); err != nil {
		return nil, err
	}
	d, _, err := s.definition(ctx, t.Place, *t.TaskDefinitionArn)
	if err != nil {
		return nil, err
	}
	role := t.TaskRole(&d)
	if err := s.connectAgent(ctx, &t, role); err != nil {
		s.Log.Info("the agent of ECS Exec does not connect", "task", t.ID, "cause", err)
		return nil, exec.NotConnected(err)
	}
	spec := session.Spec{ID: exec.NewSessionID(), Start: exec.Starter(s.Runtime, *c.RuntimeId, args)}
	if group := exec.LogGroup(cluster.Configuration, logOptions(&d.TaskDefinition, *c.Name)[awslogs.OptionGroup]); group != "" {
		as := func(ctx context.Context) (context.Context, error) { return s.asRole(ctx, &t, role) }
		spec.Transcript = &exec.Transcript{Logs: s.Logs, Group: group, Stream: spec.ID, As: as, Now: s.Clock.Now}
	}
	opened := s.Sessions.Open(ctx, spec)
	s.Log.Info("a session is opened", "session", opened.ID, "task", t.ID, "container", *c.Name, "caller", identity.From(ctx).ARN)
	return &ecsapi.ExecuteCommandOutput{
		ClusterArn: cluster.ClusterArn, TaskArn: t.TaskArn, ContainerArn: c.ContainerArn, ContainerName: c.Name, Interactive: in.Interactive,
		Session: &ecsapi.Session{SessionId: &opened.ID, StreamUrl: &opened.StreamURL, TokenValue: &opened.Token},
	}, nil
}

// taskOf reads a task of a cluster that is given by id or ARN.
func (s *Service) taskOf(ctx context.Context, cluster, text string) (t record.Task, found bool, err error) {
	id, ok := nameOf("task", text)
	if !ok {
		return t, false, nil
	}
	p := at(ctx)
	t, found, err = s.tasks.Get(ctx, p.Account, p.Region, id)
	return t, found && t.Cluster == cluster, err
}

// connectAgent does what the agent in a container has done on AWS when a command
// comes: it has connected to ssmmessages, by the task's own routes and groups and
// as the task role.
func (s *Service) connectAgent(ctx context.Context, t *record.Task, role string) error {
	if !arn.Is(role) {
		return errors.New("the task has no role")
	}
	as, err := s.asRole(ctx, t, role)
	if err != nil {
		return err
	}
	for _, action := range exec.AgentActions {
		if err := s.Authorizer.Authorize(as, identity.From(as), gateway.Check{Action: action, Resource: "*"}); err != nil {
			return err
		}
	}
	if _, err := s.tryToReach(ctx, t, reach.Host("ssmmessages", t.Place.Region), 1); err != nil {
		return fmt.Errorf("ssmmessages is not reached from the task: %w", err)
	}
	return nil
}

// checkEnterable refuses a service that asks for ECS Exec when its task
// definition has no task role.
func (s *Service) checkEnterable(ctx context.Context, next *rollout.Service, in *ecsapi.UpdateServiceInput) error {
	if !aws.Val(next.EnableExecuteCommand) || in.EnableExecuteCommand == nil && in.TaskDefinition == nil {
		return nil
	}
	reference := aws.Val(next.TaskDefinition)
	if in.TaskDefinition != nil {
		reference = *in.TaskDefinition
	}
	d, found, err := s.definition(ctx, next.Place, reference)
	if err == nil && found && aws.Val(d.TaskRoleArn) == "" {
		err = exec.NoServiceRole("updated")
	}
	return err
}

// readOnlyRoot tells whether a container cannot write to its root.
func readOnlyRoot(d *ecsapi.TaskDefinition, name string) bool {
	c := definition.Container(d, name)
	return c != nil && aws.Val(c.ReadonlyRootFilesystem)
}
