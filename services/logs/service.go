package logs

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	logsapi "minato/aws/api/logs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store  store.Store
	Events *segments.Set // its own: nothing else is in it
	Clock  clock.Clock
	Log    *slog.Logger
	// Metrics is given what metric filters count.
	Metrics cwapi.API
}

// Service implements logsapi.API.
type Service struct {
	store  store.Store
	events *segments.Set
	clock  clock.Clock
	log    *slog.Logger

	metrics cwapi.API

	groups  store.Table[group]
	streams store.Table[stream]
	filters store.Table[metricFilter]
}

var _ logsapi.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: d.Store, events: d.Events, clock: d.Clock, log: d.Log, metrics: d.Metrics,
		groups:  store.NewTable[group](d.Store, "logs/group"),
		streams: store.NewTable[stream](d.Store, "logs/stream"),
		filters: store.NewTable[metricFilter](d.Store, "logs/metric-filter"),
	}
}

// Registration is what the gateway needs to serve CloudWatch Logs.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: logsapi.Model, Handlers: logsapi.Handlers(s), Checks: checks}
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add("logs-retention", &retention{s}, controller.Options{Workers: 1, Resync: time.Hour})
}

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// nowMillis is the present time as CloudWatch Logs has it.
func (s *Service) nowMillis() int64 { return s.clock.Now().UnixMilli() }

func noGroup() error {
	return logsapi.ResourceNotFoundException("The specified log group does not exist.")
}

func noStream() error {
	return logsapi.ResourceNotFoundException("The specified log stream does not exist.")
}

// groupName is the name that a call gives by name or by identifier, which is a
// name or an ARN.
func groupName(name, identifier *string) (string, error) {
	switch {
	case name != nil && identifier != nil:
		return "", logsapi.InvalidParameterException("LogGroup name and LogGroup identifier are mutually exclusive parameters.")
	case name != nil:
		return *name, nil
	case identifier == nil:
		return "", logsapi.InvalidParameterException("At least one of LogGroup name or LogGroup identifier is required.")
	}
	if !arn.Is(*identifier) {
		return *identifier, nil
	}
	n, ok := groupOfARN(*identifier)
	if !ok {
		return "", logsapi.InvalidParameterException("The specified log group ARN is invalid: %s", *identifier)
	}
	return n, nil
}

// groupOfARN is the name in a log group's ARN, with or without ":*" at the end.
func groupOfARN(text string) (string, bool) {
	a, ok := arn.Parse(text)
	if !ok || a.Service != "logs" {
		return "", false
	}
	name, ok := strings.CutPrefix(strings.TrimSuffix(a.Resource, ":*"), "log-group:")
	return name, ok && name != "" && !strings.Contains(name, ":")
}

// findGroup returns the caller's group of a name.
func (s *Service) findGroup(ctx context.Context, name string) (group, error) {
	p := place(ctx)
	g, found, err := s.groups.Get(ctx, p.Account, p.Region, name)
	if err != nil {
		return g, aws.Internal(err)
	}
	if !found {
		return g, noGroup()
	}
	return g, nil
}

// findStream returns a stream of a group.
func (s *Service) findStream(ctx context.Context, g group, name string) (stream, error) {
	p := place(ctx)
	st, found, err := s.streams.Get(ctx, p.Account, p.Region, g.ID, name)
	if err != nil {
		return st, aws.Internal(err)
	}
	if !found {
		return st, noStream()
	}
	return st, nil
}
