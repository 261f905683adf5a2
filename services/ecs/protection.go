package ecs

import (
	"context"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/life"
	"minato/services/ecs/protect"
	"minato/services/ecs/record"
	"minato/store"
)

// UpdateTaskProtection keeps tasks of services from being scaled in or replaced
// by a deployment for a while, or no longer. The service's reconciler honours it.
func (s *Service) UpdateTaskProtection(ctx context.Context, in *ecsapi.UpdateTaskProtectionInput) (*ecsapi.UpdateTaskProtectionOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	now := s.Clock.Now().UTC()
	until, err := protect.Until(in, now)
	if err != nil {
		return nil, err
	}
	var out *ecsapi.UpdateTaskProtectionOutput
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		out = &ecsapi.UpdateTaskProtectionOutput{ProtectedTasks: []ecsapi.ProtectedTask{}, Failures: []ecsapi.Failure{}}
		for _, text := range in.Tasks {
			id, _ := nameOf("task", text)
			p := at(ctx)
			t, found, err := s.tasks.TxGet(tx, p.Account, p.Region, id)
			if err != nil {
				return err
			}
			found = found && t.Cluster == *cluster.ClusterName
			taskARN := p.ECSTask(*cluster.ClusterName, id)
			state, err := s.protectable(ctx, &t, found)
			if err != nil {
				return err
			}
			if f := state.Denied(taskARN, aws.Val(in.ProtectionEnabled)); f != nil {
				out.Failures = append(out.Failures, *f)
				continue
			}
			t.ProtectedUntil = until
			if err := s.putTask(tx, t); err != nil {
				return err
			}
			out.ProtectedTasks = append(out.ProtectedTasks, protect.Shown(taskARN, until, now))
		}
		return nil
	})
	return out, err
}

// GetTaskProtection tells until when tasks are protected.
func (s *Service) GetTaskProtection(ctx context.Context, in *ecsapi.GetTaskProtectionInput) (*ecsapi.GetTaskProtectionOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	if err := protect.CheckGet(in.Tasks); err != nil {
		return nil, err
	}
	out := &ecsapi.GetTaskProtectionOutput{ProtectedTasks: []ecsapi.ProtectedTask{}, Failures: []ecsapi.Failure{}}
	for _, text := range in.Tasks {
		t, found, err := s.taskOf(ctx, *cluster.ClusterName, text)
		if err != nil {
			return nil, err
		}
		id, _ := nameOf("task", text)
		taskARN := at(ctx).ECSTask(*cluster.ClusterName, id)
		state, err := s.protectable(ctx, &t, found)
		if err != nil {
			return nil, err
		}
		if f := state.Failure(taskARN); f != nil {
			out.Failures = append(out.Failures, *f)
			continue
		}
		out.ProtectedTasks = append(out.ProtectedTasks, protect.Shown(taskARN, t.ProtectedUntil, s.Clock.Now()))
	}
	return out, nil
}

// protectable is what decides whether a task can be protected.
func (s *Service) protectable(ctx context.Context, t *record.Task, found bool) (protect.Task, error) {
	if !found {
		return protect.Task{}, nil
	}
	name, ofService := t.OfService()
	out := protect.Task{Found: true, OfService: ofService, Stopping: t.Stopping()}
	if !ofService || out.Stopping {
		return out, nil
	}
	rec, there, err := s.services().Get(ctx, t.Place.Account, t.Place.Region, t.Cluster, name)
	if err != nil || !there || rec.Primary() == nil {
		return out, err
	}
	all, err := s.tasks.ReadAll(ctx, t.Place.Account, t.Place.Region)
	if err != nil {
		return out, err
	}
	var members []protect.Member
	for i := range all {
		if x := &all[i]; x.Cluster == t.Cluster && aws.Val(x.Group) == aws.Val(t.Group) && !x.Stopping() {
			members = append(members, protect.Member{
				Primary: aws.Val(x.StartedBy) == aws.Val(rec.Primary().Id), Running: aws.Val(x.LastStatus) == life.Running, Until: x.ProtectedUntil,
			})
		}
	}
	out.Blocked = protect.Blocked(members, int(aws.Val(rec.DesiredCount)), s.Clock.Now())
	return out, nil
}
