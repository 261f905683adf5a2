package engine_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
)

// BenchmarkProxy is 64 clients with connections kept asking for 1 KiB through
// the load balancer; each iteration is one request. The target is a bare loop
// that answers in one write, so that what is measured is the proxy.
func BenchmarkProxy(b *testing.B) {
	target := rawTarget(b, 1024)
	addr := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), proxytest.FreePort(b))
	e := engine.New(&proxytest.Loopback{}, clock.Real(1), slog.New(slog.DiscardHandler))
	defer e.Close()
	check := proxytest.Check()
	check.Disabled = true
	err := e.Set(b.Context(), &proxy.Config{
		LoadBalancers: []proxy.LoadBalancer{{ID: "lb", Nodes: []proxy.Node{{Addr: addr.Addr()}}, Listeners: []proxy.Listener{{ID: "l", Port: addr.Port(), Default: proxytest.ForwardTo("tg")}}}},
		TargetGroups:  []proxy.TargetGroup{{ID: "tg", Check: check, Targets: []proxy.Target{{Address: target}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	for e.Listeners("lb")[0].Err != nil {
		time.Sleep(time.Millisecond)
	}
	const clients = 64
	work := make(chan struct{}, clients)
	var wg sync.WaitGroup
	for range clients {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		wg.Go(func() {
			r := bufio.NewReaderSize(c, 4096)
			for range work {
				if err := ask(c, r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func ask(c net.Conn, r *bufio.Reader) error {
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"); err != nil {
		return err
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) == 2 {
			_, err = r.Discard(1024)
			return err
		}
	}
}

// rawTarget answers each request with a body of n bytes.
func rawTarget(b *testing.B, n int) netip.AddrPort {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := fmt.Appendf(nil, "HTTP/1.1 %d OK\r\nContent-Length: %d\r\nContent-Type: text/plain\r\n\r\n%s", http.StatusOK, n, make([]byte, n))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}
