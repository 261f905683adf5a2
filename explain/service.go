package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/cloudwatch"
	"minato/aws/api/ecs"
	"minato/explain/cause"
	"minato/gateway"
)

// calm is how long after a task fell a service counts as well again.
const calm = 5 * time.Minute

// servicesNamed finds where a service of a bare name may be: in every cluster.
func (q *inquiry) servicesNamed(name string) ([]string, error) {
	if strings.Contains(name, "/") {
		return []string{name}, nil
	}
	clusters, err := q.clusters()
	for i := range clusters {
		clusters[i] += "/" + name
	}
	return clusters, err
}

// serviceNamed explains the service of CLUSTER/NAME.
func (q *inquiry) serviceNamed(name string) (*Explanation, error) {
	cluster, service, _ := strings.Cut(name, "/")
	s, err := q.findService(cluster, service)
	if err != nil {
		return nil, err
	}
	f, err := q.serviceFindings(cluster, s)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Subject: aws.Val(s.ServiceArn), Kind: "service", Name: "service:" + name}
	if e.Refused, err = q.changed(aws.Val(s.CreatedAt), func(r gateway.Refusal) bool {
		return mentions(r, service) && (mentions(r, cluster) || mentions(r, aws.Val(s.ServiceArn)))
	}); err != nil {
		return nil, err
	}
	return e.conclude(f, "the service is in a steady state"), nil
}

func (q *inquiry) findService(cluster, name string) (ecs.Service, error) {
	out, err := q.ECS.DescribeServices(q.ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{name}})
	if notFound(err) || err == nil && (len(out.Services) == 0 || aws.Val(out.Services[0].Status) == "INACTIVE") || aws.IsCode(err, "InvalidParameterException") {
		return ecs.Service{}, absent("service", cluster+"/"+name)
	}
	if err != nil {
		return ecs.Service{}, err
	}
	return out.Services[0], nil
}

// serviceFindings gathers what is known of a service, and concludes.
func (q *inquiry) serviceFindings(cluster string, s ecs.Service) (cause.Findings, error) {
	x := cause.Service{
		Name: aws.Val(s.ServiceName), Cluster: cluster, Desired: aws.Val(s.DesiredCount), Running: aws.Val(s.RunningCount), Pending: aws.Val(s.PendingCount),
		Definition: last(aws.Val(s.TaskDefinition)), Now: q.now, Minimum: 100, Maximum: 200,
	}
	if c := s.DeploymentConfiguration; c != nil {
		if c.MinimumHealthyPercent != nil {
			x.Minimum = *c.MinimumHealthyPercent
		}
		if c.MaximumPercent != nil {
			x.Maximum = *c.MaximumPercent
		}
	}
	for _, d := range s.Deployments {
		x.Deployments = append(x.Deployments, cause.Deployment{
			ID: aws.Val(d.Id), Status: aws.Val(d.Status), Rollout: aws.Val(d.RolloutState), Said: aws.Val(d.RolloutStateReason), Definition: aws.Val(d.TaskDefinition),
			Desired: aws.Val(d.DesiredCount), Running: aws.Val(d.RunningCount), Pending: aws.Val(d.PendingCount), Failed: aws.Val(d.FailedTasks), Created: aws.Val(d.CreatedAt),
		})
	}
	for _, e := range s.Events {
		x.Events = append(x.Events, cause.Event{At: aws.Val(e.CreatedAt), Text: aws.Val(e.Message)})
	}
	live := map[string]cause.Task{}
	tasks, err := q.listTasks(cluster, x.Name, ecs.DesiredStatusRunning)
	if err != nil {
		return cause.Findings{}, err
	}
	for _, t := range tasks {
		seen, err := q.taskSeen(cluster, t)
		if err != nil {
			return cause.Findings{}, err
		}
		x.Live = append(x.Live, seen)
		live[seen.Address] = seen
	}
	if err := q.protection(cluster, x.Live); err != nil {
		return cause.Findings{}, err
	}
	var groups []string
	for _, lb := range s.LoadBalancers {
		groups = append(groups, aws.Val(lb.TargetGroupArn))
		if a := lb.AdvancedConfiguration; a != nil { // deployments take turns with the two
			groups = append(groups, aws.Val(a.AlternateTargetGroupArn))
		}
	}
	for _, arn := range groups {
		group, found, err := q.groupOf(arn)
		if err != nil {
			return cause.Findings{}, err
		}
		if !found {
			x.GroupsGone = append(x.GroupsGone, arn)
			continue
		}
		targets, err := q.targets(group, live, s.HealthCheckGracePeriodSeconds)
		if err != nil {
			return cause.Findings{}, err
		}
		x.Targets = append(x.Targets, targets...)
	}
	if x.Alarms, err = q.alarms(s); err != nil {
		return cause.Findings{}, err
	}
	fallen, err := q.fallen(cluster, s)
	if err != nil {
		return cause.Findings{}, err
	}
	x.Fallen = fallen
	f := cause.OfService(x)
	if len(fallen) > 0 && len(f.Causes) == 0 {
		if newest := fallen[0]; q.now.Sub(newest.Stopped) < calm && !newest.Started.IsZero() && len(f.Waits) == 0 {
			part := cause.OfTask(newest)
			f.Causes = append(f.Causes, part.Causes...)
		} else {
			f.Proof = append(f.Proof, fmt.Sprintf("%d of its tasks fell since the deployment began, the last at %s: minato why %s", len(fallen), newest.Stopped.Local().Format("15:04:05"), newest.ID))
		}
	}
	return f, nil
}

// protection adds until when tasks are protected from being scaled in.
func (q *inquiry) protection(cluster string, live []cause.Task) error {
	const most = 100 // tasks in one call
	for start := 0; start < len(live); start += most {
		batch := live[start:min(start+most, len(live))]
		in := &ecs.GetTaskProtectionInput{Cluster: &cluster}
		for _, t := range batch {
			in.Tasks = append(in.Tasks, t.ID)
		}
		out, err := q.ECS.GetTaskProtection(q.ctx, in)
		if err != nil {
			return err
		}
		for _, p := range out.ProtectedTasks {
			for i := range batch {
				if batch[i].ID == last(aws.Val(p.TaskArn)) && aws.Val(p.ProtectionEnabled) {
					batch[i].Protected = aws.Val(p.ExpirationDate)
				}
			}
		}
	}
	return nil
}

// alarms are those that the service's deployments go by.
func (q *inquiry) alarms(s ecs.Service) ([]cause.Alarm, error) {
	c := s.DeploymentConfiguration
	if c == nil || c.Alarms == nil || !aws.Val(c.Alarms.Enable) || len(c.Alarms.AlarmNames) == 0 {
		return nil, nil
	}
	out, err := q.CloudWatch.DescribeAlarms(q.ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: c.Alarms.AlarmNames, AlarmTypes: []string{cloudwatch.AlarmTypeMetricAlarm, cloudwatch.AlarmTypeCompositeAlarm}})
	if err != nil {
		return nil, err
	}
	var list []cause.Alarm
	for _, a := range out.MetricAlarms {
		list = append(list, cause.Alarm{Name: aws.Val(a.AlarmName), State: aws.Val(a.StateValue), Reason: aws.Val(a.StateReason)})
	}
	for _, a := range out.CompositeAlarms {
		list = append(list, cause.Alarm{Name: aws.Val(a.AlarmName), State: aws.Val(a.StateValue), Reason: aws.Val(a.StateReason)})
	}
	return list, nil
}

var givenUp = regexp.MustCompile(`\(deployment (ecs-svc/\d+)\) deployment failed`)

// fallen are the service's tasks that stopped because something was wrong, the
// newest first: those of the present deployments, and those of one that was given
// up. What is older is history.
func (q *inquiry) fallen(cluster string, s ecs.Service) ([]cause.Task, error) {
	var since time.Time
	for _, d := range s.Deployments {
		if c := aws.Val(d.CreatedAt); c.After(since) {
			since = c
		}
	}
	failed := ""
	for _, e := range s.Events {
		if m := givenUp.FindStringSubmatch(aws.Val(e.Message)); m != nil {
			failed = m[1]
			break
		}
	}
	tasks, err := q.listTasks(cluster, aws.Val(s.ServiceName), ecs.DesiredStatusStopped)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tasks, func(a, b ecs.Task) int { return aws.Val(b.CreatedAt).Compare(aws.Val(a.CreatedAt)) })
	var out []cause.Task
	for _, t := range tasks {
		if aws.Val(t.CreatedAt).Before(since) && (failed == "" || aws.Val(t.StartedBy) != failed) {
			continue
		}
		if !(cause.Task{Reason: aws.Val(t.StoppedReason), Code: aws.Val(t.StopCode)}).Fell() {
			continue
		}
		if len(out) == fallenLooked {
			break
		}
		seen, err := q.taskSeen(cluster, t)
		if err != nil {
			return nil, err
		}
		out = append(out, seen)
	}
	return out, nil
}

// fallenLooked is how many of a service's fallen tasks are looked at.
const fallenLooked = 5

// fallenOf explains the fallen tasks of a service that is gone.
func (q *inquiry) fallenOf(cluster, name string) (cause.Findings, error) {
	var f cause.Findings
	tasks, err := q.listTasks(cluster, "", ecs.DesiredStatusStopped)
	if err != nil {
		return f, err
	}
	for _, t := range tasks {
		if aws.Val(t.Group) != "service:"+name || !(cause.Task{Reason: aws.Val(t.StoppedReason), Code: aws.Val(t.StopCode)}).Fell() {
			continue
		}
		seen, err := q.taskSeen(cluster, t)
		if err != nil {
			return f, err
		}
		f.Causes = append(f.Causes, cause.OfTask(seen).Causes...)
		if len(f.Causes) >= fallenLooked {
			break
		}
	}
	return f, nil
}
