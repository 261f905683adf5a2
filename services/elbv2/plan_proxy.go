package elbv2

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// inventory is every record of all accounts and regions.
type inventory struct {
	balancers []balancer
	nodes     map[string]nodes // by the load balancer's ARN
	groups    []group
	health    map[string]health // by the target group's ARN
}

// drained is a target whose draining is over.
type drained struct {
	group   string // ARN
	address netip.AddrPort
	since   time.Time
}

// proxyPlan is what follows from the records.
type proxyPlan struct {
	config proxy.Config
	names  []Name
	done   []drained
	// next is when the next draining is over; zero when nothing drains.
	next time.Time
}

// planProxy turns records into what the data plane is to be. paced is the
// clock's: draining is a wait in which nothing works.
func planProxy(inv *inventory, now time.Time, paced func(time.Duration) time.Duration) proxyPlan {
	var p proxyPlan
	zones := map[string][]string{} // by load balancer
	for i := range inv.balancers {
		b := &inv.balancers[i]
		seen := inv.nodes[aws.Val(b.LoadBalancerArn)]
		zones[aws.Val(b.LoadBalancerArn)] = b.zoneNames()
		p.config.LoadBalancers = append(p.config.LoadBalancers, planBalancer(b, seen))
		p.names = append(p.names, b.dnsName(seen))
	}
	for i := range inv.groups {
		g := &inv.groups[i]
		tg, err := planGroup(g)
		if err != nil {
			continue // refused when it was written
		}
		last := map[netip.AddrPort]proxy.TargetHealth{}
		for _, h := range inv.health[tg.ID].Targets {
			last[h.Address] = h
		}
		seconds, _ := strconv.Atoi(g.attribute("deregistration_delay.timeout_seconds"))
		delay := paced(time.Duration(seconds) * time.Second)
		for _, t := range g.Targets {
			want := proxy.Target{Address: t.Address, Draining: t.Deregister != nil}
			if want.Draining {
				end := t.Deregister.Add(delay)
				if len(g.LoadBalancerArns) == 0 || !end.After(now) {
					p.done = append(p.done, drained{tg.ID, t.Address, *t.Deregister})
					continue
				}
				if p.next.IsZero() || end.Before(p.next) {
					p.next = end
				}
			}
			if len(g.LoadBalancerArns) > 0 && !reaches(t, zones[g.LoadBalancerArns[0]]) {
				continue
			}
			if h, ok := last[t.Address]; ok {
				want.Last = &h
			}
			tg.Targets = append(tg.Targets, want)
		}
		p.config.TargetGroups = append(p.config.TargetGroups, tg)
	}
	return p
}

// dnsName is the load balancer's name with what it resolves to.
func (b *balancer) dnsName(seen nodes) Name {
	n := Name{Name: strings.ToLower(aws.Val(b.DNSName)), Internal: aws.Val(b.Scheme) == elbapi.LoadBalancerSchemeEnumInternal, VPC: aws.Val(b.VpcId)}
	for _, node := range seen.Nodes {
		if addr := node.Public; n.Internal {
			n.Addrs = append(n.Addrs, node.Private)
		} else if addr.IsValid() {
			n.Addrs = append(n.Addrs, addr)
		}
	}
	return n
}

func planBalancer(b *balancer, seen nodes) proxy.LoadBalancer {
	is := func(key string) bool { return b.attribute(key) == "true" }
	seconds := func(key string) time.Duration {
		n, _ := strconv.Atoi(b.attribute(key)) // checked when it was set
		return time.Duration(n) * time.Second
	}
	lb := proxy.LoadBalancer{ID: aws.Val(b.LoadBalancerArn), Network: aws.Val(b.VpcId), Options: proxy.Options{
		IdleTimeout: seconds("idle_timeout.timeout_seconds"), ClientKeepAlive: seconds("client_keep_alive.seconds"),
		DropInvalidHeaders: is("routing.http.drop_invalid_header_fields.enabled"), ClientPort: is("routing.http.xff_client_port.enabled"),
		StrictDesync: b.attribute("routing.http.desync_mitigation_mode") == "strictest",
	}}
	switch b.attribute("routing.http.xff_header_processing.mode") {
	case "preserve":
		lb.Options.XForwardedFor = proxy.Preserve
	case "remove":
		lb.Options.XForwardedFor = proxy.Remove
	}
	for _, n := range seen.Nodes {
		lb.Nodes = append(lb.Nodes, n.Private)
	}
	for i := range b.Listeners {
		l := &b.Listeners[i]
		pl := proxy.Listener{ID: aws.Val(l.ListenerArn), Port: uint16(aws.Val(l.Port)), Default: planAction(l.DefaultActions), HideServer: l.attribute("routing.http.response.server.enabled") == "false"}
		for j := range l.Rules {
			r := &l.Rules[j]
			pr := proxy.Rule{ID: aws.Val(r.RuleArn), Priority: r.Number, Action: planAction(r.Actions)}
			for k := range r.Conditions {
				pr.Conditions = append(pr.Conditions, planCondition(&r.Conditions[k]))
			}
			pl.Rules = append(pl.Rules, pr)
		}
		lb.Listeners = append(lb.Listeners, pl)
	}
	return lb
}

func planGroup(g *group) (proxy.TargetGroup, error) {
	seconds := func(n *int32) time.Duration { return time.Duration(aws.Val(n)) * time.Second }
	accepted, err := codes(aws.Val(g.Matcher.HttpCode))
	tg := proxy.TargetGroup{ID: aws.Val(g.TargetGroupArn), Check: proxy.Check{
		Path: aws.Val(g.HealthCheckPath), Interval: seconds(g.HealthCheckIntervalSeconds), Timeout: seconds(g.HealthCheckTimeoutSeconds),
		HealthyThreshold: int(aws.Val(g.HealthyThresholdCount)), UnhealthyThreshold: int(aws.Val(g.UnhealthyThresholdCount)), Codes: accepted,
	}}
	if g.attribute("load_balancing.algorithm.type") == "least_outstanding_requests" {
		tg.Algorithm = proxy.LeastOutstanding
	}
	if port, err := strconv.ParseUint(aws.Val(g.HealthCheckPort), 10, 16); err == nil {
		tg.Check.Port = uint16(port) // else traffic-port
	}
	return tg, err
}

// planAction is the one action of a list; others come before it in AWS, none of
// them served here.
func planAction(actions []elbapi.Action) proxy.Action {
	a := &actions[len(actions)-1]
	switch {
	case a.RedirectConfig != nil:
		r := a.RedirectConfig
		status, _ := strconv.Atoi(strings.TrimPrefix(aws.Val(r.StatusCode), "HTTP_"))
		out := &proxy.Redirect{Status: status, Protocol: aws.Val(r.Protocol), Host: aws.Val(r.Host), Port: aws.Val(r.Port), Path: aws.Val(r.Path), Query: aws.Val(r.Query)}
		return proxy.Action{Redirect: out}
	case a.FixedResponseConfig != nil:
		f := a.FixedResponseConfig
		status, _ := strconv.Atoi(aws.Val(f.StatusCode))
		return proxy.Action{Fixed: &proxy.FixedResponse{Status: status, ContentType: aws.Val(f.ContentType), Body: aws.Val(f.MessageBody)}}
	}
	out := &proxy.Forward{}
	for _, g := range forwardsTo(actions) {
		out.Groups = append(out.Groups, proxy.WeightedGroup{TargetGroup: aws.Val(g.TargetGroupArn), Weight: int(aws.Val(g.Weight))})
	}
	return proxy.Action{Forward: out}
}

func planCondition(c *elbapi.RuleCondition) proxy.Condition {
	switch aws.Val(c.Field) {
	case "host-header":
		return proxy.Condition{Field: proxy.Host, Values: c.Values}
	case "http-header":
		return proxy.Condition{Field: proxy.Header, Name: aws.Val(c.HttpHeaderConfig.HttpHeaderName), Values: c.HttpHeaderConfig.Values}
	case "http-request-method":
		return proxy.Condition{Field: proxy.Method, Values: c.HttpRequestMethodConfig.Values}
	case "query-string":
		out := proxy.Condition{Field: proxy.Query}
		for _, q := range c.QueryStringConfig.Values {
			out.Queries = append(out.Queries, proxy.QueryPattern{Key: aws.Val(q.Key), Value: aws.Val(q.Value)})
		}
		return out
	case "source-ip":
		out := proxy.Condition{Field: proxy.SourceIP}
		for _, v := range c.SourceIpConfig.Values {
			if prefix, err := netip.ParsePrefix(v); err == nil { // checked when it was set
				out.Sources = append(out.Sources, prefix)
			}
		}
		return out
	}
	return proxy.Condition{Field: proxy.Path, Values: c.Values}
}
