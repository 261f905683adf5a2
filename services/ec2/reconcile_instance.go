package ec2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"minato/aws"
	"minato/controller"
	"minato/dataplane/container"
	"minato/dataplane/network"
	"minato/services/ec2/guest"
	"minato/store"
)

// InstanceReconcilerName is the name under which the reconciler is added.
const InstanceReconcilerName = "ec2-instances"

// InstancePrefix is what the keys of instances begin with.
const InstancePrefix = "ec2/instance/"

// stopGrace is how long an instance's processes have to end.
const stopGrace = 5 * time.Second

// InstanceReconciler runs the containers of instances.
type InstanceReconciler struct {
	s       *Service
	runtime container.Runtime
	net     network.Network
	guest   guest.Config
}

// NewInstanceReconciler makes the reconciler.
func NewInstanceReconciler(s *Service, runtime container.Runtime, net network.Network, guest guest.Config) *InstanceReconciler {
	return &InstanceReconciler{s: s, runtime: runtime, net: net, guest: guest}
}

// AddTo adds the reconciler to a controller that watches the store.
func (r *InstanceReconciler) AddTo(c *controller.Controller) {
	c.Add(InstanceReconcilerName, r, controller.Options{Workers: 2})
	c.Wake(InstanceReconcilerName, InstancePrefix, nil)
}

// Follow has the controller look at an instance whenever its container may have
// changed, until ctx ends.
func (r *InstanceReconciler) Follow(ctx context.Context, c *controller.Controller) {
	for change := range r.runtime.Changes(ctx) {
		id, _, ok := cutLast(change.Group, "-")
		if !ok || !instanceID.MatchString(id) {
			continue
		}
		keys, err := r.Keys(ctx)
		if err != nil {
			continue // the next resync looks
		}
		for _, key := range keys {
			if strings.HasSuffix(key, "/"+id) {
				c.Enqueue(InstanceReconcilerName, key)
			}
		}
	}
}

// cutLast cuts around the last separator.
func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Keys implements controller.Reconciler.
func (r *InstanceReconciler) Keys(ctx context.Context) ([]string, error) {
	return r.s.instances.Keys(ctx)
}

// Reconcile implements controller.Reconciler.
func (r *InstanceReconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	rec, found, err := r.s.instances.GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	var c *container.Status
	switch status, err := r.runtime.Get(ctx, rec.container()); {
	case err == nil:
		c = &status
	case !errors.Is(err, container.ErrNotFound):
		return controller.Result{}, err
	}
	action := planInstance(&rec, c, r.s.Clock.Now())
	err = r.act(ctx, key, &rec, action)
	if err != nil {
		// What keeps it is for the user to see, in StateReason.
		_, noteErr := r.s.instances.UpdateKey(ctx, key, func(v *instanceRecord) error { v.Trouble = err.Error(); return nil })
		return controller.Result{}, errors.Join(err, noteErr)
	}
	if rec.Wanted == stateTerminated && action == instanceFine && rec.Ended != nil {
		return controller.Result{After: rec.Ended.Add(terminatedFor).Sub(r.s.Clock.Now())}, nil
	}
	return controller.Result{}, nil
}

func (r *InstanceReconciler) act(ctx context.Context, key string, rec *instanceRecord, action instanceAction) error {
	switch action {
	case instanceStart:
		err := r.start(ctx, rec)
		if errors.Is(err, container.ErrStart) {
			// The container stays as it was made; the next try is another one.
			return errors.Join(err, r.renew(ctx, key, rec))
		}
		if err != nil {
			return err
		}
		return r.seen(ctx, key, rec, stateRunning)
	case instanceRestart:
		return r.renew(ctx, key, rec)
	case instanceStop:
		if err := r.stop(ctx, rec); err != nil {
			return err
		}
		if rec.Wanted == stateTerminated {
			return r.release(ctx, key, rec)
		}
		return r.seen(ctx, key, rec, stateStopped)
	case instanceRelease:
		if err := r.runtime.DeleteGroup(ctx, rec.container()); err != nil {
			return err
		}
		return r.release(ctx, key, rec)
	case instanceForget:
		return store.Update(ctx, r.s.Store, func(tx *store.Tx) error { tx.Delete(key); return nil })
	}
	return r.seen(ctx, key, rec, rec.Wanted)
}

// renew begins another generation: containers are not started twice. The change
// wakes us again.
func (r *InstanceReconciler) renew(ctx context.Context, key string, rec *instanceRecord) error {
	_, err := r.s.instances.UpdateKey(ctx, key, func(v *instanceRecord) error {
		if v.Generation == rec.Generation {
			v.Generation, v.Seen = v.Generation+1, ""
		}
		return nil
	})
	return errors.Join(err, r.runtime.DeleteGroup(ctx, rec.container()))
}

// start makes the container and starts it, in the namespace of the interface.
func (r *InstanceReconciler) start(ctx context.Context, rec *instanceRecord) error {
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := r.net.Wait(wait, rec.Interface); err != nil {
		return fmt.Errorf("its network interface %s is not there: %w", rec.Interface, err)
	}
	v, _, err := r.s.vpcs.Get(ctx, rec.Account, rec.Region, aws.Val(rec.VpcId))
	if err != nil {
		return err
	}
	var dns []string
	if addr, ok := resolver(&v); ok {
		dns = []string{addr.String()}
	}
	if err := r.clear(ctx, rec); err != nil {
		return err
	}
	if err := r.guest.MakeHome(*rec.InstanceId); err != nil {
		return err
	}
	if err := r.runtime.EnsureGroup(ctx, rec.group(r.net.NetnsPath(rec.Interface), dns)); err != nil {
		return err
	}
	c, err := r.guest.Container(rec.container(), *rec.InstanceId, rec.Region)
	if err != nil {
		return err
	}
	if err := r.runtime.Ensure(ctx, c); err != nil {
		return err
	}
	return r.runtime.Start(ctx, c.ID)
}

// clear deletes what a crash left of an instance's earlier generations.
func (r *InstanceReconciler) clear(ctx context.Context, rec *instanceRecord) error {
	groups, err := r.runtime.Groups(ctx)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if strings.HasPrefix(g, *rec.InstanceId+"-") && g != rec.container() {
			if err := r.runtime.DeleteGroup(ctx, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *InstanceReconciler) stop(ctx context.Context, rec *instanceRecord) error {
	err := r.runtime.Stop(ctx, rec.container(), 0, stopGrace)
	if err != nil && !errors.Is(err, container.ErrNotFound) {
		return err
	}
	return r.runtime.DeleteGroup(ctx, rec.container())
}

// release removes what a terminated instance had: its home and its interface.
func (r *InstanceReconciler) release(ctx context.Context, key string, rec *instanceRecord) error {
	if err := os.RemoveAll(r.guest.Home(*rec.InstanceId)); err != nil {
		return err
	}
	r.s.sessions.Forget(*rec.InstanceId)
	return store.Update(ctx, r.s.Store, func(tx *store.Tx) error {
		v, found, err := store.Get[instanceRecord](tx, key)
		if err != nil || !found {
			return err
		}
		p := place{v.Account, v.Region}
		e, found, err := r.s.interfaces.TxGet(tx, p.account, p.region, v.Interface)
		if err != nil {
			return err
		}
		if found && e.Attachment != nil && aws.Val(e.Attachment.InstanceId) == *v.InstanceId {
			if err := r.s.dropInterface(tx, p, &e); err != nil {
				return err
			}
		}
		v.Seen, v.Trouble, v.Ended = stateTerminated, "", r.s.now()
		return store.Set(tx, key, v)
	})
}

// seen writes what was observed of the generation that was looked at.
func (r *InstanceReconciler) seen(ctx context.Context, key string, rec *instanceRecord, state string) error {
	if rec.Seen == state && rec.Trouble == "" {
		return nil
	}
	_, err := r.s.instances.UpdateKey(ctx, key, func(v *instanceRecord) error {
		if v.Generation == rec.Generation {
			v.Seen, v.Trouble = state, ""
		}
		return nil
	})
	return err
}

// Shell is where in an instance a terminal begins.
type Shell struct {
	Container string
	Env       []string
	Home      string
	Command   []string // of an interactive shell
}

// Shell returns how to enter an instance that runs.
func (r *InstanceReconciler) Shell(ctx context.Context, instance string) (Shell, error) {
	all, err := r.s.instances.List(ctx)
	if err != nil {
		return Shell{}, err
	}
	for _, rec := range all {
		if *rec.InstanceId != instance {
			continue
		}
		if *rec.state().Name != stateRunning {
			why := ""
			if rec.Trouble != "" {
				why = ": " + rec.Trouble
			}
			return Shell{}, fmt.Errorf("instance %s is %s%s", instance, *rec.state().Name, why)
		}
		return Shell{Container: rec.container(), Env: r.guest.Env(rec.Region), Home: guest.Start, Command: []string{"/bin/bash", "-l"}}, nil
	}
	return Shell{}, fmt.Errorf("there is no instance %s", instance)
}
