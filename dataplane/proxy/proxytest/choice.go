package proxytest

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"minato/dataplane/proxy"
)

// named is a target that answers with its name.
func (e *env) named(name string) netip.AddrPort {
	return e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			http.SetCookie(w, &http.Cookie{Name: "SESSION", Value: "1"})
		}
		io.WriteString(w, name)
	})
}

// jar is the Cookie header that an answer leads to.
func jar(resp *http.Response, only ...string) string {
	var all []string
	for _, c := range resp.Cookies() {
		for _, name := range only {
			if c.Name == name {
				all = append(all, c.Name+"="+c.Value)
			}
		}
	}
	return strings.Join(all, "; ")
}

func stickyTargets(e *env) {
	e.groups[0].Sticky = time.Hour
	a, b := e.named("a"), e.named("b")
	e.targets(a, b)
	for _, cookie := range []string{"AWSALB", "AWSALBCORS"} {
		resp, first := e.get("/")
		var names []string
		for _, c := range resp.Header["Set-Cookie"] {
			name, _, _ := strings.Cut(c, "=")
			names = append(names, name)
			if !strings.Contains(c, "; Expires=") || !strings.Contains(c, "; Path=/") || strings.Contains(c, "SameSite=None") != (name == "AWSALBCORS") {
				e.t.Errorf("Set-Cookie: %s", c)
			}
		}
		if fmt.Sprint(names) != "[AWSALB AWSALBCORS]" {
			e.t.Errorf("cookies %v", names)
		}
		for range 6 {
			if _, body := e.do("GET", "/", "", "Cookie", "x=y; "+jar(resp, cookie)); body != first {
				e.t.Errorf("by %s first %s, then %s", cookie, first, body)
			}
		}
		if _, body := e.do("GET", "/", "", "Cookie", cookie+"=forged"); body != "a" && body != "b" {
			e.t.Errorf("%q", body)
		}
	}
	// The target goes: another one, and the cookie follows.
	resp, first := e.get("/")
	cookie := jar(resp, "AWSALB")
	e.groups[0].Targets[map[string]int{"a": 0, "b": 1}[first]].Draining = true
	e.set()
	resp, second := e.do("GET", "/", "", "Cookie", cookie)
	if second == first || jar(resp, "AWSALB") == cookie {
		e.t.Errorf("first %s, after it drains %s", first, second)
	}
}

func stickyApplication(e *env) {
	e.groups[0].Stickiness = proxy.Stickiness{Sticky: time.Hour, AppCookie: "SESSION"}
	e.targets(e.named("a"), e.named("b"))
	if resp, _ := e.get("/"); len(resp.Header["Set-Cookie"]) != 0 {
		e.t.Errorf("without the application's cookie: %v", resp.Header["Set-Cookie"])
	}
	resp, first := e.get("/login")
	cookie := jar(resp, "SESSION", "AWSALBAPP-0")
	if !strings.Contains(cookie, "AWSALBAPP-0=") {
		e.t.Fatalf("cookies %v", resp.Header["Set-Cookie"])
	}
	for range 6 {
		if _, body := e.do("GET", "/", "", "Cookie", cookie); body != first {
			e.t.Errorf("first %s, then %s", first, body)
		}
	}
}

func stickyGroups(e *env) {
	e.groups = append(e.groups, proxy.TargetGroup{ID: "other", Check: Check(), Targets: []proxy.Target{{Address: e.named("b")}}})
	e.lb.Listeners[0].Default = proxy.Action{Forward: &proxy.Forward{Sticky: time.Hour, Groups: []proxy.WeightedGroup{{TargetGroup: "tg", Weight: 1}, {TargetGroup: "other", Weight: 1}}}}
	e.targets(e.named("a"))
	seen := map[string]bool{}
	for len(seen) < 2 {
		resp, first := e.get("/")
		seen[first] = true
		for range 4 {
			if _, body := e.do("GET", "/", "", "Cookie", jar(resp, "AWSALBTG")); body != first {
				e.t.Fatalf("first group of %s, then of %s", first, body)
			}
		}
	}
}

func slowStart(e *env) {
	e.groups[0].SlowStart = 15 * time.Minute // 45 seconds at this pace
	a := e.named("a")
	e.targets(a)
	e.targets(a, e.named("b"))
	count := func(times int) map[string]int {
		n := map[string]int{}
		for range times {
			_, body := e.get("/")
			n[body]++
		}
		return n
	}
	if n := count(20); n["b"] >= n["a"] {
		e.t.Errorf("at first %v", n)
	}
	e.groups[0].SlowStart = 30 * time.Second
	e.set()
	e.until("the full share", func() bool { n := count(20); return n["b"] >= 10 })
}

func zones(e *env) {
	other := netip.MustParseAddr("127.0.0.3")
	e.lb.Nodes = []proxy.Node{{Addr: e.node, Zone: "1"}, {Addr: other, Zone: "2"}}
	a, b, c := e.named("a"), e.named("b"), e.named("c")
	e.groups[0].ZoneOnly = true
	e.groups[0].Targets = []proxy.Target{{Address: a, Zone: "1"}, {Address: b, Zone: "2"}}
	e.up()
	e.untilState(a, proxy.Healthy)
	e.untilState(b, proxy.Healthy)
	asks := func(at netip.Addr, n int) map[string]int {
		seen := map[string]int{}
		for range n {
			resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(must(http.NewRequest("GET", "http://"+netip.AddrPortFrom(at, e.port).String()+"/", nil)))
			if err != nil {
				e.t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			seen[fmt.Sprint(resp.StatusCode, " ", string(body[:min(len(body), 1)]))]++
		}
		return seen
	}
	if one, two := asks(e.node, 6), asks(other, 6); one["200 a"] != 6 || two["200 b"] != 6 {
		e.t.Errorf("zone 1 %v, zone 2 %v", one, two)
	}
	e.groups[0].Targets = []proxy.Target{{Address: a, Zone: "1"}, {Address: c}}
	e.set()
	e.untilState(c, proxy.Healthy)
	if one, two := asks(e.node, 6), asks(other, 6); one["200 a"] != 3 || one["200 c"] != 3 || two["200 c"] != 6 {
		e.t.Errorf("with one outside: zone 1 %v, zone 2 %v", one, two)
	}
	e.groups[0].Targets = e.groups[0].Targets[:1]
	e.set()
	if two := asks(other, 2); two["503 <"] != 2 {
		e.t.Errorf("an empty zone: %v", two)
	}
	e.groups[0].ZoneOnly = false
	e.set()
	if two := asks(other, 2); two["200 a"] != 2 {
		e.t.Errorf("across zones: %v", two)
	}
	k := e.p.Account()
	if k.LoadBalancers["lb"]["1"].Requests != 12 || k.LoadBalancers["lb"]["2"].Requests != 16 || k.TargetGroups["tg"]["1"].Healthy != 1 {
		e.t.Errorf("account %+v", k)
	}
}

func fewHealthy(e *env) {
	sick := e.serveAll(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/up" {
			w.WriteHeader(500)
		}
		io.WriteString(w, "sick")
	}))
	well := e.named("well")
	e.groups[0].MinHealthyPercent = 60
	e.groups[0].Targets = []proxy.Target{{Address: sick}, {Address: well}}
	e.up()
	e.untilState(sick, proxy.Unhealthy)
	e.untilState(well, proxy.Healthy)
	ask := func() map[string]int {
		n := map[string]int{}
		for range 8 {
			_, body := e.get("/")
			n[body]++
		}
		return n
	}
	if n := ask(); n["sick"] != 4 {
		e.t.Errorf("half are healthy, less than 60 %%: %v", n)
	}
	e.groups[0].MinHealthyPercent = 50
	e.set()
	if n := ask(); n["well"] != 8 {
		e.t.Errorf("half are healthy, which is enough: %v", n)
	}
	e.groups[0].MinHealthyCount = 2
	e.set()
	if n := ask(); n["sick"] != 4 {
		e.t.Errorf("one is healthy, two are wanted: %v", n)
	}
}

func desync(e *env) {
	e.targets(e.serve(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %v", r.URL.Path, b, r.TransferEncoding)
	}))
	const both = "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	const lf = "GET /1 HTTP/1.1\nHost: a\n\n"
	for _, c := range []struct {
		mode    proxy.DesyncMode
		request string
		want    string // of the first answer
		again   string // of the second; "" is the end
	}{
		{proxy.Defensive, both, "200 /1 hi [chunked]", ""},
		{proxy.Monitor, both, "200 /1 hi [chunked]", "200 /smuggled  []"},
		{proxy.Strictest, both, "400", ""},
		{proxy.Defensive, lf, "200 /1  []", "200 /next  []"},
		{proxy.Strictest, lf, "400", ""},
		{proxy.Monitor, "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", "400", ""},
	} {
		e.lb.Options.Desync = c.mode
		e.set()
		conn := e.dial()
		conn.send("%s", c.request)
		show := func() string {
			resp, body := conn.answer("POST")
			if resp.StatusCode != 200 {
				return fmt.Sprint(resp.StatusCode)
			}
			return fmt.Sprint(resp.StatusCode, " ", body)
		}
		if got := show(); got != c.want {
			e.t.Errorf("mode %d, %.30q: %s, want %s", c.mode, c.request, got, c.want)
		}
		if c.again == "" {
			conn.ended()
			continue
		}
		if c.request == lf {
			conn.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		}
		if got := show(); got != c.again {
			e.t.Errorf("mode %d, %.30q: then %s, want %s", c.mode, c.request, got, c.again)
		}
	}
}
