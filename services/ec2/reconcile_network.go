package ec2

import (
	"context"
	"errors"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/controller"
	"minato/dataplane/network"
	"minato/services/ec2/netplan"
	"minato/services/ec2/record"
	"minato/store"
)

// NetworkKey is the one key of the network reconciler: the network is handed over
// as a whole.
const NetworkKey = "network"

// NetworkPrefix is what the keys of all records begin with that the network is
// made of; a change below it wakes the reconciler.
const NetworkPrefix = "ec2/"

// NetworkReconciler keeps the data plane what the records say, and writes back
// what became of NAT gateways and endpoints. It runs with one worker.
type NetworkReconciler struct {
	s   *Service
	net network.Network
	// changed is called after each Set, whatever became of it: what stands on the
	// network (sockets, names) may look again.
	changed func()
}

// NewNetworkReconciler makes the reconciler; changed may be nil.
func NewNetworkReconciler(s *Service, net network.Network, changed func()) *NetworkReconciler {
	return &NetworkReconciler{s: s, net: net, changed: changed}
}

// Keys implements controller.Reconciler.
func (r *NetworkReconciler) Keys(context.Context) ([]string, error) { return []string{NetworkKey}, nil }

// Reconcile implements controller.Reconciler.
func (r *NetworkReconciler) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	inv, err := r.s.inventory(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	config, planErr := netplan.Plan(inv)
	setErr := r.net.Set(ctx, config)
	if r.changed != nil {
		r.changed()
	}
	if setErr != nil {
		// What was observed is not known well enough to be written.
		return controller.Result{}, errors.Join(planErr, setErr)
	}
	errs := []error{planErr}
	for _, n := range inv.NATs {
		errs = append(errs, r.observeNAT(ctx, &n))
	}
	for _, e := range inv.Endpoints {
		errs = append(errs, r.s.observeEndpoint(ctx, &e))
	}
	return controller.Result{}, errors.Join(errs...)
}

// observeNAT writes what the network made of a NAT gateway: Set returned, so one
// that was wanted is there and one that was not is gone.
func (r *NetworkReconciler) observeNAT(ctx context.Context, n *record.NATGateway) error {
	switch aws.Val(n.State) {
	case ec2api.NatGatewayStatePending:
		return r.s.natAvailable(ctx, n.Account, n.Region, *n.NatGatewayId)
	case ec2api.NatGatewayStateDeleting:
		return r.s.natDeleted(ctx, n.Account, n.Region, *n.NatGatewayId)
	case ec2api.NatGatewayStateDeleted, ec2api.NatGatewayStateFailed:
		return r.s.natForgotten(ctx, n)
	}
	return nil
}

// inventory reads the records of all accounts and regions, as they were together
// at one moment: an interface without its subnet would be a contradiction.
func (s *Service) inventory(ctx context.Context) (*netplan.Inventory, error) {
	recs, _, err := s.Store.List(ctx, NetworkPrefix, store.Page{})
	if err != nil {
		return nil, err
	}
	inv := netplan.Inventory{Objects: network.ObjectsAddress(s.Pool)}
	for _, r := range recs {
		if err := errFirst(
			take(r, s.vpcs, &inv.VPCs), take(r, s.subnets, &inv.Subnets), take(r, s.gateways, &inv.Gateways), take(r, s.tables, &inv.Tables),
			take(r, s.acls, &inv.ACLs), take(r, s.groups, &inv.Groups), take(r, s.interfaces, &inv.Interfaces), take(r, s.nats, &inv.NATs),
			take(r, s.endpoints, &inv.Endpoints),
		); err != nil {
			return nil, err
		}
	}
	return &inv, nil
}

// take appends a record to its kind's list, if it is of the table.
func take[T any](r store.Record, t store.Table[T], to *[]T) error {
	if !strings.HasPrefix(r.Key, t.Prefix()) {
		return nil
	}
	v, err := t.Read(r) // the plan changes nothing of it
	*to = append(*to, v)
	return err
}
