package explain

import (
	"net/netip"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/dataplane/network"
	"minato/explain/cause"
	"minato/gateway"
)

func (q *inquiry) targetGroupsNamed(name string) ([]string, error) {
	out, err := q.ELB.DescribeTargetGroups(q.ctx, &elbv2.DescribeTargetGroupsInput{Names: []string{name}})
	if notFound(err) || aws.IsCode(err, "ValidationError") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []string
	for _, tg := range out.TargetGroups {
		all = append(all, aws.Val(tg.TargetGroupArn))
	}
	return all, nil
}

// targetGroup explains the health of a group's targets.
func (q *inquiry) targetGroup(arn string) (*Explanation, error) {
	group, found, err := q.groupOf(arn)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, absent("target group", arn)
	}
	tasks, err := q.tasksAt(aws.Val(group.VpcId))
	if err != nil {
		return nil, err
	}
	targets, err := q.targets(group, tasks, nil)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Subject: arn, Kind: "target group", Name: "targetgroup:" + aws.Val(group.TargetGroupName)}
	var f cause.Findings
	for _, t := range targets {
		f.Add(cause.OfTarget(t))
	}
	if len(targets) == 0 {
		f.Causes = []cause.Cause{cause.NoTargets(arn)}
	}
	if e.Refused, err = q.changed(time.Time{}, func(r gateway.Refusal) bool { return mentions(r, arn) }); err != nil {
		return nil, err
	}
	return e.conclude(f, "all targets are healthy"), nil
}

func (q *inquiry) groupOf(arn string) (elbv2.TargetGroup, bool, error) {
	groups, err := q.ELB.DescribeTargetGroups(q.ctx, &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})
	if notFound(err) || err == nil && len(groups.TargetGroups) == 0 {
		return elbv2.TargetGroup{}, false, nil
	}
	if err != nil {
		return elbv2.TargetGroup{}, false, err
	}
	return groups.TargetGroups[0], true, nil
}

// targets looks at each target of a group. tasks are those that live, by address;
// grace is the service's, for its tasks.
func (q *inquiry) targets(group elbv2.TargetGroup, tasks map[string]cause.Task, grace *int32) ([]cause.Target, error) {
	health, err := q.ELB.DescribeTargetHealth(q.ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroupArn})
	if err != nil {
		return nil, err
	}
	balancers, err := q.balancerAddresses(group.LoadBalancerArns)
	if err != nil {
		return nil, err
	}
	shape := cause.TargetGroup{
		ARN: aws.Val(group.TargetGroupArn), Protocol: aws.Val(group.HealthCheckProtocol), Path: aws.Val(group.HealthCheckPath), Matcher: "200",
		Timeout: aws.Val(group.HealthCheckTimeoutSeconds), Interval: aws.Val(group.HealthCheckIntervalSeconds),
		Network: aws.Val(group.Protocol) == elbv2.ProtocolEnumTcp || aws.Val(group.Protocol) == elbv2.ProtocolEnumTls,
	}
	if group.Matcher != nil && aws.Val(group.Matcher.HttpCode) != "" {
		shape.Matcher = *group.Matcher.HttpCode
	}
	var out []cause.Target
	for _, d := range health.TargetHealthDescriptions {
		if d.Target == nil || d.TargetHealth == nil {
			continue
		}
		t := cause.Target{
			Group: shape, IP: aws.Val(d.Target.Id), Port: aws.Val(d.Target.Port), Now: q.now,
			State: aws.Val(d.TargetHealth.State), Reason: aws.Val(d.TargetHealth.Reason), Said: aws.Val(d.TargetHealth.Description),
		}
		if task, ok := tasks[t.IP]; ok {
			t.Task = &task
			if grace != nil && *grace > 0 && !task.Started.IsZero() {
				t.Grace = task.Started.Add(q.Paced(time.Duration(*grace) * time.Second))
			}
		}
		if t.State != elbv2.TargetHealthStateEnumHealthy && t.State != elbv2.TargetHealthStateEnumDraining {
			if err := q.inspect(&t, aws.Val(group.VpcId), balancers); err != nil {
				return nil, err
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// inspect looks at what AWS does not show of a target: the load balancer's
// packets that did not reach it, and where its programs listen.
func (q *inquiry) inspect(t *cause.Target, vpc string, balancers map[netip.Addr]bool) error {
	addr, err := netip.ParseAddr(t.IP)
	if err != nil {
		return nil // an instance id or a function: nothing is sent there
	}
	since := min(fresh, time.Duration(2*t.Group.Interval+t.Group.Timeout+5)*time.Second)
	t.Drops, err = q.drops(func(d network.Drop) bool {
		return d.VPC == vpc && d.Destination == addr && int32(d.Port) == t.Port && balancers[d.Source] && q.now.Sub(d.Last) < since
	})
	if err != nil {
		return err
	}
	at, err := q.interfaceAt(vpc, addr)
	if err != nil || at.id == "" {
		return err
	}
	if t.Sockets, err = q.Listening(q.ctx, at.id); err == nil {
		t.Looked = true
	}
	return nil // an interface without a namespace of its own cannot be looked into
}

// balancerAddresses are the private addresses of load balancers.
func (q *inquiry) balancerAddresses(arns []string) (map[netip.Addr]bool, error) {
	out := map[netip.Addr]bool{}
	for _, arn := range arns {
		_, id, ok := strings.Cut(arn, "loadbalancer/")
		if !ok {
			continue
		}
		found, err := q.EC2.DescribeNetworkInterfaces(q.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{{Name: aws.Ptr("description"), Values: []string{"ELB " + id}}}})
		if err != nil {
			return nil, err
		}
		for _, eni := range found.NetworkInterfaces {
			if a, err := netip.ParseAddr(aws.Val(eni.PrivateIpAddress)); err == nil {
				out[a] = true
			}
		}
	}
	return out, nil
}

// tasksAt are the living tasks of all clusters that have an address in a VPC.
func (q *inquiry) tasksAt(vpc string) (map[string]cause.Task, error) {
	clusters, err := q.clusters()
	if err != nil {
		return nil, err
	}
	out := map[string]cause.Task{}
	for _, cluster := range clusters {
		list, err := q.listTasks(cluster, "", ecs.DesiredStatusRunning)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			in, err := q.vpcOf(attachment(t, "subnetId"))
			if err != nil {
				return nil, err
			}
			if in != vpc {
				continue
			}
			if out[attachment(t, "privateIPv4Address")], err = q.taskSeen(cluster, t); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
