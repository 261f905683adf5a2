package elbv2

import (
	"crypto/tls"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// landscape is a load balancer of a kind with a listener and a group, as the plan
// reads them: of the targets one drains and one is ill.
func landscape(kind, scheme, protocol string) *inventory {
	now := time.Now()
	lb, tg := aws.Ptr(place.LoadBalancer(kind, "lb", "0123456789abcdef")), aws.Ptr(place.TargetGroup("tg", "0123456789abcdef"))
	b := balancer{LoadBalancer: elbapi.LoadBalancer{
		LoadBalancerArn: lb, LoadBalancerName: aws.Ptr("lb"), VpcId: aws.Ptr("vpc-1"), DNSName: aws.Ptr("lb.example"), Scheme: &scheme, Type: aws.Ptr(elbapi.LoadBalancerTypeEnumApplication),
		AvailabilityZones: []elbapi.AvailabilityZone{{SubnetId: aws.Ptr("subnet-a"), ZoneName: aws.Ptr("a")}, {SubnetId: aws.Ptr("subnet-c"), ZoneName: aws.Ptr("c")}},
	}}
	if kind == networkKind {
		b.Type = aws.Ptr(elbapi.LoadBalancerTypeEnumNetwork)
	}
	spoken := aws.Ptr(elbapi.ProtocolEnumHttp)
	if kind == networkKind {
		spoken = aws.Ptr(elbapi.ProtocolEnumTcp)
	}
	g := group{TargetGroup: elbapi.TargetGroup{TargetGroupArn: tg, TargetGroupName: aws.Ptr("tg"), Protocol: spoken, Port: i32(80), TargetType: aws.Ptr("ip"), VpcId: aws.Ptr("vpc-1"), LoadBalancerArns: []string{*lb}}}
	g.checkDefaults()
	at := func(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
	g.Targets = []target{{Address: at("10.0.0.1:80"), Zone: "a"}, {Address: at("10.0.0.2:80"), Zone: "a"}, {Address: at("10.0.1.1:80"), Zone: "c"}, {Address: at("10.0.1.2:80"), Zone: "c"}, {Address: at("10.0.1.3:80"), Zone: "c", Deregister: &now}}
	l := listener{Listener: elbapi.Listener{ListenerArn: aws.Ptr(place.Listener(kind, "lb", "0123456789abcdef", "1")), LoadBalancerArn: lb, Port: i32(443), Protocol: &protocol, DefaultActions: []elbapi.Action{{
		Type: aws.Ptr("forward"), TargetGroupArn: tg, ForwardConfig: &elbapi.ForwardActionConfig{TargetGroups: []elbapi.TargetGroupTuple{{TargetGroupArn: tg, Weight: i32(1)}}},
	}}}}
	certificates := map[string]*tls.Certificate{"arn:certificate": {}}
	if secure(&protocol) {
		l.Certificates, l.SslPolicy = []elbapi.Certificate{{CertificateArn: aws.Ptr("arn:certificate")}}, aws.Ptr("ELBSecurityPolicy-2016-08")
	}
	b.Listeners = []listener{l}
	address := netip.MustParseAddr
	return &inventory{
		balancers: []balancer{b}, groups: []group{g}, certificates: certificates,
		nodes: map[string]nodes{*lb: {ARN: *lb, Nodes: []node{{Subnet: "subnet-a", Private: address("10.0.0.9"), Public: address("198.18.0.1")}, {Subnet: "subnet-c", Private: address("10.0.1.9"), Public: address("198.18.0.2")}}}},
		health: map[string]health{*tg: {ARN: *tg, Targets: []proxy.TargetHealth{
			{Address: at("10.0.0.1:80"), State: proxy.Healthy}, {Address: at("10.0.0.2:80"), State: proxy.Healthy}, {Address: at("10.0.1.1:80"), State: proxy.Healthy}, {Address: at("10.0.1.2:80"), State: proxy.Unhealthy},
		}}},
	}
}

// TestEveryAttributeCounts: each attribute that may be set to something else than
// AWS's default changes what the data plane, the names or the logs are to be; else
// its other values are refused by name.
func TestEveryAttributeCounts(t *testing.T) {
	values := []string{"true", "false", "off", "on", "1", "2", "30", "61", "75", "120", "monitor", "strictest", "preserve", "remove", "app_cookie", "least_outstanding_requests", "weighted_random", "availability_zone_affinity", "nosniff", "X-Name"}
	// What other attributes have to be for one to count.
	contexts := []map[string]string{
		{},
		{stickyKey: "true"},
		{stickyKey: "true", stickyType: "app_cookie"},
		{stickyKey: "true", stickyType: "app_cookie", appCookieKey: "SESSION"},
		{stickyKey: "true", appCookieKey: "SESSION"},
		{crossZoneKey: "false"},
		{"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs"},
		{"connection_logs.s3.enabled": "true", "connection_logs.s3.bucket": "logs"},
		{"health_check_logs.s3.enabled": "true", "health_check_logs.s3.bucket": "logs"},
	}
	// The first counts elsewhere, DeleteLoadBalancer asks it. Of the second everything is
	// as if it were true: docs/load-balancer.md says so.
	elsewhere := []string{"deletion_protection.enabled", "routing.http.preserve_host_header.enabled"}
	for _, c := range []struct {
		kind, scheme, protocol string
	}{{appKind, "internet-facing", "HTTP"}, {appKind, "internal", "HTTPS"}, {networkKind, "internet-facing", "TCP"}, {networkKind, "internal", "TLS"}} {
		for thing, of := range map[string]func(*inventory) (map[string]attribute, *map[string]string){
			"load balancer": func(inv *inventory) (map[string]attribute, *map[string]string) {
				return inv.balancers[0].known(), &inv.balancers[0].Attributes
			},
			"target group": func(inv *inventory) (map[string]attribute, *map[string]string) {
				return inv.groups[0].known(), &inv.groups[0].Attributes
			},
			"listener": func(inv *inventory) (map[string]attribute, *map[string]string) {
				return inv.balancers[0].Listeners[0].known(), &inv.balancers[0].Listeners[0].Attributes
			},
		} {
			now := time.Now()
			plan := func(context map[string]string, key, value string) (any, any, error) {
				inv := landscape(c.kind, c.scheme, c.protocol)
				known, set := of(inv)
				for k, v := range context {
					if _, ok := known[k]; ok {
						if *set == nil {
							*set = map[string]string{}
						}
						(*set)[k] = v
					}
				}
				if key != "" {
					if err := setAttribute(known, set, thing, &key, &value); err != nil {
						return nil, nil, err
					}
				}
				p := planProxy(inv, now, func(d time.Duration) time.Duration { return d })
				p.next = p.next.Round(time.Second)
				return p, planLogs(inv), nil
			}
			known, _ := of(landscape(c.kind, c.scheme, c.protocol))
			for _, key := range slices.Sorted(maps.Keys(known)) {
				taken, counts := false, slices.Contains(elsewhere, key)
				for _, value := range values {
					if a := known[key]; value == a.def || a.check != nil && !a.check(value) {
						continue
					}
					for _, context := range contexts {
						without, logsWithout, _ := plan(context, "", "")
						with, logsWith, err := plan(context, key, value)
						if err != nil {
							continue // refused by name
						}
						taken = true
						counts = counts || !reflect.DeepEqual(without, with) || !reflect.DeepEqual(logsWithout, logsWith)
					}
				}
				if taken && !counts {
					t.Errorf("%s of %s (%s): the attribute %s is taken and changes nothing", thing, c.kind, c.protocol, key)
				}
			}
		}
	}
}
