package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"golang.org/x/net/websocket"
)

// features are what the list of an ALB's has, each by a client that
// people use; what the template of newEdge sets up is tested beside this.
func (e *edge) features() {
	f := &front{edge: e, groups: map[string]string{}, rules: new(int32)}
	env, err := e.in.Env()
	f.must(err)
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
	f.elb, f.ec2 = elb.NewFromConfig(cfg), ec2.NewFromConfig(cfg)
	both := e.targets[:]
	plain := f.group("plain", nil, map[string]string{"deregistration_delay.timeout_seconds": "100"}, both...)
	out, err := f.elb.CreateListener(e.Context(), &elb.CreateListenerInput{LoadBalancerArn: &f.lb, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(featurePort), DefaultActions: []elbtypes.Action{to(plain)}})
	f.must(err)
	f.listener = *out.Listeners[0].ListenerArn
	f.healthy(f.groups["plain"], 2)
	for _, p := range []struct {
		name string
		test func(*front)
	}{
		{"routing", (*front).routing},
		{"headers", (*front).headers},
		{"bodies", (*front).bodies},
		{"own answers", (*front).ownAnswers},
		{"targets", (*front).choices},
		{"slow start", (*front).slowStart},
		{"clients that leave", (*front).clientsLeave},
		{"regular expressions and transforms", (*front).transforms},
		{"metrics by zone and group", (*front).metered},
		{"draining", (*front).drains},
		{"changes under load", (*front).changesUnderLoad},
	} {
		e.part(p.name, func(e *edge) {
			own := *f
			own.edge = e
			p.test(&own)
		})
	}
}

func (f *front) routing() {
	f.rule(says("header"), "path-pattern=/route", "http-header=X-Kind:beta*")
	f.rule(says("method"), "path-pattern=/route", "http-request-method=PUT")
	f.rule(says("query"), "path-pattern=/route", "query-string=stage:v?*")
	f.rule(says("nobody"), "path-pattern=/route", "source-ip=203.0.113.0/24")
	f.rule(says("host"), "path-pattern=/route", "host-header=*.other.test")
	f.rule(says("source"), "path-pattern=/route", "source-ip=0.0.0.0/0")
	f.rule(elbtypes.Action{Type: elbtypes.ActionTypeEnumRedirect, RedirectConfig: &elbtypes.RedirectActionConfig{
		StatusCode: elbtypes.RedirectActionStatusCodeEnumHttp302, Protocol: aws.String("HTTPS"), Port: aws.String("8443"), Host: aws.String("new.#{host}"), Path: aws.String("/moved/#{path}"), Query: aws.String("from=#{port}&#{query}"),
	}}, "path-pattern=/go/*")
	one, two := f.group("only-one", nil, nil, f.targets[0]), f.group("only-two", nil, nil, f.targets[1])
	none := one
	none.Weight = aws.Int32(0)
	f.rule(to(none, two), "path-pattern=/weighted")
	split := to(one, two)
	split.ForwardConfig.TargetGroupStickinessConfig = &elbtypes.TargetGroupStickinessConfig{Enabled: aws.Bool(true), DurationSeconds: aws.Int32(60)}
	f.rule(split, "path-pattern=/split")
	f.healthy(f.groups["only-one"], 1)
	f.healthy(f.groups["only-two"], 1)
	for want, args := range map[string][]string{
		"header": {"-H", "X-Kind: BETA-2"},
		"method": {"-X", "PUT"},
		"query":  {"-G", "-d", "a=b&stage=v2x"},
		"host":   {"-H", "Host: www.other.test"},
		"source": nil,
	} {
		if got := f.get("/route", args...); got != want {
			f.Errorf("%v: %q, want %q", args, got, want)
		}
	}
	if got, want := f.get("/go/a?b=c", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"), "302 https://new.www.harbour.test:8443/moved/go/a?from=8080&b=c"; got != want {
		f.Errorf("%q, want %q", got, want)
	}
	for range 6 {
		if got := f.get("/weighted"); !strings.HasPrefix(got, "two ") {
			f.Errorf("a group of weight 0 was asked: %q", got)
		}
	}
	seen := map[string]int{}
	for range 30 {
		seen[strings.Fields(f.get("/split"))[0]]++
	}
	if seen["one"] == 0 || seen["two"] == 0 {
		f.Errorf("two groups of the same weight: %v", seen)
	}
	cookies := filepath.Join(f.TempDir(), "cookies")
	first := strings.Fields(f.get("/split", "-c", cookies))[0]
	for range 6 {
		if got := strings.Fields(f.get("/split", "-b", cookies))[0]; got != first {
			f.Errorf("group of %s, with its cookie %s", first, got)
		}
	}
	if b, _ := os.ReadFile(cookies); !bytes.Contains(b, []byte("AWSALBTG")) {
		f.Errorf("no cookie of the group's: %s", b)
	}
}

// transforms matches by regular expressions and has requests rewritten, by a rule that
// is changed under the client.
func (f *front) transforms() {
	group := f.group("rewritten", nil, nil, f.targets[0])
	*f.rules++
	rewrite := func(regex, replace string) []elbtypes.RewriteConfig {
		return []elbtypes.RewriteConfig{{Regex: &regex, Replace: &replace}}
	}
	out, err := f.elb.CreateRule(f.Context(), &elb.CreateRuleInput{
		ListenerArn: &f.listener, Priority: f.rules, Actions: []elbtypes.Action{to(group)},
		Conditions: []elbtypes.RuleCondition{
			{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{RegexValues: []string{`^/shop/[0-9]+$`}}},
			{Field: aws.String("http-header"), HttpHeaderConfig: &elbtypes.HttpHeaderConditionConfig{HttpHeaderName: aws.String("X-Stage"), RegexValues: []string{`^(beta|gamma)$`}}},
		},
		Transforms: []elbtypes.RuleTransform{
			{Type: elbtypes.TransformTypeEnumHostHeaderRewrite, HostHeaderRewriteConfig: &elbtypes.HostHeaderRewriteConfig{Rewrites: rewrite(`^www\.(.+)\.test:8080$`, "$1.internal")}},
			{Type: elbtypes.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &elbtypes.UrlRewriteConfig{Rewrites: rewrite(`^/shop/([0-9]+)`, "/headers?id=$1")}},
		},
	})
	f.must(err)
	f.healthy(f.groups["rewritten"], 1)
	if got := f.get("/shop/42", "-H", "X-Stage: gamma"); !strings.Contains(got, "Host: harbour.internal\n") {
		f.Errorf("rewritten: %q", got)
	}
	if got := f.get("/shop/x42", "-H", "X-Stage: gamma") + f.get("/shop/42", "-H", "X-Stage: beta2"); strings.Contains(got, "internal") {
		f.Errorf("what does not match was taken: %q", got)
	}
	shown, err := f.elb.DescribeRules(f.Context(), &elb.DescribeRulesInput{RuleArns: []string{*out.Rules[0].RuleArn}})
	f.must(err)
	if r := shown.Rules[0]; len(r.Transforms) != 2 || len(r.Conditions[0].RegexValues) != 1 || len(r.Conditions[1].HttpHeaderConfig.RegexValues) != 1 {
		f.Errorf("shown as %+v", r)
	}
	_, err = f.elb.ModifyRule(f.Context(), &elb.ModifyRuleInput{RuleArn: out.Rules[0].RuleArn, Transforms: []elbtypes.RuleTransform{
		{Type: elbtypes.TransformTypeEnumUrlRewrite, UrlRewriteConfig: &elbtypes.UrlRewriteConfig{Rewrites: rewrite("^/", "none")}},
	}})
	f.must(err)
	f.soon("500 where nothing is left of the path", func() bool { return f.code("/shop/42", "-H", "X-Stage: beta") == "500" })
	_, err = f.elb.ModifyRule(f.Context(), &elb.ModifyRuleInput{RuleArn: out.Rules[0].RuleArn, ResetTransforms: aws.Bool(true)})
	f.must(err)
	f.soon("the path as it came", func() bool { return f.code("/shop/42", "-H", "X-Stage: beta") != "500" })
}

func (f *front) headers() {
	line := func(all, name string) string {
		for l := range strings.Lines(all) {
			if v, ok := strings.CutPrefix(l, name+": "); ok {
				return strings.TrimSpace(v)
			}
		}
		return ""
	}
	got := f.get("/headers", "-H", "X-Forwarded-For: 203.0.113.9", "-H", "Connection: keep-alive, X-Hop", "-H", "X-Hop: 1", "-H", "x_odd: 1")
	client := strings.TrimPrefix(line(got, "X-Forwarded-For"), "203.0.113.9, ")
	if line(got, "Host") != "www.harbour.test:8080" || line(got, "X-Forwarded-Proto") != "http" || line(got, "X-Forwarded-Port") != "8080" || net.ParseIP(client) == nil || line(got, "X-Hop") != "" || line(got, "X_odd") != "1" {
		f.Errorf("%s", got)
	}
	if !regexp.MustCompile(`^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`).MatchString(line(got, "X-Amzn-Trace-Id")) {
		f.Errorf("trace id %q", line(got, "X-Amzn-Trace-Id"))
	}
	const root = "Root=1-67891233-abcdef012345678912345678"
	if got := line(f.get("/headers", "-H", "X-Amzn-Trace-Id: "+root+";CalledFrom=app"), "X-Amzn-Trace-Id"); !regexp.MustCompile(`^Self=1-[0-9a-f]{8}-[0-9a-f]{24};` + root + `;CalledFrom=app$`).MatchString(got) {
		f.Errorf("trace id %q", got)
	}
	defer f.attributes(f.lb, map[string]string{
		"routing.http.xff_header_processing.mode": "append", "routing.http.xff_client_port.enabled": "false",
		"routing.http.drop_invalid_header_fields.enabled": "false", "routing.http.desync_mitigation_mode": "defensive",
	})
	sent := []string{"-H", "X-Forwarded-For: 203.0.113.9", "-H", "x_odd: 1"}
	for _, c := range []struct {
		key, value string
		ok         func(string) bool
	}{
		{"routing.http.xff_header_processing.mode", "preserve", func(all string) bool { return line(all, "X-Forwarded-For") == "203.0.113.9" }},
		{"routing.http.xff_header_processing.mode", "remove", func(all string) bool { return line(all, "X-Forwarded-For") == "" }},
		{"routing.http.xff_header_processing.mode", "append", func(all string) bool { return line(all, "X-Forwarded-For") == "203.0.113.9, "+client }},
		{"routing.http.xff_client_port.enabled", "true", func(all string) bool {
			return regexp.MustCompile(`^203\.0\.113\.9, ` + regexp.QuoteMeta(client) + `:\d+$`).MatchString(line(all, "X-Forwarded-For"))
		}},
		{"routing.http.drop_invalid_header_fields.enabled", "true", func(all string) bool { return line(all, "X_odd") == "" }},
	} {
		f.attributes(f.lb, map[string]string{c.key: c.value})
		f.soon(c.key+" "+c.value, func() bool { return c.ok(f.get("/headers", sent...)) })
	}
	// A body with GET is acceptable only.
	if got := f.code("/digest", "-X", "GET", "-d", "x"); got != "200" {
		f.Errorf("defensive: %s", got)
	}
	f.attributes(f.lb, map[string]string{"routing.http.desync_mitigation_mode": "strictest"})
	f.soon("the strictest mode", func() bool { return f.code("/digest", "-X", "GET", "-d", "x") == "400" })
	// What targets are told of the client's TLS, by a name of the listener's own.
	f.attributes(f.lb, map[string]string{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "true"})
	f.attributes(f.out["Secure"], map[string]string{"routing.http.request.x_amzn_tls_version.header_name": "X-Client-Tls"})
	f.soon("the fields about TLS", func() bool {
		got := f.curl("https://www.harbour.test/headers")
		return strings.HasPrefix(line(got, "X-Client-Tls"), "TLSv1.") && line(got, "X-Amzn-Tls-Version") == "" && line(got, "X-Amzn-Tls-Cipher-Suite") != ""
	})
	f.attributes(f.out["Secure"], map[string]string{"routing.http.request.x_amzn_tls_version.header_name": ""})
	f.attributes(f.lb, map[string]string{"routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false"})
	// Of the listener: what is set and what is hidden in answers.
	f.attributes(f.listener, map[string]string{"routing.http.response.server.enabled": "false", "routing.http.response.strict_transport_security.header_value": "max-age=31536000"})
	f.soon("the answers' headers", func() bool {
		got := strings.ToLower(f.get("/headers", "-D", "-", "-o", "/dev/null"))
		return !strings.Contains(got, "\nserver: target") && strings.Contains(got, "\nstrict-transport-security: max-age=31536000")
	})
}

func (f *front) bodies() {
	big, err := io.ReadAll(bigBody())
	f.must(err)
	file := filepath.Join(f.TempDir(), "big")
	f.must(os.WriteFile(file, big, 0o600))
	sum := fmt.Sprintf("%d %x ", len(big), sha256.Sum256(big))
	for what, args := range map[string][]string{
		"[] <nil>":        {"-T", file},
		"[chunked] <nil>": {"-T", file, "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"},
	} {
		if got := f.get("/digest", args...); got != sum+what {
			f.Errorf("an upload: %q, want %q", got, sum+what)
		}
	}
	if got := f.get("/digest", "-v", "-T", file, "-H", "Expect: 100-continue"); !strings.Contains(got, "HTTP/1.1 100 Continue") {
		f.Errorf("no 100: %s", got)
	}
	got := f.get("/big", "-o", file)
	if b, err := os.ReadFile(file); err != nil || !bytes.Equal(b, big) {
		f.Errorf("a download of %d bytes, %v: %s", len(b), err, got)
	}
	if got := f.get("/trailers", "-D", "-"); !strings.Contains(got, "X-Sum: 42") {
		f.Errorf("no trailer: %q", got)
	}
	if got := f.get("/status/200", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", "http://www.harbour.test:8080/status/200"); got != "1 0 " {
		f.Errorf("connections of two requests: %q", got)
	}
	if got := f.get("/headers", "-I"); !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		f.Errorf("HEAD: %q", got)
	}
	if got := f.get("/headers", "--http1.0"); !strings.Contains(got, "Protocol: HTTP/1.1") {
		f.Errorf("HTTP/1.0: %q", got)
	}
	// Requests that are sent before the first answer are answered in their order.
	conn, err := net.Dial("tcp", f.alb+":8080")
	f.must(err)
	defer conn.Close()
	f.must(conn.SetDeadline(time.Now().Add(3 * time.Minute)))
	for _, path := range []string{"/first", "/second", "/third"} {
		_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n%s\r\nx", path, map[string]string{"/third": "Connection: close\r\n"}[path])
		f.must(err)
	}
	all, err := io.ReadAll(conn)
	f.must(err)
	if !regexp.MustCompile(`(?s)POST /first .*POST /second .*POST /third `).Match(all) {
		f.Errorf("a pipeline: %s", all)
	}
}

func (f *front) ownAnswers() {
	f.rule(to(f.group("empty", nil, nil)), "path-pattern=/empty")
	// What is no gRPC does not fit a target group of it.
	secure, calls := *f, f.out["Calls"]
	secure.listener = f.out["Secure"]
	secure.rule(to(elbtypes.TargetGroupTuple{TargetGroupArn: &calls}), "path-pattern=/calls")
	if got := f.curl("https://www.harbour.test/calls", "--http1.1", "-o", "/dev/null", "-w", "%{http_code}"); got != "464" {
		f.Errorf("HTTP/1.1 to gRPC: %s", got)
	}
	addresses := strings.TrimSuffix(strings.Repeat("203.0.113.9, ", 31), ", ")
	for _, c := range []struct {
		want, path string
		args       []string
	}{
		{"400", "/", []string{"-H", "Bad Name: x"}},
		{"400", "/", []string{"-H", "Content-Length: 1", "-H", "Content-Length: 2"}},
		{"405", "/", []string{"-X", "TRACE"}},
		{"414", "/" + strings.Repeat("x", 20000), nil},
		{"463", "/", []string{"-H", "X-Forwarded-For: " + addresses}},
		{"501", "/", []string{"-X", "POST", "-H", "Transfer-Encoding: gzip"}},
		{"502", "/close", nil},
		{"503", "/empty", nil},
		{"418", "/status/418", nil}, // a target's own passes
	} {
		if got := f.code(c.path, c.args...); got != c.want {
			f.Errorf("%.40s %.60v: %s, want %s", c.path, c.args, got, c.want)
		}
	}
	// A second: enough for what this process says of itself, unless the machine stands
	// still for as long; then it is asked once more.
	f.attributes(f.lb, map[string]string{"idle_timeout.timeout_seconds": "1"})
	defer f.attributes(f.lb, map[string]string{"idle_timeout.timeout_seconds": "60"})
	f.soon("504 of a target that does not answer", func() bool { // the first request may be quicker than the change
		out, err := f.run("curl", "-sS", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", "http://"+f.alb+":8080/hang")
		return err == nil && out == "504"
	})
	f.soon("408 for a body that does not come", func() bool {
		conn, err := net.Dial("tcp", f.alb+":8080")
		f.must(err)
		defer conn.Close()
		f.must(conn.SetDeadline(time.Now().Add(3 * time.Minute)))
		_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
		f.must(err)
		all, err := io.ReadAll(conn)
		return err == nil && bytes.HasPrefix(all, []byte("HTTP/1.1 408 "))
	})
	// A connection, and a WebSocket, on which nothing is said is closed.
	f.soon("the end of a silent WebSocket", func() bool {
		ws, err := f.openWebSocket()
		if err != nil {
			return false
		}
		defer ws.Close()
		got := ""
		return websocket.Message.Receive(ws, &got) == io.EOF
	})
}

// dialWebSocket opens one over plain HTTP.
func (f *front) dialWebSocket() *websocket.Conn {
	f.Helper()
	ws, err := f.openWebSocket()
	f.must(err)
	return ws
}

func (f *front) openWebSocket() (*websocket.Conn, error) {
	conf, err := websocket.NewConfig("ws://www.harbour.test:8080/ws", "http://www.harbour.test/")
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", f.alb+":8080")
	if err != nil {
		return nil, err
	}
	ws, err := websocket.NewClient(conf, conn)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	}
	if err != nil {
		conn.Close()
	}
	return ws, err
}

// choices are which target is asked.
func (f *front) choices() {
	app := f.group("app", nil, map[string]string{"stickiness.enabled": "true", "stickiness.type": "app_cookie", "stickiness.app_cookie.cookie_name": "SESSION"}, f.targets[:]...)
	least := f.group("least", nil, map[string]string{"load_balancing.algorithm.type": "least_outstanding_requests"}, f.targets[:]...)
	h2 := f.group("h2", func(in *elb.CreateTargetGroupInput) { in.ProtocolVersion = aws.String("HTTP2") }, nil, f.targets[:]...)
	sick := f.group("sick", func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckPath, in.Matcher = aws.String("/status/418"), &elbtypes.Matcher{HttpCode: aws.String("200-299")}
	}, nil, f.targets[:]...)
	odd := f.group("odd", func(in *elb.CreateTargetGroupInput) {
		in.HealthCheckPath, in.Matcher = aws.String("/status/418"), &elbtypes.Matcher{HttpCode: aws.String("200,418")}
	}, nil, f.targets[:]...)
	f.rule(to(app), "path-pattern=/app/*")
	f.rule(to(least), "path-pattern=/count/least")
	secure := *f
	secure.listener = f.out["Secure"]
	secure.rule(to(h2), "path-pattern=/headers")
	f.rule(to(sick), "path-pattern=/status/200", "query-string=v:sick")
	f.rule(to(odd), "path-pattern=/status/200", "query-string=v:odd")
	for _, name := range []string{"app", "least", "odd", "h2"} {
		f.healthy(f.groups[name], 2)
	}
	cookies := filepath.Join(f.TempDir(), "cookies")
	first := f.get("/app/", "-c", cookies)
	for range 6 {
		if got := f.get("/app/", "-b", cookies); got != first {
			f.Errorf("first %s, with its cookie %s", first, got)
		}
	}
	if b, _ := os.ReadFile(cookies); !bytes.Contains(b, []byte("AWSALBAPP-0")) {
		f.Errorf("no cookie: %s", b)
	}
	// One target is slow. In turns both serve as much; by what is outstanding the
	// quick one serves far more.
	for _, kind := range []string{"turns", "least"} {
		if out, err := f.run("wrk", "-t1", "-c4", "-d2s", "--timeout", "180s", "http://"+f.alb+":8080/count/"+kind); err != nil || soakFailed.MatchString(out) {
			f.Errorf("%v\n%s", err, out)
		}
	}
	f.soon("as many in turns", func() bool { // the slow one still serves its last ones
		one, two := served("turns one").Load(), served("turns two").Load()
		return one > 0 && two <= one+4
	})
	if one, two := served("least one").Load(), served("least two").Load(); two == 0 || two < 5*one {
		f.Errorf("by what is outstanding: %d of the slow one and %d", one, two)
	}
	if got := f.curl("https://www.harbour.test/headers", "--http2"); !strings.Contains(got, "Protocol: HTTP/2.0") {
		f.Errorf("to a target of HTTP/2: %s", got)
	}
	// All targets fail their checks, so all are asked; it is told why they fail.
	f.soon("unhealthy targets", func() bool {
		out, err := f.elb.DescribeTargetHealth(f.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: sick.TargetGroupArn})
		f.must(err)
		for _, d := range out.TargetHealthDescriptions {
			if d.TargetHealth.Reason != elbtypes.TargetHealthReasonEnumResponseCodeMismatch || !strings.Contains(aws.ToString(d.TargetHealth.Description), "418") {
				return false
			}
		}
		return true
	})
	for _, v := range []string{"sick", "odd"} {
		if got := f.code("/status/200?v=" + v); got != "200" {
			f.Errorf("%s: %s", v, got)
		}
	}
	// Within its zone each node has one target.
	f.attributes(f.groups["plain"], map[string]string{"load_balancing.cross_zone.enabled": "false"})
	defer f.attributes(f.groups["plain"], map[string]string{"load_balancing.cross_zone.enabled": "use_load_balancer_configuration"})
	nodes, err := f.ec2.DescribeNetworkInterfaces(f.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB app/edge/*"}}}})
	f.must(err)
	for _, n := range nodes.NetworkInterfaces {
		want := map[string]string{"us-east-1a": "one ", "us-east-1c": "two "}[*n.AvailabilityZone]
		f.soon("zone "+*n.AvailabilityZone, func() bool {
			for range 4 {
				if got, err := f.run("curl", "-sS", "--max-time", "120", "http://"+*n.Association.PublicIp+":8080/"); err != nil || !strings.HasPrefix(got, want) {
					return false
				}
			}
			return true
		})
	}
}

// slowStart has a target come to one that serves already: it gets few requests
// at first, and as many as the other when its time is over.
func (f *front) slowStart() {
	group := f.group("slow", nil, map[string]string{"slow_start.duration_seconds": "900"}, f.targets[1])
	f.rule(to(group), "path-pattern=/count/ramp*")
	f.healthy(f.groups["slow"], 1)
	came := time.Now()
	_, err := f.elb.RegisterTargets(f.Context(), &elb.RegisterTargetsInput{TargetGroupArn: group.TargetGroupArn, Targets: []elbtypes.TargetDescription{{Id: aws.String(f.targets[0])}}})
	f.must(err)
	f.healthy(f.groups["slow"], 2)
	f.get("/count/ramp?[1-40]")
	// Its weight grows from nothing to the old one's in 45 s, the group's 900, paced: on a
	// machine that took long to come here, it may have come far.
	weight := min(1, time.Since(came).Seconds()/45)
	if young, old := served("ramp one").Load(), served("ramp two").Load(); young+old != 40 || float64(young) > 40*weight/(1+weight)+10 {
		f.Errorf("%d of the young target and %d of the old one, %s after it came", young, old, time.Since(came))
	}
	f.attributes(f.groups["slow"], map[string]string{"slow_start.duration_seconds": "0"})
	f.soon("requests in turns", func() bool {
		young, old := served("ramp one").Load(), served("ramp two").Load()
		f.get("/count/ramp?[1-10]")
		return served("ramp one").Load()-young >= 4 && served("ramp two").Load()-old >= 4
	})
}
