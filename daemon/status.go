package daemon

import (
	"context"
	"fmt"
	"os"
	"strings"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	cloud9api "minato/aws/api/cloud9"
	cfnapi "minato/aws/api/cloudformation"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbv2api "minato/aws/api/elbv2"
	iamapi "minato/aws/api/iam"
	logsapi "minato/aws/api/logs"
	rdsapi "minato/aws/api/rds"
	"minato/daemon/control"
	"minato/dataplane/build"
	"minato/explain"
	"minato/explain/cause"
)

// status is what `minato status` shows: processes, and what runs, read through
// the API like by any client.
func (d *daemon) status(ctx context.Context) (control.Status, error) {
	s := control.Status{State: d.state(), Instance: d.in.ID, DataDir: d.in.DataDir, Since: d.since, Items: []control.Item{}}
	s.Processes = []control.Process{{Role: "daemon", PID: os.Getpid()}, {Role: "containerd", PID: d.runtime.EnginePID()}}
	for _, c := range builders(d.in) {
		if pid, ok := build.Running(c); ok {
			s.Processes = append(s.Processes, control.Process{Role: "builder", PID: pid})
		}
	}
	for _, items := range []func(context.Context) ([]control.Item, error){d.ecsItems, d.balancerItems, d.databaseItems, d.workspaceItems} {
		some, err := items(ctx)
		if err != nil {
			return s, err
		}
		s.Items = append(s.Items, some...)
	}
	return s, nil
}

// ecsItems are the services of every cluster, and the tasks.
func (d *daemon) ecsItems(ctx context.Context) ([]control.Item, error) {
	api := ecsapi.NewClient(d.gateway)
	clusters, err := api.ListClusters(ctx, &ecsapi.ListClustersInput{})
	if err != nil {
		return nil, err
	}
	var out []control.Item
	for _, cluster := range clusters.ClusterArns {
		name := lastPart(cluster)
		services, err := allServices(ctx, api, cluster)
		if err != nil {
			return nil, err
		}
		for _, arn := range services {
			got, err := api.DescribeServices(ctx, &ecsapi.DescribeServicesInput{Cluster: &cluster, Services: []string{arn}})
			if err != nil {
				return nil, err
			}
			for _, s := range got.Services {
				out = append(out, control.Item{Kind: "service", Name: name + "/" + aws.Val(s.ServiceName), State: fmt.Sprintf("%s, %d of %d tasks run", aws.Val(s.Status), aws.Val(s.RunningCount), aws.Val(s.DesiredCount))})
			}
		}
		tasks, err := api.ListTasks(ctx, &ecsapi.ListTasksInput{Cluster: &cluster})
		if err != nil || len(tasks.TaskArns) == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		got, err := api.DescribeTasks(ctx, &ecsapi.DescribeTasksInput{Cluster: &cluster, Tasks: tasks.TaskArns})
		if err != nil {
			return nil, err
		}
		for _, t := range got.Tasks {
			out = append(out, control.Item{Kind: "task", Name: name + "/" + lastPart(aws.Val(t.TaskArn)), State: aws.Val(t.LastStatus), Where: taskAddress(t)})
		}
	}
	return out, nil
}

// allServices are the ARNs of a cluster's services, of which ECS lists ten at a
// time.
func allServices(ctx context.Context, api ecsapi.API, cluster string) (arns []string, err error) {
	for in := (&ecsapi.ListServicesInput{Cluster: &cluster}); ; {
		list, err := api.ListServices(ctx, in)
		if err != nil {
			return nil, err
		}
		arns = append(arns, list.ServiceArns...)
		if in.NextToken = list.NextToken; in.NextToken == nil {
			return arns, nil
		}
	}
}

func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// taskAddress is the private address of a task's interface.
func taskAddress(t ecsapi.Task) string {
	for _, a := range t.Attachments {
		for _, detail := range a.Details {
			if aws.Val(detail.Name) == "privateIPv4Address" {
				return aws.Val(detail.Value)
			}
		}
	}
	return ""
}

func (d *daemon) balancerItems(ctx context.Context) ([]control.Item, error) {
	out, err := elbv2api.NewClient(d.gateway).DescribeLoadBalancers(ctx, &elbv2api.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, err
	}
	var items []control.Item
	for _, lb := range out.LoadBalancers {
		i := control.Item{Kind: "load balancer", Name: aws.Val(lb.LoadBalancerName), Where: "http://" + aws.Val(lb.DNSName)}
		if lb.State != nil {
			i.State = aws.Val(lb.State.Code)
		}
		items = append(items, i)
	}
	return items, nil
}

func (d *daemon) databaseItems(ctx context.Context) ([]control.Item, error) {
	out, err := rdsapi.NewClient(d.gateway).DescribeDBInstances(ctx, &rdsapi.DescribeDBInstancesInput{})
	if err != nil {
		return nil, err
	}
	var items []control.Item
	for _, db := range out.DBInstances {
		i := control.Item{Kind: "database", Name: aws.Val(db.DBInstanceIdentifier), State: aws.Val(db.DBInstanceStatus), Actual: d.rds.Actual(db)}
		if db.Endpoint != nil {
			i.Where = fmt.Sprintf("%s:%d", aws.Val(db.Endpoint.Address), aws.Val(db.Endpoint.Port))
		}
		items = append(items, i)
	}
	return items, nil
}

func (d *daemon) workspaceItems(ctx context.Context) ([]control.Item, error) {
	api := cloud9api.NewClient(d.gateway)
	list, err := api.ListEnvironments(ctx, &cloud9api.ListEnvironmentsInput{})
	if err != nil || len(list.EnvironmentIds) == 0 {
		return nil, err
	}
	out, err := api.DescribeEnvironments(ctx, &cloud9api.DescribeEnvironmentsInput{EnvironmentIds: list.EnvironmentIds})
	if err != nil {
		return nil, err
	}
	var items []control.Item
	for _, e := range out.Environments {
		i := control.Item{Kind: "workspace", Name: aws.Val(e.Name), Where: "minato shell " + aws.Val(e.Name)}
		if e.Lifecycle != nil {
			i.State = aws.Val(e.Lifecycle.Status)
		}
		items = append(items, i)
	}
	return items, nil
}

// logFailures are the logs of a load balancer that did not get to their buckets, and
// what was lost of them.
func (d *daemon) logFailures(balancer string) (all []cause.LogFailure, lost []cause.LogLoss) {
	for _, f := range d.elb.LogFailures(balancer) {
		err := aws.AsError(f.Err)
		all = append(all, cause.LogFailure{Kind: f.Kind.String(), Bucket: f.Bucket, Keys: f.Keys, Since: f.Since, Files: f.Files, Code: err.Code, Text: err.Message})
	}
	for _, l := range d.elb.LogLosses(balancer) {
		lost = append(lost, cause.LogLoss{Kind: l.Kind.String(), Lines: l.Lines, Last: l.Last, Why: l.Why})
	}
	return all, lost
}

func (d *daemon) explainer() *explain.Explainer {
	return &explain.Explainer{
		EC2: ec2api.NewClient(d.gateway), ECS: ecsapi.NewClient(d.gateway), ELB: elbv2api.NewClient(d.gateway), RDS: rdsapi.NewClient(d.gateway),
		CloudFormation: cfnapi.NewClient(d.gateway), CloudWatch: cwapi.NewClient(d.gateway), Logs: logsapi.NewClient(d.gateway), ECR: ecrapi.NewClient(d.gateway), IAM: iamapi.NewClient(d.gateway), ACM: acmapi.NewClient(d.gateway),
		Drops: d.network.Drops, LogFailures: d.logFailures, Listening: d.network.Listening, Refusals: d.refused.List, Paced: d.clock.Paced, Now: d.clock.Now,
	}
}
