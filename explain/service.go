package explain

import (
	"context"
	"fmt"
	"time"

	"minato/aws"
	"minato/aws/api/ecs"
)

// recentStops is how many of a service's stopped tasks are looked at.
const recentStops = 5

// servicesNamed finds the services of a bare name, in every cluster.
func (x *Explainer) servicesNamed(ctx context.Context, name string) ([]Explanation, error) {
	clusters, err := x.ECS.ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil {
		return nil, err
	}
	var found []Explanation
	for _, cluster := range clusters.ClusterArns {
		e, err := x.service(ctx, last(cluster), name)
		if err == nil {
			found = append(found, *e)
		} else if !isAbsent(err) {
			return nil, err
		}
	}
	return found, nil
}

// service explains what keeps a service from its desired state.
func (x *Explainer) service(ctx context.Context, cluster, name string) (*Explanation, error) {
	out, err := x.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{name}})
	if notFound(err) || err == nil && len(out.Services) == 0 {
		return nil, absent("service", cluster+"/"+name)
	}
	if err != nil {
		return nil, err
	}
	s := out.Services[0]
	if aws.Val(s.Status) == "INACTIVE" {
		return nil, absent("service", cluster+"/"+name)
	}
	e := &Explanation{Subject: aws.Val(s.ServiceArn), Kind: "service"}
	running, desired := aws.Val(s.RunningCount), aws.Val(s.DesiredCount)
	e.Proof = append(e.Proof, fmt.Sprintf("%d of %d tasks run", running, desired))
	for _, d := range s.Deployments {
		e.Proof = append(e.Proof, fmt.Sprintf("deployment %s is %s, rollout %s: %d running, %d pending, %d failed tasks", aws.Val(d.Id), aws.Val(d.Status), aws.Val(d.RolloutState), aws.Val(d.RunningCount), aws.Val(d.PendingCount), aws.Val(d.FailedTasks)))
	}
	short := running < desired // of tasks, or of healthy targets
	for _, lb := range s.LoadBalancers {
		seen, err := x.targets(ctx, aws.Val(lb.TargetGroupArn))
		if notFound(err) {
			seen.causes, err = []Cause{{What: "the service's target group " + aws.Val(lb.TargetGroupArn) + " does not exist any more"}}, nil
		}
		if err != nil {
			return nil, err
		}
		e.Causes = append(e.Causes, seen.causes...)
		e.Proof = append(e.Proof, seen.proof...)
		short = short || seen.healthy < int(desired)
	}
	if short || len(s.Deployments) > 1 || len(e.Causes) > 0 {
		causes, err := x.stopped(ctx, cluster, name, since(s))
		if err != nil {
			return nil, err
		}
		e.Causes = append(e.Causes, causes...)
	}
	if len(e.Causes) == 0 && (short || len(s.Deployments) > 1) {
		c := Cause{What: fmt.Sprintf("the deployment is under way: %d of %d tasks run, and nothing has failed so far", running, desired), Evidence: e.Proof}
		for i, ev := range s.Events {
			if i == 3 {
				break
			}
			c.Evidence = append(c.Evidence, aws.Val(ev.Message))
		}
		e.Causes = append(e.Causes, c)
	}
	return e.conclude("nothing is wrong: the service is in a steady state"), nil
}

// since is when the newest deployment began: older stops are history.
func since(s ecs.Service) time.Time {
	var t time.Time
	for _, d := range s.Deployments {
		if c := aws.Val(d.CreatedAt); c.After(t) {
			t = c
		}
	}
	return t
}

// stopped explains the service's tasks that stopped by themselves lately.
func (x *Explainer) stopped(ctx context.Context, cluster, service string, since time.Time) ([]Cause, error) {
	list, err := x.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &service, DesiredStatus: aws.Ptr(ecs.DesiredStatusStopped)})
	if err != nil || len(list.TaskArns) == 0 {
		return nil, err
	}
	arns := list.TaskArns
	if len(arns) > 100 {
		arns = arns[:100] // what DescribeTasks takes
	}
	out, err := x.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: arns})
	if err != nil {
		return nil, err
	}
	var causes []Cause
	seen := 0
	for _, t := range out.Tasks {
		if seen == recentStops {
			break
		}
		if aws.Val(t.CreatedAt).Before(since) || aws.Val(t.StopCode) == ecs.TaskStopCodeServiceSchedulerInitiated && !healthStop(t) {
			continue
		}
		seen++
		c, err := x.taskCauses(ctx, t)
		if err != nil {
			return nil, err
		}
		causes = append(causes, c...)
	}
	return causes, nil
}
