package engine

import (
	"context"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/check"
	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/tally"
)

// group is a target group.
type group struct {
	e     *Engine
	id    string
	token string // in cookies

	settings atomic.Pointer[proxy.TargetGroup] // but for the targets
	next     atomic.Uint32                     // round robin
	eligible atomic.Pointer[rosters]           // who gets requests

	mu      sync.Mutex
	check   proxy.Check
	user    *proxy.User
	targets []*target
	tallies map[string]*tally.Tally // by zone; they only grow
}

func newGroup(e *Engine, id string) *group {
	return &group{e: e, id: id, token: cookie.Token(id), tallies: map[string]*tally.Tally{}}
}

// target is one target of a group.
type target struct {
	g        *group
	addr     netip.AddrPort
	token    string       // in cookies
	tally    *tally.Tally // of its zone
	inflight atomic.Int64
	pool     pool
	idle     []idler // by lane
	http2    carriers
	// ramp is since when the target's share grows, in nanoseconds; 0 when it is
	// full, or would be by now.
	ramp atomic.Int64

	// Guarded by g.mu.
	zone     string
	draining bool
	drainAt  proxy.TargetHealth // what is reported while draining
	track    check.Tracker
	stop     context.CancelFunc // of the check loop; nil when it does not run
	wake     chan struct{}      // the check loop's: something changed
}

// set makes tg the wanted state; u is the load balancer that uses the group.
func (g *group) set(tg *proxy.TargetGroup, u *proxy.User) {
	g.settings.Store(tg)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.e.clock.Now()
	changed := !reflect.DeepEqual(g.check, tg.Check) || !reflect.DeepEqual(g.user, u)
	begins := g.user == nil && u != nil
	g.check, g.user = tg.Check, u

	old := map[netip.AddrPort]*target{}
	for _, t := range g.targets {
		old[t.addr] = t
	}
	g.targets = nil
	for _, want := range tg.Targets {
		t := old[want.Address]
		delete(old, want.Address)
		fresh := t == nil
		if fresh {
			t = &target{g: g, addr: want.Address, token: cookie.Token(g.id, want.Address.String()), idle: make([]idler, len(g.e.lanes)), wake: make(chan struct{}, 1)}
			t.track.Start(now, want.Last)
			t.pool.init(t)
		}
		if t.zone = want.Zone; fresh {
			t.tally = g.tallyOf(want.Zone) // what it does counts where it began
		}
		g.targets = append(g.targets, t)
		switch {
		case want.Draining && !t.draining:
			t.draining = true
			t.drainAt = proxy.TargetHealth{State: proxy.Draining, Reason: proxy.Deregistering, Since: now}
			t.pool.drain()
		case !want.Draining && (t.draining || begins && !fresh):
			t.draining = false
			t.track.Start(now, nil)
			t.pool.init(t)
		}
		t.follow(changed)
	}
	for _, t := range old {
		t.draining = true
		t.follow(false)
		if tg.Linger {
			t.pool.drain()
			continue
		}
		t.pool.cut()
		t.http2.close()
	}
	g.refresh()
}

// tallyOf is the tally of a zone. g.mu is held.
func (g *group) tallyOf(zone string) *tally.Tally {
	t := g.tallies[zone]
	if t == nil {
		t = &tally.Tally{}
		g.tallies[zone] = t
	}
	return t
}

// follow starts, wakes or stops the check loop. g.mu is held.
func (t *target) follow(changed bool) {
	wanted := t.g.user != nil && !t.draining && !t.g.check.Disabled
	switch {
	case wanted && t.stop == nil:
		ctx, cancel := context.WithCancel(t.g.e.ctx)
		t.stop = cancel
		t.g.e.work.Go(func() { t.checkLoop(ctx) })
	case wanted && changed:
		select {
		case t.wake <- struct{}{}:
		default:
		}
	case !wanted && t.stop != nil:
		t.stop()
		t.stop = nil
	}
	if t.g.check.Disabled && !t.draining {
		t.track.Assume(t.g.e.clock.Now())
	}
}

// checkLoop checks the target at once and then at every interval.
func (t *target) checkLoop(ctx context.Context) {
	for {
		t.g.mu.Lock()
		u, c := t.g.user, t.g.check
		t.g.mu.Unlock()
		if ctx.Err() != nil || u == nil {
			return
		}
		started := t.g.e.clock.Now()
		result, err := check.Probe(ctx, t.g.e.sockets, u.Network, u.Node, t.addr, c)
		wait := t.g.e.clock.Paced(c.Interval) - t.g.e.clock.Now().Sub(started)
		if err != nil {
			wait = notReadyRetry // the node is not there yet: nobody is to blame
		} else {
			t.g.observe(ctx, t, result, c)
			t.checked(result, c)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-t.g.e.clock.After(max(wait, 0)):
		}
	}
}

func (g *group) observe(ctx context.Context, t *target, r proxy.CheckResult, c proxy.Check) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return // stopped while it was asking
	}
	was := t.track.State()
	if t.track.Observe(r, c) {
		if slow := g.settings.Load().SlowStart; slow > 0 && was != proxy.Healthy && t.track.State() == proxy.Healthy && g.settled(t) {
			t.ramp.Store(g.e.clock.Now().UnixNano())
		}
		g.refresh()
		if g.settings.Load().CutUnhealthy && t.track.State() == proxy.Unhealthy {
			t.pool.sever()
		}
		g.e.news.Add(proxy.Change{TargetGroup: g.id})
	}
}

func (g *group) health() []proxy.TargetHealth {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]proxy.TargetHealth, 0, len(g.targets))
	for _, t := range g.targets {
		var h proxy.TargetHealth
		switch {
		case t.draining:
			h = t.drainAt
		case g.user == nil:
			h = proxy.TargetHealth{State: proxy.Unused, Reason: proxy.NotInUse}
		default:
			h = t.track.Health()
		}
		h.Address, h.InFlight = t.addr, int(t.inflight.Load())
		all = append(all, h)
	}
	return all
}

// account is what the targets of each zone have done, and how they are.
func (g *group) account() map[string]proxy.GroupCounters {
	g.mu.Lock()
	defer g.mu.Unlock()
	zones := map[string]proxy.GroupCounters{}
	for zone, t := range g.tallies {
		zones[zone] = t.Read()
	}
	for _, t := range g.targets {
		if t.draining || g.user == nil {
			continue
		}
		c := zones[t.zone]
		switch t.track.State() {
		case proxy.Healthy:
			c.Healthy++
		case proxy.Unhealthy:
			c.Unhealthy++
		}
		zones[t.zone] = c
	}
	return zones
}
