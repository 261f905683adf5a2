package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/net/websocket"
)

// TestSoakLoadBalancer asks of the load balancer what a long life asks: that a
// rollout behind it loses nothing of many clients, and that it needs no more
// memory and no more descriptors after a lot of work than after a little.
//
// It is small in every run of the tests; with MINATO_SOAK the rollout has 20
// tasks, 1,000 connections and 50 WebSockets, and the load goes on for 10 minutes
// (MINATO_SOAK_LOAD=2m: for two).
func TestSoakLoadBalancer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, tool := range []string{"h2load", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: make setup-tests first", err)
		}
	}
	tasks, connections, sockets, load := 4, 100, 10, 3*time.Second
	if os.Getenv("MINATO_SOAK") != "" {
		tasks, connections, sockets, load = 20, 1000, 50, 5*time.Minute
	}
	if v := os.Getenv("MINATO_SOAK_LOAD"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			t.Fatalf("MINATO_SOAK_LOAD: %v", err)
		}
		load = d / 2
	}
	w := newSoakWorld(t)
	t.Run("rollout", func(t *testing.T) { w.soakClients(t, tasks, connections, sockets) })
	if t.Failed() {
		return
	}
	t.Run("load", func(t *testing.T) { w.soakLoad(t, load) })
}

const (
	// soakDrain is the deregistration delay of the service, paced.
	soakDrain = time.Second
	// soakBusy is for how long an answer may be waited for on a busy machine.
	soakBusy = 3 * time.Minute
)

// soakClients rolls the service while connections are kept open, 200 requests a
// second come over them, and WebSockets talk. Requests must be answered, and a
// connection must outlive the targets behind it. A WebSocket ends with its
// target: not before the target was drained for its whole delay, with every
// message answered before, and a new one can be had at once.
func (w *soakWorld) soakClients(t *testing.T, tasks, connections, sockets int) {
	if err := w.scale(tasks); err != nil {
		t.Fatal(err)
	}
	if err := w.converged(); err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	c := &soakCrowd{t: t, address: at.Host + ":80", stop: make(chan struct{})}
	if err := c.open(connections, sockets); err != nil {
		t.Fatal(err)
	}
	defer c.end()
	began := time.Now()
	if err := w.roll(); err != nil {
		t.Fatal(err)
	}
	if err := w.converged(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // what breaks late counts too
	c.end()
	t.Logf("a rollout of %d tasks in %s: %d requests over %d connections, %d messages over %d WebSockets, of which %d were opened again",
		tasks, time.Since(began).Round(time.Millisecond), c.requests.Load(), connections, c.messages.Load(), sockets, c.again.Load())
	if c.requests.Load() == 0 || c.messages.Load() == 0 {
		t.Error("nothing was asked")
	}
	if first := c.firstEnd.Load(); first != 0 && time.Unix(0, first).Before(began.Add(soakDrain)) {
		t.Errorf("a WebSocket ended %s after the rollout began: less than the deregistration delay", time.Unix(0, first).Sub(began))
	}
	for i, f := range c.failures {
		if i == 10 {
			break
		}
		t.Error(f)
	}
	if n := len(c.failures); n > 0 {
		t.Errorf("%d failures", n)
	}
}

// soakCrowd are clients that stay.
type soakCrowd struct {
	t        *testing.T
	address  string
	stop     chan struct{}
	once     sync.Once
	wait     sync.WaitGroup
	requests atomic.Int64
	messages atomic.Int64
	again    atomic.Int64
	firstEnd atomic.Int64 // of a WebSocket, ns

	mu       sync.Mutex
	failures []string
}

func (c *soakCrowd) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (c *soakCrowd) end() {
	c.once.Do(func() { close(c.stop) })
	c.wait.Wait()
}

// open opens all of them, and each is used once.
func (c *soakCrowd) open(connections, sockets int) error {
	due := make(chan struct{}) // each one a request, over whatever connection is next
	next := make(chan net.Conn, connections)
	for range connections {
		conn, err := net.Dial("tcp", c.address)
		if err != nil {
			return err
		}
		c.t.Cleanup(func() { conn.Close() })
		if err := c.ask(conn); err != nil {
			return err
		}
		next <- conn
	}
	for range sockets {
		ws, err := c.dial()
		if err != nil {
			return err
		}
		c.wait.Go(func() { c.talk(ws) })
	}
	for range 32 {
		c.wait.Go(func() {
			for range due {
				conn := <-next
				if err := c.ask(conn); err != nil {
					c.fail("a request over a connection that was kept: %v", err)
					continue // it is no good any more
				}
				next <- conn
			}
		})
	}
	c.wait.Go(func() {
		defer close(due)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-tick.C:
				due <- struct{}{}
			}
		}
	})
	return nil
}

// ask has one request answered.
func (c *soakCrowd) ask(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(soakBusy)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+soakHost+"\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(b) != soakText || resp.Close {
		return fmt.Errorf("%s %q, to be closed: %v", resp.Status, b, resp.Close)
	}
	c.requests.Add(1)
	return nil
}

func (c *soakCrowd) dial() (*websocket.Conn, error) {
	conf, err := websocket.NewConfig("ws://"+soakHost+"/ws", "http://"+soakHost+"/")
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", c.address, soakBusy)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(soakBusy)); err != nil {
		return nil, err
	}
	ws, err := websocket.NewClient(conf, conn)
	if err != nil {
		conn.Close()
	}
	return ws, err
}

// talk sends a message now and then and wants it back; a WebSocket that ends
// between two messages is replaced.
func (c *soakCrowd) talk(ws *websocket.Conn) {
	defer func() { ws.Close() }()
	for n := 0; ; n++ {
		// Until the next message the end is looked for, so that it is not found by sending.
		ended, err := c.quiet(ws, 50*time.Millisecond)
		if err != nil {
			c.fail("a WebSocket at rest: %v", err)
			return
		}
		if ended {
			c.firstEnd.CompareAndSwap(0, time.Now().UnixNano())
			ws.Close()
			if ws, err = c.dial(); err != nil {
				c.fail("a WebSocket again: %v", err)
				return
			}
			c.again.Add(1)
		}
		select {
		case <-c.stop:
			return
		default:
		}
		said, got := strconv.Itoa(n), ""
		err = ws.SetDeadline(time.Now().Add(soakBusy))
		if err == nil {
			err = websocket.Message.Send(ws, said)
		}
		if err == nil {
			err = websocket.Message.Receive(ws, &got)
		}
		switch {
		case err == nil && got == said:
			c.messages.Add(1)
		case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || err != nil && strings.Contains(err.Error(), "reset") || err != nil && strings.Contains(err.Error(), "broken pipe"):
			// It ended while the message was on its way: nobody can prevent that, and
			// the next round finds the end. What must not be is an answer that is another.
		default:
			c.fail("message %q came back as %q, %v", said, got, err)
			return
		}
	}
}

// quiet waits for a while; it tells whether the other side ended the WebSocket.
func (c *soakCrowd) quiet(ws *websocket.Conn, d time.Duration) (ended bool, err error) {
	if err := ws.SetDeadline(time.Now().Add(d)); err != nil {
		return false, err
	}
	var got string
	err = websocket.Message.Receive(ws, &got)
	if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
		return false, nil
	}
	if err == nil {
		return false, fmt.Errorf("%q came, which nobody asked for", got)
	}
	return true, nil
}

// soakLoad loads the load balancer in every way there is and compares what its
// process holds afterwards with what it held after a first, short load.
func (w *soakWorld) soakLoad(t *testing.T, length time.Duration) {
	secure, err := w.secureListener(t)
	if err != nil {
		t.Fatal(err)
	}
	pid := processes(t, w.in, "daemon")[0]
	fresh := w.held(t, pid)
	// Connections to targets are kept for a while after a load. The long run waits
	// for their end; the short one allows for them: what leaks, leaks thousands.
	spare, rest := soakSpare+soakAtOnce, time.Duration(0)
	if length >= time.Minute {
		spare, rest = soakSpare, 2*time.Minute
	}
	w.loadAll(t, secure, 3*time.Second)
	before := w.settled(t, pid, fresh.descriptors+soakSpare, rest)
	t.Logf("before the first load %s, after it %s", fresh, before)
	w.loadAll(t, secure, length)
	between := w.settled(t, pid, fresh.descriptors+soakSpare, rest)
	w.loadAll(t, secure, length)
	after := w.settled(t, pid, fresh.descriptors+soakSpare, rest)
	t.Logf("after half of the load %s, after all of it %s", between, after)
	for range 3 {
		if !after.grew(between) || t.Failed() {
			break
		}
		// The collector of a busy machine lags behind; a leak grows each time.
		w.loadAll(t, secure, length)
		between, after = after, w.settled(t, pid, fresh.descriptors+soakSpare, rest)
		t.Logf("after the same once more %s", after)
	}
	for _, h := range []soakHeld{before, between, after} {
		if h.descriptors > fresh.descriptors+spare {
			t.Errorf("%d descriptors were open before a load, and %d after it", fresh.descriptors, h.descriptors)
		}
	}
	// Growth that goes on is a leak; heap that is not given back yet is not.
	if after.grew(between) {
		t.Errorf("%d MiB after half of the load, %d MiB after all of it", between.memory, after.memory)
	}
}

const (
	// soakSpare is by how many descriptors two moments of a process at rest may
	// differ: checks of targets, a file of the store, a client of the API.
	soakSpare = 24
	// soakAtOnce is more connections to targets than loadAll leaves at rest.
	soakAtOnce = 2000
)

// soakHeld is what a process holds.
type soakHeld struct {
	memory      int // MiB resident
	descriptors int
}

// grew tells whether the memory is more than it was by more than chance.
func (h soakHeld) grew(was soakHeld) bool { return h.memory > was.memory+was.memory/4+16 }

func (h soakHeld) String() string {
	return fmt.Sprintf("%d MiB, %d descriptors", h.memory, h.descriptors)
}

func (w *soakWorld) held(t *testing.T, pid int) (h soakHeld) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			h.memory = kib >> 10
		}
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	h.descriptors = len(open)
	return h
}

// settled waits until no more than so many descriptors are open, or for a time.
func (w *soakWorld) settled(t *testing.T, pid, descriptors int, limit time.Duration) soakHeld {
	t.Helper()
	h := w.held(t, pid)
	for end := time.Now().Add(limit); h.descriptors > descriptors && time.Now().Before(end); h = w.held(t, pid) {
		time.Sleep(500 * time.Millisecond)
	}
	return h
}

// secureListener adds HTTPS, for TLS and HTTP/2, and a rule or two.
func (w *soakWorld) secureListener(t *testing.T) (address string, err error) {
	ctx := t.Context()
	at, err := url.Parse(w.url)
	if err != nil {
		return "", err
	}
	e := &edge{T: t, dir: t.TempDir()}
	certificate, key := e.ownCertificate(soakHost)
	c, err := os.ReadFile(certificate)
	if err != nil {
		return "", err
	}
	k, err := os.ReadFile(key)
	if err != nil {
		return "", err
	}
	made, err := w.iam.UploadServerCertificate(ctx, &iam.UploadServerCertificateInput{
		ServerCertificateName: aws.String(soakName), CertificateBody: aws.String(string(c)), PrivateKey: aws.String(string(k)),
	})
	if err != nil {
		return "", err
	}
	lb, err := w.elb.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{Names: []string{soakName}})
	if err != nil {
		return "", err
	}
	if _, err := w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &lb.LoadBalancers[0].SecurityGroups[0], IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), CidrIp: aws.String("0.0.0.0/0"),
	}); err != nil {
		return "", err
	}
	if _, err = w.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttps, Port: aws.Int32(443),
		Certificates:   []elbtypes.Certificate{{CertificateArn: made.ServerCertificateMetadata.Arn}},
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.group}},
	}); err != nil {
		return "", err
	}
	address = at.Host + ":443"
	return address, soakUntil(soakConverge, func() error {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// soakLoads are the clients of the load, each for so many seconds; %s is the
// address. What they say of failures must be none.
var soakLoads = [][]string{
	{"wrk", "-t1", "-c64", "-d%d", "--timeout", "180s", "http://PLAIN/"},
	{"wrk", "-t1", "-c16", "-d%d", "--timeout", "180s", "-H", "Connection: close", "http://PLAIN/"},
	{"wrk", "-t1", "-c16", "-d%d", "--timeout", "180s", "https://SECURE/"},
	{"h2load", "-c8", "-m16", "-D%d", "https://SECURE/"},
}

var (
	soakAsked  = regexp.MustCompile(`(?m)(\d+) requests in|requests: (\d+) total`)
	soakFailed = regexp.MustCompile(`Socket errors:.*|Non-2xx.*|[1-9]\d* failed|[1-9]\d* errored|[1-9]\d* timeout|[1-9]\d* [345]xx`)
)

// loadAll runs all clients at once, uploads, WebSockets and clients that leave
// in the middle among them.
func (w *soakWorld) loadAll(t *testing.T, secure string, length time.Duration) {
	t.Helper()
	plain := strings.TrimSuffix(strings.TrimPrefix(w.url, "http://"), "/")
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var wait sync.WaitGroup
	for _, args := range soakLoads {
		wait.Go(func() {
			filled := make([]string, len(args))
			for i, a := range args {
				a = strings.ReplaceAll(strings.ReplaceAll(a, "PLAIN", plain), "SECURE", secure)
				filled[i] = strings.ReplaceAll(a, "%d", strconv.Itoa(int(length.Seconds())))
			}
			out, err := exec.CommandContext(t.Context(), filled[0], filled[1:]...).CombinedOutput()
			if err != nil || !soakAsked.Match(out) {
				t.Errorf("%s: %v\n%s", strings.Join(filled, " "), err, out)
			}
			if bad := soakFailed.FindAll(out, -1); len(bad) > 0 {
				t.Errorf("%s: %s", strings.Join(filled, " "), bytes.Join(bad, []byte(", ")))
			}
		})
	}
	for _, client := range []func() error{
		func() error { return soakUpload(w.url) },
		func() error { return soakLeave(plain + ":80") },
		func() error {
			ws, err := (&soakCrowd{address: plain + ":80"}).dial()
			if err != nil {
				return err
			}
			defer ws.Close()
			got := ""
			if err := websocket.Message.Send(ws, strings.Repeat("x", 10000)); err != nil {
				return err
			}
			return websocket.Message.Receive(ws, &got)
		},
	} {
		wait.Go(func() {
			for ctx.Err() == nil {
				if err := client(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// soakUpload sends 300 KB in chunks and wants them back.
func soakUpload(url string) error {
	body := strings.Repeat("0123456789", 30000)
	resp, err := (&http.Client{Timeout: soakBusy, Transport: &http.Transport{DisableKeepAlives: true}}).Post(url+"echo", "text/plain", io.MultiReader(strings.NewReader(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if string(got) != body {
		return fmt.Errorf("%s, %d bytes came back", resp.Status, len(got))
	}
	return nil
}

// soakLeave goes in the middle of a request.
func soakLeave(address string) error {
	conn, err := net.DialTimeout("tcp", address, soakBusy)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
	time.Sleep(5 * time.Millisecond)
	return err
}
