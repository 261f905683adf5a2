package elbv2

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy/proxytest"
)

// TestAccessLogs: what may be set, and that what is answered comes to the bucket.
const (
	logsKey       = "access_logs.s3.enabled"
	logsBucketKey = "access_logs.s3.bucket"
	logsPrefixKey = "access_logs.s3.prefix"
)

func TestAccessLogs(t *testing.T) {
	w := newWorld(t)
	lb := w.balancer("web")
	set := func(pairs ...string) error {
		in := &elbapi.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}
		for i := 0; i+1 < len(pairs); i += 2 {
			in.Attributes = append(in.Attributes, elbapi.LoadBalancerAttribute{Key: &pairs[i], Value: &pairs[i+1]})
		}
		_, err := w.s.ModifyLoadBalancerAttributes(w.ctx, in)
		return err
	}
	for name, c := range map[string]struct {
		set  []string
		want string
	}{
		"no bucket":      {[]string{logsKey, "true"}, "the attribute 'access_logs.s3.bucket' is not set"},
		"none such":      {[]string{logsKey, "true", logsBucketKey, "none"}, "Access Denied for bucket: none. Please check S3bucket permission"},
		"AWSLogs within": {[]string{logsKey, "true", logsBucketKey, "logs", logsPrefixKey, "a/AWSLogs"}, "must not contain 'AWSLogs'"},
		"slashes around": {[]string{logsKey, "true", logsBucketKey, "logs", logsPrefixKey, "/a"}, "must not begin or end with '/'"},
	} {
		if err := set(c.set...); !aws.IsCode(err, "InvalidConfigurationRequest") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if out := must(w.s.DescribeLoadBalancerAttributes(w.ctx, &elbapi.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}))(t); slices.ContainsFunc(out.Attributes, func(a elbapi.LoadBalancerAttribute) bool { return *a.Key == logsBucketKey && *a.Value != "" }) {
		t.Error("what was refused is set")
	}
	if err := set(logsBucketKey, "logs", logsPrefixKey, "p", logsKey, "true"); err != nil {
		t.Fatal(err)
	}
	root := "p/AWSLogs/000000000000/"
	if !slices.Contains(w.bucket.keys, root+"ELBAccessLogTestFile") {
		t.Errorf("the test file is not among %v", w.bucket.keys)
	}
	port := int32(proxytest.FreePort(t))
	must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancerArn, Protocol: aws.Ptr("HTTP"), Port: &port,
		DefaultActions: []elbapi.Action{{Type: aws.Ptr("fixed-response"), FixedResponseConfig: &elbapi.FixedResponseActionConfig{StatusCode: aws.Ptr("200")}}},
	}))(t)
	var url string
	w.until("the address", func() bool {
		w.ec2.mu.Lock()
		defer w.ec2.mu.Unlock()
		if len(w.ec2.interfaces) > 0 {
			url = fmt.Sprintf("http://%s:%d/", *w.ec2.interfaces[0].PrivateIpAddress, port)
		}
		return url != ""
	})
	w.until("an answer", func() bool {
		r, err := http.Get(url)
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	w.until("a log", func() bool {
		w.s.FlushLogs(w.ctx)
		w.bucket.mu.Lock()
		defer w.bucket.mu.Unlock()
		return slices.ContainsFunc(w.bucket.keys, func(k string) bool { return strings.HasPrefix(k, root+"elasticloadbalancing/us-east-1/") })
	})
}
