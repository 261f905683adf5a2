package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
)

func health(e *env) {
	var status atomic.Int32
	var agent, host atomic.Value
	status.Store(500)
	a := e.serveAll(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.UserAgent() + " " + r.URL.Path)
		host.Store(r.Host)
		w.WriteHeader(int(status.Load()))
	}))
	e.groups[0].Targets = []proxy.Target{{Address: a}}
	e.set()
	h := e.health(a)
	if h.State != proxy.Initial {
		e.t.Errorf("at first %v", h.State)
	}
	e.untilState(a, proxy.Unhealthy)
	h = e.health(a)
	if h.Reason != proxy.Mismatch || h.Last == nil || h.Last.Status != 500 || h.Last.Passed || h.Last.From != e.node || h.Last.Port != a.Port() || h.Since.IsZero() {
		e.t.Errorf("%+v %+v", h, h.Last)
	}
	if agent.Load() != "ELB-HealthChecker/2.0 /up" || host.Load() != a.String() {
		e.t.Errorf("the check was %q at %q", agent.Load(), host.Load())
	}
	for len(e.changes) > 0 {
		<-e.changes
	}
	status.Store(204)
	e.untilState(a, proxy.Healthy)
	select {
	case c := <-e.changes:
		if c != (proxy.Change{TargetGroup: "tg"}) {
			e.t.Errorf("told %+v", c)
		}
	case <-time.After(patience):
		e.t.Error("nobody was told")
	}
	if h := e.health(a); h.Reason != proxy.NoReason || !h.Last.Passed {
		e.t.Errorf("%+v", h)
	}
	// One passed check suffices for a target that is new.
	b := e.serve(func(http.ResponseWriter, *http.Request) {})
	e.groups[0].Check.HealthyThreshold = 10
	e.groups[0].Check.Interval = time.Hour
	e.targets(a, b)
}

func failOpen(e *env) {
	up := func(name string, status int) netip.AddrPort {
		return e.serveAll(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/up" {
				w.WriteHeader(status)
			} else {
				io.WriteString(w, name)
			}
		}))
	}
	sick, well := up("sick", 500), up("well", 200)
	e.groups[0].Targets = []proxy.Target{{Address: sick}}
	e.up()
	if _, body := e.get("/"); body != "sick" { // initial
		e.t.Errorf("%q", body)
	}
	e.untilState(sick, proxy.Unhealthy)
	if _, body := e.get("/"); body != "sick" {
		e.t.Errorf("all unhealthy: %q", body)
	}
	e.groups[0].Targets = append(e.groups[0].Targets, proxy.Target{Address: well})
	e.set()
	e.untilState(well, proxy.Healthy)
	for range 5 {
		if _, body := e.get("/"); body != "well" {
			e.t.Errorf("one healthy: %q", body)
		}
	}
}

func unused(e *env) {
	var asked atomic.Bool
	a := e.serveAll(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	e.groups[0].Targets = []proxy.Target{{Address: a}}
	e.lb.Listeners[0].Default = fixed("no")
	e.up()
	time.Sleep(20 * time.Millisecond)
	if h := e.health(a); h.State != proxy.Unused || h.Reason != proxy.NotInUse || asked.Load() {
		e.t.Errorf("%+v, asked %v", h, asked.Load())
	}
	e.lb.Listeners[0].Default = ForwardTo("tg")
	e.set()
	e.untilState(a, proxy.Healthy)
	e.lb.Listeners[0].Default = fixed("no")
	e.set()
	if h := e.health(a); h.State != proxy.Unused {
		e.t.Errorf("%+v", h)
	}
	if _, ok := e.p.Health("nobody"); ok {
		e.t.Error("an unknown group has health")
	}
}

func restored(e *env) {
	hang := make(chan bool)
	defer close(hang)
	handler := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/up" {
				<-hang
			}
			io.WriteString(w, name)
		})
	}
	a, b := e.serveAll(handler("a")), e.serveAll(handler("b"))
	since := time.Now().Add(-time.Hour).Round(0)
	e.groups[0].Targets = []proxy.Target{
		{Address: a, Last: &proxy.TargetHealth{State: proxy.Healthy, Since: since}},
		{Address: b, Last: &proxy.TargetHealth{State: proxy.Unhealthy, Reason: proxy.Mismatch, Since: since}},
	}
	e.up()
	for range 6 {
		if _, body := e.get("/"); body != "a" {
			e.t.Errorf("%q answers", body)
		}
	}
	if h := e.health(b); h.State != proxy.Unhealthy || h.Reason != proxy.Mismatch || !h.Since.Equal(since) {
		e.t.Errorf("%+v", h)
	}
}

func notReady(e *env) {
	a := e.serve(func(http.ResponseWriter, *http.Request) {})
	e.sockets.SetDown(true)
	e.groups[0].Targets = []proxy.Target{{Address: a}}
	e.set()
	time.Sleep(300 * time.Millisecond) // longer than two intervals
	if h := e.health(a); h.State != proxy.Initial {
		e.t.Errorf("a target is blamed for the node: %+v", h)
	}
	e.sockets.SetDown(false)
	e.untilState(a, proxy.Healthy)
}

func draining(e *env) {
	gate := make(chan bool)
	slow := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				<-gate
			}
			io.WriteString(w, name)
		}
	}
	old, young := e.serve(slow("old")), e.serve(slow("young"))
	e.targets(old)
	type result struct {
		body string
		err  error
	}
	results := make(chan result, 2)
	ask := func() {
		resp, err := (&http.Transport{}).RoundTrip(must(http.NewRequest("GET", e.url("/slow"), nil)))
		if err != nil {
			results <- result{err: err}
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		results <- result{fmt.Sprintf("%d %s", resp.StatusCode, b), err}
	}
	go ask()
	go ask()
	e.until("requests in flight", func() bool { return e.health(old).InFlight == 2 })
	e.targets(old, young)
	e.groups[0].Targets[0].Draining = true
	e.set()
	if h := e.health(old); h.State != proxy.Draining || h.Reason != proxy.Deregistering || h.InFlight != 2 {
		e.t.Errorf("%+v", h)
	}
	for range 6 {
		if _, body := e.get("/"); body != "young" {
			e.t.Errorf("a draining target was asked: %q", body)
		}
	}
	gate <- true
	if r := <-results; r.err != nil || r.body != "200 old" {
		e.t.Errorf("in flight: %+v", r)
	}
	// The time for draining is over: the other request is cut.
	e.groups[0].Targets = e.groups[0].Targets[1:]
	e.set()
	if r := <-results; r.err == nil && r.body[:3] != "502" {
		e.t.Errorf("after the end: %+v", r)
	}
	close(gate)
	if len(e.healths()) != 1 {
		e.t.Errorf("%+v", e.healths())
	}
	// Coming back while draining is coming new.
	e.targets(young)
	e.groups[0].Targets[0].Draining = true
	e.set()
	e.wantOwn(503, "503 Service Temporarily Unavailable")
	e.groups[0].Targets[0].Draining = false
	e.set()
	e.untilState(young, proxy.Healthy)
	if _, body := e.get("/"); body != "young" {
		e.t.Errorf("%q", body)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// replaced is a rolling update: while clients ask, each target is replaced by a
// new one, drained and then stopped. Nobody may notice.
func replaced(e *env) {
	var servers sync.Map
	start := func() netip.AddrPort {
		l := e.listen()
		mux := http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			time.Sleep(2 * time.Millisecond)
			io.WriteString(w, "ok")
		})
		s := &http.Server{Handler: mux}
		go s.Serve(l)
		e.t.Cleanup(func() { s.Close() })
		a := netip.MustParseAddrPort(l.Addr().String())
		servers.Store(a, s)
		return a
	}
	e.targets(start(), start())
	done := make(chan bool)
	var wg sync.WaitGroup
	var asked, failed atomic.Int32
	for i := range 8 {
		wg.Go(func() {
			tr := &http.Transport{DisableKeepAlives: i%2 == 0}
			for {
				select {
				case <-done:
					return
				default:
				}
				method := []string{"GET", "POST"}[i/4]
				resp, err := tr.RoundTrip(must(http.NewRequest(method, e.url("/"), nil)))
				asked.Add(1)
				if err != nil || resp.StatusCode != 200 {
					failed.Add(1)
					e.t.Logf("%v %v", resp, err)
				}
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
			}
		})
	}
	for range 6 {
		a := start()
		e.groups[0].Targets = append(e.groups[0].Targets, proxy.Target{Address: a})
		e.set()
		e.untilState(a, proxy.Healthy)
		old := e.groups[0].Targets[0].Address
		e.groups[0].Targets[0].Draining = true
		e.set()
		e.until("the drain", func() bool { return e.health(old).InFlight == 0 })
		e.groups[0].Targets = e.groups[0].Targets[1:]
		e.set()
		s, _ := servers.Load(old)
		s.(*http.Server).Close()
	}
	e.until("enough requests", func() bool { return asked.Load() >= 100 })
	close(done)
	wg.Wait()
	if failed.Load() > 0 {
		e.t.Errorf("%d of %d requests failed", failed.Load(), asked.Load())
	}
}
