package accesslog

import (
	"crypto/tls"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/dataplane/proxy"
)

func connection(state *tls.ConnectionState) *proxy.Connection {
	at := time.Date(2023, 10, 4, 17, 5, 15, 514108000, time.UTC)
	return &proxy.Connection{
		LoadBalancer: lbARN, Listener: "l", Port: 443, Node: netip.MustParseAddr("172.160.1.193"), Client: netip.MustParseAddrPort("203.0.113.1:36280"), Name: "3180a73013c8ca4bac2f731159d4b0fe",
		Accepted: at.Add(-4036 * time.Millisecond), At: at, Secure: true, TLS: state, Handshake: 4036 * time.Millisecond, Alert: -1,
	}
}

// TestConnections compares with the examples of ELB's documentation, but for the
// certificates of clients.
func TestConnections(t *testing.T) {
	made := connection(&tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, CurveID: tls.CurveP256})
	failed := connection(nil)
	plain := connection(nil)
	plain.Secure, plain.Port = false, 80
	const tail = " app/my-loadbalancer/50dc6c495c0c9188 198.51.100.7"
	for name, c := range map[string]struct {
		x    *proxy.Connection
		want string
	}{
		"made":   {made, `2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 4.036 "-" - - Success TID_3180a73013c8ca4bac2f731159d4b0fe secp256r1` + tail},
		"failed": {failed, `2023-10-04T17:05:15.514108Z 203.0.113.1 36280 443 - - - "-" - - Failed:UnmappedConnectionError TID_3180a73013c8ca4bac2f731159d4b0fe -` + tail},
		"plain":  {plain, `2023-10-04T17:05:15.514108Z 203.0.113.1 36280 80 - - - "-" - - - TID_3180a73013c8ca4bac2f731159d4b0fe -` + tail},
	} {
		if got := string(written(func(w *line) { balancer().connection(w, c.x) })); got != c.want+"\n" {
			t.Errorf("%s:\n%s not\n%s", name, got, c.want)
		}
	}
}

// TestStreams compares with the examples of the documentation of network load balancers.
func TestStreams(t *testing.T) {
	const domain = "my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com"
	b := &Balancer{Name: "net/my-network-loadbalancer/c6e77e28c25b2234", Network: true, Certificates: map[string][]Certificate{
		"arn:listener/net/x/y/g3d4b5e8bb8464cd": {{ARN: "arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99"}},
	}}
	at := time.Date(2018, 12, 20, 2, 59, 40, 0, time.UTC)
	stream := &proxy.Connection{
		Listener: "arn:listener/net/x/y/g3d4b5e8bb8464cd", Stream: true, Client: netip.MustParseAddrPort("72.21.218.154:51341"), Target: netip.MustParseAddrPort("172.100.100.185:443"),
		Accepted: at.Add(-5 * time.Millisecond), At: at, Secure: true, TLS: &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, ServerName: domain},
		Handshake: 2 * time.Millisecond, Alert: -1, BytesIn: 98, BytesOut: 246, Offered: []string{"h2", "http/1.1"},
	}
	chosen := *stream
	state := *stream.TLS
	state.NegotiatedProtocol, state.CurveID = "h2", tls.X25519
	chosen.TLS = &state
	alert := *stream
	alert.TLS, alert.Alert, alert.Target, alert.BytesIn, alert.BytesOut = nil, 42, netip.AddrPort{}, 0, 0
	for name, c := range map[string]struct {
		x    *proxy.Connection
		want string
	}{
		"without a policy": {stream, "tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 - " + domain + " - - - 2018-12-20T02:59:39"},
		"with a policy":    {&chosen, "tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19-aded-46b0-8493-c63eb1ef4a99 - ECDHE-RSA-AES128-SHA tlsv12 x25519 " + domain + ` h2 - "h2","http/1.1" 2018-12-20T02:59:39`},
		"an alert":         {&alert, "tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 - 5 - 0 0 42 - - - - - - - - - 2018-12-20T02:59:39"},
	} {
		if got := string(written(func(w *line) { b.stream(w, c.x) })); got != c.want+"\n" {
			t.Errorf("%s:\n%s not\n%s", name, got, c.want)
		}
	}
}

// TestStreamFields: whatever a client offers and asks for, a line has all its fields.
func TestStreamFields(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, name)) }
		x := connection(&tls.ConnectionState{ServerName: text("name"), NegotiatedProtocol: text("front")})
		x.Offered = []string{text("one"), text("two")}
		if got := string(written(func(w *line) { balancer().stream(w, x) })); strings.Count(got, " ") != 21 || strings.Count(got, "\n") != 1 {
			t.Fatalf("%q", got)
		}
	})
}

// TestChecks compares with the examples of ELB's documentation.
func TestChecks(t *testing.T) {
	at, _ := time.Parse("2006-01-02T15:04:05.000000Z", "2025-10-31T12:44:59.875678Z")
	check := func(r proxy.CheckResult) *proxy.Checked {
		r.At, r.From = at, netip.MustParseAddr("172.160.1.193")
		return &proxy.Checked{TargetGroup: checkedGroup, Target: netip.MustParseAddrPort("172.31.20.97:80"), Result: r}
	}
	grpc := check(proxy.CheckResult{Status: 12, Reason: proxy.Mismatch})
	grpc.Kind = proxy.CheckGRPC
	secure := check(proxy.CheckResult{Reason: proxy.Timeout, Latency: 5 * time.Second})
	secure.TLS = true
	const tail = " app/my-loadbalancer/50dc6c495c0c9188 198.51.100.7"
	for want, x := range map[string]*proxy.Checked{
		"http 2025-10-31T12:44:59.875678Z 0.019584011 172.31.20.97:80 HCLogsTestIPs PASS 200 -":                    check(proxy.CheckResult{Passed: true, Status: 200, Latency: 19584011}),
		"http 2025-10-31T12:44:59.875678Z 1.121980746 172.31.20.97:80 HCLogsTestIPs FAIL 502 TargetError":          check(proxy.CheckResult{Reason: proxy.Mismatch, Status: 502, Latency: 1121980746}),
		"http 2025-10-31T12:44:59.875678Z 0.000000000 172.31.20.97:80 HCLogsTestIPs FAIL 404 ResponseCodeMismatch": check(proxy.CheckResult{Reason: proxy.Mismatch, Status: 404}),
		"http 2025-10-31T12:44:59.875678Z 0.000000000 172.31.20.97:80 HCLogsTestIPs FAIL - ConnectionReset":        check(proxy.CheckResult{Reason: proxy.Failed}),
		"https 2025-10-31T12:44:59.875678Z 5.000000000 172.31.20.97:80 HCLogsTestIPs FAIL - TimedOut":              secure,
		"grpc 2025-10-31T12:44:59.875678Z 0.000000000 172.31.20.97:80 HCLogsTestIPs FAIL 12 GRPCUnexpectedStatus":  grpc,
	} {
		if got := string(written(func(w *line) { balancer().check(w, x) })); got != want+tail+"\n" {
			t.Errorf("%s not\n%s", got, want+tail)
		}
	}
}

// TestKinds: each kind of line comes to its files, and only where it is wanted.
func TestKinds(t *testing.T) {
	b := &bucket{objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	network := Balancer{ARN: "net", Name: "net/a/b", Network: true, Account: "1", Region: "r", To: [3]Destination{{Bucket: "streams"}}}
	c.Set([]Balancer{*balancer(), network})
	c.AddConnection(connection(nil))
	c.AddCheck(&proxy.Checked{TargetGroup: checkedGroup})
	c.AddCheck(&proxy.Checked{TargetGroup: "another"})
	for _, secure := range []bool{true, false} {
		x := connection(nil)
		x.LoadBalancer, x.Stream, x.Secure = "net", true, secure
		c.AddConnection(x)
	}
	c.Deliver(t.Context())
	for _, want := range []string{
		`^logs/conn/AWSLogs/123456789012/elasticloadbalancing/us-east-2/[0-9/]{10}/conn_log_123456789012_elasticloadbalancing_us-east-2_app\.my-loadbalancer\.50dc6c495c0c9188_[0-9TZ]+_198\.51\.100\.7_\w{8}\.log\.gz$`,
		`^logs/checks/AWSLogs/123456789012/elasticloadbalancing/us-east-2/[0-9/]{10}/health_check_log_123456789012_elasticloadbalancing_us-east-2_app\.my-loadbalancer\.50dc6c495c0c9188_[0-9TZ]+_[^_]*_\w{8}\.log\.gz$`,
		`^streams/AWSLogs/1/elasticloadbalancing/r/[0-9/]{10}/1_elasticloadbalancing_r_net\.a\.b_[0-9TZ]+_\w{8}\.log\.gz$`,
	} {
		lines := 0
		for key, text := range b.objects {
			if regexp.MustCompile(want).MatchString(key) {
				lines += strings.Count(text, "\n")
			}
		}
		if lines != 1 {
			t.Errorf("%d lines in %s of %v", lines, want, b.objects)
		}
	}
	if len(b.objects) != 3 {
		t.Errorf("the files are %v", b.objects)
	}
	for k, name := range map[Kind]string{Connections: "ELBConnectionLogTestFile", Checks: "ELBHealthCheckLogTestFile"} {
		if err := c.Test(t.Context(), balancer(), k); err != nil || b.objects["logs/"+balancer().To[k].Prefix+"/AWSLogs/123456789012/"+name] == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
