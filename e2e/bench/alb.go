package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// The load balancer against nginx and HAProxy (`make bench-alb`).
//
// What is compared is what a client of each sees: requests a second at
// saturation, latency at a rate that all of them can do, memory; and the
// processor time that each takes for a request, which tells more than the rest
// when others work on the machine. It is fair
// because everything but the proxy is the same:
//
//   - The place. minato's load balancer is a real one in a real VPC. The peers run
//     in the namespace of that VPC and listen on the load balancer's own address,
//     so every packet from the client and to the target passes the same links,
//     security groups and connection tracking. Client and targets are in network
//     interfaces (namespaces) of their own in that VPC.
//   - The targets: one process for all (alb_upstream.go), addressed in the same way.
//   - The load: the same generator with the same arguments, in turns: round by
//     round each proxy once, who begins changes; medians over the rounds.
//   - The work: Host is kept, X-Forwarded-For, -Proto and -Port are set,
//     connections are kept on both sides, health is checked where the peer can
//     (HAProxy; nginx has passive checks only), no access log but in one row (minato
//     writes it into a bucket, nginx and HAProxy into a file), the same certificate
//     and cipher suite. What only minato does (the trace id, metrics) is left out of
//     the peers, in their favour. Each peer has a worker for each core and is tuned as
//     its manual says (alb_peers.go).
//
// All of it shares the machine's cores: proxy, targets and generator. So a proxy
// that needs less processor time a request gets more done; the figures are no
// good for a machine where the generator is elsewhere, the order of them is.

// albOptions are the flags of this set.
type albOptions struct {
	rows    string
	rounds  int
	seconds float64
	engine  bool
}

// albRow is one line of the table.
type albRow struct {
	name    string
	what    string
	service service
	path    string
	tls     bool
	load    func(context.Context, *albWorld, string, time.Duration) (loadResult, error)
}

// albRows are the rows of throughput; more is better.
var albRows = []albRow{
	{"http11_1k", "HTTP/1.1, 1 KiB, 64 connections", one, "/", false, wrkLoad(64)},
	{"http11_100k", "100 KiB", large, "/", false, wrkLoad(64)},
	{"http11_1k_1000", "1,000 connections", one, "/", false, wrkLoad(1000)},
	{"http11_100k_1000", "100 KiB, 1,000 connections", large, "/", false, wrkLoad(1000)},
	{"http11_1k_8targets", "8 targets", eight, "/", false, wrkLoad(64)},
	{"http11_20rules", "20 rules, the last one matches", rules, "/r20/", false, wrkLoad(64)},
	{"http11_1k_access_log", "1 KiB, with an access log", withLog, "/", false, wrkLoad(64)},
	{"tls_1k", "TLS 1.3", secure, "/", true, wrkLoad(64)},
	{"tls_1k_1000", "TLS 1.3, 1,000 connections, their handshakes not counted", secure, "/", true, h2load("2s", "-c1000", "--h1")},
	{"h2_1k", "HTTP/2 over TLS 1.3, 16 connections of 4 streams", secure, "/", true, h2load("200ms", "-c16", "-m4")},
	{"connections", "a connection for each request", one, "/", false, wrkLoad(64, "-H", "Connection: close")},
	{"tls_connections", "a TLS 1.3 handshake for each request", secure, "/", true, wrkLoad(64, "-H", "Connection: close")},
}

const (
	latencyRow         = "p99_at_70pct"
	latencyShare       = 0.7
	latencyConnections = 64
	idleRow            = "idle_kib_per_connection"
	idleConnections    = 4000
)

// alb measures the rows that are asked for.
func (b *bench) alb(ctx context.Context) error {
	match, err := regexp.Compile(b.flags.rows)
	if err != nil {
		return err
	}
	// For the generators, which have a thousand connections: they inherit it.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	w, err := b.albWorld(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := w.close(); err != nil {
			b.leave("the load balancer's instance did not go: %v", err)
		}
	}()
	b.rows = append(b.rows, w.header())
	// First, while no proxy has had more connections than it was started with.
	if match.MatchString(idleRow) {
		if err := b.idleConnections(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", idleRow, err)
		}
	}
	saturation := 0.0 // of the better peer
	for _, r := range albRows {
		if !match.MatchString(r.name) || !w.has(r) {
			continue
		}
		best, err := b.albThroughput(ctx, w, r)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		if r.name == albRows[0].name {
			saturation = best
		}
	}
	if match.MatchString(latencyRow) {
		if saturation == 0 {
			if saturation, err = b.albThroughput(ctx, w, albRows[0]); err != nil {
				return err
			}
		}
		if err := b.albLatency(ctx, w, saturation); err != nil {
			return fmt.Errorf("%s: %w", latencyRow, err)
		}
	}
	if b.failedRequests > 0 {
		return fmt.Errorf("%d requests through minato failed", b.failedRequests)
	}
	return nil
}

// proxy is the row of the budgets: the load balancer's first, in three rounds.
func (b *bench) proxy(ctx context.Context) error {
	b.flags.rows, b.flags.rounds = "^"+albRows[0].name+"$", 3
	return b.alb(ctx)
}

// inTurns calls f for each proxy in each round; who begins changes.
func (w *albWorld) inTurns(ctx context.Context, rounds int, f func(p *candidate) error) error {
	for round := range rounds {
		for i := range w.proxies {
			p := w.proxies[(round+i)%len(w.proxies)]
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(p); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	return nil
}

// albThroughput measures one row and returns the better peer's median.
func (b *bench) albThroughput(ctx context.Context, w *albWorld, r albRow) (best float64, err error) {
	rates, costs, failed := samples{}, samples{}, map[string]int{}
	length := time.Duration(b.flags.seconds * float64(time.Second))
	err = w.inTurns(ctx, b.flags.rounds, func(p *candidate) error {
		before, err := p.processorTime()
		if err != nil {
			return err
		}
		got, err := r.load(ctx, w, w.url(p, r), length)
		if err != nil {
			return err
		}
		after, err := p.processorTime()
		rates[p.name] = append(rates[p.name], got.perSecond)
		costs[p.name] = append(costs[p.name], float64((after-before).Microseconds())/float64(max(got.made, 1)))
		failed[p.name] += got.failed
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, p := range w.proxies {
		b.add(p.prefix()+r.name+"_per_second", median(rates[p.name]), 0)
		b.add(p.prefix()+r.name+"_cpu_us", median(costs[p.name]), 1)
	}
	best = b.albCompare(w, r.name, r.what, 0, rates, failed, true)
	b.albCompare(w, r.name+"_cpu_us", "the same: microseconds of the proxy's processor time a request; less is better", 1, costs, map[string]int{}, false)
	return best, nil
}

// samples are each proxy's figures, one a round.
type samples map[string][]float64

// albCompare adds a line to the table: medians, and the median of the rounds'
// ratios of minato to the better peer, which is the one with the better median.
// The figures of a round were taken in the same few seconds, so that work of
// others on the machine spoils both or neither. It returns that peer's median.
func (b *bench) albCompare(w *albWorld, name, what string, digits int, s samples, failed map[string]int, more bool) (best float64) {
	cells, failures, peer := []string{name, what}, []string{}, ""
	for _, p := range w.proxies {
		m := median(s[p.name])
		cells = append(cells, fmt.Sprintf("%.*f", digits, m))
		failures = append(failures, fmt.Sprint(failed[p.name]))
		if failed[p.name] > 0 {
			b.leave("%s: %d requests through %s failed", name, failed[p.name], p.name)
		}
		if p.peer && (peer == "" || (m > best) == more) {
			peer, best = p.name, m
		}
	}
	b.failedRequests += failed[ours]
	ratio := "-"
	if peer != "" {
		var ratios []float64
		for i, v := range s[ours] {
			ratios = append(ratios, v/s[peer][i])
		}
		b.endWith(name+"_over_best_peer", median(ratios), 2)
		ratio = fmt.Sprintf("%.2f", median(ratios))
	}
	b.rows = append(b.rows, append(cells, ratio, strings.Join(failures, ", ")))
	return best
}

// albLatency measures latencies at a share of the better peer's saturation; less
// is better.
func (b *bench) albLatency(ctx context.Context, w *albWorld, saturation float64) error {
	rate := int(latencyShare * saturation)
	failed := map[string]int{}
	p50, p99, p999 := samples{}, samples{}, samples{}
	err := w.inTurns(ctx, b.flags.rounds, func(p *candidate) error {
		got, err := w.paced(ctx, p, rate, latencyConnections, pacedWarmUp+time.Duration(b.flags.seconds*float64(time.Second)))
		if err != nil {
			return err
		}
		if got.Failed > 0 {
			b.say("  %s: %s", p.name, got.Why)
		}
		failed[p.name] += got.Failed
		p50[p.name], p99[p.name], p999[p.name] = append(p50[p.name], got.P50), append(p99[p.name], got.P99), append(p999[p.name], got.P999)
		return nil
	})
	if err != nil {
		return err
	}
	b.add("rate_at_70pct_per_second", float64(rate), 0)
	for i, l := range []samples{p50, p99, p999} {
		name := []string{"p50_at_70pct", latencyRow, "p999_at_70pct"}[i]
		for _, p := range w.proxies {
			b.add(p.prefix()+name+"_ms", median(l[p.name]), 2)
		}
		b.albCompare(w, name, fmt.Sprintf("ms at %d requests/s, 64 connections; less is better", rate), 2, l, failed, false)
		clear(failed) // they are told once
	}
	return nil
}

// idleConnections measures the memory that a connection at rest takes: so many
// are opened, each has one request answered and stays. The kernel's part, which
// is the same for all, is not counted. Less is better.
func (b *bench) idleConnections(ctx context.Context, w *albWorld) error {
	values := samples{}
	for _, p := range w.proxies {
		kib, err := w.idle(ctx, p, idleConnections)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		values[p.name] = []float64{kib}
		if p.name == ours {
			b.endWith(idleRow, kib, 1)
		} else {
			b.add(p.prefix()+idleRow, kib, 1)
		}
	}
	b.albCompare(w, idleRow, fmt.Sprintf("KiB, %d connections; less is better", idleConnections), 1, values, map[string]int{}, false)
	return nil
}
