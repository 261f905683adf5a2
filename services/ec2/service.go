package ec2

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/gateway"
	"minato/gateway/metadata"
	"minato/internal/clock"
	"minato/services/ec2/endpoint"
	"minato/services/ec2/record"
	"minato/services/ec2/zone"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Pool is the range of public addresses; those before FirstAssignable are
	// the machine's own.
	Pool netip.Prefix
	// FirstAssignable is the first address of the pool that may be given away.
	FirstAssignable netip.Addr
	// IAM and STS are asked about instance profiles and for their roles' keys.
	IAM iamapi.API
	STS stsapi.API
}

// Service answers EC2's operations.
type Service struct {
	Deps
	zone.Operations
	endpoint.Directory

	vpcs       store.Table[record.VPC]
	subnets    store.Table[record.Subnet]
	gateways   store.Table[record.InternetGateway]
	tables     store.Table[record.RouteTable]
	acls       store.Table[record.NetworkACL]
	groups     store.Table[record.SecurityGroup]
	interfaces store.Table[record.NetworkInterface]
	addresses  store.Table[record.Address]
	nats       store.Table[record.NATGateway]
	public     store.Table[publicRecord]
	private    store.Table[privateRecord]
	instances  store.Table[instanceRecord]
	endpoints  store.Table[record.VPCEndpoint]

	sessions *metadata.Keeper // keys of instances' roles
}

var _ ec2api.API = (*Service)(nil)

// New makes the service; nothing runs yet.
func New(d Deps) *Service {
	s := &Service{
		Deps:       d,
		Directory:  endpoint.Directory{Addresses: d.Pool},
		vpcs:       store.NewTable[record.VPC](d.Store, "ec2/vpc"),
		subnets:    store.NewTable[record.Subnet](d.Store, "ec2/subnet"),
		gateways:   store.NewTable[record.InternetGateway](d.Store, "ec2/internet-gateway"),
		tables:     store.NewTable[record.RouteTable](d.Store, "ec2/route-table"),
		acls:       store.NewTable[record.NetworkACL](d.Store, "ec2/network-acl"),
		groups:     store.NewTable[record.SecurityGroup](d.Store, "ec2/security-group"),
		interfaces: store.NewTable[record.NetworkInterface](d.Store, "ec2/network-interface"),
		addresses:  store.NewTable[record.Address](d.Store, "ec2/elastic-ip"),
		nats:       store.NewTable[record.NATGateway](d.Store, "ec2/natgateway"),
		public:     store.NewTable[publicRecord](d.Store, "ec2/public-address"),
		private:    store.NewTable[privateRecord](d.Store, "ec2/private-address"),
		instances:  store.NewTable[instanceRecord](d.Store, "ec2/instance"),
		endpoints:  store.NewTable[record.VPCEndpoint](d.Store, "ec2/vpc-endpoint"),
	}
	s.sessions = metadata.NewKeeper(d.Clock, s.assume)
	return s
}

// Registration is what the gateway is given.
func (s *Service) Registration() gateway.Registration {
	handlers := ec2api.Handlers(s)
	for name, h := range handlers {
		handlers[name] = dryRun(refusing(name, h))
	}
	return gateway.Registration{Service: ec2api.Model, Handlers: handlers, Checks: s.checks}
}

// dryRun answers what AWS answers to DryRun of a call that is allowed: the
// gateway asked IAM before.
func dryRun(h aws.Handler) aws.Handler {
	return func(ctx context.Context, in any) (any, error) {
		if f := reflect.ValueOf(in).Elem().FieldByName("DryRun"); f.IsValid() && !f.IsNil() && f.Elem().Bool() {
			return nil, &aws.Error{Code: "DryRunOperation", Message: "Request would have succeeded, but DryRun flag is set.", Status: http.StatusPreconditionFailed}
		}
		return h(ctx, in)
	}
}

// place is where a call's resources are: the first parts of their keys.
type place struct{ account, region string }

func at(ctx context.Context) place {
	c := identity.From(ctx)
	return place{c.Account, c.Region}
}

func (s *Service) now() *time.Time { return aws.Ptr(s.Clock.Now().UTC().Truncate(time.Millisecond)) }

// get reads a record in a transaction, or returns AWS's error for its absence.
func get[T any](tx *store.Tx, t store.Table[T], p place, id string, missing func(id string) error) (T, error) {
	v, found, err := t.TxGet(tx, p.account, p.region, id)
	if err == nil && !found {
		err = missing(id)
	}
	return v, err
}

// update changes one record in a transaction of its own.
func update[T any](ctx context.Context, s *Service, t store.Table[T], id string, missing func(id string) error, f func(v *T) error) error {
	p := at(ctx)
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, t, p, id, missing)
		if err != nil {
			return err
		}
		if err := f(&v); err != nil {
			return err
		}
		return t.TxPut(tx, v, p.account, p.region, id)
	})
}

// list reads all records of a kind in the caller's account and region.
func list[T any](ctx context.Context, t store.Table[T]) ([]T, error) {
	p := at(ctx)
	return t.List(ctx, p.account, p.region)
}

func isID(id, prefix string) bool { return strings.HasPrefix(id, prefix+"-") }
