package elbv2

import (
	"crypto/tls"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
	"minato/services/elbv2/accesslog"
	"minato/services/elbv2/tlspolicy"
)

// inventory is every record of all accounts and regions.
type inventory struct {
	balancers []balancer
	nodes     map[string]nodes // by the load balancer's ARN
	groups    []group
	health    map[string]health // by the target group's ARN
	// certificates are those that listeners name, by ARN.
	certificates map[string]*tls.Certificate
	// at is where a moment that was written lies on the clock as it is now, see
	// clock.Clock; nil leaves it where it is.
	at func(time.Time) time.Time
}

func (inv *inventory) moment(t time.Time) time.Time {
	if inv.at == nil {
		return t
	}
	return inv.at(t)
}

// drained is a target whose draining is over.
type drained struct {
	address netip.AddrPort
	since   time.Time
}

// proxyPlan is what follows from the records.
type proxyPlan struct {
	config proxy.Config
	names  []Name
	done   map[string][]drained // by the group's ARN
	// next is when the next draining is over; zero when nothing drains.
	next time.Time
}

// planProxy turns records into what the data plane is to be. paced is the
// clock's: draining is a wait in which nothing works.
func planProxy(inv *inventory, now time.Time, paced func(time.Duration) time.Duration) proxyPlan {
	p := proxyPlan{done: map[string][]drained{}}
	zones, crossing := map[string][]string{}, map[string]bool{} // by load balancer
	for i := range inv.balancers {
		b := &inv.balancers[i]
		seen := inv.nodes[aws.Val(b.LoadBalancerArn)]
		zones[aws.Val(b.LoadBalancerArn)] = b.zoneNames()
		p.config.LoadBalancers = append(p.config.LoadBalancers, planBalancer(b, seen, inv.certificates))
		crossing[aws.Val(b.LoadBalancerArn)] = b.attribute(crossZoneKey) == "true"
		p.names = append(p.names, b.dnsName(seen, b.failedOver(inv)))
	}
	for i := range inv.groups {
		g := &inv.groups[i]
		crossZone := len(g.LoadBalancerArns) == 0 || crossing[g.LoadBalancerArns[0]]
		tg, err := planGroup(g, crossZone)
		if err != nil {
			continue // refused when it was written
		}
		last, taken := map[netip.AddrPort]proxy.TargetHealth{}, map[netip.AddrPort]bool{}
		for _, h := range inv.health[tg.ID].Targets {
			last[h.Address] = h
		}
		delay := paced(duration(g.attribute(delayKey)))
		for _, t := range g.Targets {
			want := proxy.Target{Address: t.Address, Zone: t.Zone, Draining: t.Deregister != nil}
			if want.Zone == "all" {
				want.Zone = ""
			}
			if want.Draining {
				end := inv.moment(*t.Deregister).Add(delay)
				if len(g.LoadBalancerArns) == 0 || !end.After(now) {
					p.done[tg.ID] = append(p.done[tg.ID], drained{t.Address, *t.Deregister})
					continue
				}
				if p.next.IsZero() || end.Before(p.next) {
					p.next = end
				}
			}
			if len(g.LoadBalancerArns) > 0 && !reaches(t, zones[g.LoadBalancerArns[0]]) {
				continue
			}
			if t.State != "" {
				continue // nothing is where it was
			}
			if taken[t.Address] {
				continue // of an instance that is gone, whose address another one has now
			}
			taken[t.Address] = true
			if h, ok := last[t.Address]; ok {
				want.Last = &h
			}
			tg.Targets = append(tg.Targets, want)
		}
		p.config.TargetGroups = append(p.config.TargetGroups, tg)
	}
	return p
}

func planBalancer(b *balancer, seen nodes, certificates map[string]*tls.Certificate) proxy.LoadBalancer {
	is := func(key string) bool { return b.attribute(key) == "true" }
	lb := proxy.LoadBalancer{ID: aws.Val(b.LoadBalancerArn), Network: aws.Val(b.VpcId)}
	if !b.network() {
		lb.Options = proxy.Options{
			IdleTimeout: duration(b.attribute("idle_timeout.timeout_seconds")), ClientKeepAlive: duration(b.attribute("client_keep_alive.seconds")),
			DropInvalidHeaders: is("routing.http.drop_invalid_header_fields.enabled"), ClientPort: is("routing.http.xff_client_port.enabled"),
			TLSHeaders:    is("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
			NoHTTP2:       !is("routing.http2.enabled"),
			Recorded:      b.logs(accesslog.Access),
			Desync:        map[string]proxy.DesyncMode{"monitor": proxy.Monitor, "strictest": proxy.Strictest}[b.attribute("routing.http.desync_mitigation_mode")],
			XForwardedFor: map[string]proxy.ForwardedMode{"preserve": proxy.Preserve, "remove": proxy.Remove}[b.attribute("routing.http.xff_header_processing.mode")],
		}
	}
	lb.Options.Connections = b.logs(accesslog.Connections) || b.network() && b.logs(accesslog.Access)
	for _, n := range seen.Nodes {
		lb.Nodes = append(lb.Nodes, proxy.Node{Addr: n.Private, Zone: b.zoneOf(n.Subnet)})
	}
	for i := range b.Listeners {
		if pl, ok := planListener(&b.Listeners[i], certificates); ok {
			lb.Listeners = append(lb.Listeners, pl)
		}
	}
	return lb
}

// zoneOf is the zone that one of the load balancer's subnets is in.
func (b *balancer) zoneOf(subnet string) string {
	for _, z := range b.AvailabilityZones {
		if aws.Val(z.SubnetId) == subnet {
			return aws.Val(z.ZoneName)
		}
	}
	return ""
}

// planListener is a listener for the data plane; none where it is to speak TLS
// and no certificate can be had.
func planListener(l *listener, certificates map[string]*tls.Certificate) (proxy.Listener, bool) {
	pl := proxy.Listener{ID: aws.Val(l.ListenerArn), Port: uint16(aws.Val(l.Port)), Default: planAction(l.DefaultActions), Stream: stream(l.Protocol)}
	if pl.Stream {
		pl.IdleTimeout = duration(value(streamListenerAttributes, l.Attributes, idleKey))
	} else {
		pl.TLSVersion, pl.TLSCipher = l.attribute(versionKey), l.attribute(cipherKey)
		pl.HideServer = l.attribute("routing.http.response.server.enabled") == "false"
		for _, key := range slices.Sorted(maps.Keys(l.Attributes)) {
			if name := responseHeader(key); name != "" && l.Attributes[key] != "" {
				pl.SetHeaders = append(pl.SetHeaders, proxy.HeaderField{Name: name, Value: l.Attributes[key]})
			}
		}
	}
	if secure(l.Protocol) {
		policy, _ := tlspolicy.Find(aws.Val(l.SslPolicy)) // checked when it was set
		pl.TLS = &proxy.TLS{MinVersion: policy.Min, MaxVersion: policy.Max, CipherSuites: policy.SuiteIDs(), Curves: policy.Curves()}
		for _, a := range l.certificates() {
			if c := certificates[a]; c != nil {
				pl.TLS.Certificates = append(pl.TLS.Certificates, c)
			}
		}
		if len(pl.TLS.Certificates) == 0 {
			return pl, false
		}
		if len(l.AlpnPolicy) > 0 {
			pl.TLS.ALPN = alpnProtocols[l.AlpnPolicy[0]]
		}
	}
	for j := range l.Rules {
		r := &l.Rules[j]
		pr := proxy.Rule{ID: aws.Val(r.RuleArn), Priority: r.Number, Action: planAction(r.Actions)}
		if pr.Action.Forward != nil {
			pr.Action.Forward.Rewrite = planTransforms(r.Transforms)
		}
		for k := range r.Conditions {
			pr.Conditions = append(pr.Conditions, planCondition(&r.Conditions[k]))
		}
		pl.Rules = append(pl.Rules, pr)
	}
	return pl, true
}

func seconds(n *int32) time.Duration { return time.Duration(aws.Val(n)) * time.Second }

// duration is an attribute that is a number of seconds; it was checked when it
// was set.
func duration(v string) time.Duration {
	n, _ := strconv.Atoi(v)
	return time.Duration(n) * time.Second
}

// planGroup is a target group for the data plane; crossZone is what holds for
// those that leave it to the load balancer.
func planGroup(g *group, crossZone bool) (proxy.TargetGroup, error) {
	check, err := g.planCheck()
	tg := proxy.TargetGroup{
		ID: aws.Val(g.TargetGroupArn), Check: check, TLS: secure(g.Protocol), MinHealthyCount: g.number(minCount), MinHealthyPercent: g.number(minPercent),
		Protocol: map[string]proxy.Protocol{http2Version: proxy.HTTP2, grpcVersion: proxy.GRPC}[aws.Val(g.ProtocolVersion)],
	}
	tg.ZoneOnly = !g.crosses(crossZone)
	if stream(g.Protocol) {
		tg.CutUnhealthy = g.attribute(cutKey) == "true"
		tg.Protocol, tg.ProxyProtocol, tg.Linger = proxy.Stream, g.attribute(proxyKey2) == "true", g.attribute(terminateKey) == "false"
		if g.attribute(stickyKey) == "true" {
			tg.Sticky = time.Hour // for as long as the target is there
		}
		return tg, err
	}
	tg.SlowStart = duration(g.attribute(slowStartKey))
	if g.attribute(algorithmKey) == "least_outstanding_requests" {
		tg.Algorithm = proxy.LeastOutstanding
	}
	if g.attribute(stickyKey) == "true" {
		tg.Sticky = duration(g.attribute(lbLife))
		if g.attribute(stickyType) == "app_cookie" {
			tg.Sticky, tg.AppCookie = duration(g.attribute(appLife)), g.attribute(appCookieKey)
		}
	}
	return tg, err
}

// crosses tells whether a group's targets serve every zone; of is what holds for
// those that leave it to the load balancer.
func (g *group) crosses(of bool) bool {
	if v := g.attribute(crossZoneKey); v != crossZoneOfBalancer {
		return v == "true"
	}
	return of
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
	if a.ForwardConfig != nil {
		if st := a.ForwardConfig.TargetGroupStickinessConfig; st != nil && aws.Val(st.Enabled) {
			out.Sticky = seconds(st.DurationSeconds)
		}
	}
	for _, g := range forwardsTo(actions) {
		out.Groups = append(out.Groups, proxy.WeightedGroup{TargetGroup: aws.Val(g.TargetGroupArn), Weight: int(aws.Val(g.Weight))})
	}
	return proxy.Action{Forward: out}
}

func planCondition(c *elbapi.RuleCondition) proxy.Condition {
	switch aws.Val(c.Field) {
	case "host-header":
		return proxy.Condition{Field: proxy.Host, Values: c.Values, Regexes: c.RegexValues}
	case "http-header":
		return proxy.Condition{Field: proxy.Header, Name: aws.Val(c.HttpHeaderConfig.HttpHeaderName), Values: c.HttpHeaderConfig.Values, Regexes: c.HttpHeaderConfig.RegexValues}
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
	return proxy.Condition{Field: proxy.Path, Values: c.Values, Regexes: c.RegexValues}
}
