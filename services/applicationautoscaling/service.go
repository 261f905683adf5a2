package applicationautoscaling

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	cwapi "minato/aws/api/cloudwatch"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// Principal is whom the service-linked role for ECS trusts.
const Principal = "ecs.application-autoscaling.amazonaws.com"

// Deps is what the service needs. The APIs are reached through the gateway.
type Deps struct {
	Store      store.Store
	Clock      clock.Clock
	Log        *slog.Logger
	ECS        ecsapi.API
	CloudWatch cwapi.API
}

// Service implements autoapi.API.
type Service struct {
	Deps

	targets    store.Table[target]
	policies   store.Table[policy]
	scheduled  store.Table[scheduled]
	activities store.Table[activity]

	enqueue func(reconciler, key string)
}

var _ autoapi.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:       d,
		targets:    store.NewTable[target](d.Store, "applicationautoscaling/target"),
		policies:   store.NewTable[policy](d.Store, "applicationautoscaling/policy"),
		scheduled:  store.NewTable[scheduled](d.Store, "applicationautoscaling/scheduled"),
		activities: store.NewTable[activity](d.Store, "applicationautoscaling/activity"),
		enqueue:    func(string, string) {},
	}
}

// Registration is what the gateway needs to serve it.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: autoapi.Model, Handlers: autoapi.Handlers(s), Checks: checks}
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add(reconcilerName, &reconciler{s}, controller.Options{Workers: 2})
	c.Wake(reconcilerName, s.targets.Prefix(), nil)
	byTarget := func(t interface{ IDs(string) []string }) func(string) string {
		return func(key string) string {
			if ids := t.IDs(key); len(ids) > 3 {
				return s.targets.Key(ids[:3]...)
			}
			return ""
		}
	}
	c.Wake(reconcilerName, s.policies.Prefix(), byTarget(s.policies))
	c.Wake(reconcilerName, s.scheduled.Prefix(), byTarget(s.scheduled))
	s.enqueue = c.Enqueue
}

// Alarmed is told by CloudWatch that an alarm with a policy as its action has
// come into the action's state. Which alarm and state, the reconciler looks up.
func (s *Service) Alarmed(ctx context.Context, policyARN string) error {
	all, err := s.policies.List(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if aws.Val(p.PolicyARN) == policyARN {
			s.enqueue(reconcilerName, s.targets.Key(p.Place.Account, p.Place.Region, aws.Val(p.ResourceId)))
			return nil
		}
	}
	//lint:ignore ST1005 AWS's text
	return fmt.Errorf("No scaling policy found for the ARN %s", policyARN)
}

func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// own is ctx with the identity of the service-linked role in a place.
func own(ctx context.Context, p arn.Place) context.Context {
	return identity.With(ctx, identity.ServiceCaller(Principal, p.Account, p.Region))
}

func (s *Service) now() time.Time { return s.Clock.Now().UTC().Truncate(time.Millisecond) }

func invalid(format string, args ...any) error { return autoapi.ValidationException(format, args...) }

// served refuses what is no service of ECS.
func served(namespace, dimension, resource string) error {
	switch {
	case namespace != autoapi.ServiceNamespaceEcs:
		return invalid("The service namespace %s is not supported by minato.", namespace)
	case dimension != autoapi.ScalableDimensionEcsServiceDesiredCount:
		return invalid("Unsupported service namespace, resource type or scalable dimension: service namespace: %s, scalable dimension: %s", namespace, dimension)
	}
	if _, _, ok := serviceOf(resource); !ok {
		return invalid("Unsupported service namespace, resource type or scalable dimension: %s. An ECS service is service/cluster/name.", resource)
	}
	return nil
}

// serviceOf takes service/cluster/name apart.
func serviceOf(resource string) (cluster, name string, ok bool) {
	p := strings.Split(resource, "/")
	if len(p) != 3 || p[0] != "service" || p[1] == "" || p[2] == "" {
		return "", "", false
	}
	return p[1], p[2], true
}

func noTarget(resource string) error {
	return autoapi.ObjectNotFoundException("No scalable target found for service namespace: ecs, resource ID: %s, scalable dimension: ecs:service:DesiredCount", resource)
}

// registered refuses what is for a target that is not there.
func (s *Service) registered(tx *store.Tx, p arn.Place, resource string) error {
	_, found, err := s.targets.TxGet(tx, p.Account, p.Region, resource)
	if err == nil && !found {
		err = autoapi.ObjectNotFoundException("No scalable target registered for service namespace: ecs, resource ID: %s, scalable dimension: ecs:service:DesiredCount", resource)
	}
	return err
}

// page cuts a list after the item whose key a token names.
func page[T any](items []T, key func(T) string, token *string, limit *int32) ([]T, *string, error) {
	n := int(aws.Val(limit))
	if n <= 0 || n > 50 {
		n = 50
	}
	if token != nil {
		b, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, autoapi.InvalidNextTokenException("The next token is invalid.")
		}
		for len(items) > 0 && key(items[0]) <= string(b) {
			items = items[1:]
		}
	}
	if len(items) <= n {
		return items, nil, nil
	}
	items = items[:n]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[n-1])))
	return items, &next, nil
}

// checks asks IAM for the operation's action, with what it is asked about as
// condition keys.
func checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := gateway.Check{Action: op.Action(), Resource: "*", Context: map[string][]string{}}
	p := place(ctx)
	switch in := in.(type) {
	case *autoapi.RegisterScalableTargetInput:
		c.Resource = p.Of("application-autoscaling", "scalable-target/*")
		for k, v := range in.Tags {
			c.Context["aws:RequestTag/"+k] = []string{v}
			c.Context["aws:TagKeys"] = append(c.Context["aws:TagKeys"], k)
		}
		c.Context["application-autoscaling:service-namespace"] = []string{aws.Val(in.ServiceNamespace)}
		c.Context["application-autoscaling:scalable-dimension"] = []string{aws.Val(in.ScalableDimension)}
	case *autoapi.DeregisterScalableTargetInput, *autoapi.PutScalingPolicyInput, *autoapi.DeleteScalingPolicyInput, *autoapi.PutScheduledActionInput, *autoapi.DeleteScheduledActionInput:
		c.Resource = p.Of("application-autoscaling", "scalable-target/*")
	case *autoapi.TagResourceInput:
		c.Resource = aws.Val(in.ResourceARN)
	case *autoapi.UntagResourceInput:
		c.Resource = aws.Val(in.ResourceARN)
	case *autoapi.ListTagsForResourceInput:
		c.Resource = aws.Val(in.ResourceARN)
	}
	return []gateway.Check{c}
}
