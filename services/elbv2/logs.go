package elbv2

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/aws/arn"
	"minato/services/elbv2/accesslog"
)

// logsEvery is how often log files are delivered; paced.
const logsEvery = 5 * time.Minute

// logs are the attributes that every kind of log has.
func logs(kinds ...accesslog.Kind) map[string]attribute {
	all := map[string]attribute{}
	for _, k := range kinds {
		all[k.Attributes()+"enabled"] = attribute{def: "false", check: boolean}
		all[k.Attributes()+"bucket"] = attribute{}
		all[k.Attributes()+"prefix"] = attribute{}
	}
	return all
}

// logs tells whether the load balancer has logs of a kind.
func (b *balancer) logs(k accesslog.Kind) bool {
	return b.attribute(k.Attributes()+"enabled") == "true"
}

// logged is a load balancer as its logs know it; nil when it has none.
func (b *balancer) logged(inv *inventory) *accesslog.Balancer {
	a, ok := arn.Parse(aws.Val(b.LoadBalancerArn))
	if !ok || !slices.ContainsFunc(accesslog.Kinds(), b.logs) {
		return nil
	}
	out := &accesslog.Balancer{
		ARN: aws.Val(b.LoadBalancerArn), Name: a.ID(), DNSName: aws.Val(b.DNSName), Network: b.network(), Account: a.Account, Region: a.Region, Groups: b.uses(),
		Public: map[netip.Addr]netip.Addr{}, Certificates: map[string][]accesslog.Certificate{},
	}
	for _, k := range accesslog.Kinds() {
		if b.logs(k) {
			out.To[k] = accesslog.Destination{Bucket: b.attribute(k.Attributes() + "bucket"), Prefix: b.attribute(k.Attributes() + "prefix")}
		}
	}
	for _, n := range inv.nodes[out.ARN].Nodes {
		out.Public[n.Private] = n.Public
	}
	for i := range b.Listeners {
		l := &b.Listeners[i]
		if secure(l.Protocol) {
			for _, c := range l.certificates() {
				out.Certificates[aws.Val(l.ListenerArn)] = append(out.Certificates[aws.Val(l.ListenerArn)], accesslog.Certificate{ARN: c, TLS: inv.certificates[c]})
			}
		}
	}
	return out
}

// planLogs are the load balancers with logs.
func planLogs(inv *inventory) (all []accesslog.Balancer) {
	for i := range inv.balancers {
		if l := inv.balancers[i].logged(inv); l != nil {
			all = append(all, *l)
		}
	}
	return all
}

// checkLogs sees, before logs of a kind are written to a bucket, whether they can be:
// by writing ELB's test file.
func (s *Service) checkLogs(ctx context.Context, b *balancer, k accesslog.Kind) error {
	if !b.logs(k) {
		return nil
	}
	l := b.logged(&inventory{})
	bucketKey, prefixKey := k.Attributes()+"bucket", k.Attributes()+"prefix"
	switch to := l.To[k]; {
	case to.Bucket == "":
		return elbapi.InvalidConfigurationRequestException("%s are enabled, but the attribute '%s' is not set", k, bucketKey)
	case strings.Contains(to.Prefix, "AWSLogs"):
		return elbapi.InvalidConfigurationRequestException("The value of '%s' must not contain 'AWSLogs'", prefixKey)
	case strings.HasPrefix(to.Prefix, "/") || strings.HasSuffix(to.Prefix, "/"):
		return elbapi.InvalidConfigurationRequestException("The value of '%s' must not begin or end with '/'", prefixKey)
	}
	if err := s.collector.Test(ctx, l, k); err != nil {
		return elbapi.InvalidConfigurationRequestException("Access Denied for bucket: %s. Please check S3bucket permission", l.To[k].Bucket).Because(err)
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

// setLogs are the kinds of logs that attributes are about.
func setLogs(set []elbapi.LoadBalancerAttribute) (kinds []accesslog.Kind) {
	for _, k := range accesslog.Kinds() {
		if slices.ContainsFunc(set, func(a elbapi.LoadBalancerAttribute) bool { return strings.HasPrefix(aws.Val(a.Key), k.Attributes()) }) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// LogFailures are the logs of a load balancer that could not be delivered the last time.
func (s *Service) LogFailures(balancer string) []accesslog.Failure {
	return s.collector.Failures(balancer)
}

// LogLosses are the lines of a load balancer's logs that were lost since the daemon began.
func (s *Service) LogLosses(balancer string) []accesslog.Loss { return s.collector.Losses(balancer) }

// DeliverLogs brings logs to their buckets, until ctx ends.
func (s *Service) DeliverLogs(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.Clock.After(s.Clock.Paced(logsEvery)):
			s.collector.Deliver(ctx)
		}
	}
}

// FlushLogs delivers what there is: the daemon ends.
func (s *Service) FlushLogs(ctx context.Context) { s.collector.Deliver(ctx) }
