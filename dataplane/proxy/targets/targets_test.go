package targets

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/news"
	"minato/internal/clock"
)

// group makes one with so many targets, none of which is checked.
func group(t interface{ Cleanup(func()) }, n int) (*Group, func(n int)) {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	g := NewGroup(&Env{Context: ctx, Work: &sync.WaitGroup{}, Clock: clock.Real(1), News: news.New()}, "g")
	set := func(n int) {
		tg := &proxy.TargetGroup{ID: "g"}
		for i := range n {
			tg.Targets = append(tg.Targets, proxy.Target{Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 80)})
		}
		g.Set(tg, nil)
	}
	set(n)
	return g, set
}

// TestChooseIsFair: round robin gives each target its turn, and counts it.
func TestChooseIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, turns := rapid.IntRange(1, 9).Draw(t, "targets"), rapid.IntRange(1, 5).Draw(t, "turns")
		g, _ := group(t, n)
		got := map[*Target]int64{}
		for range n * turns {
			got[g.Choose("", nil)]++
		}
		for of, times := range got {
			if times != int64(turns) || of.InFlight.Load() != times {
				t.Fatalf("%v was chosen %d times of %d, with %d in flight", of.Addr, times, turns, of.InFlight.Load())
			}
		}
		if len(got) != n {
			t.Fatalf("%d of %d targets were chosen", len(got), n)
		}
	})
}

// TestChooseTriesOthers: who was tried is not chosen again.
func TestChooseTriesOthers(t *testing.T) {
	g, _ := group(t, 3)
	var tried []*Target
	for range 3 {
		tried = append(tried, g.Choose("", tried))
	}
	if g.Choose("", tried) != nil || tried[0] == tried[1] || tried[1] == tried[2] || tried[0] == tried[2] {
		t.Fatal("a target was chosen twice")
	}
}

// TestFlowsStay: when a target comes, flows move to it or stay where they were.
func TestFlowsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 9).Draw(t, "targets")
		g, set := group(t, n)
		before := map[string]netip.AddrPort{}
		for i := range 50 {
			from := fmt.Sprint("10.1.0.1:", i)
			before[from] = g.Flow("", from).Addr
		}
		set(n + 1)
		for from, was := range before {
			if is := g.Flow("", from).Addr; is != was && is.Addr().As4()[3] != byte(n) {
				t.Fatalf("the flow of %s went from %v to %v", from, was, is)
			}
		}
	})
}

// connection is one of an event loop.
type connection struct{ AtRest *AtRest }

// Close implements InLoop.
func (c *connection) Close() { c.AtRest.Remove(netip.Addr{}, c) }

// Sever implements InLoop.
func (c *connection) Sever() {}

// TestAtRest: what is put to rest is taken out once, the last one first, by node; and
// closing all leaves none, though each takes itself out.
func TestAtRest(t *testing.T) {
	var r AtRest
	here, there := netip.Addr{}, netip.MustParseAddr("10.0.0.1")
	a, b, c := &connection{&r}, &connection{&r}, &connection{&r}
	r.Put(here, a)
	r.Put(here, b)
	r.Put(there, c)
	if r.Take(here) != b || r.Take(here) != a || r.Take(here) != nil || r.Take(there) != c {
		t.Fatal("not the last one of the node")
	}
	r.Put(here, a)
	r.Put(here, b)
	r.close()
	if r.Take(here) != nil {
		t.Fatal("one was left")
	}
	for range MaxIdle {
		r.Put(here, a)
	}
	if r.Put(here, b) {
		t.Fatal("more rest than may")
	}
}
