package rds

import (
	"context"
	"log/slog"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/database"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// principal is who RDS is when it calls another service.
const principal = "rds.amazonaws.com"

// reconcilerName is that of the instances' reconciler.
const reconcilerName = "rds/instance"

// Network is what RDS needs of the data plane's network.
type Network interface {
	// Wait returns when an interface is real.
	Wait(ctx context.Context, eni string) error
	// NetnsPath is the namespace of an interface.
	NetnsPath(eni string) string
}

// Deps is what the service needs.
type Deps struct {
	Store     store.Store
	Clock     clock.Clock
	Log       *slog.Logger
	EC2       ec2api.API
	Databases database.Servers
	Network   Network
	// AcceptRetired takes the nearest version and any class instead of refusing
	// what RDS no longer offers.
	AcceptRetired bool
}

// Service implements rdsapi.API.
type Service struct {
	Deps

	instances       store.Table[instance]
	subnetGroups    store.Table[subnetGroup]
	parameterGroups store.Table[parameterGroup]
	snapshots       store.Table[snapshot]
	events          store.Table[event]

	wake func(key string) // asks for a look at an instance
}

var _ rdsapi.API = (*Service)(nil)

// New makes the service; nothing runs yet.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:            d,
		instances:       store.NewTable[instance](d.Store, "rds/instance"),
		subnetGroups:    store.NewTable[subnetGroup](d.Store, "rds/subnet-group"),
		parameterGroups: store.NewTable[parameterGroup](d.Store, "rds/parameter-group"),
		snapshots:       store.NewTable[snapshot](d.Store, "rds/snapshot"),
		events:          store.NewTable[event](d.Store, "rds/event"),
		wake:            func(string) {},
	}
}

// Registration is what the gateway is given.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: rdsapi.Model, Handlers: rdsapi.Handlers(s), Checks: s.checks}
}

// Reconcile adds the service's reconciler to a controller that is not started yet.
func (s *Service) Reconcile(c *controller.Controller) {
	c.Add(reconcilerName, &reconciler{s}, controller.Options{Resync: 30 * time.Second})
	c.Wake(reconcilerName, s.instances.Prefix(), nil)
	s.wake = func(key string) { c.Enqueue(reconcilerName, key) }
}

// Follow removes snapshots' data that no record names any more, and then wakes
// the reconciler when a server's process ended or began, until ctx is done.
func (s *Service) Follow(ctx context.Context) {
	if err := s.sweepSnapshots(ctx); err != nil {
		s.Log.Error("the data of deleted snapshots may be left", "error", err)
	}
	for id := range s.Databases.Changes(ctx) {
		keys, err := s.instances.Keys(ctx)
		if err != nil {
			s.Log.Error("instances cannot be listed", "error", err)
			continue
		}
		for _, key := range keys {
			if rec, found, err := s.instances.GetKey(ctx, key); err == nil && found && rec.Server == id {
				s.wake(key)
			}
		}
	}
}

// here is the account and region of a call.
func here(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// as is the context in which RDS calls for itself, for an account and region.
func as(ctx context.Context, p arn.Place) context.Context {
	return identity.With(ctx, identity.ServiceCaller(principal, p.Account, p.Region))
}

func (s *Service) now() *time.Time { return aws.Ptr(s.Clock.Now().UTC().Truncate(time.Millisecond)) }
