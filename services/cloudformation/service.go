package cloudformation

import (
	"context"
	"log/slog"
	"sync"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	ec2api "minato/aws/api/ec2"
	s3api "minato/aws/api/s3"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
	"minato/internal/clock"
	"minato/services/cloudformation/resources"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store   store.Store
	Clock   clock.Clock
	Log     *slog.Logger
	Invoker aws.Invoker // the gateway: how resources are made
}

// Service implements the CloudFormation API and reconciles stacks.
type Service struct {
	tables
	store store.Store
	clock clock.Clock
	log   *slog.Logger
	types map[string]resources.Type
	ec2   ec2api.API
	sts   stsapi.API
	s3    s3api.API

	ssm            ssmapi.API
	secretsManager secretsapi.API

	mu      sync.Mutex
	running map[string]context.CancelCauseFunc // phases under way, by the stack's key
}

var _ api.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		tables: newTables(d.Store), store: d.Store, clock: d.Clock, log: d.Log, types: resources.Table(d.Invoker),
		ec2: ec2api.NewClient(d.Invoker), sts: stsapi.NewClient(d.Invoker), s3: s3api.NewClient(d.Invoker), ssm: ssmapi.NewClient(resources.Named(d.Invoker)), secretsManager: secretsapi.NewClient(resources.Named(d.Invoker)), running: map[string]context.CancelCauseFunc{},
	}
	s.types[resources.NestedType] = s.nesting(s.types[resources.NestedType])
	return s
}

// nesting has stacks that are made within others know those.
func (s *Service) nesting(t resources.Type) resources.Type {
	create := t.Create
	t.Create = func(ctx context.Context, r *resources.Request) (string, error) {
		id, err := create(ctx, r)
		if err != nil {
			return id, err
		}
		around, err := s.find(ctx, r.StackID)
		if err != nil {
			return id, err
		}
		a, _ := arn.Parse(id)
		_, err = s.stacks.Update(ctx, func(st *stackRecord) error {
			st.ParentId, st.RootId = &r.StackID, first(around.RootId, &r.StackID)
			return nil
		}, around.Account, around.Region, a.Last())
		return id, err
	}
	return t
}

// Registration is what the gateway needs to serve the API.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: api.Model, Handlers: api.Handlers(s), Checks: s.checks}
}

// place is where the caller's call is for.
func place(ctx context.Context) (identity.Caller, arn.Place) {
	c := identity.From(ctx)
	return c, arn.Place{Partition: "aws", Region: c.Region, Account: c.Account}
}

// maker is with whose rights a stack's resources are made: those of the role
// that the stack was given, which must trust CloudFormation, else the caller's.
func (s *Service) maker(ctx context.Context, role *string) (identity.Caller, error) {
	caller := identity.From(ctx)
	if aws.Val(role) == "" {
		return caller, nil
	}
	asService := identity.With(ctx, identity.ServiceCaller(principal, caller.Account, caller.Region))
	out, err := s.sts.AssumeRole(asService, &stsapi.AssumeRoleInput{RoleArn: role, RoleSessionName: aws.Ptr("AWSCloudFormation")})
	if err != nil {
		return identity.Caller{}, validation("Role %s is invalid or cannot be assumed", *role).Because(err)
	}
	return identity.Caller{
		Kind: identity.AssumedRole, Account: caller.Account, Region: caller.Region, Partition: "aws", PrincipalID: *role,
		ARN: aws.Val(out.AssumedRoleUser.Arn), UserID: aws.Val(out.AssumedRoleUser.AssumedRoleId),
	}, nil
}

// principal is the service's name in policies.
const principal = "cloudformation.amazonaws.com"

func (s *stackRecord) place() arn.Place { return arn.In(s.Region, s.Account) }

// find returns the stack of a name or an id; a deleted one only by its id.
func (s *Service) find(ctx context.Context, nameOrID string) (*stackRecord, error) {
	caller, _ := place(ctx)
	id := ""
	if a, ok := arn.Parse(nameOrID); ok {
		if a.Account != caller.Account || a.Region != caller.Region {
			return nil, notFound(nameOrID)
		}
		id = a.Last()
	} else {
		found, ok, err := s.names.Get(ctx, caller.Account, caller.Region, nameOrID)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, notFound(nameOrID)
		}
		id = found
	}
	st, ok, err := s.stacks.Get(ctx, caller.Account, caller.Region, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound(nameOrID)
	}
	return &st, nil
}

func notFound(nameOrID string) error {
	return validation("Stack with id %s does not exist", nameOrID)
}

// validation is CloudFormation's error for nearly everything.
func validation(format string, args ...any) *aws.Error {
	return aws.Errorf("ValidationError", format, args...)
}

// interrupt ends the phase that runs for a stack, because its record says
// something else now.
func (s *Service) interrupt(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.running[key]; cancel != nil {
		cancel(errSuperseded)
	}
}
