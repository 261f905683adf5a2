package cloudformation

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/identity"
	"minato/controller"
	"minato/store"
)

// Why a phase ends early.
var (
	errSuperseded = errors.New("the stack's record asks for something else now")
	errCancelled  = errors.New("another resource of the stack failed")
	errTimeout    = errors.New("the stack's time is over")
)

// phase brings a stack from one status to the next.
type phase func(r *run, ctx context.Context) error

// phases are the statuses in which there is work to do.
var phases = map[string]phase{
	api.StackStatusCreateInProgress:                        (*run).creating,
	api.StackStatusRollbackInProgress:                      (*run).rollingBack,
	api.StackStatusDeleteInProgress:                        (*run).deleting,
	api.StackStatusUpdateInProgress:                        (*run).updating,
	api.StackStatusUpdateCompleteCleanupInProgress:         (*run).cleaning,
	api.StackStatusUpdateRollbackInProgress:                (*run).revertingUpdate,
	api.StackStatusUpdateRollbackCompleteCleanupInProgress: (*run).cleaning,
}

// Keys lists the stacks.
func (s *Service) Keys(ctx context.Context) ([]string, error) { return s.stacks.Keys(ctx) }

// BusPrefix is what the keys of stacks begin with: the controller queues those
// that change.
func (s *Service) BusPrefix() string { return s.stacks.Prefix() }

// Reconcile runs a stack's phases until it is at rest.
func (s *Service) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	for {
		again, err := s.runPhase(ctx, key)
		if err != nil || !again || ctx.Err() != nil {
			return controller.Result{}, err
		}
	}
}

// runPhase runs one phase; again is false when the stack is at rest.
func (s *Service) runPhase(ctx context.Context, key string) (again bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Registered before the record is read, so that whoever changes the record
	// afterwards finds somebody to interrupt.
	s.mu.Lock()
	s.running[key] = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.running, key)
		s.mu.Unlock()
	}()
	st, found, err := s.stacks.GetKey(ctx, key)
	if err != nil || !found || phases[st.status()] == nil {
		return false, err
	}
	r, err := s.newRun(ctx, &st)
	if err != nil {
		return false, err
	}
	err = phases[st.status()](r, r.identity(ctx))
	if cause := context.Cause(ctx); cause != nil {
		return errors.Is(cause, errSuperseded), nil // a stop of the daemon: the next one goes on
	}
	return err == nil, err
}

// run is one phase of one stack while it runs.
type run struct {
	s       *Service
	st      *stackRecord
	records *records
	imports importSet
	secrets []string     // that must not get into events
	hidden  hidden       // nor these, which were read meanwhile
	active  atomic.Int32 // steps that run
	stuck   atomic.Int32 // those of them that wait for another to mend their error
}

func (s *Service) newRun(ctx context.Context, st *stackRecord) (*run, error) {
	list, err := s.resources.List(ctx, st.Account, st.Region, st.ID)
	if err != nil {
		return nil, err
	}
	return &run{s: s, st: st, records: newRecords(list), secrets: s.secrets(st)}, nil
}

// identity puts into the context whose rights make the resources.
func (r *run) identity(ctx context.Context) context.Context {
	c := r.st.Work.Caller
	c.Via = principal
	return identity.With(ctx, c)
}

// become moves the stack to a status, with its event, unless somebody else
// did meanwhile. change may alter the record, and write more.
func (r *run) become(ctx context.Context, status, reason string, change func(tx *store.Tx, st *stackRecord) error) error {
	// A cancelled phase may still have to say how it ended.
	ctx = context.WithoutCancel(ctx)
	now := r.s.clock.Now()
	return store.Update(ctx, r.s.store, func(tx *store.Tx) error {
		cur, found, err := r.s.stacks.TxGet(tx, r.st.Account, r.st.Region, r.st.ID)
		if err != nil || !found || cur.status() != r.st.status() || cur.Work.Token != r.st.Work.Token {
			return err
		}
		cur.StackStatus, cur.StackStatusReason = &status, optional(reason)
		if change != nil {
			if err := change(tx, &cur); err != nil {
				return err
			}
		}
		if err := r.s.stacks.TxPut(tx, cur, r.st.Account, r.st.Region, r.st.ID); err != nil {
			return err
		}
		return r.s.putEvent(tx, &cur, now, stackEvent(&cur, status, reason))
	})
}

// creating makes all resources, and the outputs.
func (r *run) creating(ctx context.Context) error {
	d, err := r.define(ctx, r.st.Template, inForce(r.st.Values, r.st.Stored))
	var failed []string
	why := ""
	if err == nil {
		why = r.s.missing(r.identity(ctx), d.t, r.st.Values)
	} else {
		why = err.Error()
	}
	if why == "" {
		timed, cancel := r.timed(ctx)
		failed = r.forward(timed, d, r.st.Tags)
		if errors.Is(context.Cause(timed), errTimeout) {
			why, failed = "Stack creation time exceeded the specified timeout.", nil
		}
		cancel()
	}
	if ended(ctx) {
		return nil
	}
	var out *outcome
	if why == "" && len(failed) == 0 {
		if out, err = r.outputs(ctx, d); err != nil {
			why = err.Error()
		}
	}
	if why == "" && len(failed) == 0 {
		err := r.publish(ctx, out)
		if err == nil {
			return r.become(ctx, api.StackStatusCreateComplete, "", out.show)
		}
		if !aws.IsCode(err, "ValidationError") {
			return err
		}
		if err := r.unpublish(ctx, nil); err != nil {
			return err
		}
		why = aws.AsError(err).Message
	}
	reason := why
	if len(failed) > 0 {
		reason = "The following resource(s) failed to create: [" + strings.Join(failed, ", ") + "]"
	}
	reason = strings.TrimSuffix(reason, ".") + "."
	switch r.st.Work.OnFailure {
	case api.OnFailureDoNothing:
		return r.become(ctx, api.StackStatusCreateFailed, reason, nil)
	case api.OnFailureDelete:
		return r.become(ctx, api.StackStatusDeleteInProgress, reason+" Delete requested by user.", func(_ *store.Tx, st *stackRecord) error {
			st.DeletionTime = aws.Ptr(r.s.clock.Now())
			return nil
		})
	}
	return r.become(ctx, api.StackStatusRollbackInProgress, reason+" Rollback requested by user.", nil)
}

// timed is ctx until the stack's TimeoutInMinutes is over.
func (r *run) timed(ctx context.Context) (context.Context, context.CancelFunc) {
	minutes := aws.Val(r.st.TimeoutInMinutes)
	if minutes == 0 {
		return ctx, func() {}
	}
	end := r.st.CreationTime.Add(time.Duration(minutes) * time.Minute)
	return context.WithTimeoutCause(ctx, end.Sub(r.s.clock.Now()), errTimeout)
}

// rollingBack removes what a failed creation made.
func (r *run) rollingBack(ctx context.Context) error {
	if err := r.unpublish(ctx, nil); err != nil {
		return err
	}
	failed := r.remove(ctx, func(rec *resourceRecord) bool { return true })
	if ended(ctx) {
		return nil
	}
	if len(failed) > 0 {
		return r.become(ctx, api.StackStatusRollbackFailed, "The following resource(s) failed to delete: ["+strings.Join(failed, ", ")+"].", nil)
	}
	return r.become(ctx, api.StackStatusRollbackComplete, "", nil)
}

// deleting removes all resources, and then the stack's name.
func (r *run) deleting(ctx context.Context) error {
	if used, by, err := r.exportsInUse(ctx, nil); err != nil {
		return err
	} else if used != "" {
		return r.become(ctx, api.StackStatusDeleteFailed, "Export "+used+" cannot be deleted as it is in use by "+by, nil)
	}
	failed := r.remove(ctx, func(rec *resourceRecord) bool { return true })
	if ended(ctx) {
		return nil
	}
	if len(failed) > 0 {
		return r.become(ctx, api.StackStatusDeleteFailed, "The following resource(s) failed to delete: ["+strings.Join(failed, ", ")+"]. ", nil)
	}
	sets, err := r.s.changes.List(ctx, r.st.Account, r.st.Region, r.st.ID)
	if err != nil {
		return err
	}
	for _, c := range sets {
		if err := r.s.changes.Delete(ctx, c.Account, c.Region, c.StackID, c.Name); err != nil {
			return err
		}
	}
	if err := r.unpublish(ctx, nil); err != nil {
		return err
	}
	return r.become(ctx, api.StackStatusDeleteComplete, "", func(tx *store.Tx, st *stackRecord) error {
		r.s.names.TxDelete(tx, st.Account, st.Region, st.name())
		return new(outcome).show(tx, st)
	})
}

// updating brings the resources to the new template.
func (r *run) updating(ctx context.Context) error {
	d, err := r.define(ctx, r.st.Template, inForce(r.st.Values, r.st.Stored))
	if err != nil {
		return r.updateFailed(ctx, err.Error())
	}
	if why := r.s.missing(r.identity(ctx), d.t, r.st.Values); why != "" && !ended(ctx) {
		return r.updateFailed(ctx, why)
	}
	failed := r.forward(ctx, d, r.st.Tags)
	if ended(ctx) {
		return nil
	}
	if len(failed) > 0 {
		return r.updateFailed(ctx, "The following resource(s) failed to update: ["+strings.Join(failed, ", ")+"].")
	}
	out, err := r.outputs(ctx, d)
	if err != nil {
		return r.updateFailed(ctx, err.Error())
	}
	if used, by, err := r.exportsInUse(ctx, out.exports); err != nil {
		return err
	} else if used != "" {
		return r.updateFailed(ctx, "Export "+used+" cannot be updated as it is in use by "+by)
	}
	if err := r.publish(ctx, out); aws.IsCode(err, "ValidationError") {
		return r.updateFailed(ctx, aws.AsError(err).Message)
	} else if err != nil {
		return err
	}
	return r.become(ctx, api.StackStatusUpdateCompleteCleanupInProgress, "", out.show)
}

// updateFailed begins to go back, or leaves the stack as it is when that was
// asked for.
func (r *run) updateFailed(ctx context.Context, reason string) error {
	if r.st.Work.OnFailure == api.OnFailureDoNothing {
		return r.become(ctx, api.StackStatusUpdateFailed, reason, nil)
	}
	return r.become(ctx, api.StackStatusUpdateRollbackInProgress, reason, nil)
}

// revertingUpdate brings the resources back to the template of before.
func (r *run) revertingUpdate(ctx context.Context) error {
	w := r.st.Work
	d, err := r.define(ctx, w.OldTemplate, inForce(w.OldValues, w.OldStored))
	if err != nil {
		return r.become(ctx, api.StackStatusUpdateRollbackFailed, err.Error(), nil)
	}
	if err := r.swapBack(ctx); err != nil {
		return err
	}
	failed := r.forward(ctx, d, w.OldTags)
	if ended(ctx) {
		return nil
	}
	if len(failed) > 0 {
		return r.become(ctx, api.StackStatusUpdateRollbackFailed, "The following resource(s) failed to update: ["+strings.Join(failed, ", ")+"].", nil)
	}
	out, err := r.outputs(ctx, d)
	if err != nil {
		return r.become(ctx, api.StackStatusUpdateRollbackFailed, err.Error(), nil)
	}
	if err := r.publish(ctx, out); err != nil {
		return err
	}
	return r.become(ctx, api.StackStatusUpdateRollbackCompleteCleanupInProgress, "", func(tx *store.Tx, st *stackRecord) error {
		st.Template, st.Values, st.Stored, st.Tags = w.OldTemplate, w.OldValues, w.OldStored, w.OldTags
		return out.show(tx, st)
	})
}

// cleaning removes what an update, or its rollback, left behind.
func (r *run) cleaning(ctx context.Context) error {
	d, err := r.define(ctx, r.st.Template, inForce(r.st.Values, r.st.Stored))
	if err != nil {
		return err
	}
	// What can not be removed is left to the user, as AWS does.
	r.removeOld(ctx)
	r.remove(ctx, func(rec *resourceRecord) bool { _, wanted := d.deps[rec.LogicalID]; return !wanted })
	if ended(ctx) {
		return nil
	}
	status := api.StackStatusUpdateComplete
	if r.st.status() == api.StackStatusUpdateRollbackCompleteCleanupInProgress {
		status = api.StackStatusUpdateRollbackComplete
	}
	return r.become(ctx, status, "", nil)
}

// define makes the definition of one of the stack's templates.
func (r *run) define(ctx context.Context, text string, values map[string]string) (*definition, error) {
	return r.s.define(ctx, r.st.place(), r.st.name(), aws.Val(r.st.StackId), text, values)
}

// ended tells whether the phase was stopped from outside.
func ended(ctx context.Context) bool { return context.Cause(ctx) != nil }

// sleep waits between two looks; the waits grow from 5 ms to half a second.
func (r *run) sleep(ctx context.Context, d *time.Duration) error {
	*d = min(max(*d*3/2, 5*time.Millisecond), 500*time.Millisecond)
	select {
	case <-r.s.clock.After(*d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
