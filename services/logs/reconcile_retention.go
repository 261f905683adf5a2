package logs

import (
	"context"
	"errors"

	"minato/controller"
)

// retention deletes events that have expired, and what is left of groups that
// are gone. Its keys are those of the groups, and "orphans".
type retention struct{ *Service }

const orphans = "orphans"

// Keys is part of controller.Reconciler.
func (r *retention) Keys(ctx context.Context) ([]string, error) {
	keys, err := r.groups.Keys(ctx)
	return append(keys, orphans), err
}

// Reconcile is part of controller.Reconciler.
func (r *retention) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	if key == orphans {
		return controller.Result{}, r.sweep(ctx)
	}
	g, found, err := r.groups.GetKey(ctx, key)
	if err != nil || !found || g.RetentionInDays == nil {
		return controller.Result{}, err
	}
	l, err := r.events.Log(g.ID)
	if err != nil {
		return controller.Result{}, err
	}
	return controller.Result{}, l.DropBefore(r.oldest(g, nil))
}

// sweep removes the streams and events of groups that are gone: a crash came
// between the deletion of the group's record and theirs. What is there is
// listed before the groups, so that a group made meanwhile is not taken for an
// orphan.
func (r *retention) sweep(ctx context.Context) error {
	logs, err := r.events.Names()
	if err != nil {
		return err
	}
	streams, err := r.streams.Keys(ctx)
	if err != nil {
		return err
	}
	filters, err := r.filters.Keys(ctx)
	if err != nil {
		return err
	}
	groups, err := r.groups.List(ctx)
	if err != nil {
		return err
	}
	alive := map[string]bool{}
	for _, g := range groups {
		alive[g.ID] = true
	}
	var errs []error
	for _, id := range logs {
		if !alive[id] {
			errs = append(errs, r.events.Remove(id))
		}
	}
	for _, key := range streams {
		if ids := r.streams.IDs(key); len(ids) == 4 && !alive[ids[2]] {
			errs = append(errs, r.streams.Delete(ctx, ids...))
		}
	}
	for _, key := range filters {
		if ids := r.filters.IDs(key); len(ids) == 4 && !alive[ids[2]] {
			errs = append(errs, r.filters.Delete(ctx, ids...))
		}
	}
	return errors.Join(errs...)
}
