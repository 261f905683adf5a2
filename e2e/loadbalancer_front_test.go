package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// servedBy counts what each target has served below /count.
var servedBy sync.Map // name to *atomic.Int64

func served(name string) *atomic.Int64 {
	n, _ := servedBy.LoadOrStore(name, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// manners are the pages of a target that behaves in many ways.
func manners(mux *http.ServeMux, name string) {
	mux.HandleFunc("/headers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "target")
		fmt.Fprintf(w, "Host: %s\nProtocol: %s\n", r.Host, r.Proto)
		for _, k := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(w, "%s: %s\n", k, strings.Join(r.Header[k], "|"))
		}
	})
	mux.HandleFunc("/digest", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v %v", n, h.Sum(nil), r.TransferEncoding, err)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) { io.Copy(w, bigBody()) })
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		served("hang").Add(1)
		<-r.Context().Done()
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(1500 * time.Millisecond)
		io.WriteString(w, name)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.WriteHeader(code)
	})
	mux.HandleFunc("/app/", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "SESSION", Value: name, Path: "/"})
		io.WriteString(w, name)
	})
	mux.HandleFunc("/count/{kind}", func(w http.ResponseWriter, r *http.Request) {
		if name == "one" {
			time.Sleep(slowness[r.PathValue("kind")])
		}
		served(r.PathValue("kind") + " " + name).Add(1)
	})
}

// slowness is how long target one takes for each kind of what is counted: with what is
// outstanding far more than the other takes on a busy machine.
var slowness = map[string]time.Duration{"turns": 200 * time.Millisecond, "least": time.Second, "ramp": 50 * time.Millisecond}

// bigBody is 20 MB.
func bigBody() io.Reader { return bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 20<<16)) }

// featurePort is of a listener for what follows.
const featurePort = 8080

// front is what the features are configured with: an SDK's client, which is
// quicker than a CLI's start for each of a hundred calls.
type front struct {
	*edge
	elb      *elb.Client
	ec2      *ec2.Client
	lb       string
	listener string
	groups   map[string]string // ARNs
	rules    *int32
}

func (f *front) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// group makes a target group with both targets, or none.
func (f *front) group(name string, change func(*elb.CreateTargetGroupInput), attributes map[string]string, targets ...string) elbtypes.TargetGroupTuple {
	f.Helper()
	in := &elb.CreateTargetGroupInput{
		Name: &name, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String(f.vpc()), TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(10), HealthyThresholdCount: aws.Int32(2),
	}
	if change != nil {
		change(in)
	}
	out, err := f.elb.CreateTargetGroup(f.Context(), in)
	f.must(err)
	arn := *out.TargetGroups[0].TargetGroupArn
	f.groups[name] = arn
	f.attributes(arn, attributes)
	var all []elbtypes.TargetDescription
	for _, t := range targets {
		all = append(all, elbtypes.TargetDescription{Id: aws.String(t)})
	}
	if len(all) > 0 {
		_, err = f.elb.RegisterTargets(f.Context(), &elb.RegisterTargetsInput{TargetGroupArn: &arn, Targets: all})
		f.must(err)
	}
	return elbtypes.TargetGroupTuple{TargetGroupArn: &arn, Weight: aws.Int32(1)}
}

func (f *front) vpc() string {
	out, err := f.elb.DescribeLoadBalancers(f.Context(), &elb.DescribeLoadBalancersInput{Names: []string{"edge"}})
	f.must(err)
	f.lb = *out.LoadBalancers[0].LoadBalancerArn
	return *out.LoadBalancers[0].VpcId
}

// attributes changes a target group's, a load balancer's or a listener's.
func (f *front) attributes(arn string, values map[string]string) {
	f.Helper()
	if len(values) == 0 {
		return
	}
	var (
		group    []elbtypes.TargetGroupAttribute
		balancer []elbtypes.LoadBalancerAttribute
		listener []elbtypes.ListenerAttribute
		err      error
	)
	for k, v := range values {
		group = append(group, elbtypes.TargetGroupAttribute{Key: &k, Value: &v})
		balancer = append(balancer, elbtypes.LoadBalancerAttribute{Key: &k, Value: &v})
		listener = append(listener, elbtypes.ListenerAttribute{Key: &k, Value: &v})
	}
	switch {
	case strings.Contains(arn, ":targetgroup/"):
		_, err = f.elb.ModifyTargetGroupAttributes(f.Context(), &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &arn, Attributes: group})
	case strings.Contains(arn, ":listener/"):
		_, err = f.elb.ModifyListenerAttributes(f.Context(), &elb.ModifyListenerAttributesInput{ListenerArn: &arn, Attributes: listener})
	default:
		_, err = f.elb.ModifyLoadBalancerAttributes(f.Context(), &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &arn, Attributes: balancer})
	}
	f.must(err)
}

// rule makes one; conditions are kind=value,value.
func (f *front) rule(action elbtypes.Action, conditions ...string) string {
	f.Helper()
	*f.rules++
	in := &elb.CreateRuleInput{ListenerArn: &f.listener, Priority: aws.Int32(*f.rules), Actions: []elbtypes.Action{action}}
	for _, c := range conditions {
		kind, value, _ := strings.Cut(c, "=")
		name, rest, _ := strings.Cut(value, ":")
		condition := elbtypes.RuleCondition{Field: &kind}
		switch kind {
		case "http-header":
			condition.HttpHeaderConfig = &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: &name, Values: []string{rest}}
		case "http-request-method":
			condition.HttpRequestMethodConfig = &elbtypes.HttpRequestMethodConditionConfig{Values: []string{value}}
		case "query-string":
			condition.QueryStringConfig = &elbtypes.QueryStringConditionConfig{Values: []elbtypes.QueryStringKeyValuePair{{Key: &name, Value: &rest}}}
		case "source-ip":
			condition.SourceIpConfig = &elbtypes.SourceIpConditionConfig{Values: []string{value}}
		default:
			condition.Values = []string{value}
		}
		in.Conditions = append(in.Conditions, condition)
	}
	out, err := f.elb.CreateRule(f.Context(), in)
	f.must(err)
	return *out.Rules[0].RuleArn
}

func to(groups ...elbtypes.TargetGroupTuple) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: groups}}
}

func says(text string) elbtypes.Action {
	return elbtypes.Action{Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("200"), ContentType: aws.String("text/plain"), MessageBody: &text}}
}

// get asks the listener by curl and returns what it wrote.
func (f *front) get(path string, args ...string) string {
	f.Helper()
	out, err := f.run("curl", append([]string{"-sS", "--max-time", "120", "--connect-to", "www.harbour.test:8080:" + f.alb + ":8080"}, append(args, "http://www.harbour.test:8080"+path)...)...)
	if err != nil {
		f.Errorf("curl %s %s: %v\n%s", path, strings.Join(args, " "), err, out)
	}
	return out
}

// code is the status of an answer.
func (f *front) code(path string, args ...string) string {
	f.Helper()
	return f.get(path, append([]string{"-o", "/dev/null", "-w", "%{http_code}"}, args...)...)
}

// soon waits until an answer is as it should be: attributes count a moment after
// they are changed.
func (f *front) soon(what string, ok func() bool) { f.Helper(); f.until(what, ok) }
