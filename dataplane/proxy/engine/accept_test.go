package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/proxytest"
)

// TestSetDropsNothing has clients with a connection for each request while the
// configuration changes all the time: every one has its answer.
func TestSetDropsNothing(t *testing.T) {
	eachLane(t, echoPath, func(t *testing.T, v *laneEnv, secure bool) {
		stop := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			other := proxytest.FreePort(t)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				again := v.config
				lb := again.LoadBalancers[0]
				lb.Listeners = append([]proxy.Listener(nil), lb.Listeners...)
				for k := range lb.Listeners {
					lb.Listeners[k].Rules = []proxy.Rule{{ID: fmt.Sprint(i), Priority: 1 + i%7, Conditions: []proxy.Condition{{Field: proxy.Path, Values: []string{fmt.Sprint("/no", i)}}}, Action: proxytest.ForwardTo("tg")}}
				}
				if i%2 == 0 {
					lb.Listeners = append(lb.Listeners, proxy.Listener{ID: "other", Port: other, Default: proxytest.ForwardTo("tg")})
				}
				again.LoadBalancers = []proxy.LoadBalancer{lb}
				if err := v.e.Set(t.Context(), &again); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
		var clients sync.WaitGroup
		for i := range 8 {
			clients.Go(func() {
				for k := range 25 {
					c, r := v.dial(t, secure)
					fmt.Fprintf(c, "GET /%d-%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", i, k)
					all, err := io.ReadAll(r)
					if want := fmt.Sprintf("/%d-%d ", i, k); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 200 ") || !strings.HasSuffix(string(all), want) {
						t.Errorf("%.200q %v, want %q", all, err, want)
					}
					c.Close()
				}
			})
		}
		clients.Wait()
		close(stop)
		wg.Wait()
		until(t, "all to be forgotten", func() bool { return v.e.Counters("lb").ActiveConnections == 0 })
		if n := v.e.Counters("lb"); n.Target.C2xx != 200 || n.NewConnections != 200 {
			t.Errorf("counters %+v", n)
		}
		// The connections to the target stay when those of clients end.
		if n := v.e.Account().TargetGroups["tg"][""].NewConnections; n > 40 {
			t.Errorf("%d connections to the target for 200 requests", n)
		}
	})
}

// TestListenerGoes takes a listener away while connections wait that nobody has
// accepted yet, and others that have just begun: each has one answer, then the end.
func TestListenerGoes(t *testing.T) {
	eachLane(t, echoPath, func(t *testing.T, v *laneEnv, secure bool) {
		if secure {
			t.Skip("who has not begun with TLS is not waited for")
		}
		early, early2 := v.dial(t, false)
		until(t, "it to be accepted", func() bool { return v.inLanes() == 1 })
		gate, busy := make(chan bool), make(chan bool)
		for _, l := range v.e.lanes {
			l.loop.Do(func() { busy <- true; <-gate })
			<-busy
		}
		type one struct {
			c net.Conn
			r *bufio.Reader
		}
		var all []one
		for i := range 30 {
			c, r := v.dial(t, false)
			// Half of them are a goroutine's.
			body := "Content-Length: 0\r\n\r\n"
			if i%2 == 0 {
				body = "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
			}
			io.WriteString(c, "POST /late HTTP/1.1\r\nHost: a\r\n"+body)
			all = append(all, one{c, r})
		}
		again := v.config
		again.LoadBalancers = []proxy.LoadBalancer{v.config.LoadBalancers[0]}
		again.LoadBalancers[0].Listeners = again.LoadBalancers[0].Listeners[1:]
		if err := v.e.Set(t.Context(), &again); err != nil {
			t.Fatal(err)
		}
		close(gate)
		all = append(all, one{early, early2})
		io.WriteString(early, "GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
		for i, o := range all {
			resp, err := http.ReadResponse(o.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "/late " || !resp.Close && o.c != early {
				t.Errorf("%d: %q %v %v", i, b, err, resp.Close)
			}
			if b, err := io.ReadAll(o.r); err != nil || len(b) > 0 {
				t.Errorf("then %q %v", b, err)
			}
		}
	})
}
