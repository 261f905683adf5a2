package elbv2

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy/proxytest"
	"minato/services/elbv2/tlspolicy"
)

// certificates are those that a test has; they are found by their names.
type certificates struct {
	mu sync.Mutex
	by map[string]*tls.Certificate
}

func (c *certificates) find(_ context.Context, arn string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found := c.by[arn]; found != nil {
		return found, nil
	}
	return nil, errors.New("not found")
}

func certificateARN(name string) *string { return aws.Ptr(place.Certificate(name)) }

func newCertificates(t *testing.T, names ...string) *certificates {
	c := &certificates{by: map[string]*tls.Certificate{}}
	for _, n := range names {
		c.by[*certificateARN(n)] = proxytest.Certificate(t, n+".example")
	}
	return c
}

// TestHTTPS is the life of a listener with TLS: certificates by name, a policy,
// another policy, a certificate less.
func TestHTTPS(t *testing.T) {
	w := newWorld(t)
	have := newCertificates(t, "one", "two", "three")
	w.s.Certificates = have.find
	lb, group, app := w.balancer("lb"), w.group("tg"), newApp(t, "127.77.0.201", "hello")
	must(w.s.RegisterTargets(w.ctx, &elbapi.RegisterTargetsInput{TargetGroupArn: group, Targets: app.targets()}))(t)
	port := int32(proxytest.FreePort(t))
	l := must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("HTTPS"), Port: &port, DefaultActions: forward(group), Certificates: []elbapi.Certificate{{CertificateArn: certificateARN("one")}},
	}))(t).Listeners[0]
	if *l.SslPolicy != "ELBSecurityPolicy-2016-08" || len(l.Certificates) != 1 || *l.Certificates[0].CertificateArn != *certificateARN("one") {
		t.Errorf("%+v", l)
	}
	must(w.s.AddListenerCertificates(w.ctx, &elbapi.AddListenerCertificatesInput{ListenerArn: l.ListenerArn, Certificates: []elbapi.Certificate{{CertificateArn: certificateARN("two")}, {CertificateArn: certificateARN("three")}}}))(t)
	w.untilState(group, app, "healthy||")
	dial := func(conf *tls.Config) (tls.ConnectionState, error) {
		conf.InsecureSkipVerify = true
		c, err := tls.Dial("tcp", fmt.Sprintf("127.77.0.11:%d", port), conf)
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer c.Close()
		return c.ConnectionState(), nil
	}
	serves := func(name, want string) func() bool {
		return func() bool {
			s, err := dial(&tls.Config{ServerName: name})
			return err == nil && s.PeerCertificates[0].DNSNames[0] == want
		}
	}
	for name, want := range map[string]string{"one.example": "one.example", "two.example": "two.example", "three.example": "three.example", "other.example": "one.example"} {
		w.until("the certificate for "+name, serves(name, want))
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	resp, err := client.Get(fmt.Sprintf("https://127.77.0.11:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "hello" || resp.ProtoMajor != 2 {
		t.Errorf("%s %q", resp.Proto, body)
	}
	// The default policy has no TLS 1.3; another one has nothing else.
	if s, err := dial(&tls.Config{}); err != nil || s.Version != tls.VersionTLS12 {
		t.Errorf("version %x, %v", s.Version, err)
	}
	must(w.s.ModifyListener(w.ctx, &elbapi.ModifyListenerInput{ListenerArn: l.ListenerArn, SslPolicy: aws.Ptr("ELBSecurityPolicy-TLS13-1-3-2021-06")}))(t)
	w.until("TLS 1.3", func() bool { s, err := dial(&tls.Config{}); return err == nil && s.Version == tls.VersionTLS13 })
	if _, err := dial(&tls.Config{MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is still taken")
	}
	shown := must(w.s.DescribeListenerCertificates(w.ctx, &elbapi.DescribeListenerCertificatesInput{ListenerArn: l.ListenerArn}))(t).Certificates
	if len(shown) != 3 || !*shown[0].IsDefault || *shown[1].IsDefault || *shown[0].CertificateArn != *certificateARN("one") {
		t.Errorf("%+v", shown)
	}
	users := func(name string) []string { return must(w.s.CertificateUsers(w.ctx, *certificateARN(name)))(t) }
	if u := users("two"); len(u) != 1 || u[0] != *lb.LoadBalancerArn {
		t.Errorf("users of two: %v", u)
	}
	must(w.s.RemoveListenerCertificates(w.ctx, &elbapi.RemoveListenerCertificatesInput{ListenerArn: l.ListenerArn, Certificates: []elbapi.Certificate{{CertificateArn: certificateARN("two")}}}))(t)
	w.until("the certificate to go", serves("two.example", "one.example"))
	if u := users("two"); len(u) != 0 {
		t.Errorf("users of two: %v", u)
	}
	// A certificate is imported anew, and the daemon is started again.
	have.mu.Lock()
	have.by[*certificateARN("one")] = proxytest.Certificate(t, "renewed.example")
	have.mu.Unlock()
	w.c.Enqueue(proxyLoop, proxyKey)
	w.until("the new certificate", serves("", "renewed.example"))
	// Back to plain HTTP.
	must(w.s.ModifyListener(w.ctx, &elbapi.ModifyListenerInput{ListenerArn: l.ListenerArn, Protocol: aws.Ptr("HTTP")}))(t)
	w.until("plain HTTP", func() bool {
		resp, err := client.Get(fmt.Sprintf("http://127.77.0.11:%d/", port))
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
}

func TestHTTPSErrors(t *testing.T) {
	w := newWorld(t)
	w.s.Certificates = newCertificates(t, "one", "two").find
	lb, group := w.balancer("lb"), w.group("tg")
	grpc := must(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{Name: aws.Ptr("grpc"), Protocol: aws.Ptr("HTTP"), ProtocolVersion: aws.Ptr("GRPC"), Port: i32(80), TargetType: aws.Ptr("ip"), VpcId: aws.Ptr("vpc-1")}))(t).TargetGroups[0]
	if *grpc.HealthCheckPath != "/AWS.ALB/healthcheck" || *grpc.Matcher.GrpcCode != "12" {
		t.Errorf("%+v", grpc)
	}
	one := []elbapi.Certificate{{CertificateArn: certificateARN("one")}}
	listen := func(f func(*elbapi.CreateListenerInput)) error {
		in := &elbapi.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("HTTPS"), Port: i32(443), DefaultActions: forward(group), Certificates: one}
		f(in)
		_, err := w.s.CreateListener(w.ctx, in)
		return err
	}
	if err := listen(func(*elbapi.CreateListenerInput) {}); err != nil {
		t.Fatal(err)
	}
	plain := w.listener(lb.LoadBalancerArn, group, 80)
	second := func(_ any, err error) error { return err }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"none": {listen(func(in *elbapi.CreateListenerInput) { in.Certificates, in.Port = nil, i32(444) }), "ValidationError: A certificate must be specified for HTTPS listeners"},
		"unknown": {listen(func(in *elbapi.CreateListenerInput) {
			in.Certificates, in.Port = []elbapi.Certificate{{CertificateArn: certificateARN("none")}}, i32(444)
		}), "CertificateNotFound: Certificate '" + *certificateARN("none") + "' not found"},
		"policy": {listen(func(in *elbapi.CreateListenerInput) { in.SslPolicy, in.Port = aws.Ptr("none"), i32(444) }), "SSLPolicyNotFound: SSL policy 'none' not found"},
		"FIPS": {listen(func(in *elbapi.CreateListenerInput) {
			in.SslPolicy, in.Port = aws.Ptr("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04"), i32(444)
		}), "InvalidConfigurationRequest: The SSL policy 'ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04': not served by minato"},
		"mutual": {listen(func(in *elbapi.CreateListenerInput) {
			in.MutualAuthentication, in.Port = &elbapi.MutualAuthenticationAttributes{Mode: aws.Ptr("verify")}, i32(444)
		}), "InvalidConfigurationRequest: Mutual authentication: not served by minato"},
		"plain with one":   {listen(func(in *elbapi.CreateListenerInput) { in.Protocol, in.Port = aws.Ptr("HTTP"), i32(444) }), "ValidationError: Certificates cannot be specified for HTTP listeners"},
		"ALPN":             {listen(func(in *elbapi.CreateListenerInput) { in.AlpnPolicy, in.Port = []string{"HTTP2Only"}, i32(444) }), "ValidationError: ALPN policy is not supported for listeners with protocol 'HTTPS'"},
		"added to plain":   {second(w.s.AddListenerCertificates(w.ctx, &elbapi.AddListenerCertificatesInput{ListenerArn: plain.ListenerArn, Certificates: one})), "OperationNotPermitted: Certificates cannot be added to a listener with the protocol 'HTTP'"},
		"gRPC without TLS": {second(w.s.ModifyListener(w.ctx, &elbapi.ModifyListenerInput{ListenerArn: plain.ListenerArn, DefaultActions: forward(grpc.TargetGroupArn)})), "InvalidConfigurationRequest: Listener protocol 'HTTP' is not supported with a target group with the protocol-version 'GRPC'"},
		"unknown policy":   {second(w.s.DescribeSSLPolicies(w.ctx, &elbapi.DescribeSSLPoliciesInput{Names: []string{"none"}})), "SSLPolicyNotFound: SSL policy 'none' not found"},
		"matcher of gRPC":  {second(w.s.ModifyTargetGroup(w.ctx, &elbapi.ModifyTargetGroupInput{TargetGroupArn: grpc.TargetGroupArn, Matcher: &elbapi.Matcher{GrpcCode: aws.Ptr("100")}})), "ValidationError: Health check matcher gRPC code '100' must be within '0-99' inclusive"},
		"slow start":       {second(w.s.ModifyTargetGroupAttributes(w.ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbapi.TargetGroupAttribute{{Key: aws.Ptr("slow_start.duration_seconds"), Value: aws.Ptr("10")}}})), "ValidationError: Target group attribute 'slow_start.duration_seconds' must not have the value '10'"},
		"reserved cookie":  {second(w.s.ModifyTargetGroupAttributes(w.ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbapi.TargetGroupAttribute{{Key: aws.Ptr("stickiness.enabled"), Value: aws.Ptr("true")}, {Key: aws.Ptr("stickiness.type"), Value: aws.Ptr("app_cookie")}, {Key: aws.Ptr("stickiness.app_cookie.cookie_name"), Value: aws.Ptr("AWSALB")}}})), "ValidationError: The cookie name 'AWSALB' is reserved for use by the load balancer"},
		"weighted random":  {second(w.s.ModifyTargetGroupAttributes(w.ctx, &elbapi.ModifyTargetGroupAttributesInput{TargetGroupArn: group, Attributes: []elbapi.TargetGroupAttribute{{Key: aws.Ptr("load_balancing.algorithm.type"), Value: aws.Ptr("weighted_random")}}})), "InvalidConfigurationRequest: The value 'weighted_random' of the attribute 'load_balancing.algorithm.type': not served by minato"},
		"connection logs":  {second(w.s.ModifyLoadBalancerAttributes(w.ctx, &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn, Attributes: []elbapi.LoadBalancerAttribute{{Key: aws.Ptr("connection_logs.s3.enabled"), Value: aws.Ptr("true")}}})), "InvalidConfigurationRequest: Connection logs are enabled, but the attribute 'connection_logs.s3.bucket' is not set"},
	} {
		if c.err == nil || strings.Split(c.err.Error(), " (")[0] != c.want {
			t.Errorf("%s:\n got %v\nwant %s", name, c.err, c.want)
		}
	}
}

// Every policy is one that crypto/tls can speak, and shown as it is spoken.
func TestPolicies(t *testing.T) {
	w := newWorld(t)
	shown := must(w.s.DescribeSSLPolicies(w.ctx, &elbapi.DescribeSSLPoliciesInput{}))(t).SslPolicies
	if len(shown) != len(tlspolicy.All()) {
		t.Fatalf("%d policies", len(shown))
	}
	for i, p := range tlspolicy.All() {
		if *shown[i].Name != p.Name || len(shown[i].Ciphers) != len(p.Suites) || len(shown[i].SslProtocols) == 0 {
			t.Errorf("%+v", shown[i])
		}
		if p.Min < tls.VersionTLS13 && len(p.SuiteIDs()) == 0 {
			t.Errorf("%s has no suite for TLS 1.2", p.Name)
		}
	}
	one := must(w.s.DescribeSSLPolicies(w.ctx, &elbapi.DescribeSSLPoliciesInput{Names: []string{"ELBSecurityPolicy-TLS13-1-2-2021-06"}}))(t).SslPolicies
	if len(one) != 1 || strings.Join(one[0].SslProtocols, " ") != "TLSv1.3 TLSv1.2" || *one[0].Ciphers[0].Name != "TLS_AES_128_GCM_SHA256" {
		t.Errorf("%+v", one)
	}
}
