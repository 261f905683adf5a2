package elbv2

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/identity"
	"minato/dataplane/proxy/proxytest"
	"minato/store"
)

// instances of the fake, by id: their address and state.
var (
	instancesMu sync.Mutex
	instances   = map[string][2]string{"i-1": {"127.77.0.210", "running"}, "i-2": {"127.77.0.211", "stopped"}, "i-4": {"127.77.0.212", "running"}}
)

func (f *fakeEC2) DescribeInstances(_ context.Context, in *ec2api.DescribeInstancesInput) (*ec2api.DescribeInstancesOutput, error) {
	instancesMu.Lock()
	defer instancesMu.Unlock()
	out := &ec2api.DescribeInstancesOutput{}
	for _, id := range append(filter(in.Filters, "instance-id"), in.InstanceIds...) {
		n, ok := instances[id]
		if !ok && len(in.Filters) > 0 {
			continue
		}
		if !ok {
			return nil, aws.Errorf("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
		}
		out.Reservations = append(out.Reservations, ec2api.Reservation{Instances: []ec2api.Instance{{
			InstanceId: &id, PrivateIpAddress: aws.Ptr(n[0]), VpcId: aws.Ptr("vpc-1"), State: &ec2api.InstanceState{Name: aws.Ptr(n[1])},
		}}})
	}
	return out, nil
}

// TestNetworkLoadBalancer has a network load balancer pass bytes to an instance.
func TestNetworkLoadBalancer(t *testing.T) {
	w := newWorld(t)
	lb := must(w.s.CreateLoadBalancer(w.ctx, &elbapi.CreateLoadBalancerInput{
		Name: aws.Ptr("flows"), Type: aws.Ptr("network"), Subnets: []string{"subnet-a"}, SecurityGroups: []string{"sg-1"},
	}))(t).LoadBalancers[0]
	if !strings.Contains(*lb.LoadBalancerArn, ":loadbalancer/net/flows/") || !strings.HasSuffix(*lb.DNSName, ".elb.us-east-1.amazonaws.com") || *lb.Type != "network" {
		t.Errorf("%+v", lb)
	}
	l, err := net.Listen("tcp", "127.77.0.210:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.WriteString(c, "hello")
			}()
		}
	}()
	group := must(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{
		Name: aws.Ptr("bytes"), Protocol: aws.Ptr("TCP"), Port: i32(int32(l.Addr().(*net.TCPAddr).Port)), VpcId: aws.Ptr("vpc-1"), HealthCheckIntervalSeconds: i32(10),
	}))(t).TargetGroups[0]
	if *group.TargetType != "instance" || *group.HealthCheckProtocol != "TCP" || group.HealthCheckPath != nil || group.Matcher != nil || *group.HealthCheckTimeoutSeconds != 10 || group.ProtocolVersion != nil {
		t.Errorf("%+v", group)
	}
	one := []elbapi.TargetDescription{{Id: aws.Ptr("i-1")}}
	must(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group.TargetGroupArn, Targets: one}))(t)
	port := int32(proxytest.FreePort(t))
	listener := must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("TCP"), Port: &port, DefaultActions: forward(group.TargetGroupArn)}))(t).Listeners[0]
	w.until("the instance to be healthy", func() bool {
		h := must(w.s.DescribeTargetHealth(w.ctx, &elbapi.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroupArn}))(t).TargetHealthDescriptions
		return len(h) == 1 && *h[0].Target.Id == "i-1" && *h[0].TargetHealth.State == "healthy"
	})
	w.until("bytes to pass", func() bool {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("127.77.0.11:%d", port), 10*time.Second)
		if err != nil {
			return false
		}
		defer c.Close()
		b, _ := io.ReadAll(c)
		return string(b) == "hello"
	})
	must(w.s.ModifyListenerAttributes(w.ctx, &elbapi.ModifyListenerAttributesInput{ListenerArn: listener.ListenerArn, Attributes: []elbapi.ListenerAttribute{{Key: aws.Ptr("tcp.idle_timeout.seconds"), Value: aws.Ptr("60")}}}))(t)

	bare := must(w.s.CreateLoadBalancer(w.ctx, &elbapi.CreateLoadBalancerInput{Name: aws.Ptr("bare"), Type: aws.Ptr("network"), Subnets: []string{"subnet-a"}}))(t).LoadBalancers[0]
	if len(bare.SecurityGroups) > 0 {
		t.Errorf("groups that nobody gave: %v", bare.SecurityGroups)
	}
	setGroups := func(lb *string, groups ...string) error {
		_, err := w.s.SetSecurityGroups(w.ctx, &elbapi.SetSecurityGroupsInput{LoadBalancerArn: lb, SecurityGroups: groups})
		return err
	}
	alb, web := w.balancer("alb"), w.group("web")
	second := func(_ any, err error) error { return err }
	register := func(id string) error {
		return second(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group.TargetGroupArn, Targets: []elbapi.TargetDescription{{Id: &id}}}))
	}
	listen := func(lb *string, protocol string, group *string) error {
		return second(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{LoadBalancerArn: lb, Protocol: &protocol, Port: i32(99), DefaultActions: forward(group)}))
	}
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"groups, later":   {setGroups(bare.LoadBalancerArn, "sg-1"), "InvalidConfigurationRequest: You cannot set security groups on a Network Load Balancer which was created without any security groups."},
		"groups, none":    {setGroups(lb.LoadBalancerArn), "InvalidConfigurationRequest: You cannot remove all security groups from a Network Load Balancer"},
		"stopped":         {register("i-2"), "InvalidTarget: The following targets are not in a running state and cannot be registered: 'i-2'"},
		"unknown":         {register("i-3"), "InvalidTarget: The following targets do not exist: 'i-3'"},
		"address":         {register("127.77.0.210"), "ValidationError: Instance ID '127.77.0.210' is not valid"},
		"UDP":             {listen(lb.LoadBalancerArn, "UDP", group.TargetGroupArn), "InvalidConfigurationRequest: Listeners of protocol 'UDP': not served by minato"},
		"HTTP":            {listen(lb.LoadBalancerArn, "HTTP", group.TargetGroupArn), "ValidationError: Listener protocol 'HTTP' must be one of 'TCP, TLS'"},
		"a web group":     {listen(lb.LoadBalancerArn, "TCP", web), "InvalidConfigurationRequest: The protocol 'HTTP' of target group '" + *web + "' is not supported by load balancers of type 'network'"},
		"a stream by ALB": {listen(alb.LoadBalancerArn, "HTTP", group.TargetGroupArn), "InvalidConfigurationRequest: The protocol 'TCP' of target group '" + *group.TargetGroupArn + "' is not supported by load balancers of type 'application'"},
		"rules": {
			second(w.s.CreateRule(w.ctx, &elbapi.CreateRuleInput{ListenerArn: listener.ListenerArn, Priority: i32(1), Actions: forward(group.TargetGroupArn), Conditions: []elbapi.RuleCondition{{Field: aws.Ptr("path-pattern"), Values: []string{"/"}}}})),
			"OperationNotPermitted: Rules are unsupported for Network Load Balancer listeners",
		},
		"preserved address": {second(w.s.ModifyTargetGroupAttributes(w.ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group.TargetGroupArn, Attributes: []elbapi.TargetGroupAttribute{{Key: aws.Ptr("preserve_client_ip.enabled"), Value: aws.Ptr("true")}}})), "InvalidConfigurationRequest: The value 'true' of the attribute 'preserve_client_ip.enabled': not served by minato"},
		"UDP group":         {second(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{Name: aws.Ptr("udp"), Protocol: aws.Ptr("UDP"), Port: i32(53), VpcId: aws.Ptr("vpc-1")})), "InvalidConfigurationRequest: Target groups of protocol 'UDP': not served by minato"},
	} {
		if c.err == nil || strings.Split(c.err.Error(), " (")[0] != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, c.err, c.want)
		}
	}
}

// TestNameFollowsHealth: as soon as one zone's target is well, the name of a load
// balancer that does not cross zones leads there only.
func TestNameFollowsHealth(t *testing.T) {
	w := newWorld(t)
	lb := must(w.s.CreateLoadBalancer(w.ctx, &elbapi.CreateLoadBalancerInput{Name: aws.Ptr("flows"), Type: aws.Ptr("network"), Scheme: aws.Ptr("internal"), Subnets: []string{"subnet-a", "subnet-c"}}))(t).LoadBalancers[0]
	l, err := net.Listen("tcp", "127.77.0.210:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	group := must(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{
		Name: aws.Ptr("bytes"), Protocol: aws.Ptr("TCP"), Port: i32(int32(l.Addr().(*net.TCPAddr).Port)), VpcId: aws.Ptr("vpc-1"), HealthCheckIntervalSeconds: i32(10),
	}))(t).TargetGroups[0].TargetGroupArn
	addresses := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.names) == 0 {
			return 0
		}
		return len(w.names[0].Addrs)
	}
	w.until("both addresses", func() bool { return addresses() == 2 })
	port := int32(proxytest.FreePort(t))
	must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("TCP"), Port: &port, DefaultActions: forward(group)}))(t)
	must(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group, Targets: []elbapi.TargetDescription{{Id: aws.Ptr("i-1")}}}))(t)
	w.until("the address in the zone of the target", func() bool { return addresses() == 1 })
	for _, a := range must(w.s.DescribeLoadBalancerAttributes(w.ctx, &elbapi.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}))(t).Attributes {
		if *a.Key == "ipv6.deny_all_igw_traffic" && *a.Value != "true" {
			t.Errorf("of an internal load balancer %s is %s", *a.Key, *a.Value)
		}
	}
	l.Close()
	w.until("both again, for neither is well", func() bool { return addresses() == 2 })
	must(w.s.ModifyLoadBalancerAttributes(w.ctx, &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn, Attributes: []elbapi.LoadBalancerAttribute{{Key: aws.Ptr(crossZoneKey), Value: aws.Ptr("true")}}}))(t)
}

// cloudWatch remembers what it is told.
type cloudWatch struct {
	cwapi.API
	mu   sync.Mutex
	told []string
}

func (c *cloudWatch) PutMetricData(ctx context.Context, in *cwapi.PutMetricDataInput) (*cwapi.PutMetricDataOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if who := identity.From(ctx); who.Service != Principal || who.Region != "us-east-1" {
		return nil, aws.Errorf("Test", "called as %+v", who)
	}
	for _, d := range in.MetricData {
		c.told = append(c.told, fmt.Sprint(*in.Namespace, " ", *d.MetricName, " ", *d.Dimensions[0].Name, " ", aws.Val(d.Value)))
	}
	return &cwapi.PutMetricDataOutput{}, nil
}

// TestPublishMetrics: what clients did is told to CloudWatch in the service's name.
func TestPublishMetrics(t *testing.T) {
	w := newWorld(t)
	lb := w.balancer("lb")
	port := int32(proxytest.FreePort(t))
	must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("HTTP"), Port: &port, DefaultActions: []elbapi.Action{
		{Type: aws.Ptr("fixed-response"), FixedResponseConfig: &elbapi.FixedResponseActionConfig{StatusCode: aws.Ptr("200")}},
	}}))(t)
	cw := &cloudWatch{}
	w.s.Metrics = cw
	w.until("an answer", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.77.0.11:%d", port))
		if err != nil {
			return false
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		b, _ := io.ReadAll(c)
		return strings.HasPrefix(string(b), "HTTP/1.1 200")
	})
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan bool)
	go func() { w.s.PublishMetrics(ctx); close(done) }()
	w.until("the metrics", func() bool {
		cw.mu.Lock()
		defer cw.mu.Unlock()
		all := strings.Join(cw.told, "\n")
		return strings.Contains(all, "AWS/ApplicationELB RequestCount LoadBalancer 1") && strings.Contains(all, "AWS/ApplicationELB RequestCount AvailabilityZone 1") && strings.Contains(all, "HTTP_Fixed_Response_Count LoadBalancer 1")
	})
	cancel()
	<-done
}

// TestInstances: a target that is stopped gets nothing and says so, one that is
// terminated is a target no more.
func TestInstances(t *testing.T) {
	w := newWorld(t)
	lb := w.balancer("web")
	group := must(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{Name: aws.Ptr("own"), Protocol: aws.Ptr("HTTP"), Port: i32(80), VpcId: aws.Ptr("vpc-1")}))(t).TargetGroups[0].TargetGroupArn
	w.listener(lb.LoadBalancerArn, group, 80)
	must(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group, Targets: []elbapi.TargetDescription{{Id: aws.Ptr("i-4")}, {Id: aws.Ptr("i-4"), Port: i32(81)}}}))(t)
	health := func() []elbapi.TargetHealthDescription {
		return must(w.s.DescribeTargetHealth(w.ctx, &elbapi.DescribeTargetHealthInput{TargetGroupArn: group}))(t).TargetHealthDescriptions
	}
	become := func(address, state string) {
		instancesMu.Lock()
		defer instancesMu.Unlock()
		if state == "" {
			delete(instances, "i-4")
		} else {
			instances["i-4"] = [2]string{address, state}
		}
		w.c.Enqueue(instancesLoop, store.Key("000000000000", "us-east-1"))
	}
	defer become("127.77.0.212", "running")
	become("127.77.0.212", "stopped")
	w.until("the targets to be unused", func() bool {
		h := health()
		return *h[0].TargetHealth.State == "unused" && *h[0].TargetHealth.Reason == "Target.InvalidState" && *h[0].TargetHealth.Description == "Target is in the stopped state" && *h[1].TargetHealth.State == "unused"
	})
	w.until("the data plane to leave them", func() bool { h, ok := w.proxy.Health(*group); return ok && len(h) == 0 })
	become("127.77.0.213", "running")
	w.until("the targets to be back, at another address", func() bool {
		h, _ := w.proxy.Health(*group)
		return len(h) == 2 && h[0].Address.String() == "127.77.0.213:80" && h[1].Address.String() == "127.77.0.213:81"
	})
	become("", "")
	w.until("the targets to be gone", func() bool { return len(health()) == 0 })
}
