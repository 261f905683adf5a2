package elbv2

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/store"
)

// attribute is one setting of a load balancer, a target group or a listener:
// AWS's default and what minato takes.
type attribute struct {
	def   string
	check func(v string) bool // nil: any value
	// only is the one value minato serves; others that AWS knows are refused by
	// name.
	only bool
}

func boolean(v string) bool { return v == "true" || v == "false" }

func between(from, to int) func(string) bool {
	return func(v string) bool {
		n, err := strconv.Atoi(v)
		return err == nil && n >= from && n <= to
	}
}

func oneOf(values ...string) func(string) bool {
	return func(v string) bool { return slices.Contains(values, v) }
}

var balancerAttributes = map[string]attribute{
	"access_logs.s3.enabled":                                   {def: "false", check: boolean, only: true},
	"access_logs.s3.bucket":                                    {},
	"access_logs.s3.prefix":                                    {},
	"client_keep_alive.seconds":                                {def: "3600", check: between(60, 604800)},
	"connection_logs.s3.enabled":                               {def: "false", check: boolean, only: true},
	"connection_logs.s3.bucket":                                {},
	"connection_logs.s3.prefix":                                {},
	"deletion_protection.enabled":                              {def: "false", check: boolean},
	"health_check_logs.s3.enabled":                             {def: "false", check: boolean, only: true},
	"health_check_logs.s3.bucket":                              {},
	"health_check_logs.s3.prefix":                              {},
	"idle_timeout.timeout_seconds":                             {def: "60", check: between(1, 4000)},
	"ipv6.deny_all_igw_traffic":                                {def: "false", check: boolean, only: true},
	"load_balancing.cross_zone.enabled":                        {def: "true", check: boolean, only: true},
	"routing.http.desync_mitigation_mode":                      {def: "defensive", check: oneOf("monitor", "defensive", "strictest")},
	"routing.http.drop_invalid_header_fields.enabled":          {def: "false", check: boolean},
	"routing.http.preserve_host_header.enabled":                {def: "false", check: boolean},
	"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": {def: "false", check: boolean, only: true},
	"routing.http.xff_client_port.enabled":                     {def: "false", check: boolean},
	"routing.http.xff_header_processing.mode":                  {def: "append", check: oneOf("append", "preserve", "remove")},
	"routing.http2.enabled":                                    {def: "true", check: boolean},
	"waf.fail_open.enabled":                                    {def: "false", check: boolean, only: true},
	"zonal_shift.config.enabled":                               {def: "false", check: boolean, only: true},
}

var groupAttributes = map[string]attribute{
	"deregistration_delay.timeout_seconds":                                           {def: "300", check: between(0, 3600)},
	"load_balancing.algorithm.type":                                                  {def: "round_robin", check: oneOf("round_robin", "least_outstanding_requests")},
	"load_balancing.algorithm.anomaly_mitigation":                                    {def: "off", check: oneOf("on", "off"), only: true},
	"load_balancing.cross_zone.enabled":                                              {def: "use_load_balancer_configuration", check: oneOf("true", "false", "use_load_balancer_configuration"), only: true},
	"slow_start.duration_seconds":                                                    {def: "0", check: between(0, 900), only: true},
	"stickiness.enabled":                                                             {def: "false", check: boolean, only: true},
	"stickiness.type":                                                                {def: "lb_cookie", check: oneOf("lb_cookie", "app_cookie")},
	"stickiness.lb_cookie.duration_seconds":                                          {def: "86400", check: between(1, 604800)},
	"stickiness.app_cookie.cookie_name":                                              {},
	"stickiness.app_cookie.duration_seconds":                                         {def: "86400", check: between(1, 604800)},
	"target_group_health.dns_failover.minimum_healthy_targets.count":                 {def: "1", only: true},
	"target_group_health.dns_failover.minimum_healthy_targets.percentage":            {def: "off", only: true},
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.count":      {def: "1", only: true},
	"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": {def: "off", only: true},
}

var listenerAttributes = map[string]attribute{
	"routing.http.response.server.enabled": {def: "true", check: boolean},
}

// value is an attribute's value: the one that was set, or AWS's default.
func value(known map[string]attribute, set map[string]string, key string) string {
	if v, ok := set[key]; ok {
		return v
	}
	return known[key].def
}

func (b *balancer) attribute(key string) string { return value(balancerAttributes, b.Attributes, key) }
func (g *group) attribute(key string) string    { return value(groupAttributes, g.Attributes, key) }
func (l *listener) attribute(key string) string { return value(listenerAttributes, l.Attributes, key) }

// setAttribute checks a value and sets it.
func setAttribute(known map[string]attribute, set *map[string]string, kind string, key, v *string) error {
	a, ok := known[aws.Val(key)]
	switch {
	case !ok:
		return invalid("%s attribute key '%s' is not recognized", kind, aws.Val(key))
	case a.check != nil && !a.check(aws.Val(v)):
		return invalid("%s attribute '%s' must not have the value '%s'", kind, *key, aws.Val(v))
	case a.only && aws.Val(v) != a.def && !(*key == "load_balancing.cross_zone.enabled" && aws.Val(v) == "true"):
		return notServed("The value '" + aws.Val(v) + "' of the attribute '" + *key + "'")
	}
	if *set == nil {
		*set = map[string]string{}
	}
	(*set)[*key] = aws.Val(v)
	return nil
}

// every calls f with every attribute in the order of the keys.
func every(known map[string]attribute, set map[string]string, f func(key, v *string)) {
	for _, k := range slices.Sorted(maps.Keys(known)) {
		v := value(known, set, k)
		f(&k, &v)
	}
}

func (b *balancer) attributes() (all []elbapi.LoadBalancerAttribute) {
	every(balancerAttributes, b.Attributes, func(k, v *string) { all = append(all, elbapi.LoadBalancerAttribute{Key: k, Value: v}) })
	return all
}

func (g *group) attributes() (all []elbapi.TargetGroupAttribute) {
	every(groupAttributes, g.Attributes, func(k, v *string) { all = append(all, elbapi.TargetGroupAttribute{Key: k, Value: v}) })
	return all
}

func (l *listener) attributes() (all []elbapi.ListenerAttribute) {
	every(listenerAttributes, l.Attributes, func(k, v *string) { all = append(all, elbapi.ListenerAttribute{Key: k, Value: v}) })
	return all
}

// DescribeLoadBalancerAttributes shows a load balancer's settings.
func (s *Service) DescribeLoadBalancerAttributes(ctx context.Context, in *elbapi.DescribeLoadBalancerAttributesInput) (*elbapi.DescribeLoadBalancerAttributesOutput, error) {
	b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	if err != nil {
		return nil, err
	}
	return &elbapi.DescribeLoadBalancerAttributesOutput{Attributes: b.attributes()}, nil
}

// ModifyLoadBalancerAttributes changes a load balancer's settings.
func (s *Service) ModifyLoadBalancerAttributes(ctx context.Context, in *elbapi.ModifyLoadBalancerAttributesInput) (*elbapi.ModifyLoadBalancerAttributesOutput, error) {
	b, err := s.changeBalancer(ctx, in.LoadBalancerArn, balancersGone, func(_ *store.Tx, b *balancer) error {
		for _, a := range in.Attributes {
			if err := setAttribute(balancerAttributes, &b.Attributes, "Load balancer", a.Key, a.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.ModifyLoadBalancerAttributesOutput{Attributes: b.attributes()}, nil
}

// DescribeTargetGroupAttributes shows a target group's settings.
func (s *Service) DescribeTargetGroupAttributes(ctx context.Context, in *elbapi.DescribeTargetGroupAttributesInput) (*elbapi.DescribeTargetGroupAttributesOutput, error) {
	g, err := s.readGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	return &elbapi.DescribeTargetGroupAttributesOutput{Attributes: g.attributes()}, nil
}

// ModifyTargetGroupAttributes changes a target group's settings.
func (s *Service) ModifyTargetGroupAttributes(ctx context.Context, in *elbapi.ModifyTargetGroupAttributesInput) (*elbapi.ModifyTargetGroupAttributesOutput, error) {
	g, err := s.changeGroup(ctx, in.TargetGroupArn, func(g *group) error {
		for _, a := range in.Attributes {
			if err := setAttribute(groupAttributes, &g.Attributes, "Target group", a.Key, a.Value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.ModifyTargetGroupAttributesOutput{Attributes: g.attributes()}, nil
}

// DescribeListenerAttributes shows a listener's settings.
func (s *Service) DescribeListenerAttributes(ctx context.Context, in *elbapi.DescribeListenerAttributesInput) (*elbapi.DescribeListenerAttributesOutput, error) {
	b, err := s.readBalancer(ctx, in.ListenerArn, listenersGone)
	if err != nil {
		return nil, err
	}
	l := b.listener(aws.Val(in.ListenerArn))
	if l == nil {
		return nil, listenersGone()
	}
	return &elbapi.DescribeListenerAttributesOutput{Attributes: l.attributes()}, nil
}

// ModifyListenerAttributes changes a listener's settings.
func (s *Service) ModifyListenerAttributes(ctx context.Context, in *elbapi.ModifyListenerAttributesInput) (*elbapi.ModifyListenerAttributesOutput, error) {
	var out elbapi.ModifyListenerAttributesOutput
	err := s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, _ *balancer, l *listener) error {
		for _, a := range in.Attributes {
			if err := setAttribute(listenerAttributes, &l.Attributes, "Listener", a.Key, a.Value); err != nil {
				return err
			}
		}
		out.Attributes = l.attributes()
		return nil
	})
	return &out, err
}
