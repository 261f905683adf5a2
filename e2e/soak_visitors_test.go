package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// soakVisitors ask for a page at a steady rate, each on a connection of its own,
// and keep what failed. A failure is excused only when a healthy target could not
// have served it:
//
//   - Daemon, or both, killed: the load balancer lives in the daemon. Excused is a
//     request that was under way at any time between the kill and the first answer
//     after `minato up` said that it is ready, plus soakAnswers. That this takes less
//     than a second is a promise for a machine that is not busy: make bench holds it.
//   - A shim, a log writer or a task's first process killed: excused is what was
//     under way at any time between the kill and the end of the task's first
//     process, plus soakFaults. Which target had a request is not known to its
//     sender, so one of another target's would be excused too; the window of some
//     milliseconds is what keeps this honest.
//   - containerd killed: nothing. No request passes through it.
//
// The rollout itself excuses nothing.
type soakVisitors struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	ok       int
	failures []soakFailure
	windows  []*soakWindow
	forgiven int
}

const (
	soakPeriod  = 20 * time.Millisecond
	soakAnswers = time.Second
	// soakAnswer bounds an answer, and the first one after a restart.
	soakAnswer = time.Minute
	// soakFaults is what the kernel may take to tell the load balancer that a
	// process, which /proc shows as dead already, has closed its connections.
	soakFaults = 50 * time.Millisecond
)

type soakFailure struct {
	began, ended time.Time
	err          error
}

// soakWindow is a time in which requests may fail.
type soakWindow struct {
	v        *soakVisitors
	from, to time.Time // to is zero while it is open
	after    time.Duration
	none     bool // excuses nothing
}

func startSoakVisitors(url string) *soakVisitors {
	ctx, cancel := context.WithCancel(context.Background())
	v := &soakVisitors{cancel: cancel, done: make(chan struct{})}
	go v.run(ctx, url)
	return v
}

func (v *soakVisitors) run(ctx context.Context, url string) {
	defer close(v.done)
	client := &http.Client{Timeout: soakAnswer, Transport: &http.Transport{DisableKeepAlives: true}}
	var wait sync.WaitGroup
	defer wait.Wait()
	tick := time.NewTicker(soakPeriod)
	defer tick.Stop()
	room := make(chan struct{}, 256)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		room <- struct{}{}
		wait.Go(func() {
			defer func() { <-room }()
			began := time.Now()
			err := soakGet(client, url)
			v.mu.Lock()
			defer v.mu.Unlock()
			if err == nil {
				v.ok++
				return
			}
			v.failures = append(v.failures, soakFailure{began, time.Now(), err})
		})
	}
}

// soakGet asks for the page under the name that the listener knows.
func soakGet(client *http.Client, url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = soakHost
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || string(body) != soakText {
		return fmt.Errorf("%s: %.100q", resp.Status, body)
	}
	return nil
}

// excuse opens the window for the kill that follows.
func (v *soakVisitors) excuse(kind string) *soakWindow {
	w := &soakWindow{v: v, from: time.Now(), after: soakFaults}
	switch kind {
	case "containerd":
		w.none = true
	case "daemon", "both":
		w.after = soakAnswers
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.windows = append(v.windows, w)
	return w
}

// answered waits for the first answer after a restart.
func (w *soakWindow) answered(url string) error {
	client := &http.Client{Timeout: soakAnswer, Transport: &http.Transport{DisableKeepAlives: true}}
	return soakUntil(soakConverge, func() error { return soakGet(client, url) })
}

// end closes the window.
func (w *soakWindow) end() {
	w.v.mu.Lock()
	defer w.v.mu.Unlock()
	w.to = time.Now()
}

// covers tells whether a request was under way within the window.
func (w *soakWindow) covers(f soakFailure) bool {
	return !w.none && f.ended.After(w.from) && (w.to.IsZero() || f.began.Before(w.to.Add(w.after)))
}

// unexcused are the failures that nothing excuses; every one is told once.
func (v *soakVisitors) unexcused() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, f := range v.failures {
		excused := false
		for _, w := range v.windows {
			excused = excused || w.covers(f)
		}
		if excused {
			v.forgiven++
			continue
		}
		since := "before any kill"
		if n := len(v.windows); n > 0 {
			since = fmt.Sprintf("%s after the kill", f.began.Sub(v.windows[n-1].from).Round(time.Millisecond))
		}
		out = append(out, fmt.Sprintf("%s, for %s: %v", since, f.ended.Sub(f.began).Round(time.Millisecond), f.err))
	}
	v.failures = nil
	return out
}

func (v *soakVisitors) succeeded() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ok
}

func (v *soakVisitors) counts() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprintf("%d requests answered, %d failed and excused before this round, %d new failures", v.ok, v.forgiven, len(v.failures))
}

func (v *soakVisitors) stop() {
	v.cancel()
	<-v.done
}
