package elbv2

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy/proxytest"
)

// app is a target; what it answers to checks can be changed.
type app struct {
	addr   netip.AddrPort
	status atomic.Int32
}

func newApp(t *testing.T, ip, body string) *app {
	t.Helper()
	a := &app{}
	a.status.Store(200)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" && r.UserAgent() == "ELB-HealthChecker/2.0" {
			w.WriteHeader(int(a.status.Load()))
			return
		}
		io.WriteString(w, body)
	}))
	s.Listener.Close()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	a.addr = netip.MustParseAddrPort(l.Addr().String())
	return a
}

func (a *app) targets() []elbapi.TargetDescription {
	return []elbapi.TargetDescription{{Id: aws.Ptr(a.addr.Addr().String()), Port: aws.Ptr(int32(a.addr.Port()))}}
}

// state is "state reason description" of a target.
func (w *world) state(group *string, a *app) string {
	w.t.Helper()
	out := must(w.s.DescribeTargetHealth(w.ctx, &elbapi.DescribeTargetHealthInput{TargetGroupArn: group, Targets: a.targets()}))(w.t)
	h := out.TargetHealthDescriptions[0].TargetHealth
	return fmt.Sprintf("%s|%s|%s", aws.Val(h.State), aws.Val(h.Reason), aws.Val(h.Description))
}

func (w *world) untilState(group *string, a *app, want string) {
	w.t.Helper()
	last := ""
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if last = w.state(group, a); last == want {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("the target is %s, not %s", last, want)
		}
	}
}

// TestJourney is a load balancer's life: made, used, its target sick and well
// again, the daemon killed, a target drained, all deleted.
func TestJourney(t *testing.T) {
	w := newWorld(t)
	lb := w.balancer("chat-alb")
	if *lb.State.Code != "provisioning" {
		t.Errorf("at first %s", *lb.State.Code)
	}
	describe := func() elbapi.LoadBalancer {
		return must(w.s.DescribeLoadBalancers(w.ctx, &elbapi.DescribeLoadBalancersInput{Names: []string{"chat-alb"}}))(t).LoadBalancers[0]
	}
	w.until("the load balancer to be active", func() bool { return *describe().State.Code == "active" })
	w.until("its name", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.names) == 1 && w.names[0].Name == *lb.DNSName && len(w.names[0].Addrs) == 2 && !w.names[0].Internal
	})

	group, one := w.group("chat"), newApp(t, "127.77.0.200", "one")
	told := make(chan string, 100)
	w.bus.Subscribe("arn:", func(key string) { told <- key })
	if _, err := w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group, Targets: one.targets()}); err != nil {
		t.Fatal(err)
	}
	if got := w.state(group, one); got != "unused|Target.NotInUse|Target group is not configured to receive traffic from the load balancer" {
		t.Error(got)
	}
	port := int32(proxytest.FreePort(t))
	l := w.listener(lb.LoadBalancerArn, group, port)
	w.untilState(group, one, "healthy||")
	get := func() (string, error) {
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(httptest.NewRequest("GET", fmt.Sprintf("http://127.77.0.11:%d/page", port), nil))
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if body, err := get(); err != nil || body != "one" {
		t.Fatalf("%q %v", body, err)
	}
	w.until("the bus to tell of the group", func() bool {
		for {
			select {
			case key := <-told:
				if key == *group {
					return true
				}
			default:
				return false
			}
		}
	})

	one.status.Store(404)
	w.untilState(group, one, "unhealthy|Target.ResponseCodeMismatch|Health checks failed with these codes: [404]")
	one.status.Store(200)
	w.untilState(group, one, "healthy||")
	w.until("the health to be kept", func() bool {
		h, _, err := w.s.health.Get(w.ctx, "000000000000", "us-east-1", "chat")
		return err == nil && len(h.Targets) == 1 && h.Targets[0].State.String() == "healthy"
	})

	// Killed and back: the ALB answers, with the health it knew.
	w.stop()
	one.status.Store(500)
	w.start()
	w.until("the load balancer to answer again", func() bool { body, err := get(); return err == nil && body == "one" })
	one.status.Store(200)

	two := newApp(t, "127.77.2.200", "two")
	must(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group, Targets: two.targets()}))(t)
	w.untilState(group, two, "healthy||")
	must(w.s.ModifyTargetGroupAttributes(w.ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbapi.TargetGroupAttribute{
		{Key: aws.Ptr("deregistration_delay.timeout_seconds"), Value: aws.Ptr("60")}, // three seconds at this pace
	}}))(t)
	must(w.s.DeregisterTargets(w.ctx, &elbapi.DeregisterTargetsInput{TargetGroupArn: group, Targets: one.targets()}))(t)
	if got := w.state(group, one); got != "draining|Target.DeregistrationInProgress|Target deregistration is in progress" {
		t.Error(got)
	}
	w.until("the new target only", func() bool { body, err := get(); return err == nil && body == "two" })
	for range 5 {
		if body, err := get(); err != nil || body != "two" {
			t.Errorf("%q %v", body, err)
		}
	}
	w.untilState(group, one, "unused|Target.NotRegistered|Target is not registered to the target group")

	must(w.s.DeleteListener(w.ctx, &elbapi.DeleteListenerInput{ListenerArn: l.ListenerArn}))(t)
	must(w.s.DeleteTargetGroup(w.ctx, &elbapi.DeleteTargetGroupInput{TargetGroupArn: group}))(t)
	must(w.s.DeleteLoadBalancer(w.ctx, &elbapi.DeleteLoadBalancerInput{LoadBalancerArn: lb.LoadBalancerArn}))(t)
	w.until("the interfaces to go", func() bool {
		w.ec2.mu.Lock()
		defer w.ec2.mu.Unlock()
		return len(w.ec2.interfaces) == 0
	})
	w.until("the sockets to close", func() bool { _, err := get(); return err != nil })
}

// TestProvisioning: a load balancer whose interfaces cannot be made is not active.
func TestProvisioning(t *testing.T) {
	w := newWorld(t)
	w.ec2.mu.Lock()
	w.ec2.fail = aws.Errorf("InsufficientFreeAddressesInSubnet", "no address")
	w.ec2.mu.Unlock()
	w.balancer("lb")
	time.Sleep(50 * time.Millisecond)
	state := func() string {
		return *must(w.s.DescribeLoadBalancers(w.ctx, &elbapi.DescribeLoadBalancersInput{}))(t).LoadBalancers[0].State.Code
	}
	if state() != "provisioning" {
		t.Error(state())
	}
	w.ec2.mu.Lock()
	w.ec2.fail = nil
	w.ec2.mu.Unlock()
	w.until("it to be active", func() bool { return state() == "active" })
	must(w.s.SetSecurityGroups(w.ctx, &elbapi.SetSecurityGroupsInput{LoadBalancerArn: arnOf(t, w, "lb"), SecurityGroups: []string{"sg-2"}}))(t)
	must(w.s.SetSubnets(w.ctx, &elbapi.SetSubnetsInput{LoadBalancerArn: arnOf(t, w, "lb"), Subnets: []string{"subnet-a", "subnet-d"}}))(t)
	w.until("the interfaces to follow", func() bool {
		w.ec2.mu.Lock()
		defer w.ec2.mu.Unlock()
		for _, n := range w.ec2.interfaces {
			if *n.SubnetId == "subnet-c" || *n.Groups[0].GroupId != "sg-2" || n.Association == nil {
				return false
			}
		}
		return len(w.ec2.interfaces) == 2
	})
}

func arnOf(t *testing.T, w *world, name string) *string {
	t.Helper()
	return must(w.s.DescribeLoadBalancers(w.ctx, &elbapi.DescribeLoadBalancersInput{Names: []string{name}}))(t).LoadBalancers[0].LoadBalancerArn
}
