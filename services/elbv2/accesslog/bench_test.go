package accesslog

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"minato/dataplane/proxy"
)

// examples are requests as a benchmark's: each with a trace id, an address and times of its own.
func examples(n int) []proxy.Exchange {
	all := make([]proxy.Exchange, n)
	for i := range all {
		all[i] = example()
		x := &all[i]
		x.TraceID = fmt.Appendf(nil, "Root=1-%08x-%024x", i, rand.Uint64())
		x.Created = x.Created.Add(time.Duration(i) * 17 * time.Microsecond)
		x.Ended = x.Created.Add(time.Duration(rand.IntN(4000)) * time.Microsecond)
		x.Thinking = time.Duration(rand.IntN(4000)) * time.Microsecond
		x.Connection = fmt.Sprintf("%032x", i%64)
	}
	return all
}

// BenchmarkAdd is what a request costs who tells of it, and with it what compressing costs.
func BenchmarkAdd(b *testing.B) {
	c := New(nil, time.Now, slog.New(slog.DiscardHandler))
	c.Set([]Balancer{*balancer()})
	all := examples(1 << 14)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		c.Add(&all[i%len(all)])
	}
}

// BenchmarkLine is the line alone.
func BenchmarkLine(b *testing.B) {
	lb, all := balancer(), examples(1<<14)
	var w line
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.b = w.b[:0]
		lb.exchange(&w, &all[i%len(all)])
	}
}
