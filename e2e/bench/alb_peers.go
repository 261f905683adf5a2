package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/dataplane/proxy/loop"
	"minato/internal/clock"
)

// makeCertificate makes one of the kind that ACM's clients ask for first, P-256.
func makeCertificate(dir string) (certificate, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"bench.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	return certificate, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}

// nginx as its manual says a proxy is to be set up: a worker per core, each with
// listening sockets of its own (reuseport), connections to the targets kept,
// answers of 100 KiB buffered in memory and never in files.
func (w *albWorld) nginx(path, dir string, base int) (*exec.Cmd, error) {
	var paths strings.Builder
	for i := range ruleCount {
		fmt.Fprintf(&paths, "location %s { proxy_pass http://one; }\n", rulePath(i))
	}
	var servers strings.Builder
	for _, port := range eightPorts() {
		fmt.Fprintf(&servers, "server %s:%d; ", w.target, port)
	}
	keep := "keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 60s;"
	text := fmt.Sprintf(`daemon off; master_process on; worker_processes auto; pid %[1]s/pid; error_log stderr error; user root;
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s; tcp_nodelay on;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_bind %[8]s; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Port $server_port;
  proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
  ssl_certificate %[2]s; ssl_certificate_key %[3]s; ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_session_cache shared:s:10m;
  upstream one { server %[4]s:%[5]d; %[9]s }
  upstream large { server %[4]s:%[6]d; %[9]s }
  upstream eight { %[7]s %[9]s }
  server { listen %[8]s:%[10]d reuseport backlog=4096; location / { proxy_pass http://one; } }
  server { listen %[8]s:%[11]d reuseport backlog=4096; location / { proxy_pass http://large; } }
  server { listen %[8]s:%[12]d reuseport backlog=4096; location / { proxy_pass http://eight; } }
  server { listen %[8]s:%[13]d reuseport backlog=4096; location / { return 404; }
    %[15]s }
  server { listen %[8]s:%[14]d reuseport backlog=4096 ssl http2; location / { proxy_pass http://one; } }
  log_format alb '$scheme $time_iso8601 $host $remote_addr:$remote_port $upstream_addr $request_time $upstream_header_time $status $upstream_status $request_length $bytes_sent "$request" "$http_user_agent" $ssl_cipher $ssl_protocol';
  server { listen %[8]s:%[16]d reuseport backlog=4096; access_log %[1]s/access.log alb buffer=64k flush=5s; location / { proxy_pass http://one; } }
}
`, dir, w.certificate, w.key, w.target, smallPort, largePort, servers.String(), w.node, keep,
		base+int(one), base+int(large), base+int(eight), base+int(rules), base+int(secure), paths.String(), base+int(withLog))
	config := filepath.Join(dir, "nginx.conf")
	return inNamespace(context.Background(), w.vpcNS, path, "-p", dir, "-e", "stderr", "-c", config), os.WriteFile(config, []byte(text), 0o600)
}

// haproxy with a thread per core, which is its default; it checks the targets'
// health as the load balancer does.
func (w *albWorld) haproxy(path, dir string, base int) (*exec.Cmd, error) {
	pem, err := os.ReadFile(w.certificate)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(w.key)
	if err != nil {
		return nil, err
	}
	bundle := filepath.Join(dir, "bundle.pem")
	if err := os.WriteFile(bundle, append(pem, key...), 0o600); err != nil {
		return nil, err
	}
	var uses strings.Builder
	for i := range ruleCount {
		fmt.Fprintf(&uses, "  use_backend one if { path_beg %s }\n", rulePath(i))
	}
	var servers strings.Builder
	for i, port := range eightPorts() {
		fmt.Fprintf(&servers, "  server s%d %s:%d check\n", i, w.target, port)
	}
	forwarded := func(scheme string) string {
		return "  http-request set-header X-Forwarded-Proto " + scheme + "\n  http-request set-header X-Forwarded-Port %[dst_port]\n"
	}
	text := fmt.Sprintf(`global
  maxconn 8000
  ssl-default-bind-options ssl-min-ver TLSv1.3
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  option forwardfor
  option httpchk GET /
  http-reuse always
  default-server inter 5s rise 2 fall 2
  source %[1]s
frontend one
  bind %[1]s:%[2]d
%[13]s  default_backend one
frontend large
  bind %[1]s:%[3]d
%[13]s  default_backend large
frontend eight
  bind %[1]s:%[4]d
%[13]s  default_backend eight
frontend rules
  bind %[1]s:%[5]d
%[13]s%[6]sfrontend logged
  bind %[1]s:%[15]d
%[13]s  log stdout format raw local0
  option httplog
  default_backend one
frontend secure
  bind %[1]s:%[7]d ssl crt %[8]s alpn h2,http/1.1
%[14]s  default_backend one
backend one
  server s %[9]s:%[10]d check
backend large
  server s %[9]s:%[11]d check
backend eight
  balance roundrobin
%[12]s`, w.node, base+int(one), base+int(large), base+int(eight), base+int(rules), uses.String(), base+int(secure), bundle,
		w.target, smallPort, largePort, servers.String(), forwarded("http"), forwarded("https"), base+int(withLog))
	config := filepath.Join(dir, "haproxy.cfg")
	cmd := inNamespace(context.Background(), w.vpcNS, path, "-db", "-f", config)
	if cmd.Stdout, err = os.Create(filepath.Join(dir, "access.log")); err != nil {
		return nil, err
	}
	return cmd, os.WriteFile(config, []byte(text), 0o600)
}

// engineRole is the first argument of the process that runs the engine by
// itself: NODE BASE TARGET CERTIFICATE KEY.
const engineRole = "alb-engine"

// engineAlone puts the engine in the load balancer's place, without a daemon
// around it: for profiles, and to see what the daemon costs.
func (w *albWorld) engineAlone(ctx context.Context) error {
	// The address is still a load balancer's: peers and engine stand on it.
	if err := w.product(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := &candidate{name: ours, base: 8400}
	w.proxies = nil
	return w.start(ctx, p, inNamespace(context.Background(), w.vpcNS, self, engineRole, w.node, fmt.Sprint(p.base), w.target, w.certificate, w.key))
}

// serveEngine runs the engine by itself until it is told to end.
func serveEngine(args []string) error {
	if len(args) != 5 {
		return errors.New("alb-engine NODE BASE TARGET CERTIFICATE KEY")
	}
	node, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	base, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	target, err := netip.ParseAddr(args[2])
	if err != nil {
		return err
	}
	certificate, err := tls.LoadX509KeyPair(args[3], args[4])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	group := func(id string, ports ...int) proxy.TargetGroup {
		g := proxy.TargetGroup{ID: id, Check: proxy.Check{
			Path: "/", Interval: 5 * time.Second, Timeout: 2 * time.Second, HealthyThreshold: 2, UnhealthyThreshold: 2, Codes: []proxy.CodeRange{{From: 200, To: 200}},
		}}
		for _, port := range ports {
			g.Targets = append(g.Targets, proxy.Target{Address: netip.AddrPortFrom(target, uint16(port))})
		}
		return g
	}
	to := func(group string) proxy.Action {
		return proxy.Action{Forward: &proxy.Forward{Groups: []proxy.WeightedGroup{{TargetGroup: group, Weight: 1}}}}
	}
	listener := func(s service, a proxy.Action) proxy.Listener {
		return proxy.Listener{ID: fmt.Sprint(int(s)), Port: uint16(base + int(s)), Default: a}
	}
	routed := listener(rules, proxy.Action{Fixed: &proxy.FixedResponse{Status: 404}})
	for i := range ruleCount {
		routed.Rules = append(routed.Rules, proxy.Rule{
			ID: rulePath(i), Priority: i + 1, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{rulePath(i) + "*"}}}, Action: to("one"),
		})
	}
	sealed := listener(secure, to("one"))
	sealed.TLS = &proxy.TLS{Certificates: []*tls.Certificate{&certificate}, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13}
	e := engine.New(here{}, clock.Real(1), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err = e.Set(ctx, &proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Nodes: []proxy.Node{{Addr: node}}, Listeners: []proxy.Listener{
			listener(one, to("one")), listener(large, to("large")), listener(eight, to("eight")), routed, sealed,
		}}},
		TargetGroups: []proxy.TargetGroup{group("one", smallPort), group("large", largePort), group("eight", eightPorts()...)},
	}); err != nil {
		return err
	}
	<-ctx.Done()
	return e.Close()
}

// here makes the engine's sockets in the namespace that its process is in.
type here struct{}

// Listen implements proxy.Sockets.
func (here) Listen(ctx context.Context, _ string, address netip.AddrPort) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
}

// Socket implements proxy.Sockets.
func (here) Socket(_ string, from netip.Addr) (int, error) { return loop.Socket(from) }

// Dial implements proxy.Sockets.
func (here) Dial(ctx context.Context, _ string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}
