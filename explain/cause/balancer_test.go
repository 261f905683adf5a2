package cause

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestOfBalancer(t *testing.T) {
	cert := func(from, until time.Duration, names ...string) Certificate {
		return Certificate{ARN: "arn:aws:acm:us-east-1:0:certificate/1", Names: names, From: now.Add(from), Until: now.Add(until)}
	}
	good := cert(-time.Hour, time.Hour, "www.harbour.test", "*.api.harbour.test")
	group := ForwardTo{ARN: "arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/calls/1", Version: "GRPC"}
	fallback := Rule{Priority: "default"}
	rule := func(priority string, conditions ...Condition) Rule {
		return Rule{Priority: priority, Conditions: conditions}
	}
	path := func(v ...string) Condition { return Condition{Field: "path-pattern", Values: v} }
	host := func(v ...string) Condition { return Condition{Field: "host-header", Values: v} }
	with := func(protocol string, certificates []Certificate, rules ...Rule) Balancer {
		return Balancer{ARN: "arn:lb", Name: "edge", State: "active", Now: now, Listeners: []Listener{{ARN: "arn:listener", Protocol: protocol, Port: 443, Certificates: certificates, Rules: append(rules, fallback)}}}
	}
	noHTTP2 := with("HTTPS", []Certificate{good}, Rule{Priority: "1", Conditions: []Condition{path("/a")}, Groups: []ForwardTo{group}})
	noHTTP2.NoHTTP2 = true
	dropped := with("HTTP", nil)
	dropped.Drops = []Drop{ingressDrop}
	for _, c := range []struct {
		name     string
		balancer Balancer
		causes   int
		want     []string
		not      string
	}{
		{"well", with("HTTPS", []Certificate{good}, rule("1", host("www.harbour.test", "x.api.harbour.test", "*.api.harbour.test"))), 0, []string{"PROOF listener HTTPS:443 has 2 rules"}, ""},
		{"no listener", Balancer{Name: "edge", State: "provisioning"}, 1, []string{"edge has no listener", "create-listener", "WAITS the load balancer's network interfaces"}, ""},
		{"packets dropped", dropped, 1, []string{"7 packets were dropped"}, ""},
		{"expired", with("HTTPS", []Certificate{cert(-2*time.Hour, -time.Hour, "www.harbour.test")}), 1, []string{"for www.harbour.test has expired on 2026-11-30 11:00:00 UTC: clients refuse it", "import-certificate --certificate-arn arn:aws:acm"}, ""},
		{"not valid yet", with("TLS", []Certificate{cert(time.Hour, 2*time.Hour, "www.harbour.test")}), 1, []string{"is not valid before 2026-11-30 13:00:00 UTC"}, ""},
		{"no certificate is there", with("HTTPS", []Certificate{{ARN: "arn:gone", Gone: true}}), 1, []string{"HTTPS:443 does not listen", "arn:gone cannot be found", "modify-listener --listener-arn arn:listener"}, ""},
		{"another name", with("HTTPS", []Certificate{good}, rule("1", host("shop.harbour.test"))), 1, []string{"clients of shop.harbour.test are shown the default certificate of listener HTTPS:443, which is for www.harbour.test, *.api.harbour.test", "add-listener-certificates"}, ""},
		{"one label too many", with("HTTPS", []Certificate{good}, rule("1", host("a.b.api.harbour.test"))), 1, []string{"clients of a.b.api.harbour.test"}, ""},
		{"one of many names", with("HTTPS", []Certificate{good}, rule("1", host("*.harbour.test"))), 0, nil, ""},
		{"any name", with("HTTPS", []Certificate{good}, rule("1", host("*", "w*.harbour.test"))), 0, nil, ""},
		{"464", with("HTTP", nil, Rule{Priority: "1", Conditions: []Condition{path("/a")}, Groups: []ForwardTo{group}}), 1, []string{"to the target group calls is answered with 464", "takes GRPC only", "--protocol HTTPS"}, ""},
		{"464 without HTTP/2", noHTTP2, 1, []string{"464", "routing.http2.enabled,Value=true"}, ""},
		{"never reached", with("HTTP", nil, rule("10", path("/api/*")), rule("20", path("/api/v2/*", "/api/x"), host("a.test"))), 1, []string{"rule 20 of listener HTTP:443 is never reached: rule 10 before it takes every request", "set-rule-priorities"}, ""},
		{"reached by another host", with("HTTP", nil, rule("10", path("/api/*"), host("a.test")), rule("20", path("/api/v2/*"))), 0, nil, ""},
		{"reached by another path", with("HTTP", nil, rule("10", path("/api/*")), rule("20", path("/api/x", "/b"))), 0, nil, ""},
		{"another header", with("HTTP", nil, rule("10", Condition{"http-header", "A", []string{"*"}}), rule("20", Condition{"http-header", "B", []string{"x"}})), 0, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, OfBalancer(c.balancer), c.causes, c.want, c.not) })
	}
}

// TestWithin: what a pattern within another takes, the other takes.
// TestLogFailures: a log that does not come says what keeps it.
func TestLogFailures(t *testing.T) {
	log := LogFailure{Kind: "Access logs", Bucket: "logs", Keys: "web/AWSLogs/1/*", Files: 2, Code: "AccessDenied", Text: "Access Denied"}
	b := Balancer{Name: "edge", Listeners: []Listener{{Protocol: "HTTP", Port: 80}}, Logs: []LogFailure{log}}
	says(t, OfBalancer(b), 1, []string{
		"the access logs of load balancer edge are not delivered: the policy of the bucket logs does not let logdelivery.elasticloadbalancing.amazonaws.com put web/AWSLogs/1/*",
		"2 files waiting", "put-bucket-policy --bucket logs", "arn:aws:s3:::logs/web/AWSLogs/1/*",
	}, "does not exist")
	b.Logs[0].Code, b.Logs[0].Kind = "NoSuchBucket", "Connection logs"
	says(t, OfBalancer(b), 1, []string{"the connection logs of load balancer edge are not delivered: the bucket logs does not exist", "create-bucket --bucket logs"}, "policy of")
	b.Logs[0].Code = "SlowDown"
	says(t, OfBalancer(b), 1, []string{"are not delivered to the bucket logs", "SlowDown"}, "create-bucket")
}

// TestLogLosses: lines that were lost are counted.
func TestLogLosses(t *testing.T) {
	b := Balancer{Name: "edge", Listeners: []Listener{{Protocol: "HTTP", Port: 80}}, Lost: []LogLoss{{Kind: "Access logs", Lines: 1200, Why: "their bucket logs could not be written"}}}
	says(t, OfBalancer(b), 1, []string{"1200 lines of the access logs of load balancer edge are lost: their bucket logs could not be written", "best effort"}, "not delivered")
}

func TestWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?]{0,7}`)
		p, v := pattern.Draw(t, "p"), pattern.Draw(t, "v")
		text := rapid.StringMatching(`[ab]{0,8}`).Draw(t, "text")
		if within(p, v) && within(v, text) && !within(p, text) {
			t.Fatalf("%q is within %q, and %q is not", v, p, text)
		}
		if !within(p, p) || !within("*", p) || within("?", "*") || !within("*b*", "a?b*") {
			t.Fatalf("%q", p)
		}
	})
}
