package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	s3api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/dataplane/proxy"
)

const checkedGroup = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/HCLogsTestIPs/73e2d6bc24d8a067"

const lbARN = "arn:aws:elasticloadbalancing:us-east-2:123456789012:loadbalancer/app/my-loadbalancer/50dc6c495c0c9188"

func balancer() *Balancer {
	return &Balancer{
		ARN: lbARN, Name: "app/my-loadbalancer/50dc6c495c0c9188", DNSName: "my-loadbalancer-1.us-east-2.elb.amazonaws.com", Account: "123456789012", Region: "us-east-2",
		To:     [3]Destination{{"logs", "web"}, {"logs", "conn"}, {"logs", "checks"}},
		Groups: []string{checkedGroup},
		Public: map[netip.Addr]netip.Addr{netip.MustParseAddr("172.160.1.193"): netip.MustParseAddr("198.51.100.7")},
		Certificates: map[string][]Certificate{"l": {
			{"arn:aws:acm:us-east-2:123456789012:certificate/first", &tls.Certificate{Leaf: &x509.Certificate{DNSNames: []string{"first.example"}}}},
			{"arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012", &tls.Certificate{Leaf: &x509.Certificate{DNSNames: []string{"www.example.com"}}}},
		}},
	}
}

// example is the request of the examples in ELB's documentation.
func example() proxy.Exchange {
	at := func(text string) time.Time {
		t, err := time.Parse("2006-01-02T15:04:05.000000Z", text)
		if err != nil {
			panic(err)
		}
		return t
	}
	return proxy.Exchange{
		LoadBalancer: lbARN, Listener: "l", Port: 80, Node: netip.MustParseAddr("172.160.1.192"), Client: netip.MustParseAddrPort("192.168.131.39:2817"), Connection: "1234abcd5678ef90",
		Target: netip.MustParseAddrPort("10.0.0.1:80"), TargetGroup: "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067",
		Created: at("2018-07-02T22:22:48.364000Z"), Ended: at("2018-07-02T22:23:00.186641Z"), Request: 400 * time.Microsecond, Thinking: time.Millisecond, Response: 0,
		Status: 200, TargetStatus: 200, BytesIn: 34, BytesOut: 366, Method: []byte("GET"), Host: []byte("www.example.com"), URI: []byte("/"), Version: "HTTP/1.1", UserAgent: []byte("curl/7.46.0"),
		TraceID: []byte("Root=1-58337262-36d228ad5d99923122bbe354"), Rule: 0, Action: "forward",
	}
}

// written is what was written.
func written(f func(*line)) []byte {
	var w line
	f(&w)
	return w.b
}

// TestLines compares with the examples of ELB's documentation.
func TestLines(t *testing.T) {
	plain := example()
	secure := example()
	secure.Port, secure.BytesIn, secure.BytesOut, secure.Rule = 443, 0, 57, 1
	secure.Request, secure.Thinking, secure.Response = 86*time.Millisecond, 48*time.Millisecond, 37*time.Millisecond
	secure.TLS = &tls.ConnectionState{Version: tls.VersionTLS12, CipherSuite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, ServerName: "www.example.com"}
	http2 := secure
	http2.HTTP2, http2.Version = true, "HTTP/2.0"
	socket := plain
	socket.WebSocket, socket.Status, socket.TargetStatus = true, 101, 101
	fixed := plain
	fixed.Target, fixed.TargetGroup, fixed.TargetStatus, fixed.Request, fixed.Thinking, fixed.Response = netip.AddrPort{}, "", 0, -1, -1, -1
	fixed.Status, fixed.Action, fixed.Location, fixed.Rule = 302, "redirect", "https://www.example.com:443/\"x", 7
	fixed.UserAgent, fixed.Class, fixed.Why = []byte("a \"b\\ \xff"), "Acceptable", "GetHeadZeroContentLength"
	bad := fixed
	bad.Status, bad.Method, bad.Host, bad.URI, bad.Version, bad.UserAgent, bad.TraceID, bad.Rule, bad.Action, bad.Location, bad.Class, bad.Why = 400, nil, nil, nil, "", nil, nil, -1, "", "", "Severe", ""
	const tail = ` "-" "-" TID_1234abcd5678ef90 "-" "-" "-"`
	const group = ` arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354"`
	for name, c := range map[string]struct {
		x    proxy.Exchange
		want string
	}{
		"http": {plain, `http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -` + group + ` "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200"` + tail},
		"https": {secure, `https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2` + group +
			` "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200"` + tail},
		"h2": {http2, `h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/2.0" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2` + group +
			` "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200"` + tail},
		"ws":       {socket, `ws 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 101 101 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -` + group + ` "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "101"` + tail},
		"redirect": {fixed, `http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 - -1 -1 -1 302 - 34 366 "GET http://www.example.com:80/ HTTP/1.1" "a \x22b\x5C \xFF" - - - "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 7 2018-07-02T22:22:48.364000Z "redirect" "https://www.example.com:443/\x22x" "-" "-" "-" "Acceptable" "GetHeadZeroContentLength" TID_1234abcd5678ef90 "-" "-" "-"`},
		"no head":  {bad, `http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 - -1 -1 -1 400 - 34 366 "- http://my-loadbalancer-1.us-east-2.elb.amazonaws.com:80- -" "-" - - - "-" "-" "-" - 2018-07-02T22:22:48.364000Z "-" "-" "-" "-" "-" "Severe" "-" TID_1234abcd5678ef90 "-" "-" "-"`},
	} {
		if got := string(written(func(w *line) { balancer().exchange(w, &c.x) })); got != c.want+"\n" {
			t.Errorf("%s:\n%s not\n%s", name, got, c.want)
		}
	}
}

// TestFields: whatever a client sends, a line is one line with all its fields, as
// the expression that AWS gives for Athena reads them.
func TestFields(t *testing.T) {
	fields := regexp.MustCompile(`^(?:[^ "]+|"[^"]*")(?: (?:[^ "]+|"[^"]*")){32}\n$`)
	rapid.Check(t, func(t *rapid.T) {
		x := example()
		text := func(name string) []byte { return rapid.SliceOf(rapid.Byte()).Draw(t, name) }
		x.UserAgent, x.Host, x.URI, x.TraceID, x.Location = text("agent"), text("host"), text("uri"), text("trace"), string(text("location"))
		if got := written(func(w *line) { balancer().exchange(w, &x) }); !fields.Match(got) {
			t.Fatalf("%q", got)
		}
	})
}

// bucket takes objects, or refuses them.
type bucket struct {
	refuse  bool
	objects map[string]string
	callers []identity.Caller
}

func (b *bucket) PutObject(ctx context.Context, in *s3api.PutObjectInput) (*s3api.PutObjectOutput, error) {
	b.callers = append(b.callers, identity.From(ctx))
	if b.refuse {
		return nil, errors.New("no")
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(*in.Key, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	b.objects[*in.Bucket+"/"+*in.Key] = string(body)
	return &s3api.PutObjectOutput{}, nil
}

func TestDelivery(t *testing.T) {
	b := &bucket{objects: map[string]string{}}
	now := time.Date(2018, 7, 2, 23, 40, 0, 0, time.UTC)
	c := New(b, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	x, other := example(), example()
	other.LoadBalancer = "another"
	c.Add(&x) // nobody logs it
	c.Set([]Balancer{*balancer()})
	if err := c.Test(t.Context(), balancer(), Access); err != nil || b.objects["logs/web/AWSLogs/123456789012/ELBAccessLogTestFile"] == "" {
		t.Errorf("%v %v", err, b.objects)
	}
	clear(b.objects)
	c.Deliver(t.Context())
	if len(b.objects) != 0 {
		t.Errorf("nothing was delivered as %v", b.objects)
	}
	second := example()
	second.Node = netip.MustParseAddr("172.160.1.193")
	for _, x := range []*proxy.Exchange{&x, &second, &x, &other} {
		c.Add(x)
	}
	b.refuse = true
	c.Deliver(t.Context())
	begun := now
	now = now.Add(5 * time.Minute)
	c.Deliver(t.Context())
	if f := c.Failures(lbARN); len(f) != 1 || f[0].Kind != Access || f[0].Bucket != "logs" || f[0].Files != 2 || !f[0].Since.Equal(begun) || f[0].Err == nil {
		t.Errorf("the failures are %+v", f)
	}
	now = begun
	b.refuse = false
	c.Add(&x)
	c.Deliver(t.Context())
	if f := c.Failures(lbARN); len(f) != 0 {
		t.Errorf("what was delivered fails: %+v", f)
	}
	lines := 0
	name := regexp.MustCompile(`^logs/web/AWSLogs/123456789012/elasticloadbalancing/us-east-2/2018/07/02/123456789012_elasticloadbalancing_us-east-2_app\.my-loadbalancer\.50dc6c495c0c9188_20180702T2340Z_(172\.160\.1\.192|198\.51\.100\.7)_[0-9A-Za-z]{8}\.log\.gz$`)
	for key, text := range b.objects {
		if !name.MatchString(key) {
			t.Errorf("a file is called %s", key)
		}
		lines += strings.Count(text, "\n")
	}
	if lines != 4 || len(b.objects) != 3 {
		t.Errorf("%d lines in %d files", lines, len(b.objects))
	}
	for _, caller := range b.callers {
		if caller.Kind != identity.Service || caller.Service != Principal || caller.Source != lbARN || caller.Account != "123456789012" {
			t.Errorf("delivered by %+v", caller)
		}
	}
}

// TestBucketGone: what cannot be delivered does not grow without end.
func TestBucketGone(t *testing.T) {
	b := &bucket{refuse: true, objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	for i := range 3 * maxWaiting {
		x := example()
		x.URI = fmt.Append(nil, i)
		c.Add(&x)
		c.Deliver(t.Context())
	}
	b.refuse = false
	c.Deliver(t.Context())
	if len(b.objects) != maxWaiting {
		t.Errorf("%d files waited", len(b.objects))
	}
	if l := c.Losses(lbARN); len(l) != 1 || l[0].Kind != Access || l[0].Lines != 2*maxWaiting || !strings.Contains(l[0].Why, "bucket logs") {
		t.Errorf("the losses are %+v", l)
	}
}

// TestNothingIsLost: lines of many who write at once come all, whatever is delivered and
// set meanwhile.
func TestNothingIsLost(t *testing.T) {
	b := &bucket{objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	const each = 2000
	var all sync.WaitGroup
	for n := range 2 * writers {
		all.Go(func() {
			for i := range each {
				x := example()
				x.Node = netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 3)})
				x.URI = fmt.Appendf(nil, "/%d/%d", n, i)
				c.Add(&x)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		c.Deliver(t.Context())
		c.Set([]Balancer{*balancer()})
	}
	seen := map[string]bool{}
	uri := regexp.MustCompile(`GET http://www\.example\.com:80(\S+) `)
	for _, text := range b.objects {
		for _, m := range uri.FindAllStringSubmatch(text, -1) {
			if seen[m[1]] {
				t.Fatalf("%s came twice", m[1])
			}
			seen[m[1]] = true
		}
	}
	if len(seen) != 2*writers*each || len(c.Losses(lbARN)) != 0 {
		t.Errorf("%d lines came, of %d; lost: %v", len(seen), 2*writers*each, c.Losses(lbARN))
	}
}

// TestTooMany: who writes waits for nobody, memory is bounded, and what is lost is
// counted.
func TestTooMany(t *testing.T) {
	b := &bucket{objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	x := example()
	c.Add(&x) // its desk is there
	c.mu.Lock()
	const n = 60_000 // lines of more than 400 bytes
	for range n - 1 {
		c.Add(&x)
	}
	if c.queued > maxQueued {
		t.Errorf("%d bytes wait", c.queued)
	}
	c.mu.Unlock()
	c.Deliver(t.Context())
	lines := 0
	for _, text := range b.objects {
		lines += strings.Count(text, "\n")
	}
	l := c.Losses(lbARN)
	if len(l) != 1 || l[0].Lines == 0 || lines+l[0].Lines != n {
		t.Errorf("%d lines came of %d, and lost are %+v", lines, n, l)
	}
}

// TestOff: what was written before a log is switched off still comes.
func TestOff(t *testing.T) {
	b := &bucket{objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	x := example()
	c.Add(&x)
	c.Set(nil)
	c.Add(&x)
	c.Deliver(t.Context())
	for _, text := range b.objects {
		if strings.Count(text, "\n") != 1 {
			t.Errorf("%q", text)
		}
	}
	if len(b.objects) != 1 || len(*c.desks.Load()) != 0 {
		t.Errorf("%v, and %d desks", b.objects, len(*c.desks.Load()))
	}
}

// TestNotWanted: logs that are switched off are neither kept nor complained of.
func TestNotWanted(t *testing.T) {
	b := &bucket{refuse: true, objects: map[string]string{}}
	c := New(b, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	x := example()
	c.Add(&x)
	c.Deliver(t.Context())
	off := balancer()
	off.To[Access] = Destination{}
	c.Set([]Balancer{*off})
	c.Deliver(t.Context())
	b.refuse = false
	c.Deliver(t.Context())
	if f := c.Failures(lbARN); len(f) != 0 || len(b.objects) != 0 {
		t.Errorf("%v %v", f, b.objects)
	}
}
