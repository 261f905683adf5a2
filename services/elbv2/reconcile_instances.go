package elbv2

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/controller"
	"minato/store"
)

// maxFilter is how many values a filter of EC2's takes.
const maxFilter = 200

// instanceReconciler follows the instances that are targets: one that is stopped
// gets nothing, one that is terminated is a target no more. Its keys are
// "account/region".
type instanceReconciler struct{ s *Service }

// Keys implements controller.Reconciler.
func (r *instanceReconciler) Keys(ctx context.Context) ([]string, error) {
	groups, err := r.s.groups.List(ctx)
	var keys []string
	for i := range groups {
		if a, ok := arn.Parse(aws.Val(groups[i].TargetGroupArn)); ok && !slices.Contains(keys, store.Key(a.Account, a.Region)) {
			keys = append(keys, store.Key(a.Account, a.Region))
		}
	}
	return keys, err
}

// Reconcile implements controller.Reconciler.
func (r *instanceReconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	p, err := placeIn(key)
	if err != nil {
		return controller.Result{}, err
	}
	ctx = own(ctx, p)
	groups, err := r.s.groups.List(ctx, p.Account, p.Region)
	if err != nil {
		return controller.Result{}, err
	}
	var ids []string
	for i := range groups {
		for _, t := range groups[i].Targets {
			if t.Instance != "" && !slices.Contains(ids, t.Instance) {
				ids = append(ids, t.Instance)
			}
		}
	}
	there, err := r.there(ctx, ids)
	if err != nil {
		return controller.Result{}, err
	}
	var errs []error
	for i := range groups {
		if _, changed := followInstances(groups[i].Targets, there); !changed {
			continue
		}
		_, err := r.s.changeGroup(ctx, groups[i].TargetGroupArn, func(g *group) error {
			g.Targets, _ = followInstances(g.Targets, there)
			return nil
		})
		if !aws.IsCode(err, "TargetGroupNotFound") {
			errs = append(errs, err)
		}
	}
	return controller.Result{}, errors.Join(errs...)
}

// seen is what is known of an instance.
type seen struct {
	state string
	addr  netip.Addr
}

// there looks at instances; those that are no more are not among what it finds.
func (r *instanceReconciler) there(ctx context.Context, ids []string) (map[string]seen, error) {
	found := map[string]seen{}
	for chunk := range slices.Chunk(ids, maxFilter) {
		out, err := r.s.EC2.DescribeInstances(ctx, &ec2api.DescribeInstancesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("instance-id"), Values: chunk}}})
		if err != nil {
			return nil, err
		}
		for _, reservation := range out.Reservations {
			for i := range reservation.Instances {
				n := &reservation.Instances[i]
				x := seen{}
				if n.State != nil {
					x.state = aws.Val(n.State.Name)
				}
				x.addr, _ = netip.ParseAddr(aws.Val(n.PrivateIpAddress))
				found[aws.Val(n.InstanceId)] = x
			}
		}
	}
	return found, nil
}

// followInstances says what a group's targets are to be by what is known of their
// instances, and whether they are otherwise. It is pure. An instance that is not
// known at all was terminated.
func followInstances(targets []target, there map[string]seen) (kept []target, changed bool) {
	kept = slices.DeleteFunc(slices.Clone(targets), func(t target) bool {
		if t.Instance == "" {
			return false
		}
		n, ok := there[t.Instance]
		gone := !ok || n.state == ec2api.InstanceStateNameTerminated
		changed = changed || gone
		return gone
	})
	for i := range kept {
		t := &kept[i]
		if t.Instance == "" {
			continue
		}
		n, state := there[t.Instance], ""
		if n.state == ec2api.InstanceStateNameStopped || n.state == ec2api.InstanceStateNameStopping || n.state == ec2api.InstanceStateNameShuttingDown {
			state = n.state
		}
		addr := t.Address
		if n.addr.IsValid() {
			addr = netip.AddrPortFrom(n.addr, t.Address.Port())
		}
		changed = changed || state != t.State || addr != t.Address
		t.State, t.Address = state, addr
	}
	return kept, changed
}
