package elbv2

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	"minato/aws/arn"
	"minato/dataplane/proxy"
	"minato/services/elbv2/lbmetrics"
)

const (
	// metricsEvery is how often metrics are reported; paced.
	metricsEvery = time.Minute
	// maxData is how many metrics one call of CloudWatch's takes.
	maxData = 1000
)

// PublishMetrics reports to CloudWatch what load balancers did, once a minute,
// until ctx ends. What was counted before a restart and not reported is lost, as
// the connections are.
func (s *Service) PublishMetrics(ctx context.Context) {
	var before proxy.Account
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Clock.After(s.Clock.Paced(metricsEvery)):
		}
		after := s.Proxy.Account()
		if err := s.publish(ctx, before, after); err != nil && ctx.Err() == nil {
			s.Log.Warn("load balancers' metrics", "error", err) // a minute is lost; twice would be worse
		}
		before = after
	}
}

func (s *Service) publish(ctx context.Context, before, after proxy.Account) error {
	inv, err := s.inventory(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for i := range inv.balancers {
		b := metered(&inv.balancers[i], inv.groups)
		a, ok := arn.Parse(b.ID)
		if !ok {
			continue
		}
		ctx := own(ctx, arn.In(a.Region, a.Account))
		data := lbmetrics.Plan(b, before, after, s.Clock.Now().UTC())
		for chunk := range slices.Chunk(data, maxData) {
			_, err := s.Metrics.PutMetricData(ctx, &cwapi.PutMetricDataInput{Namespace: aws.Ptr(b.Namespace()), MetricData: chunk})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// metered is a load balancer as its metrics name it and its groups.
func metered(b *balancer, groups []group) *lbmetrics.Balancer {
	_, name, _ := strings.Cut(aws.Val(b.LoadBalancerArn), ":loadbalancer/")
	m := &lbmetrics.Balancer{ID: aws.Val(b.LoadBalancerArn), Name: name, Network: b.network()}
	for i := range groups {
		if g := &groups[i]; slices.Contains(g.LoadBalancerArns, m.ID) {
			a, _ := arn.Parse(aws.Val(g.TargetGroupArn))
			m.Groups = append(m.Groups, lbmetrics.Group{ID: aws.Val(g.TargetGroupArn), Name: a.Resource})
		}
	}
	return m
}
