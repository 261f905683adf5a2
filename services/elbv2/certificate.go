package elbv2

import (
	"context"
	"crypto/tls"
	"slices"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/services/elbv2/tlspolicy"
	"minato/store"
)

// maxCertificates is how many certificates a listener may have besides its default.
const maxCertificates = 25

// checkCertificates checks that certificates exist.
func (s *Service) checkCertificates(ctx context.Context, all []elbapi.Certificate) error {
	for _, c := range all {
		text := aws.Val(c.CertificateArn)
		if s.Certificates == nil {
			return elbapi.CertificateNotFoundException("Certificate '%s' not found", text)
		}
		if _, err := s.Certificates(ctx, text); err != nil {
			return elbapi.CertificateNotFoundException("Certificate '%s' not found", text).Because(err)
		}
	}
	return nil
}

// setTLS checks what a listener is to have for TLS and writes it, with AWS's
// defaults. What is not given stays.
func (l *listener) setTLS(certificates []elbapi.Certificate, policy *string, alpn []string) error {
	protocol := aws.Val(l.Protocol)
	if !secure(l.Protocol) {
		switch {
		case len(certificates) > 0:
			return invalid("Certificates cannot be specified for %s listeners", protocol)
		case policy != nil:
			return invalid("An SSL policy cannot be specified for %s listeners", protocol)
		}
		l.Certificates, l.SslPolicy, l.Extra = nil, nil, nil
		return l.setALPN(alpn)
	}
	if len(certificates) > 1 {
		return invalid("Only one certificate can be specified; further ones are added with AddListenerCertificates")
	}
	if len(certificates) == 1 {
		l.Certificates = []elbapi.Certificate{{CertificateArn: certificates[0].CertificateArn}}
	}
	if len(l.Certificates) == 0 {
		return invalid("A certificate must be specified for %s listeners", protocol)
	}
	if policy != nil {
		if tlspolicy.FIPS(*policy) {
			return notServed("The SSL policy '" + *policy + "'")
		}
		if _, ok := tlspolicy.Find(*policy); !ok {
			return elbapi.SSLPolicyNotFoundException("SSL policy '%s' not found", *policy)
		}
		l.SslPolicy = policy
	}
	if l.SslPolicy == nil {
		l.SslPolicy = aws.Ptr(tlspolicy.Default)
	}
	return l.setALPN(alpn)
}

// alpnProtocols are the protocols that the policies offer.
var alpnProtocols = map[string][]string{
	"HTTP1Only": {"http/1.1"}, "HTTP2Only": {"h2"}, "HTTP2Optional": {"http/1.1", "h2"}, "HTTP2Preferred": {"h2", "http/1.1"}, "None": nil,
}

func (l *listener) setALPN(alpn []string) error {
	if len(alpn) == 0 {
		return nil
	}
	if aws.Val(l.Protocol) != elbapi.ProtocolEnumTls {
		return invalid("ALPN policy is not supported for listeners with protocol '%s'", aws.Val(l.Protocol))
	}
	if _, ok := alpnProtocols[alpn[0]]; !ok || len(alpn) > 1 {
		return elbapi.ALPNPolicyNotSupportedException("ALPN policy '%s' is not supported", alpn[0])
	}
	l.AlpnPolicy = alpn
	return nil
}

// certificates are the ARNs of a listener's, the default first.
func (l *listener) certificates() (all []string) {
	for _, c := range l.Certificates {
		all = append(all, aws.Val(c.CertificateArn))
	}
	for _, a := range l.Extra {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// AddListenerCertificates adds certificates, which are chosen by the name that a
// client asks for.
func (s *Service) AddListenerCertificates(ctx context.Context, in *elbapi.AddListenerCertificatesInput) (*elbapi.AddListenerCertificatesOutput, error) {
	if len(in.Certificates) == 0 {
		return nil, invalid("At least one certificate must be specified")
	}
	for _, c := range in.Certificates {
		if c.IsDefault != nil {
			return nil, invalid("You cannot set the isDefault parameter for a certificate when adding it to a listener")
		}
	}
	if err := s.checkCertificates(ctx, in.Certificates); err != nil {
		return nil, err
	}
	out := &elbapi.AddListenerCertificatesOutput{}
	err := s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, _ *balancer, l *listener) error {
		if !secure(l.Protocol) {
			return elbapi.OperationNotPermittedException("Certificates cannot be added to a listener with the protocol '%s'", aws.Val(l.Protocol))
		}
		out.Certificates = nil
		for _, c := range in.Certificates {
			if a := aws.Val(c.CertificateArn); !slices.Contains(l.Extra, a) {
				l.Extra = append(l.Extra, a)
			}
			out.Certificates = append(out.Certificates, elbapi.Certificate{CertificateArn: c.CertificateArn, IsDefault: aws.Ptr(false)})
		}
		if len(l.Extra) > maxCertificates {
			return elbapi.TooManyCertificatesException("The maximum number of certificates, '%d', has been reached on the listener", maxCertificates)
		}
		return nil
	})
	return out, err
}

// RemoveListenerCertificates removes certificates; the default one stays.
func (s *Service) RemoveListenerCertificates(ctx context.Context, in *elbapi.RemoveListenerCertificatesInput) (*elbapi.RemoveListenerCertificatesOutput, error) {
	err := s.changeListener(ctx, in.ListenerArn, func(_ *store.Tx, _ *balancer, l *listener) error {
		for _, c := range in.Certificates {
			a := aws.Val(c.CertificateArn)
			if !slices.Contains(l.Extra, a) && slices.Contains(l.certificates(), a) {
				return elbapi.OperationNotPermittedException("The default certificate of a listener cannot be removed")
			}
			l.Extra = slices.DeleteFunc(l.Extra, func(o string) bool { return o == a })
		}
		return nil
	})
	return &elbapi.RemoveListenerCertificatesOutput{}, err
}

// DescribeListenerCertificates shows a listener's certificates, the default first.
func (s *Service) DescribeListenerCertificates(ctx context.Context, in *elbapi.DescribeListenerCertificatesInput) (*elbapi.DescribeListenerCertificatesOutput, error) {
	b, err := s.readBalancer(ctx, in.ListenerArn, listenersGone)
	if err != nil {
		return nil, err
	}
	l := b.listener(aws.Val(in.ListenerArn))
	if l == nil {
		return nil, listenersGone()
	}
	all := []elbapi.Certificate{}
	for _, c := range l.Certificates {
		all = append(all, elbapi.Certificate{CertificateArn: c.CertificateArn, IsDefault: aws.Ptr(true)})
	}
	for _, a := range l.Extra {
		all = append(all, elbapi.Certificate{CertificateArn: &a, IsDefault: aws.Ptr(false)})
	}
	items, next, err := page(all, func(c *elbapi.Certificate) *string { return c.CertificateArn }, in.Marker, in.PageSize)
	return &elbapi.DescribeListenerCertificatesOutput{Certificates: items, NextMarker: next}, err
}

// CertificateUsers returns the ARNs of the load balancers of the caller's account
// that use a certificate.
func (s *Service) CertificateUsers(ctx context.Context, certificate string) ([]string, error) {
	all, err := s.balancers.List(ctx, at(ctx).Account)
	var users []string
	for i := range all {
		if slices.ContainsFunc(all[i].Listeners, func(l listener) bool { return slices.Contains(l.certificates(), certificate) }) {
			users = append(users, aws.Val(all[i].LoadBalancerArn))
		}
	}
	return users, err
}

// loadCertificates reads every certificate that listeners name. One that cannot
// be read is left out, and said in the log.
func (s *Service) loadCertificates(ctx context.Context, balancers []balancer) map[string]*tls.Certificate {
	found := map[string]*tls.Certificate{}
	for i := range balancers {
		for j := range balancers[i].Listeners {
			for _, a := range balancers[i].Listeners[j].certificates() {
				if found[a] != nil || s.Certificates == nil {
					continue
				}
				c, err := s.Certificates(ctx, a)
				if err != nil {
					s.Log.Error("a listener's certificate", "load balancer", aws.Val(balancers[i].LoadBalancerArn), "certificate", a, "error", err)
					continue
				}
				found[a] = c
			}
		}
	}
	return found
}

// DescribeSSLPolicies shows the security policies there are.
func (s *Service) DescribeSSLPolicies(_ context.Context, in *elbapi.DescribeSSLPoliciesInput) (*elbapi.DescribeSSLPoliciesOutput, error) {
	var all []elbapi.SslPolicy
	if t := in.LoadBalancerType; t != nil && *t != elbapi.LoadBalancerTypeEnumApplication && *t != elbapi.LoadBalancerTypeEnumNetwork {
		return nil, notServed("Load balancers of type '" + *t + "'")
	}
	for _, name := range in.Names {
		if tlspolicy.FIPS(name) {
			return nil, notServed("The SSL policy '" + name + "'")
		}
		if _, ok := tlspolicy.Find(name); !ok {
			return nil, elbapi.SSLPolicyNotFoundException("SSL policy '%s' not found", name)
		}
	}
	for _, p := range tlspolicy.All() {
		if len(in.Names) > 0 && !slices.Contains(in.Names, p.Name) {
			continue
		}
		out := elbapi.SslPolicy{Name: &p.Name, SslProtocols: p.Versions(), SupportedLoadBalancerTypes: []string{elbapi.LoadBalancerTypeEnumApplication, elbapi.LoadBalancerTypeEnumNetwork}}
		for i, c := range p.Suites {
			out.Ciphers = append(out.Ciphers, elbapi.Cipher{Name: &c, Priority: aws.Ptr(int32(i + 1))})
		}
		all = append(all, out)
	}
	items, next, err := page(all, func(p *elbapi.SslPolicy) *string { return p.Name }, in.Marker, in.PageSize)
	return &elbapi.DescribeSSLPoliciesOutput{SslPolicies: items, NextMarker: next}, err
}
