package cloudformation

import (
	"context"
	"slices"
	"time"

	api "minato/aws/api/cloudformation"
	"minato/services/cloudformation/resources"
)

// busy are the errors after which a deletion is tried again: something else
// still uses the resource, and is being removed too.
var busy = []string{
	"DependencyViolation", "ResourceInUse", "ResourceInUseException", "InvalidDBSubnetGroupStateFault", "InvalidDBParameterGroupState", "InvalidDBInstanceState",
	"DeleteConflict", "InvalidIPAddress.InUse", "AuthFailure", "InvalidAddress.InUse", "OperationNotPermitted", "ClusterContainsServicesException", "ClusterContainsTasksException", "ClusterContainsContainerInstancesException",
}

// remove deletes the resources that are to go, in the reverse of the order in
// which they were made, and returns those that could not be deleted.
func (r *run) remove(ctx context.Context, which func(*resourceRecord) bool) []string {
	return r.walk(ctx, r.backwards(func(rec *resourceRecord) bool { return rec.exists() && which(rec) }), false, r.drop)
}

// backwards are the steps of some resources in the reverse of the order in which
// they were made.
func (r *run) backwards(which func(*resourceRecord) bool) []step {
	after := map[string][]string{}
	var steps []step
	for _, rec := range r.records.all() {
		if !which(&rec) {
			continue
		}
		steps = append(steps, step{id: rec.LogicalID})
		for _, before := range rec.DependsOn {
			after[before] = append(after[before], rec.LogicalID)
		}
	}
	for i := range steps {
		steps[i].after = after[steps[i].id]
	}
	return steps
}

// drop deletes one resource, or leaves it when its policy says so.
func (r *run) drop(ctx context.Context, id string) error {
	rec, _ := r.records.get(id)
	never := rec.PhysicalID == "" && rec.Old == nil
	keep := rec.DeletionPolicy == "Retain" || slices.Contains(r.st.Work.Retain, id) ||
		rec.DeletionPolicy == "RetainExceptOnCreate" && r.st.status() != api.StackStatusRollbackInProgress
	switch {
	case never:
		rec.Status, rec.Reason = api.ResourceStatusDeleteComplete, ""
		return r.save(ctx, &rec, false)
	case keep:
		rec.Status, rec.Reason = api.ResourceStatusDeleteSkipped, ""
		return r.save(ctx, &rec, true)
	}
	if rec.Status != api.ResourceStatusDeleteInProgress {
		rec.Status, rec.Reason = api.ResourceStatusDeleteInProgress, ""
		if err := r.save(ctx, &rec, true); err != nil {
			return err
		}
	}
	err := r.dropVersions(ctx, &rec)
	if err == nil {
		rec.Status, rec.Reason = api.ResourceStatusDeleteComplete, ""
		return r.save(ctx, &rec, true)
	}
	if !ended(ctx) {
		r.fail(ctx, &rec, r.reason(err))
	}
	return err
}

// snapshot tells whether a final snapshot is kept: when the policy says so, and
// of a database when there is no policy; not of what a failed creation made.
func (r *run) snapshot(rec *resourceRecord) bool {
	if r.st.status() == api.StackStatusRollbackInProgress {
		return false
	}
	return rec.DeletionPolicy == "Snapshot" || rec.DeletionPolicy == "" && rec.Type == "AWS::RDS::DBInstance"
}

// dropVersions deletes a resource and what a replacement left of it.
func (r *run) dropVersions(ctx context.Context, rec *resourceRecord) error {
	if rec.PhysicalID != "" {
		req := r.request(rec)
		req.Snapshot = r.snapshot(rec)
		if err := r.destroy(ctx, req, r.s.types[rec.Type]); err != nil {
			return err
		}
	}
	if rec.Old == nil || rec.Old.PhysicalID == "" {
		return nil
	}
	old := *rec
	old.become(rec.Old)
	return r.destroy(ctx, r.request(&old), r.s.types[old.Type])
}

// destroy deletes and waits until it is gone.
func (r *run) destroy(ctx context.Context, req *resources.Request, t resources.Type) error {
	if t.Delete == nil {
		return nil
	}
	deadline := r.s.clock.Now().Add(retryLimit)
	var pause time.Duration
	for {
		err := t.Delete(ctx, req)
		if err == nil {
			break
		}
		if !retryable(err, busy) || r.s.clock.Now().After(deadline) {
			return err
		}
		if err := r.sleep(ctx, &pause); err != nil {
			return err
		}
	}
	deadline = r.s.clock.Now().Add(stabilizeLimit)
	for pause = 0; t.Gone != nil; {
		gone, err := t.Gone(ctx, req)
		if err != nil || gone {
			return err
		}
		if r.s.clock.Now().After(deadline) {
			return resources.NotStabilized("%s did not stabilize.", req.PhysicalID)
		}
		if err := r.sleep(ctx, &pause); err != nil {
			return err
		}
	}
	return nil
}

// swapBack puts the incarnations that an update replaced in their place again;
// what it made instead is what the cleanup will remove.
func (r *run) swapBack(ctx context.Context) error {
	for _, rec := range r.records.all() {
		if rec.Old == nil || rec.RolledBack {
			continue
		}
		made := rec.version()
		rec.become(rec.Old)
		rec.Old, rec.RolledBack = made, true
		rec.Status, rec.Reason = api.ResourceStatusUpdateComplete, ""
		if err := r.save(ctx, &rec, true); err != nil {
			return err
		}
	}
	return nil
}

// removeOld deletes what replacements left behind.
func (r *run) removeOld(ctx context.Context) {
	r.walk(ctx, r.backwards(func(rec *resourceRecord) bool { return rec.Old != nil }), false, func(ctx context.Context, id string) error {
		rec, _ := r.records.get(id)
		settled := rec.Status
		var err error
		if rec.Old.PhysicalID != "" && (rec.UpdateReplacePolicy != "Retain" || rec.RolledBack) {
			old := rec
			old.become(rec.Old)
			shown := old
			shown.Status, shown.Reason = api.ResourceStatusDeleteInProgress, ""
			if err := r.event(ctx, &shown); err != nil {
				return err
			}
			req := r.request(&old)
			req.Snapshot = rec.UpdateReplacePolicy == "Snapshot" && !rec.RolledBack
			err = r.destroy(ctx, req, r.s.types[old.Type])
			if ended(ctx) {
				return err
			}
			if err != nil {
				shown.Status, shown.Reason = api.ResourceStatusDeleteFailed, r.reason(err)
			} else {
				shown.Status = api.ResourceStatusDeleteComplete
			}
			if err := r.event(ctx, &shown); err != nil {
				return err
			}
		}
		rec.Old, rec.RolledBack, rec.Status = nil, false, settled
		return r.save(ctx, &rec, false)
	})
}

// event writes an event of something that has no record of its own.
func (r *run) event(ctx context.Context, rec *resourceRecord) error {
	return r.s.event(context.WithoutCancel(ctx), r.st, resourceEvent(rec, r.s.clock.Now(), ""))
}
