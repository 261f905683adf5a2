package elbv2

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/store"
)

// value is an attribute's value: the one that was set, or AWS's default.
func value(known map[string]attribute, set map[string]string, key string) string {
	if v, ok := set[key]; ok {
		return v
	}
	return known[key].def
}

// known are the attributes there are for what the thing is.
func (b *balancer) known() map[string]attribute {
	internal := aws.Val(b.Scheme) == elbapi.LoadBalancerSchemeEnumInternal
	switch {
	case b.network() && internal:
		return internalNetworkAttributes
	case b.network():
		return networkAttributes
	case internal:
		return internalBalancerAttributes
	}
	return balancerAttributes
}

func (g *group) known() map[string]attribute {
	if stream(g.Protocol) {
		return streamGroupAttributes
	}
	return groupAttributes
}

func (l *listener) known() map[string]attribute {
	switch aws.Val(l.Protocol) {
	case elbapi.ProtocolEnumTcp:
		return streamListenerAttributes
	case elbapi.ProtocolEnumTls:
		return nil // 350 seconds idle, which cannot be changed
	}
	return listenerAttributes
}

func (b *balancer) attribute(key string) string { return value(b.known(), b.Attributes, key) }
func (g *group) attribute(key string) string    { return value(g.known(), g.Attributes, key) }
func (l *listener) attribute(key string) string { return value(l.known(), l.Attributes, key) }

// number is an attribute that is a number, 0 for one that is "off".
func (g *group) number(key string) int {
	n, _ := strconv.Atoi(g.attribute(key)) // checked when it was set
	return n
}

// setAttribute checks a value and sets it.
func setAttribute(known map[string]attribute, set *map[string]string, kind string, key, v *string) error {
	a, ok := known[aws.Val(key)]
	switch {
	case !ok:
		return invalid("%s attribute key '%s' is not recognized", kind, aws.Val(key))
	case a.check != nil && !a.check(aws.Val(v)):
		return invalid("%s attribute '%s' must not have the value '%s'", kind, *key, aws.Val(v))
	case a.only && aws.Val(v) != a.def, *key == algorithmKey && aws.Val(v) == "weighted_random":
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
	every(b.known(), b.Attributes, func(k, v *string) { all = append(all, elbapi.LoadBalancerAttribute{Key: k, Value: v}) })
	return all
}

func (g *group) attributes() (all []elbapi.TargetGroupAttribute) {
	every(g.known(), g.Attributes, func(k, v *string) { all = append(all, elbapi.TargetGroupAttribute{Key: k, Value: v}) })
	return all
}

func (l *listener) attributes() (all []elbapi.ListenerAttribute) {
	every(l.known(), l.Attributes, func(k, v *string) { all = append(all, elbapi.ListenerAttribute{Key: k, Value: v}) })
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
	if kinds := setLogs(in.Attributes); len(kinds) > 0 {
		b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
		if err != nil {
			return nil, err
		}
		if b, err = b.wanted(in.Attributes); err != nil {
			return nil, err
		}
		for _, k := range kinds {
			if err := s.checkLogs(ctx, &b, k); err != nil {
				return nil, err
			}
		}
	}
	b, err := s.changeBalancer(ctx, in.LoadBalancerArn, balancersGone, func(_ *store.Tx, b *balancer) error {
		changed, err := b.wanted(in.Attributes)
		if err == nil {
			b.Attributes = changed.Attributes
		}
		return err
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
			if err := setAttribute(g.known(), &g.Attributes, "Target group", a.Key, a.Value); err != nil {
				return err
			}
		}
		return g.checkAttributes()
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
			if err := setAttribute(l.known(), &l.Attributes, "Listener", a.Key, a.Value); err != nil {
				return err
			}
		}
		out.Attributes = l.attributes()
		return nil
	})
	return &out, err
}

// checkAttributes finds attributes that do not go together.
func (g *group) checkAttributes() error {
	if stream(g.Protocol) {
		return nil
	}
	if g.number(slowStartKey) > 0 && g.attribute(algorithmKey) != "round_robin" {
		return elbapi.InvalidConfigurationRequestException("Slow start mode is not supported with the load balancing algorithm '%s'", g.attribute(algorithmKey))
	}
	if g.attribute(stickyKey) != "true" || g.attribute(stickyType) != "app_cookie" {
		return nil
	}
	switch name := g.attribute(appCookieKey); {
	case name == "":
		return invalid("A cookie name must be specified for stickiness of type 'app_cookie'")
	case name == "AWSALB" || name == "AWSALBAPP" || name == "AWSALBTG" || strings.HasPrefix(name, "AWSALB"):
		return invalid("The cookie name '%s' is reserved for use by the load balancer", name)
	case len(name) > 256 || strings.ContainsAny(name, " \t\r\n;,=\""):
		return invalid("The cookie name '%s' is not valid", name)
	}
	return nil
}
