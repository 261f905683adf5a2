package e2e

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"minato/e2e/harness"
)

// edge is an instance with the load balancers of testdata/balancer.json in it,
// and targets that this process plays inside the VPC.
type edge struct {
	*testing.T
	in       *harness.Instance
	out      map[string]string // the stack's outputs
	dir      string
	alb, nlb string    // public addresses
	targets  [2]string // "one" in us-east-1a, "two" in us-east-1c
	roots    string    // file with ACM's chain
}

// aws runs the CLI and reads its answer.
func (e *edge) aws(v any, args ...string) {
	e.Helper()
	out, err := e.in.AWS(append(args, "--output", "json")...)
	if err != nil {
		e.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(out, v); err != nil {
			e.Fatal(err)
		}
	}
}

// refused runs the CLI, which must fail with a text.
func (e *edge) refused(want string, args ...string) {
	e.Helper()
	if _, err := e.in.AWS(args...); err == nil || !strings.Contains(err.Error(), want) {
		e.Errorf("aws %s: %v, want %s", strings.Join(args, " "), err, want)
	}
}

func (e *edge) until(what string, ok func() bool) {
	e.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			e.Fatalf("waited in vain for %s", what)
		}
	}
}

// run runs a client and returns what it printed.
func (e *edge) run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(e.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// curl asks for a path of www.harbour.test, trusting ACM's chain.
func (e *edge) curl(args ...string) string {
	e.Helper()
	all := append([]string{"-sS", "--max-time", "120", "--cacert", e.roots, "--connect-to", "www.harbour.test:443:" + e.alb + ":443"}, args...)
	out, err := e.run("curl", all...)
	if err != nil {
		e.Errorf("curl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// ownCertificate makes a certificate of somebody's own, in two files.
func (e *edge) ownCertificate(name string) (cert, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		e.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		e.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		e.Fatal(err)
	}
	cert, key = filepath.Join(e.dir, name+".crt"), filepath.Join(e.dir, name+".key")
	for file, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			e.Fatal(err)
		}
	}
	return cert, key
}

// listenIn opens a listening socket in a network namespace.
func listenIn(t *testing.T, path, addr string) net.Listener {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	ns, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", addr)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		panic(back) // this thread is lost
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// target plays a target on an interface of its own: HTTP on port 80, gRPC on 81.
func (e *edge) target(name, subnet string) (address string) {
	var made struct {
		NetworkInterface struct{ NetworkInterfaceId, PrivateIpAddress string }
	}
	e.aws(&made, "ec2", "create-network-interface", "--subnet-id", subnet, "--groups", e.out["Back"])
	id, err := e.in.ID()
	if err != nil {
		e.Fatal(err)
	}
	ns := filepath.Join("/run/minato", id, "net", "eni", made.NetworkInterface.NetworkInterfaceId)
	// The file is there before the namespace is.
	e.until("the interface", func() bool { return exec.Command("nsenter", "--net="+ns, "true").Run() == nil })
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s proto=%s tls=%s body=%s", name, r.Method, r.RequestURI, r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Amzn-Tls-Version"), b)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done() // there is more to come for as long as somebody listens
	})
	manners(mux, name)
	mux.Handle("/ws", websocket.Server{Handler: func(c *websocket.Conn) {
		for message := ""; websocket.Message.Receive(c, &message) == nil; {
			if message == "who" {
				message = name
			}
			if websocket.Message.Send(c, message) != nil {
				return
			}
		}
	}})
	s := &http.Server{Handler: mux, Protocols: new(http.Protocols)}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	go s.Serve(listenIn(e.T, ns, ":80"))
	e.Cleanup(func() { s.Close() })
	g := grpc.NewServer()
	healthpb.RegisterHealthServer(g, health.NewServer())
	go g.Serve(listenIn(e.T, ns, ":81"))
	e.Cleanup(g.Stop)
	return made.NetworkInterface.PrivateIpAddress
}

func (e *edge) healthy(group string, n int) {
	e.Helper()
	last := ""
	defer func() {
		if e.Failed() {
			e.Log(last)
		}
	}()
	e.until("healthy targets", func() bool {
		var out struct {
			TargetHealthDescriptions []struct {
				TargetHealth struct{ State, Reason, Description string }
			}
		}
		e.aws(&out, "elbv2", "describe-target-health", "--target-group-arn", group)
		found := 0
		last = fmt.Sprintf("%+v", out)
		for _, d := range out.TargetHealthDescriptions {
			if d.TargetHealth.State == "healthy" {
				found++
			}
		}
		return found == n
	})
}

func (e *edge) publicAddress(description string) string {
	var out struct {
		NetworkInterfaces []struct{ Association struct{ PublicIp string } }
	}
	e.aws(&out, "ec2", "describe-network-interfaces", "--filters", "Name=description,Values="+description)
	if len(out.NetworkInterfaces) == 0 {
		return "" // not yet
	}
	return out.NetworkInterfaces[0].Association.PublicIp
}

func newEdge(t *testing.T) *edge {
	e := &edge{T: t, in: newInstance(t), dir: t.TempDir(), out: map[string]string{}}
	if err := e.in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	cert, key := e.ownCertificate("second.harbour.test")
	var uploaded struct {
		ServerCertificateMetadata struct{ Arn string }
	}
	e.aws(&uploaded, "iam", "upload-server-certificate", "--server-certificate-name", "second", "--certificate-body", "file://"+cert, "--private-key", "file://"+key)
	e.aws(nil, "cloudformation", "create-stack", "--stack-name", "edge", "--template-body", "file://testdata/balancer.json", "--parameters", "ParameterKey=Imported,ParameterValue="+uploaded.ServerCertificateMetadata.Arn)
	e.until("the stack", func() bool {
		var s struct {
			Stacks []struct {
				StackStatus string
				Outputs     []struct{ OutputKey, OutputValue string }
			}
		}
		e.aws(&s, "cloudformation", "describe-stacks", "--stack-name", "edge")
		for _, o := range s.Stacks[0].Outputs {
			e.out[o.OutputKey] = o.OutputValue
		}
		if strings.Contains(s.Stacks[0].StackStatus, "ROLLBACK") {
			out, _ := e.in.AWS("cloudformation", "describe-stack-events", "--stack-name", "edge", "--query", "StackEvents[?contains(ResourceStatus, 'FAILED')]")
			t.Fatalf("the stack: %s", out)
		}
		return s.Stacks[0].StackStatus == "CREATE_COMPLETE"
	})
	e.until("addresses", func() bool {
		e.alb, e.nlb = e.publicAddress("ELB app/edge/*"), e.publicAddress("ELB net/flows/*")
		return e.alb != "" && e.nlb != ""
	})
	var issued struct{ CertificateChain string }
	e.aws(&issued, "acm", "get-certificate", "--certificate-arn", e.out["Cert"])
	e.roots = filepath.Join(e.dir, "roots.crt")
	if err := os.WriteFile(e.roots, []byte(issued.CertificateChain), 0o600); err != nil {
		t.Fatal(err)
	}
	one, two := e.target("one", e.out["A"]), e.target("two", e.out["C"])
	e.targets = [2]string{one, two}
	e.aws(nil, "elbv2", "register-targets", "--target-group-arn", e.out["Web"], "--targets", "Id="+one, "Id="+two)
	e.aws(nil, "elbv2", "register-targets", "--target-group-arn", e.out["Calls"], "--targets", "Id="+one)
	e.aws(nil, "elbv2", "register-targets", "--target-group-arn", e.out["Bytes"], "--targets", "Id="+one)
	e.healthy(e.out["Web"], 2)
	e.healthy(e.out["Calls"], 1)
	e.healthy(e.out["Bytes"], 1)
	return e
}

// part is a subtest.
func (e *edge) part(name string, f func(e *edge)) {
	e.Run(name, func(t *testing.T) {
		own := *e
		own.T = t
		f(&own)
	})
}

// TestLoadBalancer has the load balancers that a template makes serve the clients
// people have: curl, nghttp2's, openssl's, gRPC's, a WebSocket's and wrk.
func TestLoadBalancer(t *testing.T) {
	for _, tool := range []string{"curl", "h2load", "nghttp", "openssl", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%v: make setup first", err)
		}
	}
	e := newEdge(t)
	pem, err := os.ReadFile(e.roots)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conf := &tls.Config{RootCAs: roots, ServerName: "www.harbour.test"}

	e.part("curl", func(e *edge) {
		if got := e.curl("https://www.harbour.test/a?b", "-d", "x=y", "--http1.1", "-w", " %{http_version}"); !strings.HasSuffix(got, " POST /a?b proto=https tls=TLSv1.3 body=x=y 1.1") {
			e.Errorf("%q", got)
		}
		if got := e.curl("https://www.harbour.test/a?b", "-d", "x=y", "--http2", "-w", " %{http_version}"); !strings.HasSuffix(got, " POST /a?b proto=https tls=TLSv1.3 body=x=y 2") {
			e.Errorf("%q", got)
		}
		if got := e.curl("--connect-to", "www.harbour.test:80:"+e.alb+":80", "-L", "http://www.harbour.test/old", "-w", " %{num_redirects} %{url_effective}"); !strings.HasSuffix(got, " 1 https://www.harbour.test:443/old") {
			e.Errorf("%q", got)
		}
		cookies := filepath.Join(e.dir, "cookies")
		first := strings.Fields(e.curl("-c", cookies, "https://www.harbour.test/"))[0]
		for range 5 {
			if got := strings.Fields(e.curl("-b", cookies, "https://www.harbour.test/"))[0]; got != first {
				e.Errorf("first %s, with its cookie %s", first, got)
			}
		}
	})
	e.part("openssl", func(e *edge) {
		s := func(args ...string) string {
			out, _ := e.run("openssl", append([]string{"s_client", "-connect", e.alb + ":443", "-brief"}, args...)...)
			return out
		}
		if got := s("-servername", "second.harbour.test"); !strings.Contains(got, "CONNECTION ESTABLISHED") {
			e.Errorf("%s", got)
		}
		if got := s("-servername", "www.harbour.test", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"); !strings.Contains(got, "Ciphersuite: ECDHE-ECDSA-AES256-GCM-SHA384") {
			e.Errorf("%s", got)
		}
		if got := s("-servername", "www.harbour.test", "-tls1_1"); strings.Contains(got, "CONNECTION ESTABLISHED") {
			e.Errorf("TLS 1.1 is taken: %s", got)
		}
		for name, want := range map[string]string{"second.harbour.test": "second.harbour.test", "www.harbour.test": "www.harbour.test"} {
			c, err := tls.Dial("tcp", e.alb+":443", &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err != nil {
				e.Fatal(err)
			}
			if got := c.ConnectionState().PeerCertificates[0].DNSNames[0]; got != want {
				e.Errorf("for %s the certificate of %s", name, got)
			}
			c.Close()
		}
	})
	e.part("nghttp2", func(e *edge) {
		out, err := e.run("h2load", "-n", "500", "-c", "5", "-m", "20", "https://"+e.alb+"/")
		if err != nil || !strings.Contains(out, "500 succeeded, 0 failed, 0 errored, 0 timeout") || !strings.Contains(out, "500 2xx") {
			e.Errorf("%v\n%s", err, out)
		}
		out, err = e.run("nghttp", "-nv", "https://"+e.alb+"/x")
		if err != nil || !strings.Contains(out, ":status: 200") {
			e.Errorf("%v\n%s", err, out)
		}
	})
	e.part("gRPC", func(e *edge) {
		c, err := grpc.NewClient("passthrough:///"+e.alb+":443", grpc.WithTransportCredentials(credentials.NewTLS(conf)))
		if err != nil {
			e.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(e.Context(), 5*time.Minute)
		defer cancel()
		client := healthpb.NewHealthClient(c)
		for range 20 {
			if r, err := client.Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
				e.Fatalf("%v %v", r, err)
			}
		}
		if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "none"}); err == nil || !strings.Contains(err.Error(), "NotFound") {
			e.Errorf("a status that is none of HTTP's: %v", err)
		}
		watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			e.Fatal(err)
		}
		if r, err := watch.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
			e.Errorf("a stream: %v %v", r, err)
		}
	})
	e.part("WebSocket and events", func(e *edge) {
		wc, err := websocket.NewConfig("wss://www.harbour.test/ws", "https://www.harbour.test/")
		if err != nil {
			e.Fatal(err)
		}
		conn, err := tls.Dial("tcp", e.alb+":443", conf)
		if err != nil {
			e.Fatal(err)
		}
		defer conn.Close()
		ws, err := websocket.NewClient(wc, conn)
		if err != nil {
			e.Fatal(err)
		}
		for _, say := range []string{"ahoy", strings.Repeat("long ", 10000)} {
			var got string
			if err := websocket.Message.Send(ws, say); err != nil {
				e.Fatal(err)
			}
			if err := websocket.Message.Receive(ws, &got); err != nil || got != say {
				e.Fatalf("%d bytes came back, %v", len(got), err)
			}
		}
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: conf, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", e.alb+":443")
		}}}
		resp, err := client.Get("https://www.harbour.test/events")
		if err != nil {
			e.Fatal(err)
		}
		defer resp.Body.Close()
		if line, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || line != "data: first\n" || resp.ProtoMajor != 2 {
			e.Errorf("%s %q %v", resp.Proto, line, err)
		}
	})
	e.part("streams", func(e *edge) {
		if got, err := e.run("curl", "-sS", "--max-time", "120", "http://"+e.nlb+":5000/x"); err != nil || !strings.HasPrefix(got, "one GET /x proto= tls=") {
			e.Errorf("%v %q", err, got)
		}
		if got, err := e.run("curl", "-sS", "--max-time", "120", "--cacert", e.roots, "--connect-to", "www.harbour.test:5443:"+e.nlb+":5443", "https://www.harbour.test:5443/x"); err != nil || !strings.HasPrefix(got, "one GET /x proto= tls=") {
			e.Errorf("%v %q", err, got)
		}
	})
	e.features()
	e.part("metrics", func(e *edge) {
		e.until("the metrics", func() bool {
			sum := func(namespace, name, stat string, dimensions ...string) (total float64) {
				var out struct{ Datapoints []map[string]any }
				now := time.Now().UTC()
				e.aws(&out, append([]string{
					"cloudwatch", "get-metric-statistics", "--namespace", namespace, "--metric-name", name, "--statistics", stat, "--period", "60",
					"--start-time", now.Add(-time.Hour).Format(time.RFC3339), "--end-time", now.Add(time.Minute).Format(time.RFC3339), "--dimensions",
				}, dimensions...)...)
				for _, d := range out.Datapoints {
					total += d[stat].(float64)
				}
				return total
			}
			full := func(a string) string { return a[strings.LastIndex(a, ":")+1:] }
			lb := "Name=LoadBalancer,Value=" + strings.TrimPrefix(strings.Join(strings.Split(full(e.out["Secure"]), "/")[:4], "/"), "listener/")
			web := "Name=TargetGroup,Value=" + full(e.out["Web"])
			return sum("AWS/ApplicationELB", "RequestCount", "Sum", lb) >= 500 && sum("AWS/ApplicationELB", "HTTPCode_Target_2XX_Count", "Sum", lb, web) >= 500 &&
				sum("AWS/ApplicationELB", "HealthyHostCount", "Maximum", lb, web) >= 2 && sum("AWS/ApplicationELB", "TargetResponseTime", "Average", lb) > 0 &&
				sum("AWS/ApplicationELB", "RequestCountPerTarget", "Sum", web) > 0 && sum("AWS/ApplicationELB", "HTTPCode_ELB_4XX_Count", "Sum", lb) >= manyLeave
		})
	})
	e.part("certificates in use", func(e *edge) {
		e.refused("ResourceInUseException", "acm", "delete-certificate", "--certificate-arn", e.out["Cert"])
		e.refused("DeleteConflict", "iam", "delete-server-certificate", "--server-certificate-name", "second")
		e.aws(nil, "elbv2", "modify-listener", "--listener-arn", e.out["Secure"], "--ssl-policy", "ELBSecurityPolicy-TLS13-1-3-2021-06")
		e.until("the policy", func() bool {
			c, err := tls.Dial("tcp", e.alb+":443", &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		e.curl("https://www.harbour.test/", "--tlsv1.3")
	})
}
