package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// loadResult is what a generator of load found.
type loadResult struct {
	perSecond float64
	made      int
	failed    int
}

var (
	wrkRate     = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkSockets  = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatuses = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	h2Rate      = regexp.MustCompile(`finished in [^,]+, ([0-9.]+) req/s`)
	wrkMade     = regexp.MustCompile(`(\d+) requests in`)
	h2Made      = regexp.MustCompile(`requests: \d+ total, \d+ started, (\d+) done`)
	h2Failures  = regexp.MustCompile(`(\d+) failed, (\d+) errored, (\d+) timeout`)
	h2Statuses  = regexp.MustCompile(`status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
)

// wrkLoad is wrk with two threads: each connection sends its next request when
// it has its answer.
func wrkLoad(connections int, more ...string) func(context.Context, *albWorld, string, time.Duration) (loadResult, error) {
	return func(ctx context.Context, w *albWorld, url string, d time.Duration) (loadResult, error) {
		// wrk knows whole seconds only.
		args := append([]string{"-t2", fmt.Sprint("-c", connections), fmt.Sprintf("-d%.0fs", max(1, d.Seconds())), "--timeout", "10s"}, more...)
		out, err := w.client(ctx, "wrk", append(args, url)...)
		if err != nil {
			return loadResult{}, err
		}
		return readLoad(out, wrkRate, wrkMade, wrkSockets, wrkStatuses)
	}
}

// h2load is that with two threads; what happens in the time of warming up is not
// counted. It speaks HTTP/2 unless it is told not to.
func h2load(warmUp string, more ...string) func(context.Context, *albWorld, string, time.Duration) (loadResult, error) {
	protocol := "h2"
	if slices.Contains(more, "--h1") {
		protocol = "http/1.1"
	}
	return func(ctx context.Context, w *albWorld, url string, d time.Duration) (loadResult, error) {
		args := append([]string{"-t2", fmt.Sprintf("-D%.0f", max(1, d.Seconds())), "--warm-up-time=" + warmUp}, more...)
		out, err := w.client(ctx, "h2load", append(args, url)...)
		if err != nil {
			return loadResult{}, err
		}
		if !strings.Contains(out, "Application protocol: "+protocol) {
			return loadResult{}, fmt.Errorf("h2load did not speak %s: %s", protocol, out)
		}
		return readLoad(out, h2Rate, h2Made, h2Failures, h2Statuses)
	}
}

func readLoad(out string, rate, made *regexp.Regexp, failures ...*regexp.Regexp) (r loadResult, err error) {
	m := rate.FindStringSubmatch(out)
	if m == nil {
		return r, fmt.Errorf("the load generator said: %s", out)
	}
	if r.perSecond, err = strconv.ParseFloat(m[1], 64); err != nil {
		return r, err
	}
	n := made.FindStringSubmatch(out)
	if n == nil {
		return r, fmt.Errorf("the load generator said: %s", out)
	}
	if r.made, err = strconv.Atoi(n[1]); err != nil {
		return r, err
	}
	for _, f := range failures {
		for _, n := range f.FindStringSubmatch(out) {
			if n, err := strconv.Atoi(n); err == nil { // the first is the whole text
				r.failed += n
			}
		}
	}
	return r, nil
}

// paced has the open loop ask one proxy.
func (w *albWorld) paced(ctx context.Context, p *candidate, rate, connections int, d time.Duration) (r pacedResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	out, err := w.client(ctx, self, pacedRole, w.address(p, one), "/", fmt.Sprint(rate), fmt.Sprint(connections), fmt.Sprint(d.Milliseconds()))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(out), &r)
}

// client runs a program where the client is and returns what it printed.
func (w *albWorld) client(ctx context.Context, name string, args ...string) (string, error) {
	cmd := inNamespace(ctx, w.clientNS, name, args...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return string(out), nil
}

// inNamespace is a command whose process is in a network namespace: nsenter
// becomes the program.
func inNamespace(ctx context.Context, path, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + path, name}, args...)...)
}
