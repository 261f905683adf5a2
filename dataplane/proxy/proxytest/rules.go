package proxytest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"minato/dataplane/proxy"
)

func fixed(body string) proxy.Action {
	return proxy.Action{Fixed: &proxy.FixedResponse{Status: 200, ContentType: "text/plain", Body: body}}
}

func forwards(e *env) {
	var mu sync.Mutex
	var got *http.Request
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = r
		mu.Unlock()
		w.Header().Set("X-From", "target")
		fmt.Fprint(w, "hello")
	}))
	resp, body := e.do("GET", "/a%2Fb?c=d&e", "", "Host", "www.example.com:8080", "X-Forwarded-For", "203.0.113.7", "X-Forwarded-Proto", "https")
	mu.Lock()
	defer mu.Unlock()
	if resp.StatusCode != 200 || body != "hello" || resp.Header.Get("X-From") != "target" || resp.Header.Get("Date") == "" {
		e.t.Errorf("answer %d %q %v", resp.StatusCode, body, resp.Header)
	}
	if got.RequestURI != "/a%2Fb?c=d&e" || got.Host != "www.example.com:8080" {
		e.t.Errorf("target saw %q at %q", got.RequestURI, got.Host)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For":   `^203\.0\.113\.7, 127\.0\.0\.1$`,
		"X-Forwarded-Proto": `^http$`,
		"X-Forwarded-Port":  fmt.Sprintf("^%d$", e.port),
		"X-Amzn-Trace-Id":   `^Root=1-[0-9a-f]{8}-[0-9a-f]{24}$`,
	} {
		if v := strings.Join(got.Header.Values(name), "|"); !regexp.MustCompile(want).MatchString(v) {
			e.t.Errorf("%s is %q, want %s", name, v, want)
		}
	}
	if host, _, _ := strings.Cut(got.RemoteAddr, ":"); host != e.node.String() {
		e.t.Errorf("the target was dialled from %s, not from the node", host)
	}
	e.until("the bytes to be counted", func() bool { return e.p.Counters("lb").BytesOut > 0 })
	c := e.p.Counters("lb")
	if c.Requests != 1 || c.Target.C2xx != 1 || c.NewConnections != 1 || c.BytesIn == 0 {
		e.t.Errorf("counters %+v", c)
	}
}

func rules(e *env) {
	path := func(p string) []proxy.Condition { return []proxy.Condition{{Field: proxy.Path, Values: []string{p}}} }
	e.lb.Listeners[0].Default = fixed("default")
	e.lb.Listeners[0].Rules = []proxy.Rule{
		{ID: "3", Priority: 30, Conditions: path("/*"), Action: fixed("thirty")},
		{ID: "1", Priority: 10, Conditions: path("/a/*"), Action: fixed("ten")},
		{ID: "2", Priority: 20, Conditions: path("/a/b"), Action: fixed("twenty")},
	}
	e.up()
	for p, want := range map[string]string{"/a/b": "ten", "/b": "thirty", "/a": "thirty"} {
		if _, got := e.get(p); got != want {
			e.t.Errorf("%s: %q, want %q", p, got, want)
		}
	}
	e.lb.Listeners[0].Rules = e.lb.Listeners[0].Rules[2:]
	e.set()
	if _, got := e.get("/x"); got != "default" {
		e.t.Errorf("after the rules went: %q", got)
	}
}

func conditions(e *env) {
	e.lb.Listeners[0].Default = fixed("no")
	e.up()
	for _, c := range []struct {
		name string
		cond proxy.Condition
		path string
		args []string
		want string
	}{
		{"path", proxy.Condition{Field: proxy.Path, Values: []string{"/x", "/img/*.pn?"}}, "/img/a/b.png", nil, "yes"},
		{"path is case-sensitive", proxy.Condition{Field: proxy.Path, Values: []string{"/IMG"}}, "/img", nil, "no"},
		{"path without query", proxy.Condition{Field: proxy.Path, Values: []string{"/a"}}, "/a?b", nil, "yes"},
		{"host", proxy.Condition{Field: proxy.Host, Values: []string{"*.Example.com"}}, "/", []string{"Host", "www.example.COM:81"}, "yes"},
		{"other host", proxy.Condition{Field: proxy.Host, Values: []string{"*.example.com"}}, "/", []string{"Host", "example.com"}, "no"},
		{"method", proxy.Condition{Field: proxy.Method, Values: []string{"POST", "GET"}}, "/", nil, "yes"},
		{"other method", proxy.Condition{Field: proxy.Method, Values: []string{"POST"}}, "/", nil, "no"},
		{"header", proxy.Condition{Field: proxy.Header, Name: "user-agent", Values: []string{"*chrome*"}}, "/", []string{"User-Agent", "x Chrome y"}, "yes"},
		{"header absent", proxy.Condition{Field: proxy.Header, Name: "X-No", Values: []string{"*"}}, "/", nil, "no"},
		{"query", proxy.Condition{Field: proxy.Query, Queries: []proxy.QueryPattern{{Key: "version", Value: "v1"}, {Value: "ex*"}}}, "/?a=b&Version=V1", nil, "yes"},
		{"query value", proxy.Condition{Field: proxy.Query, Queries: []proxy.QueryPattern{{Value: "ex*"}}}, "/?a=example", nil, "yes"},
		{"query with a star", proxy.Condition{Field: proxy.Query, Queries: []proxy.QueryPattern{{Key: "a", Value: `\*b*`}}}, "/?a=*bc", nil, "yes"},
		{"query without the star", proxy.Condition{Field: proxy.Query, Queries: []proxy.QueryPattern{{Key: "a", Value: `\*b`}}}, "/?a=xb", nil, "no"},
		{"other query", proxy.Condition{Field: proxy.Query, Queries: []proxy.QueryPattern{{Key: "version", Value: "v1"}}}, "/?version=v2", nil, "no"},
		{"path by regular expression", proxy.Condition{Field: proxy.Path, Values: []string{"/no"}, Regexes: []string{`^/api/v[0-9]+/`}}, "/api/v12/x", nil, "yes"},
		{"path of another case", proxy.Condition{Field: proxy.Path, Regexes: []string{`^/API/`}}, "/api/", nil, "no"},
		{"a part of the path", proxy.Condition{Field: proxy.Path, Regexes: []string{`/b/`}}, "/a/b/c", nil, "yes"},
		{"host by regular expression", proxy.Condition{Field: proxy.Host, Regexes: []string{`^(a|b)\.example\.com$`}}, "/", []string{"Host", "B.Example.com:81"}, "yes"},
		{"other host by regular expression", proxy.Condition{Field: proxy.Host, Regexes: []string{`^(a|b)\.example\.com$`}}, "/", []string{"Host", "c.example.com"}, "no"},
		{"header by regular expression", proxy.Condition{Field: proxy.Header, Name: "X-Kind", Regexes: []string{`^beta-\d+$`}}, "/", []string{"X-Kind", "beta-7"}, "yes"},
		{"other header by regular expression", proxy.Condition{Field: proxy.Header, Name: "X-Kind", Regexes: []string{`^beta-\d+$`}}, "/", []string{"X-Kind", "beta-x"}, "no"},
		{"source", proxy.Condition{Field: proxy.SourceIP, Sources: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, "/", nil, "yes"},
		{"other source", proxy.Condition{Field: proxy.SourceIP, Sources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, "/", nil, "no"},
	} {
		e.lb.Listeners[0].Rules = []proxy.Rule{{ID: "1", Priority: 1, Conditions: []proxy.Condition{c.cond}, Action: fixed("yes")}}
		e.set()
		if _, got := e.do("GET", c.path, "", c.args...); got != c.want {
			e.t.Errorf("%s: %q", c.name, got)
		}
	}
}

// rewrites has requests changed before targets get them: by every way that they may
// come, and those that stay as they are.
func rewrites(e *env) {
	told := make(chan *proxy.Exchange, 100)
	e.p.OnExchange(func(x *proxy.Exchange) { told <- x.Clone() })
	e.secure("a.example")
	seen := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Host, r.RequestURI, body)
	}
	e.targets(e.serve(seen))
	two := proxy.TargetGroup{ID: "two", Protocol: proxy.HTTP2, Check: e.groups[0].Check, Targets: []proxy.Target{{Address: e.serve(seen)}}}
	two.Check.Kind = proxy.CheckHTTP2
	e.groups = append(e.groups, two)
	forward := func(group string) proxy.Action {
		return proxy.Action{Forward: &proxy.Forward{Groups: []proxy.WeightedGroup{{TargetGroup: group, Weight: 1}}, Rewrite: &proxy.Rewrite{
			Host: &proxy.Substitution{Regex: `^(.+)\.example$`, Replace: "internal.$1.test"}, URL: &proxy.Substitution{Regex: `^/(dp|two|bad)/([a-z0-9]+)(\?(.*))?$`, Replace: "/product?id=$2&$4"},
		}}}
	}
	bad := forward("tg")
	bad.Forward.Rewrite.URL = &proxy.Substitution{Regex: "^/bad", Replace: "not a path"}
	e.lb.Listeners[0].Rules = []proxy.Rule{
		{ID: "two", Priority: 1, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/two/*"}}}, Action: forward("two")},
		{ID: "bad", Priority: 2, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/bad/*"}}}, Action: bad},
		{ID: "dp", Priority: 3, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{"/dp/*"}}}, Action: forward("tg")},
	}
	e.set()
	e.until("both groups to be well", func() bool {
		h, _ := e.p.Health("two")
		return len(h) == 1 && h[0].State == proxy.Healthy && e.healths()[0].State == proxy.Healthy
	})
	for _, h2 := range []bool{false, true} {
		c := e.client("a.example", h2)
		for _, x := range []struct{ method, path, body, want string }{
			{"GET", "/dp/b09", "", "internal.a.test /product?id=b09& "},
			{"GET", "/dp/b09?x=1", "", "internal.a.test /product?id=b09&x=1 "},
			{"POST", "/dp/b09", "hello", "internal.a.test /product?id=b09& hello"},
			{"GET", "/dp/B", "", "internal.a.test /dp/B "}, // only the host matches
			{"GET", "/else?x", "", "a.example /else?x "},
		} {
			if _, got := e.fetch(c, x.method, "https://a.example"+x.path, x.body); got != x.want {
				e.t.Errorf("%s %s, HTTP/2 %v: %q, want %q", x.method, x.path, h2, got, x.want)
			}
		}
		if resp, body := e.fetch(c, "GET", "https://a.example/bad/x", ""); resp.StatusCode != 500 || !strings.Contains(body, "500 Internal Server Error") {
			e.t.Errorf("a rewrite to nothing that is a path: %d %q", resp.StatusCode, body)
		}
	}
	if _, got := e.fetch(e.client("a.example", true), "GET", "https://a.example/two/b09", ""); got != "internal.a.test /product?id=b09& " {
		e.t.Errorf("to a target that speaks HTTP/2: %q", got)
	}
	e.lb.Options.Recorded = true
	e.set()
	for _, h2 := range []bool{false, true} {
		c := e.client("a.example", h2)
		e.fetch(c, "GET", "https://a.example/dp/b09?x=1", "")
		if x := next(e, "a request", told); string(x.URI) != "/dp/b09?x=1" || string(x.Host) != "a.example" || x.NewHost != "internal.a.test" || x.NewURI != "/product?id=b09&x=1" || x.Transformed != "TransformSuccess" {
			e.t.Errorf("HTTP/2 %v: told of %+v", h2, x)
		}
		e.fetch(c, "GET", "https://a.example/bad/x", "")
		if x := next(e, "a request", told); x.Status != 500 || x.TargetStatus != 0 || x.NewURI != "" || x.Transformed != "TransformInvalidPath" {
			e.t.Errorf("HTTP/2 %v: told of %+v", h2, x)
		}
		e.fetch(c, "GET", "https://a.example/else", "")
		if x := next(e, "a request", told); x.NewHost != "" || x.NewURI != "" || x.Transformed != "" {
			e.t.Errorf("HTTP/2 %v: told of %+v", h2, x)
		}
	}
}

func ownAnswers(e *env) {
	at := func(path string, a proxy.Action) proxy.Rule {
		return proxy.Rule{ID: path, Priority: 1, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{path}}}, Action: a}
	}
	e.lb.Listeners[0].Rules = []proxy.Rule{
		at("/fixed", proxy.Action{Fixed: &proxy.FixedResponse{Status: 418, ContentType: "application/json", Body: `{"tea":true}`}}),
		at("/https/*", proxy.Action{Redirect: &proxy.Redirect{Status: 301, Protocol: "HTTPS", Port: "443"}}),
		at("/move/*", proxy.Action{Redirect: &proxy.Redirect{Status: 302, Host: "new.#{host}", Path: "/to/#{path}", Query: "#{query}&from=#{port}"}}),
	}
	e.up()
	resp, body := e.get("/fixed")
	if resp.StatusCode != 418 || body != `{"tea":true}` || resp.Header.Get("Content-Type") != "application/json; charset=utf-8" || resp.Header.Get("Server") != "awselb/2.0" {
		e.t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	resp, body = e.do("GET", "/https/a?b=c", "", "Host", "www.example.com")
	if got := resp.Header.Get("Location"); resp.StatusCode != 301 || got != "https://www.example.com:443/https/a?b=c" || !strings.Contains(body, "<h1>301 Moved Permanently</h1>") {
		e.t.Errorf("%d %s %q", resp.StatusCode, got, body)
	}
	resp, _ = e.do("GET", "/move/a?b=c", "", "Host", "example.com")
	if got, want := resp.Header.Get("Location"), fmt.Sprintf("http://new.example.com:%d/to/move/a?b=c&from=%d", e.port, e.port); resp.StatusCode != 302 || got != want {
		e.t.Errorf("%d %s, want %s", resp.StatusCode, got, want)
	}
	// An unwanted body must not be taken for the next request.
	c := e.dial()
	c.send("POST /fixed HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /fixed HTTP/1.1\r\nHost: a\r\n\r\n")
	for range 2 {
		if resp, _ := c.answer("GET"); resp.StatusCode != 418 {
			e.t.Errorf("status %d", resp.StatusCode)
		}
	}
}

func weights(e *env) {
	a := e.serve(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a") })
	b := e.serve(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "b") })
	e.groups = append(e.groups, proxy.TargetGroup{ID: "other", Check: Check(), Targets: []proxy.Target{{Address: b}}}, proxy.TargetGroup{ID: "none", Check: Check()})
	e.lb.Listeners[0].Default = proxy.Action{Forward: &proxy.Forward{Groups: []proxy.WeightedGroup{{TargetGroup: "tg", Weight: 3}, {TargetGroup: "other", Weight: 1}, {TargetGroup: "none", Weight: 0}}}}
	e.targets(a)
	n := map[string]int{}
	for range 200 {
		_, body := e.get("/")
		n[body]++
	}
	if n["a"] < 110 || n["b"] < 20 || n["a"]+n["b"] != 200 {
		e.t.Errorf("shares %v", n)
	}
}

func balances(e *env) {
	gate := make(chan bool)
	handler := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				<-gate
			}
			io.WriteString(w, name)
		}
	}
	e.targets(e.serve(handler("a")), e.serve(handler("b")))
	n := map[string]int{}
	for range 20 {
		_, body := e.get("/")
		n[body]++
	}
	if n["a"] != 10 || n["b"] != 10 {
		e.t.Errorf("round robin: %v", n)
	}
	e.groups[0].Algorithm = proxy.LeastOutstanding
	e.set()
	inFlight := func(n int) {
		e.until("the requests in flight", func() bool { return e.healths()[0].InFlight+e.healths()[1].InFlight == n })
	}
	inFlight(0)
	waited := make(chan string)
	go func() {
		_, body := e.get("/wait")
		waited <- body
	}()
	inFlight(1)
	n = map[string]int{}
	for range 10 {
		_, body := e.get("/")
		n[body]++
		inFlight(1)
	}
	close(gate)
	if busy := <-waited; n[busy] != 0 {
		e.t.Errorf("least outstanding: %v although %s was busy", n, busy)
	}
}

func contradictions(e *env) {
	e.lb.Listeners[0].Default = fixed("still here")
	e.up()
	good := proxy.Config{LoadBalancers: []proxy.LoadBalancer{e.lb}, TargetGroups: e.groups}
	for name, change := range map[string]func(*proxy.Config){
		"unknown group":     func(c *proxy.Config) { c.LoadBalancers[0].Listeners[0].Default = ForwardTo("nobody") },
		"no action":         func(c *proxy.Config) { c.LoadBalancers[0].Listeners[0].Default = proxy.Action{} },
		"same port":         func(c *proxy.Config) { l := &c.LoadBalancers[0].Listeners; *l = append(*l, (*l)[0]) },
		"same group":        func(c *proxy.Config) { c.TargetGroups = append(c.TargetGroups, c.TargetGroups[0]) },
		"same balancer":     func(c *proxy.Config) { c.LoadBalancers = append(c.LoadBalancers, c.LoadBalancers[0]) },
		"check without end": func(c *proxy.Config) { c.TargetGroups[0].Check.Timeout = 0 },
	} {
		c := proxy.Config{LoadBalancers: append([]proxy.LoadBalancer(nil), good.LoadBalancers...), TargetGroups: append([]proxy.TargetGroup(nil), good.TargetGroups...)}
		c.LoadBalancers[0].Listeners = append([]proxy.Listener(nil), good.LoadBalancers[0].Listeners...)
		change(&c)
		if err := e.p.Set(e.t.Context(), &c); err == nil {
			e.t.Errorf("%s is taken", name)
		}
	}
	if _, body := e.get("/"); body != "still here" {
		e.t.Errorf("a refused config changed something: %q", body)
	}
}

func socketsRetried(e *env) {
	e.sockets.SetDown(true)
	e.lb.Listeners[0].Default = fixed("up")
	e.set()
	e.until("the failure to be reported", func() bool {
		all := e.p.Listeners("lb")
		return len(all) == 1 && errors.Is(all[0].Err, proxy.ErrNotReady) && all[0].Listener == "l" && all[0].Address.Port() == e.port
	})
	e.sockets.SetDown(false)
	e.up()
	if _, body := e.get("/"); body != "up" {
		e.t.Errorf("%q", body)
	}
	for end := time.After(patience); ; {
		select {
		case c := <-e.changes:
			if c.LoadBalancer == "lb" {
				return
			}
		case <-end:
			e.t.Fatal("nobody was told")
		}
	}
}

func listenerGoes(e *env) {
	e.lb.Listeners[0].Default = fixed("up")
	e.up()
	c := e.dial()
	c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	c.answer("GET")
	e.lb.Listeners = nil
	e.set()
	c.ended()
	if len(e.p.Listeners("lb")) != 0 {
		e.t.Error("the socket is still reported")
	}
	e.until("the port to be closed", func() bool {
		l, err := (&Loopback{}).Listen(e.t.Context(), "", netip.AddrPortFrom(e.node, e.port))
		if err == nil {
			l.Close()
		}
		return err == nil
	})
}

func sameTwice(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }))
	c := e.dial()
	seen := map[string]bool{}
	for range 3 {
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		_, addr := c.answer("GET")
		seen[addr] = true
		e.set()
	}
	if len(seen) != 1 || e.healths()[0].State != proxy.Healthy || e.p.Counters("lb").Requests != 3 {
		e.t.Errorf("connections %v, health %+v", seen, e.healths())
	}
}
