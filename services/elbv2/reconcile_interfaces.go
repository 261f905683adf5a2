package elbv2

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/controller"
	"minato/store"
)

const (
	// readyWithin is how long a reconcile waits for an interface to be real.
	readyWithin = 500 * time.Millisecond
	// lookAgain is when it looks again at one that is not.
	lookAgain = 100 * time.Millisecond
)

// interfaceReconciler keeps the interfaces of the load balancers of a place;
// its keys are "account/region".
type interfaceReconciler struct{ s *Service }

// Keys implements controller.Reconciler.
func (r *interfaceReconciler) Keys(ctx context.Context) ([]string, error) {
	places, err := r.s.places.List(ctx)
	var keys []string
	for _, p := range places {
		keys = append(keys, store.Key(p.Account, p.Region))
	}
	return keys, err
}

// placeIn reads the key of a reconciler that looks after a place.
func placeIn(key string) (arn.Place, error) {
	parts := store.Parts(key)
	if len(parts) != 2 {
		return arn.Place{}, fmt.Errorf("key %q is no place", key)
	}
	return arn.In(parts[1], parts[0]), nil
}

// Reconcile implements controller.Reconciler.
func (r *interfaceReconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	p, err := placeIn(key)
	if err != nil {
		return controller.Result{}, err
	}
	ctx = own(ctx, p)
	balancers, err := r.s.balancers.List(ctx, p.Account, p.Region)
	if err != nil {
		return controller.Result{}, err
	}
	there, err := r.there(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	plan := planInterfaces(balancers, there)
	actErr := r.act(ctx, plan)
	if !plan.empty() {
		if there, err = r.there(ctx); err != nil {
			return controller.Result{}, errors.Join(actErr, err)
		}
	}
	var result controller.Result
	errs := []error{actErr}
	for i := range balancers {
		active, err := r.observe(ctx, p, &balancers[i], there)
		if errs = append(errs, err); !active {
			result.After = lookAgain
		}
	}
	errs = append(errs, r.forget(ctx, p, balancers))
	return result, errors.Join(errs...)
}

// there lists the interfaces of load balancers.
func (r *interfaceReconciler) there(ctx context.Context) ([]ec2api.NetworkInterface, error) {
	var all []ec2api.NetworkInterface
	in := &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{
		{Name: aws.Ptr("requester-managed"), Values: []string{"true"}}, {Name: aws.Ptr("description"), Values: []string{describePrefix + "*"}},
	}}
	for {
		out, err := r.s.EC2.DescribeNetworkInterfaces(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.NetworkInterfaces...)
		if in.NextToken = out.NextToken; aws.Val(in.NextToken) == "" {
			return all, nil
		}
	}
}

func (r *interfaceReconciler) act(ctx context.Context, p interfacePlan) error {
	var errs []error
	for _, id := range p.remove {
		_, err := r.s.EC2.DeleteNetworkInterface(ctx, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: &id})
		if !aws.IsCode(err, "InvalidNetworkInterfaceID.NotFound") {
			errs = append(errs, err)
		}
	}
	for _, n := range p.create {
		_, err := r.s.EC2.CreateNetworkInterface(ctx, &ec2api.CreateNetworkInterfaceInput{Description: &n.description, SubnetId: &n.subnet, Groups: n.groups})
		errs = append(errs, err)
	}
	if len(p.create) > 0 { // the public addresses of those just made
		errs = append(errs, r.again(ctx))
		return errors.Join(errs...)
	}
	for _, c := range p.modify {
		in := &ec2api.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &c.id, Groups: c.groups}
		if c.public {
			in.AssociatePublicIpAddress = aws.Ptr(true)
		}
		_, err := r.s.EC2.ModifyNetworkInterfaceAttribute(ctx, in)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// again plans once more, now that what was missing is there, and changes it.
func (r *interfaceReconciler) again(ctx context.Context) error {
	p := at(ctx)
	balancers, err := r.s.balancers.List(ctx, p.Account, p.Region)
	if err != nil {
		return err
	}
	there, err := r.there(ctx)
	if err != nil {
		return err
	}
	return r.act(ctx, interfacePlan{modify: planInterfaces(balancers, there).modify})
}

// observe records the nodes of a load balancer, and whether they are all real.
func (r *interfaceReconciler) observe(ctx context.Context, p arn.Place, b *balancer, there []ec2api.NetworkInterface) (active bool, err error) {
	name := aws.Val(b.LoadBalancerName)
	old, found, err := r.s.nodes.Get(ctx, p.Account, p.Region, name)
	if err != nil {
		return false, err
	}
	n, complete := observeNodes(b, there)
	// Once active, always active: also while the network is made anew after a
	// restart, or an interface is added.
	n.Active = old.ARN == n.ARN && old.Active || complete && r.ready(ctx, n.Nodes)
	if found && reflect.DeepEqual(old, n) {
		return n.Active, nil
	}
	return n.Active, r.s.nodes.Put(ctx, n, p.Account, p.Region, name)
}

func (r *interfaceReconciler) ready(ctx context.Context, all []node) bool {
	if r.s.Ready == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, n := range all {
		if r.s.Ready(ctx, n.ENI) != nil {
			return false
		}
	}
	return true
}

// forget removes what was recorded of load balancers that are gone.
func (r *interfaceReconciler) forget(ctx context.Context, p arn.Place, balancers []balancer) error {
	keys, err := r.s.nodes.Keys(ctx, p.Account, p.Region)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for i := range balancers {
		there[aws.Val(balancers[i].LoadBalancerName)] = true
	}
	var errs []error
	for _, k := range keys {
		if name := r.s.nodes.IDs(k)[2]; !there[name] {
			errs = append(errs, r.s.nodes.Delete(ctx, p.Account, p.Region, name))
		}
	}
	return errors.Join(errs...)
}

// placeOf finds the interface reconciler's key in a record's key; "" where it
// is none of interest.
func placeOf(changed string) string {
	parts := store.Parts(changed)
	if len(parts) < 4 || strings.HasPrefix(changed, "elbv2/") && parts[1] != "load-balancer" && parts[1] != "target-group" {
		return ""
	}
	return store.Key(parts[2], parts[3])
}
