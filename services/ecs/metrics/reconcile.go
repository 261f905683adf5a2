package metrics

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/controller"
	"minato/internal/clock"
)

// World is what is measured: package ecs.
type World interface {
	// RunningTasks are the tasks that run, by place; every place with a cluster
	// is there.
	RunningTasks(ctx context.Context) (map[arn.Place][]Task, error)
	// InsightsOf are the names of the clusters of a place with Container Insights,
	// and their services.
	InsightsOf(ctx context.Context, p arn.Place) (clusters []string, services []Service, err error)
	// As is ctx with ECS's own identity in a place.
	As(ctx context.Context, p arn.Place) context.Context
}

// Reconciler measures the tasks once a minute, paced, and tells CloudWatch, as
// ECS. Its one key stands for all of them.
type Reconciler struct {
	World      World
	Meter      *Meter
	CloudWatch cwapi.API
	Clock      clock.Clock
	Log        *slog.Logger
}

// Keys is part of controller.Reconciler.
func (*Reconciler) Keys(context.Context) ([]string, error) { return []string{"all"}, nil }

// Reconcile is part of controller.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, _ string) (controller.Result, error) {
	every := r.Clock.Paced(Every)
	now := r.Clock.Now().UTC()
	if wait := r.Meter.Since(now); wait > 0 && wait < every-every/10 {
		return controller.Result{After: every - wait}, nil // a resync came in between
	}
	byPlace, err := r.World.RunningTasks(ctx)
	if err != nil {
		return controller.Result{}, err
	}
	var all []Task
	for _, tasks := range byPlace {
		all = append(all, tasks...)
	}
	usage := r.Meter.Measure(ctx, now, all)
	high := every < Every
	var errs []error
	for p := range byPlace {
		here := slices.DeleteFunc(slices.Clone(usage), func(u Usage) bool { return u.Place != p })
		errs = append(errs, r.publish(ctx, p, Namespace, Utilization(here, now, high)))
		clusters, services, err := r.World.InsightsOf(ctx, p)
		if err == nil && len(clusters) > 0 {
			err = r.publish(ctx, p, InsightsNamespace, Insights(here, services, clusters, now, high))
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
		r.Log.Warn("metrics of tasks are not told to CloudWatch", "error", err)
	}
	return controller.Result{After: every}, nil
}

// maxData is how many data CloudWatch takes at once.
const maxData = 1000

func (r *Reconciler) publish(ctx context.Context, p arn.Place, namespace string, data []cwapi.MetricDatum) error {
	for chunk := range slices.Chunk(data, maxData) {
		if _, err := r.CloudWatch.PutMetricData(r.World.As(ctx, p), &cwapi.PutMetricDataInput{Namespace: &namespace, MetricData: chunk}); err != nil {
			return err
		}
	}
	return nil
}

// HasInsights tells whether a cluster has Container Insights.
func HasInsights(c *ecsapi.Cluster) bool {
	return aws.Val(c.Status) == "ACTIVE" && slices.ContainsFunc(c.Settings, func(s ecsapi.ClusterSetting) bool {
		return aws.Val(s.Name) == ecsapi.ClusterSettingNameContainerInsights && aws.Val(s.Value) != "disabled"
	})
}

// ServiceOf is a service as it is told of; ok is false for one that is going.
func ServiceOf(cluster string, s *ecsapi.Service, deployments int) (out Service, ok bool) {
	return Service{
		Cluster: cluster, Name: aws.Val(s.ServiceName), Running: float64(aws.Val(s.RunningCount)), Pending: float64(aws.Val(s.PendingCount)),
		Desired: float64(aws.Val(s.DesiredCount)), Deployments: float64(deployments),
	}, aws.Val(s.Status) == "ACTIVE"
}
