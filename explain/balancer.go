package explain

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/acm"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/dataplane/network"
	"minato/explain/cause"
	"minato/gateway"
)

// balancersNamed finds load balancers by their name, or by the one that DNS has.
func (q *inquiry) balancersNamed(name string) ([]string, error) {
	out, err := q.ELB.DescribeLoadBalancers(q.ctx, &elbv2.DescribeLoadBalancersInput{})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, b := range out.LoadBalancers {
		if aws.Val(b.LoadBalancerName) == name || strings.EqualFold(aws.Val(b.DNSName), name) {
			all = append(all, aws.Val(b.LoadBalancerArn))
		}
	}
	return all, nil
}

// balancer explains what keeps clients from what a load balancer is to give them.
func (q *inquiry) balancer(arn string) (*Explanation, error) {
	out, err := q.ELB.DescribeLoadBalancers(q.ctx, &elbv2.DescribeLoadBalancersInput{LoadBalancerArns: []string{arn}})
	if notFound(err) || err == nil && len(out.LoadBalancers) == 0 {
		return nil, absent("load balancer", arn)
	}
	if err != nil {
		return nil, err
	}
	lb := out.LoadBalancers[0]
	b := cause.Balancer{ARN: arn, Name: aws.Val(lb.LoadBalancerName), Now: q.now}
	if lb.State != nil {
		b.State = aws.Val(lb.State.Code)
	}
	attributes, err := q.ELB.DescribeLoadBalancerAttributes(q.ctx, &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: &arn})
	if err != nil {
		return nil, err
	}
	for _, a := range attributes.Attributes {
		b.NoHTTP2 = b.NoHTTP2 || aws.Val(a.Key) == "routing.http2.enabled" && aws.Val(a.Value) == "false"
	}
	own, err := q.balancerAddresses([]string{arn})
	if err != nil {
		return nil, err
	}
	if b.Drops, err = q.drops(func(d network.Drop) bool {
		return d.VPC == aws.Val(lb.VpcId) && own[d.Destination] && q.now.Sub(d.Last) < fresh
	}); err != nil {
		return nil, err
	}
	if q.LogFailures != nil {
		b.Logs, b.Lost = q.LogFailures(arn)
	}
	groups, err := q.ELB.DescribeTargetGroups(q.ctx, &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: &arn})
	if err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, g := range groups.TargetGroups {
		versions[aws.Val(g.TargetGroupArn)] = aws.Val(g.ProtocolVersion)
	}
	if b.Listeners, err = q.listeners(arn, versions); err != nil {
		return nil, err
	}
	e := &Explanation{Subject: arn, Kind: "load balancer", Name: "loadbalancer:" + b.Name}
	f := cause.OfBalancer(b)
	tasks, err := q.tasksAt(aws.Val(lb.VpcId))
	if err != nil {
		return nil, err
	}
	for _, g := range groups.TargetGroups {
		targets, err := q.targets(g, tasks, nil)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			f.Add(cause.OfTarget(t))
		}
		if len(targets) == 0 {
			f.Causes = append(f.Causes, cause.NoTargets(aws.Val(g.TargetGroupArn)))
		}
	}
	if e.Refused, err = q.changed(time.Time{}, func(r gateway.Refusal) bool { return mentions(r, arn) }); err != nil {
		return nil, err
	}
	return e.conclude(f, "it listens, and its targets are healthy"), nil
}

// listeners looks at a load balancer's listeners with their rules and certificates.
func (q *inquiry) listeners(arn string, versions map[string]string) ([]cause.Listener, error) {
	found, err := q.ELB.DescribeListeners(q.ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: &arn})
	if err != nil {
		return nil, err
	}
	var out []cause.Listener
	for _, l := range found.Listeners {
		x := cause.Listener{ARN: aws.Val(l.ListenerArn), Protocol: aws.Val(l.Protocol), Port: aws.Val(l.Port)}
		rules, err := q.ELB.DescribeRules(q.ctx, &elbv2.DescribeRulesInput{ListenerArn: l.ListenerArn})
		if err != nil {
			return nil, err
		}
		for _, r := range rules.Rules {
			x.Rules = append(x.Rules, ruleSeen(r, versions))
		}
		certificates, err := q.ELB.DescribeListenerCertificates(q.ctx, &elbv2.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn})
		if err != nil {
			return nil, err
		}
		for _, c := range certificates.Certificates {
			seen, err := q.certificate(aws.Val(c.CertificateArn))
			if err != nil {
				return nil, err
			}
			x.Certificates = append(x.Certificates, seen)
		}
		out = append(out, x)
	}
	return out, nil
}

func ruleSeen(r elbv2.Rule, versions map[string]string) cause.Rule {
	out := cause.Rule{Priority: aws.Val(r.Priority)}
	for _, c := range r.Conditions {
		x := cause.Condition{Field: aws.Val(c.Field), Values: c.Values}
		switch {
		case c.HttpHeaderConfig != nil:
			x.Name, x.Values = aws.Val(c.HttpHeaderConfig.HttpHeaderName), c.HttpHeaderConfig.Values
		case c.HttpRequestMethodConfig != nil:
			x.Values = c.HttpRequestMethodConfig.Values
		case c.SourceIpConfig != nil:
			x.Values = c.SourceIpConfig.Values
		}
		if len(c.RegexValues) > 0 || c.HttpHeaderConfig != nil && len(c.HttpHeaderConfig.RegexValues) > 0 {
			x.Values = nil // what they take cannot be compared
		}
		out.Conditions = append(out.Conditions, x)
	}
	for _, a := range r.Actions {
		if a.ForwardConfig == nil {
			continue
		}
		for _, g := range a.ForwardConfig.TargetGroups {
			arn := aws.Val(g.TargetGroupArn)
			out.Groups = append(out.Groups, cause.ForwardTo{ARN: arn, Version: versions[arn]})
		}
	}
	return out
}

// certificate looks at a certificate of ACM or of IAM.
func (q *inquiry) certificate(arn string) (cause.Certificate, error) {
	out := cause.Certificate{ARN: arn}
	if strings.Contains(arn, ":acm:") {
		found, err := q.ACM.DescribeCertificate(q.ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
		if notFound(err) {
			out.Gone = true
			return out, nil
		}
		if err != nil {
			return out, err
		}
		c := found.Certificate
		if out.Names = c.SubjectAlternativeNames; len(out.Names) == 0 {
			out.Names = []string{aws.Val(c.DomainName)}
		}
		out.From, out.Until = aws.Val(c.NotBefore), aws.Val(c.NotAfter)
		return out, nil
	}
	name := last(arn)
	found, err := q.IAM.GetServerCertificate(q.ctx, &iam.GetServerCertificateInput{ServerCertificateName: &name})
	if aws.IsCode(err, "NoSuchEntity") {
		out.Gone = true
		return out, nil
	}
	if err != nil {
		return out, err
	}
	block, _ := pem.Decode([]byte(aws.Val(found.ServerCertificate.CertificateBody)))
	if block == nil {
		out.Gone = true
		return out, nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return out, err
	}
	if out.Names = c.DNSNames; len(out.Names) == 0 {
		out.Names = []string{c.Subject.CommonName}
	}
	out.From, out.Until = c.NotBefore, c.NotAfter
	return out, nil
}
