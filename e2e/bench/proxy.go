package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/internal/clock"
)

const proxyRounds = 3

// proxies compares the load balancer's engine with nginx and HAProxy: each a
// process of its own on loopback in front of the same upstream, 1 KiB answers,
// 64 connections of wrk, in turns. The engine is measured in its place as well,
// inside the VPC in front of six tasks, which none of the others can be.
func (b *bench) proxies(ctx context.Context) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		b.leave("proxy_over_nginx, proxy_over_haproxy: wrk is not installed")
		return nil
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	upstream := fmt.Sprintf("127.0.0.1:%d", port)
	stop, err := start(ctx, exec.Command(b.answer, "-listen", upstream), upstream)
	if err != nil {
		return err
	}
	defer stop()
	type candidate struct {
		name, url string
		rates     []float64
	}
	candidates := []*candidate{{name: "upstream", url: "http://" + upstream + "/"}}
	for _, p := range []struct {
		name    string
		command func(listen, upstream string) (*exec.Cmd, error)
	}{{"proxy", b.engine}, {"nginx", b.nginx}, {"haproxy", b.haproxy}} {
		port, err := freePort()
		if err != nil {
			return err
		}
		listen := fmt.Sprintf("127.0.0.1:%d", port)
		cmd, err := p.command(listen, upstream)
		if err != nil {
			b.leave("proxy_over_%s: %v", p.name, err)
			continue
		}
		stop, err := start(ctx, cmd, listen)
		if err != nil {
			return err
		}
		defer stop()
		candidates = append(candidates, &candidate{name: p.name, url: "http://" + listen + "/"})
	}
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	front, err := w.front(ctx, 6)
	if err != nil {
		return err
	}
	candidates = append(candidates, &candidate{name: "proxy_in_vpc", url: front})
	for range proxyRounds {
		for _, c := range candidates {
			rate, err := wrk(ctx, c.url)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			c.rates = append(c.rates, rate)
		}
	}
	rates := map[string]float64{}
	for _, c := range candidates {
		rates[c.name] = median(c.rates)
		b.add(c.name+"_per_second", rates[c.name], 0)
	}
	for _, peer := range []string{"nginx", "haproxy"} {
		if rates[peer] > 0 {
			b.add("proxy_over_"+peer, rates["proxy"]/rates[peer], 2)
		}
	}
	return nil
}

var (
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkErrors = regexp.MustCompile(`Socket errors:.*|Non-2xx.*`)
)

// wrk asks for a page over 64 connections for three seconds.
func wrk(ctx context.Context, url string) (perSecond float64, err error) {
	out, err := exec.CommandContext(ctx, "wrk", "-t2", "-c64", "-d3s", url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if bad := wrkErrors.Find(out); bad != nil {
		return 0, fmt.Errorf("wrk: %s", bytes.TrimSpace(bad))
	}
	m := wrkRate.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk said: %s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

func (b *bench) engine(listen, upstream string) (*exec.Cmd, error) {
	self, err := os.Executable()
	return exec.Command(self, proxyRole, listen, upstream), err
}

// nginx as its manual says a proxy is to be set up: connections to the upstream
// are kept, a worker per core, no access log.
func (b *bench) nginx(listen, upstream string) (*exec.Cmd, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		return nil, errors.New("nginx is not installed")
	}
	dir := filepath.Join(b.dir, "nginx")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`daemon off; master_process on; worker_processes auto; pid %[1]s/pid; error_log stderr error; user root;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream up { server %[2]s; keepalive 64; keepalive_requests 1000000; }
  server { listen %[3]s; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; } }
}
`, dir, upstream, listen)
	config := filepath.Join(dir, "nginx.conf")
	return exec.Command(path, "-p", dir, "-e", "stderr", "-c", config), os.WriteFile(config, []byte(text), 0o600)
}

func (b *bench) haproxy(listen, upstream string) (*exec.Cmd, error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, errors.New("haproxy is not installed")
	}
	text := fmt.Sprintf(`global
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option forwardfor
  http-reuse always
frontend f
  bind %s
  default_backend b
backend b
  server s %s
`, listen, upstream)
	config := filepath.Join(b.dir, "haproxy.cfg")
	return exec.Command(path, "-db", "-q", "-f", config), os.WriteFile(config, []byte(text), 0o600)
}

// serveProxy runs the engine by itself on loopback until it is told to end.
func serveProxy(listen, upstream string) error {
	address, err := netip.ParseAddrPort(listen)
	if err != nil {
		return err
	}
	target, err := netip.ParseAddrPort(upstream)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := engine.New(loopback{}, clock.Real(1), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	err = e.Set(ctx, &proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Nodes: []proxy.Node{{Addr: address.Addr()}}, Listeners: []proxy.Listener{{
			ID: "l", Port: address.Port(), Default: proxy.Action{Forward: &proxy.Forward{Groups: []proxy.WeightedGroup{{TargetGroup: "tg", Weight: 1}}}},
		}}}},
		TargetGroups: []proxy.TargetGroup{{ID: "tg", Targets: []proxy.Target{{Address: target}}, Check: proxy.Check{
			Path: "/", Interval: 5 * time.Second, Timeout: time.Second, HealthyThreshold: 2, UnhealthyThreshold: 2, Codes: []proxy.CodeRange{{From: 200, To: 200}},
		}}},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	return e.Close()
}

// loopback makes the engine's sockets on the host's loopback.
type loopback struct{}

// Listen implements proxy.Sockets.
func (loopback) Listen(ctx context.Context, _ string, address netip.AddrPort) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", address.String())
}

// Dial implements proxy.Sockets.
func (loopback) Dial(ctx context.Context, _ string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return d.DialContext(ctx, "tcp", to.String())
}
