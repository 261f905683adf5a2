package elbv2

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"strings"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/services/elbv2/accesslog"
)

// The attributes of access logs.
const (
	logsKey       = "access_logs.s3.enabled"
	logsBucketKey = "access_logs.s3.bucket"
	logsPrefixKey = "access_logs.s3.prefix"
)

// logsEvery is how often log files are delivered; paced.
const logsEvery = 5 * time.Minute

// logged is a load balancer as its access log knows it; nil when it has none.
func (b *balancer) logged(certificates map[string]*tls.Certificate) *accesslog.Balancer {
	a, ok := arn.Parse(aws.Val(b.LoadBalancerArn))
	if !ok || b.network() || b.attribute(logsKey) != "true" {
		return nil
	}
	out := &accesslog.Balancer{
		ARN: aws.Val(b.LoadBalancerArn), Name: a.ID(), DNSName: aws.Val(b.DNSName), Account: a.Account, Region: a.Region,
		Bucket: b.attribute(logsBucketKey), Prefix: b.attribute(logsPrefixKey), Certificates: map[string][]accesslog.Certificate{},
	}
	for i := range b.Listeners {
		l := &b.Listeners[i]
		if secure(l.Protocol) {
			for _, c := range l.certificates() {
				out.Certificates[aws.Val(l.ListenerArn)] = append(out.Certificates[aws.Val(l.ListenerArn)], accesslog.Certificate{ARN: c, TLS: certificates[c]})
			}
		}
	}
	return out
}

// planLogs are the load balancers with access logs.
func planLogs(inv *inventory) (all []accesslog.Balancer) {
	for i := range inv.balancers {
		if l := inv.balancers[i].logged(inv.certificates); l != nil {
			all = append(all, *l)
		}
	}
	return all
}

// checkLogs sees, before access logs are written to a bucket, whether they can be:
// by writing ELB's test file.
func (s *Service) checkLogs(ctx context.Context, b *balancer) error {
	l := b.logged(nil)
	switch {
	case l == nil:
		return nil
	case l.Bucket == "":
		return elbapi.InvalidConfigurationRequestException("Access logs are enabled, but the attribute '%s' is not set", logsBucketKey)
	case strings.Contains(l.Prefix, "AWSLogs"):
		return elbapi.InvalidConfigurationRequestException("The value of '%s' must not contain 'AWSLogs'", logsPrefixKey)
	case strings.HasPrefix(l.Prefix, "/") || strings.HasSuffix(l.Prefix, "/"):
		return elbapi.InvalidConfigurationRequestException("The value of '%s' must not begin or end with '/'", logsPrefixKey)
	}
	if err := s.logs.Test(ctx, l); err != nil {
		return elbapi.InvalidConfigurationRequestException("Access Denied for bucket: %s. Please check S3bucket permission", l.Bucket).Because(err)
	}
	return nil
}

// wanted is a load balancer as it would be with attributes set.
func (b balancer) wanted(set []elbapi.LoadBalancerAttribute) (balancer, error) {
	b.Attributes = maps.Clone(b.Attributes)
	for _, a := range set {
		if err := setAttribute(b.known(), &b.Attributes, "Load balancer", a.Key, a.Value); err != nil {
			return b, err
		}
	}
	return b, nil
}

// setsLogs tells whether attributes are about access logs.
func setsLogs(set []elbapi.LoadBalancerAttribute) bool {
	return slices.ContainsFunc(set, func(a elbapi.LoadBalancerAttribute) bool { return strings.HasPrefix(aws.Val(a.Key), "access_logs.") })
}

// DeliverLogs brings access logs to their buckets, until ctx ends.
func (s *Service) DeliverLogs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Clock.After(s.Clock.Paced(logsEvery)):
			s.logs.Deliver(ctx)
		}
	}
}

// FlushLogs delivers what there is: the daemon ends.
func (s *Service) FlushLogs(ctx context.Context) { s.logs.Deliver(ctx) }
