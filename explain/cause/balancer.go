package cause

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Balancer is a load balancer with what it serves.
type Balancer struct {
	ARN, Name string
	State     string // active, provisioning
	NoHTTP2   bool   // it does not offer HTTP/2 to clients
	Listeners []Listener
	Drops     []Drop // packets to its addresses that were dropped
	Logs      []LogFailure
	Lost      []LogLoss
	Now       time.Time
}

// LogFailure is a log that could not be brought to its bucket.
type LogFailure struct {
	Kind         string // "Access logs"
	Bucket, Keys string // Keys is what there is to be put, with an asterisk
	Since        time.Time
	Files        int    // that wait
	Code, Text   string // S3's
}

// LogLoss is lines of a log that were lost.
type LogLoss struct {
	Kind  string // "Access logs"
	Lines int
	Last  time.Time
	Why   string
}

// LogWriter is who brings load balancers' logs to their buckets.
const LogWriter = "logdelivery.elasticloadbalancing.amazonaws.com"

// Listener is a port of a load balancer.
type Listener struct {
	ARN, Protocol string
	Port          int32
	Certificates  []Certificate // the default one first
	Rules         []Rule        // by priority, the default one last
}

// Certificate is one of a listener's.
type Certificate struct {
	ARN         string
	Names       []string
	From, Until time.Time
	Gone        bool // it cannot be read
}

// Rule is a rule of a listener.
type Rule struct {
	Priority   string
	Conditions []Condition
	Groups     []ForwardTo
}

// Condition is what must hold for a rule: one of the values.
type Condition struct {
	Field, Name string
	Values      []string
}

// ForwardTo is a target group that a rule forwards to.
type ForwardTo struct{ ARN, Version string }

func (l Listener) title() string { return fmt.Sprintf("%s:%d", l.Protocol, l.Port) }

func (l Listener) secure() bool { return l.Protocol == "HTTPS" || l.Protocol == "TLS" }

// OfBalancer says what keeps clients from what a load balancer is to give them,
// as far as it is the load balancer's doing.
func OfBalancer(b Balancer) Findings {
	var f Findings
	if b.State == "provisioning" {
		f.Waits = append(f.Waits, "the load balancer's network interfaces")
	}
	for _, d := range b.Drops {
		f.Causes = append(f.Causes, OfDrop(d))
	}
	if len(b.Listeners) == 0 {
		f.Causes = append(f.Causes, say("load balancer %s has no listener, so nothing answers on any port", b.Name).
			mend("aws elbv2 create-listener --load-balancer-arn %s --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn=TARGET-GROUP", b.ARN))
	}
	for _, l := range b.Listeners {
		f.Add(b.ofListener(l))
	}
	for _, l := range b.Logs {
		f.Causes = append(f.Causes, b.ofLog(l))
	}
	for _, l := range b.Lost {
		f.Causes = append(f.Causes, because([]string{"the last at " + l.Last.Format("2006-01-02 15:04:05 MST"), "logs are best effort, as on AWS: requests do not wait for them"},
			"%s of the %s of load balancer %s are lost: %s", plural(l.Lines, "line"), strings.ToLower(l.Kind), b.Name, l.Why))
	}
	return f
}

// ofLog says why a log does not come.
func (b Balancer) ofLog(l LogFailure) Cause {
	about := []string{fmt.Sprintf("S3 answered: %s: %s", l.Code, l.Text), fmt.Sprintf("%s waiting since %s; the oldest are lost in the end", plural(l.Files, "file"), l.Since.Format("2006-01-02 15:04:05 MST"))}
	kind := strings.ToLower(l.Kind)
	switch l.Code {
	case "NoSuchBucket":
		return because(about, "the %s of load balancer %s are not delivered: the bucket %s does not exist", kind, b.Name, l.Bucket).mend("aws s3api create-bucket --bucket %s # and give it the policy again", l.Bucket)
	case "AccessDenied":
		return because(about, "the %s of load balancer %s are not delivered: the policy of the bucket %s does not let %s put %s", kind, b.Name, l.Bucket, LogWriter, l.Keys).
			mend("aws s3api put-bucket-policy --bucket %s --policy %s", l.Bucket, quote(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"%s"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::%s/%s"}]}`, LogWriter, l.Bucket, l.Keys))+" # besides what it has")
	}
	return because(about, "the %s of load balancer %s are not delivered to the bucket %s", kind, b.Name, l.Bucket)
}

func (b Balancer) ofListener(l Listener) Findings {
	var f Findings
	if l.secure() {
		f.Causes = append(f.Causes, l.certificates(b.Now)...)
	}
	f.Causes = append(f.Causes, b.mismatches(l)...)
	for i, r := range l.Rules {
		for _, earlier := range l.Rules[:i] {
			if r.Priority != "default" && earlier.covers(r) {
				f.Causes = append(f.Causes, say("rule %s of listener %s is never reached: rule %s before it takes every request that it would", r.Priority, l.title(), earlier.Priority).
					mend("aws elbv2 set-rule-priorities --rule-priorities RuleArn=RULE,Priority=NUMBER # give the narrower one the lower number"))
				break
			}
		}
	}
	if len(f.Causes) == 0 {
		f.Proof = []string{fmt.Sprintf("listener %s has %s", l.title(), plural(len(l.Rules), "rule"))}
	}
	return f
}

// certificates finds those that clients would not take.
func (l Listener) certificates(now time.Time) []Cause {
	there := slices.DeleteFunc(slices.Clone(l.Certificates), func(c Certificate) bool { return c.Gone })
	if len(there) == 0 {
		c := say("listener %s does not listen: none of its certificates is there", l.title())
		for _, g := range l.Certificates {
			c.Evidence = append(c.Evidence, g.ARN+" cannot be found")
		}
		return []Cause{c.mend("aws elbv2 modify-listener --listener-arn %s --certificates CertificateArn=CERTIFICATE", l.ARN)}
	}
	var out []Cause
	for _, c := range there {
		about := []string{fmt.Sprintf("certificate %s is for %s", c.ARN, strings.Join(c.Names, ", "))}
		const at = "2006-01-02 15:04:05 MST"
		switch {
		case now.After(c.Until):
			out = append(out, because(about, "the certificate of listener %s for %s has expired on %s: clients refuse it", l.title(), first(c.Names), c.Until.Format(at)).mend("%s", renew(c.ARN)))
		case now.Before(c.From):
			out = append(out, because(about, "the certificate of listener %s for %s is not valid before %s: clients refuse it", l.title(), first(c.Names), c.From.Format(at)).mend("%s", renew(c.ARN)))
		}
	}
	for _, host := range l.hosts() {
		if slices.ContainsFunc(there, func(c Certificate) bool {
			return slices.ContainsFunc(c.Names, func(n string) bool { return names(n, host) })
		}) {
			continue
		}
		cause := say("clients of %s are shown the default certificate of listener %s, which is for %s: they refuse it", host, l.title(), strings.Join(there[0].Names, ", "))
		cause.Evidence = []string{fmt.Sprintf("a rule has the host %s, and none of the listener's certificates names it", host)}
		cause = cause.mend("aws acm request-certificate --domain-name %s --validation-method DNS", quote(host))
		out = append(out, cause.mend("aws elbv2 add-listener-certificates --listener-arn %s --certificates CertificateArn=CERTIFICATE", l.ARN))
	}
	return out
}

// renew is the command that gives a certificate other contents.
func renew(arn string) string {
	if strings.Contains(arn, ":acm:") {
		return "aws acm import-certificate --certificate-arn " + arn + " --certificate fileb://CERTIFICATE --private-key fileb://KEY"
	}
	return "aws iam upload-server-certificate --server-certificate-name NAME --certificate-body file://CERTIFICATE --private-key file://KEY # then modify-listener"
}

func first(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return names[0]
}

// hosts are the names that rules ask for, as far as a certificate could be for
// them: without wildcards but a first label.
func (l Listener) hosts() []string {
	var out []string
	for _, r := range l.Rules {
		for _, c := range r.Conditions {
			for _, v := range c.Values {
				if v = strings.ToLower(v); c.Field == "host-header" && strings.Contains(v, ".") && !strings.ContainsAny(strings.TrimPrefix(v, "*."), "*?") && !slices.Contains(out, v) {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// names tells whether a certificate's name is one for a host, or for some of
// those that a host with a wildcard stands for.
func names(name, host string) bool {
	if strings.EqualFold(name, host) || within(host, strings.ToLower(name)) {
		return true
	}
	rest, wild := strings.CutPrefix(name, "*.")
	_, parent, _ := strings.Cut(host, ".")
	return wild && strings.EqualFold(rest, parent)
}

// mismatches finds target groups whose version of HTTP no client of the listener
// speaks: ALB answers 464.
func (b Balancer) mismatches(l Listener) []Cause {
	if l.Protocol != "HTTP" && l.Protocol != "HTTPS" || l.Protocol == "HTTPS" && !b.NoHTTP2 {
		return nil
	}
	var out []Cause
	for _, r := range l.Rules {
		for _, g := range r.Groups {
			if g.Version != "HTTP2" && g.Version != "GRPC" {
				continue
			}
			c := say("every request that listener %s sends to the target group %s is answered with 464: its clients speak HTTP/1.1, and the group takes %s only", l.title(), targetGroupName(g.ARN), g.Version)
			if l.Protocol == "HTTP" {
				c = c.mend("aws elbv2 create-listener --load-balancer-arn %s --protocol HTTPS --port 443 --certificates CertificateArn=CERTIFICATE --default-actions Type=forward,TargetGroupArn=%s # HTTP/2 is for clients with TLS", b.ARN, g.ARN)
			} else {
				c = c.mend("aws elbv2 modify-load-balancer-attributes --load-balancer-arn %s --attributes Key=routing.http2.enabled,Value=true", b.ARN)
			}
			out = append(out, c)
		}
	}
	return out
}

// covers tells whether every request that r takes is one that c takes too: each
// of c's conditions is met whenever some condition of r is.
func (c Rule) covers(r Rule) bool {
	for _, wide := range c.Conditions {
		if !slices.ContainsFunc(r.Conditions, wide.covers) {
			return false
		}
	}
	return true
}

func (c Condition) covers(narrow Condition) bool {
	if c.Field != narrow.Field || !strings.EqualFold(c.Name, narrow.Name) || c.Field == "query-string" || len(narrow.Values) == 0 {
		return false // a query string may have several parameters
	}
	return !slices.ContainsFunc(narrow.Values, func(v string) bool {
		return !slices.ContainsFunc(c.Values, func(p string) bool {
			switch c.Field {
			case "path-pattern":
				return within(p, v)
			case "host-header", "http-header":
				return within(strings.ToLower(p), strings.ToLower(v))
			}
			return p == v
		})
	})
}

// within tells whether the pattern p takes all that the pattern v takes: what v
// leaves open p must leave open as well. It goes back to the last * only, as no
// earlier one could do better.
func within(p, v string) bool {
	i, star, from := 0, -1, 0
	for j := 0; j < len(v); {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == v[j] || p[i] == '?' && v[j] != '*'):
			i, j = i+1, j+1
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(p[i:], "*") == ""
}
