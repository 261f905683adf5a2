package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

const (
	rolled        = "rolled"
	rolloutRounds = 3
	visitRate     = 200 // requests a second
)

// front returns the address of a load balancer with a service of so many tasks
// behind it, made when first needed, scaled after that.
func (w *world) front(ctx context.Context, tasks int) (url string, err error) {
	out, err := w.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{"bench"}})
	if err == nil {
		if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(rolled), DesiredCount: aws.Int32(int32(tasks))}); err != nil {
			return "", err
		}
		if err := w.stable(ctx, rolled, int32(tasks)); err != nil {
			return "", err
		}
		return w.frontURL(ctx, *out.LoadBalancers[0].LoadBalancerArn)
	}
	lb, err := w.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("bench"), Subnets: w.subnets, SecurityGroups: []string{w.group}})
	if err != nil {
		return "", err
	}
	arn := lb.LoadBalancers[0].LoadBalancerArn
	// What every guide sets for quick deployments: a check each 5 s, drained for 5 s.
	tg, err := w.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String("bench"), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: &w.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2),
	})
	if err != nil {
		return "", err
	}
	group := tg.TargetGroups[0].TargetGroupArn
	if _, err := w.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbtypes.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("5")},
	}}); err != nil {
		return "", err
	}
	if _, err := w.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: arn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}},
	}); err != nil {
		return "", err
	}
	if _, err := w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(rolled), TaskDefinition: aws.String(family), DesiredCount: aws.Int32(int32(tasks)),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: w.awsvpc(),
		LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: group, ContainerName: aws.String("answer"), ContainerPort: aws.Int32(80)}},
	}); err != nil {
		return "", err
	}
	if err := w.stable(ctx, rolled, int32(tasks)); err != nil {
		return "", err
	}
	return w.frontURL(ctx, *arn)
}

// noFront takes the service down to nothing, so that what follows has the
// machine for itself.
func (w *world) noFront(ctx context.Context) error {
	if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(rolled), DesiredCount: aws.Int32(0)}); err != nil {
		if notThere := (*ecstypes.ServiceNotFoundException)(nil); errors.As(err, &notThere) {
			return nil
		}
		return err
	}
	return w.stopTasks(ctx)
}

func (w *world) frontURL(ctx context.Context, arn string) (string, error) {
	_, id, ok := strings.Cut(arn, ":loadbalancer/")
	if !ok {
		return "", fmt.Errorf("%s is no load balancer", arn)
	}
	address, err := w.publicAddress(ctx, "description", "ELB "+id)
	if err != nil {
		return "", err
	}
	url := "http://" + address.String() + "/"
	return url, until(ctx, 20*time.Second, "the load balancer answers", func() (bool, error) {
		err := answers(url)
		return err == nil, err
	})
}

// rollout measures a forced new deployment of six tasks.
func (b *bench) rollout(ctx context.Context) error { return b.rolloutOf(ctx, 6) }

// rollouts measures it at every size that is asked for.
func (b *bench) rollouts(ctx context.Context) error {
	for _, n := range b.sizes {
		if err := b.rolloutOf(ctx, n); err != nil {
			return fmt.Errorf("%d tasks: %w", n, err)
		}
	}
	return b.world.noFront(ctx)
}

// rolloutOf measures a forced new deployment of so many tasks until the old ones
// are gone and the service is stable, while visitors come.
func (b *bench) rolloutOf(ctx context.Context, tasks int) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	url, err := w.front(ctx, tasks)
	if err != nil {
		return err
	}
	var took []float64
	var made, failed int
	for range rolloutRounds {
		load, stop := context.WithCancel(ctx)
		result := make(chan visitors, 1)
		go func() { result <- visit(load, url, visitRate) }()
		d, err := w.rollOnce(ctx, int32(tasks))
		if err == nil {
			time.Sleep(500 * time.Millisecond) // what breaks late counts too
		}
		stop()
		v := <-result
		if err != nil {
			return err
		}
		took, made, failed = append(took, d.Seconds()), made+v.made, failed+v.failed
		if v.failed > 0 {
			b.leave("rollout of %d: %d of %d requests failed, the first: %s", tasks, v.failed, v.made, v.firstFailure)
		}
	}
	name := fmt.Sprintf("rollout_%d_", tasks)
	b.add(name+"seconds", median(took), 2)
	b.add(name+"requests", float64(made), 0)
	b.add(name+"failed_requests", float64(failed), 0)
	return nil
}

func (w *world) rollOnce(ctx context.Context, tasks int32) (time.Duration, error) {
	old, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(rolled), ForceNewDeployment: true}); err != nil {
		return 0, err
	}
	if err := w.stable(ctx, rolled, tasks); err != nil {
		return 0, err
	}
	err = until(ctx, 60*time.Second, "the old tasks have stopped", func() (bool, error) {
		out, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: old})
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(out.Tasks, func(t ecstypes.Task) bool { return *t.LastStatus != "STOPPED" }), nil
	})
	return time.Since(begin), err
}
