package elbv2

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/dataplane/proxy"
)

var place = arn.In("us-east-1", "000000000000")

func drawBalancer(t *rapid.T, i int) balancer {
	b := balancer{LoadBalancer: elbapi.LoadBalancer{
		LoadBalancerName: aws.Ptr(fmt.Sprint("lb", i)), LoadBalancerArn: aws.Ptr(place.LoadBalancer("app", fmt.Sprint("lb", i), "0123456789abcdef")), VpcId: aws.Ptr("vpc-1"), DNSName: aws.Ptr("x"),
		Scheme:         aws.Ptr(rapid.SampledFrom([]string{"internet-facing", "internal"}).Draw(t, "scheme")),
		SecurityGroups: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"sg-1", "sg-2", "sg-3"}), 1, 3, rapid.ID).Draw(t, "groups"),
	}}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "c", "d"}), 2, 3, rapid.ID).Draw(t, "subnets") {
		b.AvailabilityZones = append(b.AvailabilityZones, elbapi.AvailabilityZone{SubnetId: aws.Ptr("subnet-" + n), ZoneName: aws.Ptr("us-east-1" + n)})
	}
	return b
}

// Whatever interfaces a crash left, doing what the plan says makes them right:
// after at most two rounds there is nothing to do, and every load balancer is
// complete.
func TestInterfacesConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var balancers []balancer
		var there []ec2api.NetworkInterface
		id := 0
		add := func(description, subnet string, groups []string, public bool) {
			id++
			n := ec2api.NetworkInterface{NetworkInterfaceId: aws.Ptr(fmt.Sprint("eni-", id)), Description: &description, SubnetId: &subnet, Groups: identifiers(groups), PrivateIpAddress: aws.Ptr(fmt.Sprint("10.0.0.", id))}
			if public {
				n.Association = &ec2api.NetworkInterfaceAssociation{PublicIp: aws.Ptr("198.18.0.1")}
			}
			there = append(there, n)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "balancers") {
			b := drawBalancer(t, i)
			balancers = append(balancers, b)
		}
		for range rapid.IntRange(0, 6).Draw(t, "left") {
			b := drawBalancer(t, rapid.IntRange(0, 4).Draw(t, "whose"))
			add(b.description(), aws.Val(b.AvailabilityZones[0].SubnetId), b.SecurityGroups, rapid.Bool().Draw(t, "public"))
		}
		for round := 0; ; round++ {
			p := planInterfaces(balancers, there)
			if p.empty() {
				break
			}
			if round == 2 {
				t.Fatalf("still to do: %+v", p)
			}
			there = slices.DeleteFunc(there, func(n ec2api.NetworkInterface) bool { return slices.Contains(p.remove, *n.NetworkInterfaceId) })
			for i := range there {
				for _, c := range p.modify {
					if c.id != *there[i].NetworkInterfaceId {
						continue
					}
					if c.groups != nil {
						there[i].Groups = identifiers(c.groups)
					}
					if c.public {
						there[i].Association = &ec2api.NetworkInterfaceAssociation{PublicIp: aws.Ptr("198.18.0.1")}
					}
				}
			}
			for _, c := range p.create {
				add(c.description, c.subnet, c.groups, false)
			}
		}
		wanted := 0
		for i := range balancers {
			n, complete := observeNodes(&balancers[i], there)
			if wanted += len(n.Nodes); !complete || len(n.Nodes) != len(balancers[i].AvailabilityZones) {
				t.Fatalf("%+v is not complete: %+v", balancers[i], n)
			}
		}
		if len(there) != wanted {
			t.Fatalf("%d interfaces, %d wanted", len(there), wanted)
		}
	})
}

// TestFailOverByName: a name leads only to zones whose own targets are well, as
// long as there are any.
func TestFailOverByName(t *testing.T) {
	lbARN, tgARN := place.LoadBalancer("net", "lb", "1"), place.TargetGroup("tg", "1")
	a, c := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.1.9")
	one, two, three := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.1.1:80"), netip.MustParseAddrPort("10.0.1.2:80")
	for name, x := range map[string]struct {
		set     map[string]string // attributes of the group
		cross   string            // of the load balancer
		healthy []netip.AddrPort
		want    []netip.Addr
	}{
		"all are well":              {nil, "false", []netip.AddrPort{one, two, three}, []netip.Addr{a, c}},
		"one zone is not":           {nil, "false", []netip.AddrPort{two}, []netip.Addr{c}},
		"no zone is":                {nil, "false", nil, []netip.Addr{a, c}},
		"cross-zone":                {nil, "true", []netip.AddrPort{two}, []netip.Addr{a, c}},
		"cross-zone, not the group": {map[string]string{crossZoneKey: "false"}, "true", []netip.AddrPort{two}, []netip.Addr{c}},
		"off":                       {map[string]string{dnsCount: "off"}, "false", []netip.AddrPort{two}, []netip.Addr{a, c}},
		"a higher count":            {map[string]string{dnsCount: "2"}, "false", []netip.AddrPort{one, two, three}, []netip.Addr{c}},
		"a percentage":              {map[string]string{dnsCount: "off", dnsPercent: "60"}, "false", []netip.AddrPort{one, two}, []netip.Addr{a}},
	} {
		b := balancer{LoadBalancer: elbapi.LoadBalancer{
			LoadBalancerArn: &lbARN, Type: aws.Ptr("network"), Scheme: aws.Ptr("internal"),
			AvailabilityZones: []elbapi.AvailabilityZone{{ZoneName: aws.Ptr("us-east-1a"), SubnetId: aws.Ptr("s-a")}, {ZoneName: aws.Ptr("us-east-1c"), SubnetId: aws.Ptr("s-c")}},
		}, Attributes: map[string]string{crossZoneKey: x.cross}}
		g := group{TargetGroup: elbapi.TargetGroup{TargetGroupArn: &tgARN, Protocol: aws.Ptr("TCP"), LoadBalancerArns: []string{lbARN}}, Attributes: x.set, Targets: []target{
			{Address: one, Zone: "us-east-1a"}, {Address: two, Zone: "us-east-1c"}, {Address: three, Zone: "us-east-1c"},
		}}
		h := health{ARN: tgARN}
		for _, t := range g.Targets {
			state := proxy.Unhealthy
			if slices.Contains(x.healthy, t.Address) {
				state = proxy.Healthy
			}
			h.Targets = append(h.Targets, proxy.TargetHealth{Address: t.Address, State: state})
		}
		inv := &inventory{groups: []group{g}, health: map[string]health{tgARN: h}}
		got := b.dnsName(nodes{Nodes: []node{{Subnet: "s-a", Private: a}, {Subnet: "s-c", Private: c}}}, b.failedOver(inv)).Addrs
		if !slices.Equal(got, x.want) {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}

func TestPlanProxy(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) *time.Time { return aws.Ptr(now.Add(-d)) }
	addr := netip.MustParseAddrPort
	lbARN, tgARN := place.LoadBalancer("app", "lb", "1"), place.TargetGroup("tg", "1")
	b := balancer{LoadBalancer: elbapi.LoadBalancer{
		LoadBalancerArn: &lbARN, VpcId: aws.Ptr("vpc-1"), DNSName: aws.Ptr("LB-1.us-east-1.elb.amazonaws.com"), Scheme: aws.Ptr("internal"),
		AvailabilityZones: []elbapi.AvailabilityZone{{ZoneName: aws.Ptr("us-east-1a")}, {ZoneName: aws.Ptr("us-east-1c")}},
	}, Attributes: map[string]string{"idle_timeout.timeout_seconds": "7", "routing.http.xff_header_processing.mode": "remove"}}
	b.Listeners = []listener{{Listener: elbapi.Listener{ListenerArn: aws.Ptr("l"), Port: i32(80), Protocol: aws.Ptr("HTTP")}}}
	b.Listeners[0].DefaultActions = must(checkActions(forward(&tgARN)))(t)
	g := group{TargetGroup: elbapi.TargetGroup{
		TargetGroupArn: &tgARN, HealthCheckPath: aws.Ptr("/up"), HealthCheckPort: aws.Ptr("8080"), HealthCheckIntervalSeconds: i32(30), HealthCheckTimeoutSeconds: i32(5),
		HealthyThresholdCount: i32(5), UnhealthyThresholdCount: i32(2), Matcher: &elbapi.Matcher{HttpCode: aws.Ptr("200,301-302")}, LoadBalancerArns: []string{lbARN},
	}, Attributes: map[string]string{"deregistration_delay.timeout_seconds": "100"}, Targets: []target{
		{Address: addr("10.0.0.1:80"), Zone: "us-east-1a"},
		{Address: addr("10.0.0.2:80"), Zone: "us-east-1d"}, // not enabled
		{Address: addr("10.9.0.3:80"), Zone: "all"},
		{Address: addr("10.0.0.4:80"), Zone: "us-east-1c", Deregister: ago(4 * time.Second)},
		{Address: addr("10.0.0.5:80"), Zone: "us-east-1c", Deregister: ago(5 * time.Second)}, // 100 s at pace 20
	}}
	paced := func(d time.Duration) time.Duration { return d / 20 }
	inv := &inventory{
		balancers: []balancer{b}, groups: []group{g},
		nodes:  map[string]nodes{lbARN: {ARN: lbARN, Nodes: []node{{Private: netip.MustParseAddr("10.0.0.100")}, {Private: netip.MustParseAddr("10.0.2.100")}}}},
		health: map[string]health{tgARN: {ARN: tgARN, Targets: []proxy.TargetHealth{{Address: addr("10.0.0.1:80"), State: proxy.Healthy}}}},
	}
	p := planProxy(inv, now, paced)
	lb, tg := p.config.LoadBalancers[0], p.config.TargetGroups[0]
	if lb.Options.IdleTimeout != 7*time.Second || lb.Options.XForwardedFor != proxy.Remove || lb.Network != "vpc-1" || len(lb.Nodes) != 2 || lb.Listeners[0].Port != 80 || lb.Listeners[0].Default.Forward.Groups[0].TargetGroup != tgARN {
		t.Errorf("load balancer %+v", lb)
	}
	if tg.Check.Port != 8080 || tg.Check.Interval != 30*time.Second || len(tg.Check.Codes) != 2 || tg.Check.Codes[1] != (proxy.CodeRange{From: 301, To: 302}) {
		t.Errorf("check %+v", tg.Check)
	}
	var got []string
	for _, target := range tg.Targets {
		got = append(got, fmt.Sprint(target.Address, target.Draining, target.Last != nil))
	}
	if want := []string{"10.0.0.1:80 false true", "10.9.0.3:80 false false", "10.0.0.4:80 true false"}; !slices.Equal(got, want) {
		t.Errorf("targets (address, draining, last known) %q", got)
	}
	if done := p.done[tgARN]; len(done) != 1 || done[0].address != addr("10.0.0.5:80") || !p.next.Equal(now.Add(time.Second)) {
		t.Errorf("done %+v, next %v", p.done, p.next.Sub(now))
	}
	if n := p.names[0]; n.Name != "lb-1.us-east-1.elb.amazonaws.com" || !n.Internal || len(n.Addrs) != 2 {
		t.Errorf("name %+v", n)
	}
	// Without the listener nothing holds the draining ones back.
	inv.groups[0].LoadBalancerArns = nil
	if p := planProxy(inv, now, paced); len(p.done[tgARN]) != 2 || !p.next.IsZero() {
		t.Errorf("of a group in no use: %+v", p.done)
	}
}
