package cloud9

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"minato/aws"
	cloud9api "minato/aws/api/cloud9"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// principal is the service's own identity.
const principal = "cloud9.amazonaws.com"

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	EC2   ec2api.API
}

// Service implements cloud9api.API.
type Service struct {
	store store.Store
	clock clock.Clock
	log   *slog.Logger
	ec2   ec2api.API

	environments store.Table[environment]

	mu       sync.Mutex
	inUse    map[string]int // open terminals by environment
	lastUsed map[string]time.Time
	started  time.Time // what happened before is not known
}

var _ cloud9api.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: d.Store, clock: d.Clock, log: d.Log, ec2: d.EC2,
		environments: store.NewTable[environment](d.Store, "cloud9/environment"),
		inUse:        map[string]int{}, lastUsed: map[string]time.Time{}, started: d.Clock.Now(),
	}
}

// Registration is what the gateway needs to serve Cloud9.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: cloud9api.Model, Handlers: cloud9api.Handlers(s), Checks: checks}
}

// reconcilerName is the name under which the reconciler is added.
const reconcilerName = "cloud9-environments"

// AddReconcilers adds what the service does in the background to a controller
// that watches the store.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add(reconcilerName, &reconciler{s}, controller.Options{Workers: 2})
	c.Wake(reconcilerName, s.environments.Prefix(), nil)
}

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// checks asks IAM for the operation's action on the environment.
func checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	p := place(ctx)
	on := func(resource string) []gateway.Check {
		return []gateway.Check{{Action: op.Action(), Resource: resource}}
	}
	switch in := in.(type) {
	case *cloud9api.DeleteEnvironmentInput:
		return on(p.Environment(aws.Val(in.EnvironmentId)))
	case *cloud9api.UpdateEnvironmentInput:
		return on(p.Environment(aws.Val(in.EnvironmentId)))
	case *cloud9api.DescribeEnvironmentStatusInput:
		return on(p.Environment(aws.Val(in.EnvironmentId)))
	case *cloud9api.DescribeEnvironmentsInput:
		var out []gateway.Check
		for _, id := range in.EnvironmentIds {
			out = append(out, on(p.Environment(id))...)
		}
		return out
	case *cloud9api.ListTagsForResourceInput:
		return on(p.Environment(idOf(aws.Val(in.ResourceARN))))
	case *cloud9api.TagResourceInput:
		return on(p.Environment(idOf(aws.Val(in.ResourceARN))))
	case *cloud9api.UntagResourceInput:
		return on(p.Environment(idOf(aws.Val(in.ResourceARN))))
	}
	return on("*")
}

func noEnvironment(id string) error {
	return cloud9api.NotFoundException("The environment %s does not exist.", id)
}

// idOf is the id in an environment's ARN.
func idOf(resource string) string {
	a, _ := arn.Parse(resource)
	return strings.TrimPrefix(a.Resource, "environment:")
}
