package targets

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

// Group is a target group.
type Group struct {
	ID    string
	Token string // in cookies
	env   *Env

	Settings atomic.Pointer[proxy.TargetGroup] // but for the targets
	next     atomic.Uint32                     // round robin
	eligible atomic.Pointer[rosters]           // who gets requests

	mu      sync.Mutex
	check   proxy.Check
	user    *proxy.User
	targets []*Target
	tallies map[string]*tally.Tally // by zone; they only grow
}

// NewGroup makes a group without targets.
func NewGroup(e *Env, id string) *Group {
	return &Group{env: e, ID: id, Token: cookie.Token(id), tallies: map[string]*tally.Tally{}}
}

// Target is one target of a group.
type Target struct {
	Group    *Group
	Addr     netip.AddrPort
	Token    string       // in cookies
	Tally    *tally.Tally // of its zone
	InFlight atomic.Int64
	Pool     Pool
	AtRest   []AtRest // by loop
	HTTP2    Carriers
	// ramp is since when the target's share grows, in nanoseconds; 0 when it is
	// full, or would be by now.
	ramp atomic.Int64

	// Guarded by Group.mu.
	zone     string
	draining bool
	drainAt  proxy.TargetHealth // what is reported while draining
	track    check.Tracker
	stop     context.CancelFunc // of the check loop; nil when it does not run
	wake     chan struct{}      // the check loop's: something changed
}

// Set makes tg the wanted state; u is the load balancer that uses the group.
func (g *Group) Set(tg *proxy.TargetGroup, u *proxy.User) {
	g.Settings.Store(tg)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.env.Clock.Now()
	changed := !reflect.DeepEqual(g.check, tg.Check) || !reflect.DeepEqual(g.user, u)
	begins := g.user == nil && u != nil
	g.check, g.user = tg.Check, u

	old := map[netip.AddrPort]*Target{}
	for _, t := range g.targets {
		old[t.Addr] = t
	}
	g.targets = nil
	for _, want := range tg.Targets {
		t := old[want.Address]
		delete(old, want.Address)
		fresh := t == nil
		if fresh {
			t = &Target{Group: g, Addr: want.Address, Token: cookie.Token(g.ID, want.Address.String()), AtRest: make([]AtRest, len(g.env.Loops)), wake: make(chan struct{}, 1)}
			t.track.Start(now, want.Last)
			t.Pool.init(t)
		}
		if t.zone = want.Zone; fresh {
			t.Tally = g.tallyOf(want.Zone) // what it does counts where it began
		}
		g.targets = append(g.targets, t)
		switch {
		case want.Draining && !t.draining:
			t.draining = true
			t.drainAt = proxy.TargetHealth{State: proxy.Draining, Reason: proxy.Deregistering, Since: now}
			t.Pool.drain()
		case !want.Draining && (t.draining || begins && !fresh):
			t.draining = false
			t.track.Start(now, nil)
			t.Pool.init(t)
		}
		t.follow(changed)
	}
	for _, t := range old {
		t.draining = true
		t.follow(false)
		if tg.Linger {
			t.Pool.drain()
			continue
		}
		t.Pool.cut()
		t.HTTP2.close()
	}
	g.refresh()
}

// tallyOf is the tally of a zone. g.mu is held.
func (g *Group) tallyOf(zone string) *tally.Tally {
	t := g.tallies[zone]
	if t == nil {
		t = &tally.Tally{}
		g.tallies[zone] = t
	}
	return t
}

// follow starts, wakes or stops the check loop. g.mu is held.
func (t *Target) follow(changed bool) {
	wanted := t.Group.user != nil && !t.draining && !t.Group.check.Disabled
	switch {
	case wanted && t.stop == nil:
		ctx, cancel := context.WithCancel(t.Group.env.Context)
		t.stop = cancel
		t.Group.env.Work.Go(func() { t.checkLoop(ctx) })
	case wanted && changed:
		select {
		case t.wake <- struct{}{}:
		default:
		}
	case !wanted && t.stop != nil:
		t.stop()
		t.stop = nil
	}
	if t.Group.check.Disabled && !t.draining {
		t.track.Assume(t.Group.env.Clock.Now())
	}
}

// checkLoop checks the target at once and then at every interval.
func (t *Target) checkLoop(ctx context.Context) {
	for {
		t.Group.mu.Lock()
		u, c := t.Group.user, t.Group.check
		t.Group.mu.Unlock()
		if ctx.Err() != nil || u == nil {
			return
		}
		started := t.Group.env.Clock.Now()
		result, err := check.Probe(ctx, t.Group.env.Sockets, u.Network, u.Node, t.Addr, c)
		wait := t.Group.env.Clock.Paced(c.Interval) - t.Group.env.Clock.Now().Sub(started)
		if err != nil {
			wait = notReadyRetry // the node is not there yet: nobody is to blame
		} else {
			t.Group.observe(ctx, t, result, c)
			t.Group.env.Checked(&proxy.Checked{TargetGroup: t.Group.ID, Target: t.Addr, Kind: c.Kind, TLS: c.TLS, Result: result})
		}
		select {
		case <-ctx.Done():
			return
		case <-t.wake:
		case <-t.Group.env.Clock.After(max(wait, 0)):
		}
	}
}

func (g *Group) observe(ctx context.Context, t *Target, r proxy.CheckResult, c proxy.Check) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() != nil {
		return // stopped while it was asking
	}
	was := t.track.State()
	if t.track.Observe(r, c) {
		if slow := g.Settings.Load().SlowStart; slow > 0 && was != proxy.Healthy && t.track.State() == proxy.Healthy && g.settled(t) {
			t.ramp.Store(g.env.Clock.Now().UnixNano())
		}
		g.refresh()
		if g.Settings.Load().CutUnhealthy && t.track.State() == proxy.Unhealthy {
			t.Pool.sever()
		}
		g.env.News.Add(proxy.Change{TargetGroup: g.ID})
	}
}

// Health is how the targets are.
func (g *Group) Health() []proxy.TargetHealth {
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
		h.Address, h.InFlight = t.Addr, int(t.InFlight.Load())
		all = append(all, h)
	}
	return all
}

// Account is what the targets of each zone have done, and how they are.
func (g *Group) Account() map[string]proxy.GroupCounters {
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
