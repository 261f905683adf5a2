package elbv2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/arn"
	"minato/controller"
	"minato/dataplane/proxy"
	"minato/store"
)

// proxyKey is the one key of the reconciler of the data plane: it is handed
// everything at once.
const proxyKey = "proxy"

// proxyReconciler keeps the data plane what the records say. It runs with one
// worker.
type proxyReconciler struct {
	s     *Service
	names []Name // told last
}

// Keys implements controller.Reconciler.
func (r *proxyReconciler) Keys(context.Context) ([]string, error) { return []string{proxyKey}, nil }

// Reconcile implements controller.Reconciler.
func (r *proxyReconciler) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	inv, err := r.s.inventory(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	inv.certificates = r.s.loadCertificates(ctx, inv.balancers)
	inv.at = r.s.Clock.At
	now := r.s.Clock.Now()
	p := planProxy(inv, now, r.s.Clock.Paced)
	r.s.collector.Set(planLogs(inv))
	if err := r.s.Proxy.Set(ctx, &p.config); err != nil {
		return controller.Result{}, err
	}
	if r.s.Names != nil && !reflect.DeepEqual(p.names, r.names) {
		r.s.Names(p.names)
		r.names = p.names
	}
	var errs []error
	for group, gone := range p.done {
		errs = append(errs, r.s.forgetTargets(ctx, group, gone))
	}
	var result controller.Result
	if !p.next.IsZero() {
		result.After = p.next.Sub(now)
	}
	return result, errors.Join(errs...)
}

// forgetTargets removes targets of a group that have drained, unless they came back
// meanwhile.
func (s *Service) forgetTargets(ctx context.Context, text string, gone []drained) error {
	a, _ := arn.Parse(text)
	_, err := s.changeGroup(own(ctx, arn.In(a.Region, a.Account)), &text, func(g *group) error {
		since := map[netip.AddrPort]time.Time{}
		for _, d := range gone {
			since[d.address] = d.since
		}
		g.Targets = slices.DeleteFunc(g.Targets, func(t target) bool {
			return t.Deregister != nil && t.Deregister.Equal(since[t.Address])
		})
		return nil
	})
	if aws.IsCode(err, "TargetGroupNotFound") {
		return nil
	}
	s.Bus.Publish(text)
	return err
}

// inventory reads the records of all accounts and regions, as they were together
// at one moment: a rule without the group it forwards to would be a contradiction.
func (s *Service) inventory(ctx context.Context) (*inventory, error) {
	recs, _, err := s.Store.List(ctx, recordsPrefix, store.Page{})
	if err != nil {
		return nil, err
	}
	inv := &inventory{nodes: map[string]nodes{}, health: map[string]health{}}
	var seen []nodes
	var last []health
	for _, r := range recs {
		err = errors.Join(err, take(r, s.balancers, &inv.balancers), take(r, s.groups, &inv.groups), take(r, s.nodes, &seen), take(r, s.health, &last))
	}
	for _, n := range seen {
		inv.nodes[n.ARN] = n
	}
	for _, h := range last {
		inv.health[h.ARN] = h
	}
	return inv, err
}

// take appends a record to the list of its kind, if it is of the table.
func take[T any](r store.Record, t store.Table[T], to *[]T) error {
	if !strings.HasPrefix(r.Key, t.Prefix()) {
		return nil
	}
	var v T
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return fmt.Errorf("record %s: %w", r.Key, err)
	}
	*to = append(*to, v)
	return nil
}

// healthReconciler keeps what the data plane saw of target groups; its keys are
// their ARNs.
type healthReconciler struct{ s *Service }

// Keys implements controller.Reconciler.
func (r *healthReconciler) Keys(ctx context.Context) ([]string, error) {
	groups, err := r.s.groups.List(ctx)
	var keys []string
	for i := range groups {
		keys = append(keys, aws.Val(groups[i].TargetGroupArn))
	}
	return keys, err
}

// Reconcile implements controller.Reconciler.
func (r *healthReconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	live, ok := r.s.Proxy.Health(key)
	a, isARN := arn.Parse(key)
	if !ok || !isARN {
		return controller.Result{}, nil
	}
	p := arn.In(a.Region, a.Account)
	changed := false
	err := store.Update(ctx, r.s.Store, func(tx *store.Tx) error {
		changed = false
		g, err := r.s.txGroup(tx, p, &key)
		if aws.IsCode(err, "TargetGroupNotFound") {
			return nil
		}
		if err != nil {
			return err
		}
		name := aws.Val(g.TargetGroupName)
		old, _, err := r.s.health.TxGet(tx, p.Account, p.Region, name)
		if err != nil {
			return err
		}
		if old.ARN == key && slices.EqualFunc(old.Targets, live, sameHealth) {
			return nil
		}
		changed = true
		return r.s.health.TxPut(tx, health{ARN: key, Targets: live}, p.Account, p.Region, name)
	})
	if changed {
		r.s.Bus.Publish(key)
	}
	return controller.Result{}, err
}

// sameHealth tells whether two sights of a target differ in nothing that is
// worth a record: not in the latest check or the load.
func sameHealth(x, y proxy.TargetHealth) bool {
	return x.Address == y.Address && x.State == y.State && x.Reason == y.Reason
}
