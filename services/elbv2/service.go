package elbv2

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/proxy"
	"minato/gateway"
	"minato/internal/clock"
	"minato/services/elbv2/accesslog"
	"minato/store"
)

// Principal is the name the service calls others under.
const Principal = "elasticloadbalancing.amazonaws.com"

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	EC2   ec2api.API // through the gateway
	Proxy proxy.Proxy
	Bus   *controller.Bus
	// Metrics is CloudWatch, through the gateway.
	Metrics cwapi.API
	// Buckets is S3, through the gateway: where logs go.
	Buckets accesslog.Bucket
	// Ready returns when a network interface is real, or with ctx's error
	// (network.Network's Wait). nil counts every interface as real.
	Ready func(ctx context.Context, eni string) error
	// Certificates finds a certificate with its key by its ARN, in ACM or in IAM.
	Certificates func(ctx context.Context, arn string) (*tls.Certificate, error)
	// Names is told the names of all load balancers whenever they change.
	Names func([]Name)
}

// Name is a load balancer's DNS name and what it resolves to: public addresses
// of one that faces the internet, private ones of an internal one.
type Name struct {
	Name     string
	Addrs    []netip.Addr
	Internal bool
	VPC      string
}

// Service implements elbapi.API.
type Service struct {
	Deps

	balancers store.Table[balancer]
	nodes     store.Table[nodes]
	groups    store.Table[group]
	health    store.Table[health]
	places    store.Table[arn.Place]
	collector *accesslog.Collector // of logs
}

var _ elbapi.API = (*Service)(nil)

// New makes the service; nothing runs yet.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:      d,
		balancers: store.NewTable[balancer](d.Store, "elbv2/load-balancer"),
		nodes:     store.NewTable[nodes](d.Store, "elbv2/nodes"),
		groups:    store.NewTable[group](d.Store, "elbv2/target-group"),
		health:    store.NewTable[health](d.Store, "elbv2/health"),
		places:    store.NewTable[arn.Place](d.Store, "elbv2/place"),
		collector: accesslog.New(d.Buckets, d.Clock.Now, d.Log),
	}
}

// Registration is what the gateway is given.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: elbapi.Model, Handlers: elbapi.Handlers(s), Checks: s.checks}
}

// at is where a call's resources are.
func at(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// own is ctx with the service's own identity in a place.
func own(ctx context.Context, p arn.Place) context.Context {
	return identity.With(ctx, identity.ServiceCaller(Principal, p.Account, p.Region))
}

func (s *Service) now() *time.Time { return aws.Ptr(s.Clock.Now().UTC().Truncate(time.Millisecond)) }

func invalid(format string, args ...any) *aws.Error {
	return aws.Errorf("ValidationError", format, args...)
}

// notServed is the answer to what AWS can do and minato cannot.
func notServed(what string) *aws.Error {
	return elbapi.InvalidConfigurationRequestException("%s: not served by minato", what)
}

// page cuts out of items the page after a marker. The marker names the last
// item before it.
func page[T any](items []T, id func(*T) *string, marker *string, size *int32) ([]T, *string, error) {
	from := 0
	if m := aws.Val(marker); m != "" {
		last, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil {
			return nil, nil, invalid("Marker '%s' is not valid", m)
		}
		from = len(items)
		for i := range items {
			if aws.Val(id(&items[i])) == string(last) {
				from = i + 1
				break
			}
		}
	}
	most := 400
	if size != nil {
		most = int(*size)
	}
	items = items[from:]
	if len(items) <= most {
		return items, nil, nil
	}
	return items[:most], aws.Ptr(base64.RawURLEncoding.EncodeToString([]byte(aws.Val(id(&items[most-1]))))), nil
}

// setting is the value of an optional member, or AWS's default.
func setting[T any](p *T, d T) T {
	if p == nil {
		return d
	}
	return *p
}
