package cloudwatch

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/metrics"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store   store.Store
	Metrics *metrics.Set
	History *segments.Set // of the alarms; its own: nothing else is in it
	Clock   clock.Clock
	Log     *slog.Logger
	// Scale tells Application Auto Scaling that an alarm with one of its
	// policies as an action has come into the action's state. It may be nil.
	Scale func(ctx context.Context, policy string) error
}

// Service implements cwapi.API.
type Service struct {
	store   store.Store
	metrics *metrics.Set
	records *segments.Set
	clock   clock.Clock
	log     *slog.Logger
	scale   func(ctx context.Context, policy string) error

	alarms     store.Table[alarm]
	dashboards store.Table[dashboard]
}

var _ cwapi.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: d.Store, metrics: d.Metrics, records: d.History, clock: d.Clock, log: d.Log, scale: d.Scale,
		alarms:     store.NewTable[alarm](d.Store, "cloudwatch/alarm"),
		dashboards: store.NewTable[dashboard](d.Store, "cloudwatch/dashboard"),
	}
}

// Registration is what the gateway needs to serve CloudWatch.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: cwapi.Model, Handlers: cwapi.Handlers(s), Checks: checks}
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add("cloudwatch-alarms", &alarmReconciler{s}, controller.Options{Workers: 2})
	c.Wake("cloudwatch-alarms", s.alarms.Prefix(), nil)
	c.Add("cloudwatch-composites", &compositeReconciler{s}, controller.Options{Workers: 1})
	c.Wake("cloudwatch-composites", s.alarms.Prefix(), func(string) string { return compositesKey })
	c.Add("cloudwatch-retention", &retention{s}, controller.Options{Workers: 1, Resync: time.Hour})
}

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// logName is the name of a place's log in the segments.
func logName(p arn.Place) string { return p.Account + "." + p.Region }

func alarmARN(p arn.Place, name string) string { return p.Of("cloudwatch", "alarm:"+name) }

func dashboardARN(p arn.Place, name string) string {
	return "arn:aws:cloudwatch::" + p.Account + ":dashboard/" + name
}

func invalid(format string, args ...any) error {
	return aws.Errorf("ValidationError", format, args...)
}

// The errors of parameters, in CloudWatch's own words.
func badValue(format string, args ...any) error {
	return cwapi.InvalidParameterValueException(format, args...)
}

func badCombination(format string, args ...any) error {
	return cwapi.InvalidParameterCombinationException(format, args...)
}

func missing(format string, args ...any) error {
	return cwapi.MissingRequiredParameterException(format, args...)
}

// refused is the error for what AWS would act on and minato would drop.
func refused(what string) error {
	return invalid("%s is not supported by minato.", what)
}

func internal(err error) error {
	return cwapi.InternalServiceFault("An internal error has occurred.").Because(fmt.Errorf("cloudwatch: %w", err))
}

// retention drops old samples and history.
type retention struct{ *Service }

// historyDays is how long AWS keeps the history of alarms.
const historyDays = 30

// Keys is part of controller.Reconciler.
func (r *retention) Keys(context.Context) ([]string, error) { return []string{"all"}, nil }

// Reconcile is part of controller.Reconciler.
func (r *retention) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	if err := r.metrics.Sweep(ctx); err != nil {
		return controller.Result{}, err
	}
	names, err := r.records.Names()
	if err != nil {
		return controller.Result{}, err
	}
	for _, name := range names {
		l, err := r.records.Log(name)
		if err == nil {
			err = l.DropBefore(r.clock.Now().AddDate(0, 0, -historyDays).UnixMilli())
		}
		if err != nil {
			return controller.Result{}, err
		}
	}
	return controller.Result{}, nil
}
