package applicationautoscaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	cwapi "minato/aws/api/cloudwatch"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/controller"
	"minato/internal/ids"
	"minato/store"
)

const reconcilerName = "application-autoscaling"

// look is how often a target is looked at, paced: as on AWS, an alarm that stays
// in its state calls again every minute.
const look = time.Minute

// reconciler scales the targets. Its keys are theirs, and "alarms".
type reconciler struct{ *Service }

// orphans is the key under which alarms of policies that are gone are deleted, and
// old activities.
const orphans = "alarms"

// Keys is part of controller.Reconciler.
func (r *reconciler) Keys(ctx context.Context) ([]string, error) {
	keys, err := r.targets.Keys(ctx)
	return append(keys, orphans), err
}

// Reconcile is part of controller.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	if key == orphans {
		return controller.Result{}, errors.Join(r.sweep(ctx), r.forget(ctx, r.now()))
	}
	t, found, err := r.targets.GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	ctx = own(ctx, t.Place)
	now := r.now()
	svc, err := r.service(ctx, *t.ResourceId)
	if err != nil {
		if aws.IsCode(err, "ValidationException") {
			return controller.Result{After: r.Clock.Paced(look)}, nil // the service is gone; the target stays, as on AWS
		}
		return controller.Result{}, err
	}
	next := r.Clock.Paced(look)
	if t.Change != nil {
		if err := r.carryOut(ctx, t, svc, now); err != nil {
			return controller.Result{}, err
		}
		return controller.Result{After: min(next, r.Clock.Paced(5*time.Second))}, nil
	}
	ran, wait, err := r.runScheduled(ctx, t, svc, now)
	if err != nil || ran {
		return controller.Result{}, err // the store wakes us for what was decided
	}
	if wait > 0 {
		next = min(next, wait)
	}
	d, err := r.decide(ctx, t, svc, now)
	if err != nil {
		return controller.Result{}, err
	}
	if d != nil {
		cause := fmt.Sprintf("monitor alarm %s in state ALARM triggered policy %s", d.alarm, d.policy)
		err = r.begin(ctx, t, int(aws.Val(svc.DesiredCount)), d.to, cause, d.policy, now, nil)
	}
	return controller.Result{After: next}, err
}

// decide gathers what is there and asks the plan.
func (r *reconciler) decide(ctx context.Context, t target, svc *ecsapi.Service, now time.Time) (*decision, error) {
	all, err := r.policies.List(ctx, t.Place.Account, t.Place.Region, *t.ResourceId)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	s := situation{
		now: now, current: int(aws.Val(svc.DesiredCount)), min: int(*t.MinCapacity), max: int(*t.MaxCapacity),
		noOut: aws.Val(t.SuspendedState.DynamicScalingOutSuspended),
		noIn:  aws.Val(t.SuspendedState.DynamicScalingInSuspended) || len(svc.Deployments) > 1,
	}
	for _, o := range all {
		if err := r.ensureAlarms(ctx, o); err != nil {
			return nil, err
		}
		p, err := r.stateOf(ctx, o)
		if err != nil {
			return nil, err
		}
		s.policies = append(s.policies, p)
	}
	return s.plan(), nil
}

// stateOf is a policy with its alarms' states and its metric.
func (r *reconciler) stateOf(ctx context.Context, o policy) (policyState, error) {
	p := policyState{name: *o.PolicyName, last: o.Last}
	cooldown := func(seconds *int32) time.Duration {
		if seconds == nil {
			return r.Clock.Paced(defaultCooldown)
		}
		return r.Clock.Paced(time.Duration(*seconds) * time.Second)
	}
	alarms, err := r.described(ctx, &cwapi.DescribeAlarmsInput{ActionPrefix: o.PolicyARN})
	if err != nil {
		return p, err
	}
	if c := o.TargetTrackingScalingPolicyConfiguration; c != nil {
		p.outCooldown, p.inCooldown = cooldown(c.ScaleOutCooldown), cooldown(c.ScaleInCooldown)
		period := r.period()
		tr := &tracking{target: o.target(period), highName: o.alarm("AlarmHigh"), lowName: o.alarm("AlarmLow"), noIn: aws.Val(c.DisableScaleIn)}
		tr.high, tr.low = called(alarms[tr.highName], *o.PolicyARN), called(alarms[tr.lowName], *o.PolicyARN)
		p.tracking = tr
		if tr.high || tr.low {
			m, stat, unit, _ := o.metric()
			tr.value, tr.known, err = r.latest(ctx, one(m, stat, unit, period), period, r.periods(highAfter))
		}
		return p, err
	}
	c := o.StepScalingPolicyConfiguration
	p.config, p.outCooldown, p.inCooldown = c, cooldown(c.Cooldown), cooldown(c.Cooldown)
	for name, a := range alarms {
		if !called(a, *o.PolicyARN) {
			continue
		}
		by, err := r.breach(ctx, a)
		if err != nil {
			return p, err
		}
		p.steps = append(p.steps, triggered{name, by, strings.HasPrefix(aws.Val(a.ComparisonOperator), "Less")})
	}
	return p, nil
}

// called tells whether an alarm is in a state in which it calls for the policy.
func called(a cwapi.MetricAlarm, policyARN string) bool {
	if !aws.Val(a.ActionsEnabled) {
		return false
	}
	actions := map[string][]string{cwapi.StateValueAlarm: a.AlarmActions, cwapi.StateValueOk: a.OKActions, cwapi.StateValueInsufficientData: a.InsufficientDataActions}
	for _, action := range actions[aws.Val(a.StateValue)] {
		if action == policyARN {
			return true
		}
	}
	return false
}

// breach is how far the alarm's metric is beyond its threshold now; without data
// what it was when the alarm came into its state, or just at the threshold.
func (r *reconciler) breach(ctx context.Context, a cwapi.MetricAlarm) (float64, error) {
	queries, period := a.Metrics, int32(60)
	if len(queries) == 0 {
		period = aws.Val(a.Period)
		stat := aws.Val(a.Statistic)
		if stat == "" {
			stat = aws.Val(a.ExtendedStatistic)
		}
		queries = one(cwapi.Metric{Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions}, stat, a.Unit, period)
	}
	v, ok, err := r.latest(ctx, queries, period, aws.Val(a.EvaluationPeriods))
	if err != nil {
		return 0, err
	}
	if !ok {
		var data struct {
			Recent []float64 `json:"recentDatapoints"`
		}
		if json.Unmarshal([]byte(aws.Val(a.StateReasonData)), &data) != nil || len(data.Recent) == 0 {
			return 0, nil
		}
		v = data.Recent[len(data.Recent)-1]
	}
	return v - aws.Val(a.Threshold), nil
}

// begin writes down a change, before anything is done: the change, its activity,
// and what else belongs to it, in one transaction.
func (r *reconciler) begin(ctx context.Context, t target, from, to int, cause, policyName string, now time.Time, also func(tx *store.Tx, t *target) error) error {
	a := activity{autoapi.ScalingActivity{
		ActivityId: aws.Ptr(ids.UUID()), Cause: &cause, Description: aws.Ptr(fmt.Sprintf("Setting desired count to %d.", to)), ResourceId: t.ResourceId, ScalableDimension: t.ScalableDimension,
		ServiceNamespace: t.ServiceNamespace, StartTime: &now, StatusCode: aws.Ptr(autoapi.ScalingActivityStatusCodeInProgress),
		StatusMessage: aws.Ptr(fmt.Sprintf("Setting desired count to %d.", to)),
	}}
	account, region, resource := t.Place.Account, t.Place.Region, *t.ResourceId
	return store.Update(ctx, r.Store, func(tx *store.Tx) error {
		current, found, err := r.targets.TxGet(tx, account, region, resource)
		if err != nil || !found || current.Change != nil {
			return err
		}
		if also != nil {
			if err := also(tx, &current); err != nil {
				return err
			}
		}
		if from != to {
			current.Change = &change{Activity: *a.ActivityId, From: from, To: to, At: now}
			if err := r.activities.TxPut(tx, a, account, region, resource, *a.ActivityId); err != nil {
				return err
			}
		}
		if policyName != "" {
			o, found, err := r.policies.TxGet(tx, account, region, resource, policyName)
			if err != nil {
				return err
			}
			if found {
				o.Last = scaling{now, from, to}
				if err := r.policies.TxPut(tx, o, account, region, resource, policyName); err != nil {
					return err
				}
			}
		}
		return r.targets.TxPut(tx, current, account, region, resource)
	})
}

// carryOut tells ECS what was decided, and sees it fulfilled.
func (r *reconciler) carryOut(ctx context.Context, t target, svc *ecsapi.Service, now time.Time) error {
	c := *t.Change
	if !c.Sent {
		cluster, name, _ := serviceOf(*t.ResourceId)
		_, err := r.ECS.UpdateService(ctx, &ecsapi.UpdateServiceInput{Cluster: &cluster, Service: &name, DesiredCount: aws.Ptr(int32(c.To))})
		switch {
		case err != nil && aws.AsError(err).HTTPStatus() >= 500:
			return err // a fault of ours: tried again
		case err != nil:
			r.Log.Warn("a service is not scaled", "service", *t.ResourceId, "to", c.To, "error", err)
			return r.end(ctx, t, autoapi.ScalingActivityStatusCodeFailed, fmt.Sprintf("Failed to set desired count to %d. Reason: %s", c.To, aws.AsError(err).Message), now)
		}
		c.Sent = true
		_, err = r.targets.Update(ctx, func(t *target) error {
			if t.Change != nil && t.Change.Activity == c.Activity {
				t.Change.Sent = true
			}
			return nil
		}, t.Place.Account, t.Place.Region, *t.ResourceId)
		return err
	}
	switch {
	case int(aws.Val(svc.DesiredCount)) != c.To:
		return r.end(ctx, t, autoapi.ScalingActivityStatusCodeOverridden, fmt.Sprintf("Attempted to set desired count to %d, but it was changed to %d meanwhile.", c.To, aws.Val(svc.DesiredCount)), now)
	case int(aws.Val(svc.RunningCount)) == c.To:
		return r.end(ctx, t, autoapi.ScalingActivityStatusCodeSuccessful, fmt.Sprintf("Successfully set desired count to %d. Change successfully fulfilled by ecs.", c.To), now)
	case now.Sub(c.At) > r.Clock.Paced(30*time.Minute):
		return r.end(ctx, t, autoapi.ScalingActivityStatusCodeUnfulfilled, fmt.Sprintf("Successfully set desired count to %d, but %d tasks run.", c.To, aws.Val(svc.RunningCount)), now)
	}
	return nil
}

// end closes the change under way and its activity.
func (r *reconciler) end(ctx context.Context, t target, code, message string, now time.Time) error {
	account, region, resource := t.Place.Account, t.Place.Region, *t.ResourceId
	return store.Update(ctx, r.Store, func(tx *store.Tx) error {
		current, found, err := r.targets.TxGet(tx, account, region, resource)
		if err != nil || !found || current.Change == nil || current.Change.Activity != t.Change.Activity {
			return err
		}
		a, found, err := r.activities.TxGet(tx, account, region, resource, current.Change.Activity)
		if err != nil {
			return err
		}
		if found {
			a.StatusCode, a.StatusMessage, a.EndTime = &code, &message, &now
			if err := r.activities.TxPut(tx, a, account, region, resource, *a.ActivityId); err != nil {
				return err
			}
		}
		current.Change = nil
		return r.targets.TxPut(tx, current, account, region, resource)
	})
}

// runScheduled runs the first scheduled action that is due: the target gets its
// bounds, and the service as many tasks as they ask for. It returns how long
// until the next one is.
func (r *reconciler) runScheduled(ctx context.Context, t target, svc *ecsapi.Service, now time.Time) (ran bool, wait time.Duration, err error) {
	all, err := r.scheduled.List(ctx, t.Place.Account, t.Place.Region, *t.ResourceId)
	if err != nil || aws.Val(t.SuspendedState.ScheduledScalingSuspended) {
		return false, 0, err
	}
	for _, a := range all {
		due, ok := a.due()
		if !ok {
			continue
		}
		if due.After(now) {
			if d := due.Sub(now); wait == 0 || d < wait {
				wait = d
			}
			continue
		}
		least, most := *t.MinCapacity, *t.MaxCapacity
		if m := a.ScalableTargetAction.MinCapacity; m != nil {
			least = *m
		}
		if m := a.ScalableTargetAction.MaxCapacity; m != nil {
			most = *m
		}
		// One bound alone may pass the other: it takes it along.
		if a.ScalableTargetAction.MaxCapacity == nil {
			most = max(most, least)
		} else {
			least = min(least, most)
		}
		current := int(aws.Val(svc.DesiredCount))
		to := max(int(least), min(int(most), current))
		cause := fmt.Sprintf("scheduled action name %s was triggered", *a.ScheduledActionName)
		switch {
		case to > current:
			cause = fmt.Sprintf("minimum capacity was set to %d while current capacity was %d: %s", least, current, cause)
		case to < current:
			cause = fmt.Sprintf("maximum capacity was set to %d while current capacity was %d: %s", most, current, cause)
		}
		return true, 0, r.begin(ctx, t, current, to, cause, "", now, func(tx *store.Tx, current *target) error {
			current.MinCapacity, current.MaxCapacity = &least, &most
			done, found, err := r.scheduled.TxGet(tx, t.Place.Account, t.Place.Region, *t.ResourceId, *a.ScheduledActionName)
			if err != nil || !found {
				return err
			}
			done.Ran = now
			return r.scheduled.TxPut(tx, done, t.Place.Account, t.Place.Region, *t.ResourceId, *a.ScheduledActionName)
		})
	}
	return false, wait, nil
}

// sweep deletes the alarms of policies that are gone: a crash came between the
// deletion of a policy and theirs.
func (r *reconciler) sweep(ctx context.Context) error {
	keys, err := r.targets.Keys(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, key := range keys {
		id := r.targets.IDs(key)
		if seen[id[0]+id[1]] {
			continue
		}
		seen[id[0]+id[1]] = true
		ctx := own(ctx, arn.In(id[1], id[0]))
		have, err := r.described(ctx, &cwapi.DescribeAlarmsInput{AlarmNamePrefix: aws.Ptr("TargetTracking-service/")})
		if err != nil {
			return err
		}
		policies, err := r.policies.List(ctx, id[0], id[1])
		if err != nil {
			return err
		}
		for _, o := range policies {
			for _, a := range o.Alarms {
				delete(have, aws.Val(a.AlarmName))
			}
		}
		for name, a := range have {
			if !strings.HasPrefix(aws.Val(a.AlarmDescription), "DO NOT EDIT OR DELETE. For TargetTrackingScaling policy ") {
				continue
			}
			if _, err := r.CloudWatch.DeleteAlarms(ctx, &cwapi.DeleteAlarmsInput{AlarmNames: []string{name}}); err != nil && !aws.IsCode(err, "ResourceNotFound") {
				return err
			}
		}
	}
	return nil
}
