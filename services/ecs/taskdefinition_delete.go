package ecs

import (
	"context"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/controller"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/services/ecs/view"
)

// definitionReconciler removes task definitions that are being deleted.
const definitionReconciler = "ecs-task-definition"

// definitionKept is how long a task definition that nobody uses stays
// DELETE_IN_PROGRESS: whoever found it active just before has made use of it by
// then.
const definitionKept = time.Minute

// DeleteTaskDefinitions begins to delete inactive revisions. What runs of one runs
// on, and services go on with it: it stays DELETE_IN_PROGRESS until then.
func (s *Service) DeleteTaskDefinitions(ctx context.Context, in *ecsapi.DeleteTaskDefinitionsInput) (*ecsapi.DeleteTaskDefinitionsOutput, error) {
	if len(in.TaskDefinitions) > 10 {
		return nil, invalid("Task definitions can not have more than 10 elements.")
	}
	out := &ecsapi.DeleteTaskDefinitionsOutput{TaskDefinitions: []ecsapi.TaskDefinition{}, Failures: []ecsapi.Failure{}}
	p := at(ctx)
	for _, text := range in.TaskDefinitions {
		d, found, err := s.definition(ctx, p, text)
		if err != nil {
			return nil, err
		}
		switch {
		case !found:
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: &text, Reason: aws.Ptr("The specified task definition does not exist.")})
			continue
		case aws.Val(d.Status) == statusActive:
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: d.TaskDefinitionArn, Reason: aws.Ptr("The specified task definition is still in ACTIVE status. Please deregister the target and try again.")})
			continue
		}
		d, err = s.changeDefinition(ctx, *d.Family, *d.Revision, func(d *record.TaskDefinition) error {
			if d.DeleteRequestedAt == nil {
				d.Status, d.DeleteRequestedAt = aws.Ptr(ecsapi.TaskDefinitionStatusDeleteInProgress), s.now()
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out.TaskDefinitions = append(out.TaskDefinitions, *view.Definition(d.TaskDefinition))
	}
	return out, nil
}

// definitionLoop reconciles task definitions.
type definitionLoop struct{ *Service }

// Keys implements controller.Reconciler.
func (l *definitionLoop) Keys(ctx context.Context) ([]string, error) { return l.definitions.Keys(ctx) }

// Reconcile removes a task definition that is being deleted when nobody uses it.
func (l *definitionLoop) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	d, found, err := l.definitions.ReadKey(ctx, key)
	if err != nil || !found || d.DeleteRequestedAt == nil {
		return controller.Result{}, err
	}
	ids := l.definitions.IDs(key)
	used, err := l.definitionUsed(ctx, aws.Val(d.TaskDefinitionArn), ids[0], ids[1])
	if err != nil {
		return controller.Result{}, err
	}
	if used || l.Clock.Now().Sub(l.Clock.At(*d.DeleteRequestedAt)) < definitionKept {
		return controller.Result{After: definitionKept}, nil
	}
	return controller.Result{}, l.definitions.Delete(ctx, ids...)
}

// definitionUsed tells whether tasks or services of a place need a task definition.
func (s *Service) definitionUsed(ctx context.Context, arn string, place ...string) (bool, error) {
	tasks, err := s.tasks.ReadAll(ctx, place...)
	if err != nil {
		return false, err
	}
	for i := range tasks {
		if t := &tasks[i]; aws.Val(t.TaskDefinitionArn) == arn && aws.Val(t.LastStatus) != life.Stopped {
			return true, nil
		}
	}
	services, err := s.services().List(ctx, place...)
	if err != nil {
		return false, err
	}
	for i := range services {
		if services[i].Uses(arn) {
			return true, nil
		}
	}
	return false, nil
}
