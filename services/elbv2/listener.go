package elbv2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/internal/ids"
	"minato/store"
)

// CreateListener opens a port of a load balancer.
func (s *Service) CreateListener(ctx context.Context, in *elbapi.CreateListenerInput) (*elbapi.CreateListenerOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := servedMutual(in.MutualAuthentication); err != nil {
		return nil, err
	}
	switch {
	case in.Protocol == nil:
		return nil, invalid("A protocol must be specified")
	case in.Port == nil:
		return nil, invalid("A port must be specified")
	}
	actions, err := checkActions(in.DefaultActions)
	if err != nil {
		return nil, err
	}
	if err := s.checkCertificates(ctx, in.Certificates); err != nil {
		return nil, err
	}
	p, id := at(ctx), ids.Hex(16)
	var l listener
	_, err = s.changeBalancer(ctx, in.LoadBalancerArn, balancersGone, func(_ *store.Tx, b *balancer) error {
		if aws.Val(b.LoadBalancerArn) != aws.Val(in.LoadBalancerArn) {
			return invalid("'%s' is not a valid load balancer ARN", aws.Val(in.LoadBalancerArn))
		}
		parts, _ := arnParts(aws.Val(b.LoadBalancerArn), "loadbalancer", 3)
		l = listener{Listener: elbapi.Listener{
			ListenerArn: aws.Ptr(p.Listener(parts[0], parts[1], parts[2], id)), LoadBalancerArn: b.LoadBalancerArn, Port: in.Port, Protocol: in.Protocol, DefaultActions: actions,
		}, Tags: in.Tags}
		if err := b.speaks(l.Protocol); err != nil {
			return err
		}
		if err := l.setTLS(in.Certificates, in.SslPolicy, in.AlpnPolicy); err != nil {
			return err
		}
		if err := b.portFree(&l); err != nil {
			return err
		}
		if len(b.Listeners) >= maxListeners {
			return elbapi.TooManyListenersException("The maximum number of listeners has been reached on load balancer '%s'", aws.Val(b.LoadBalancerArn))
		}
		if err := l.may(actions); err != nil {
			return err
		}
		b.Listeners = append(b.Listeners, l)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.CreateListenerOutput{Listeners: []elbapi.Listener{l.Listener}}, nil
}

// servedMutual refuses mutual TLS.
func servedMutual(m *elbapi.MutualAuthenticationAttributes) error {
	switch {
	case m == nil:
		return nil
	case setting(m.Mode, "off") != "off":
		return notServed("Mutual authentication")
	case m.TrustStoreArn != nil || m.TrustStoreAssociationStatus != nil || aws.Val(m.IgnoreClientCertificateExpiry) || setting(m.AdvertiseTrustStoreCaNames, "off") != "off":
		return invalid("Trust store settings cannot be specified when the mutual authentication mode is 'off'")
	}
	return nil
}

// speaks checks a listener's protocol.
func (b *balancer) speaks(protocol *string) error {
	served := requestProtocols
	if b.network() {
		served = streamProtocols
		switch p := aws.Val(protocol); p {
		case elbapi.ProtocolEnumUdp, elbapi.ProtocolEnumTcpUdp, elbapi.ProtocolEnumQuic, elbapi.ProtocolEnumTcpQuic:
			return notServed("Listeners of protocol '" + p + "'")
		}
	}
	if !slices.Contains(served, aws.Val(protocol)) {
		return invalid("Listener protocol '%s' must be one of '%s'", aws.Val(protocol), strings.Join(served, ", "))
	}
	return nil
}

func (b *balancer) portFree(l *listener) error {
	if slices.ContainsFunc(b.Listeners, func(o listener) bool {
		return aws.Val(o.Port) == aws.Val(l.Port) && aws.Val(o.ListenerArn) != aws.Val(l.ListenerArn)
	}) {
		return elbapi.DuplicateListenerException("A listener already exists on this port for this load balancer '%s'", aws.Val(b.LoadBalancerArn))
	}
	return nil
}

// changeListener changes a listener.
func (s *Service) changeListener(ctx context.Context, text *string, f func(tx *store.Tx, b *balancer, l *listener) error) error {
	_, err := s.changeBalancer(ctx, text, listenersGone, func(tx *store.Tx, b *balancer) error {
		l := b.listener(aws.Val(text))
		if l == nil {
			return listenersGone()
		}
		return f(tx, b, l)
	})
	return err
}

// ModifyListener changes what was given of a listener.
func (s *Service) ModifyListener(ctx context.Context, in *elbapi.ModifyListenerInput) (*elbapi.ModifyListenerOutput, error) {
	if err := servedMutual(in.MutualAuthentication); err != nil {
		return nil, err
	}
	if err := s.checkCertificates(ctx, in.Certificates); err != nil {
		return nil, err
	}
	var actions []elbapi.Action
	if len(in.DefaultActions) > 0 {
		var err error
		if actions, err = checkActions(in.DefaultActions); err != nil {
			return nil, err
		}
	}
	var out elbapi.Listener
	err := s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, b *balancer, l *listener) error {
		replace(&l.Port, in.Port)
		replace(&l.Protocol, in.Protocol)
		if err := b.speaks(l.Protocol); err != nil {
			return err
		}
		if err := l.setTLS(in.Certificates, in.SslPolicy, in.AlpnPolicy); err != nil {
			return err
		}
		if actions != nil {
			l.DefaultActions = actions
		}
		out = l.Listener
		if err := l.may(l.DefaultActions); err != nil {
			return err
		}
		return b.portFree(l)
	})
	if err != nil {
		return nil, err
	}
	return &elbapi.ModifyListenerOutput{Listeners: []elbapi.Listener{out}}, nil
}

// DeleteListener closes a port.
func (s *Service) DeleteListener(ctx context.Context, in *elbapi.DeleteListenerInput) (*elbapi.DeleteListenerOutput, error) {
	err := s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, b *balancer, l *listener) error {
		gone := aws.Val(l.ListenerArn)
		b.Listeners = slices.DeleteFunc(b.Listeners, func(o listener) bool { return aws.Val(o.ListenerArn) == gone })
		return nil
	})
	return &elbapi.DeleteListenerOutput{}, err
}

// DescribeListeners shows a load balancer's listeners, or those named.
func (s *Service) DescribeListeners(ctx context.Context, in *elbapi.DescribeListenersInput) (*elbapi.DescribeListenersOutput, error) {
	var out []elbapi.Listener
	switch {
	case in.LoadBalancerArn != nil && len(in.ListenerArns) > 0:
		return nil, invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
	case in.LoadBalancerArn != nil:
		b, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
		if err != nil {
			return nil, err
		}
		for i := range b.Listeners {
			out = append(out, b.Listeners[i].Listener)
		}
	case len(in.ListenerArns) > 0:
		for _, a := range in.ListenerArns {
			b, err := s.readBalancer(ctx, &a, listenersGone)
			if err != nil {
				return nil, err
			}
			l := b.listener(a)
			if l == nil {
				return nil, listenersGone()
			}
			out = append(out, l.Listener)
		}
	default:
		return nil, invalid("You must specify either listener ARNs or a load balancer ARN")
	}
	items, next, err := page(out, func(l *elbapi.Listener) *string { return l.ListenerArn }, in.Marker, in.PageSize)
	return &elbapi.DescribeListenersOutput{Listeners: items, NextMarker: next}, err
}
