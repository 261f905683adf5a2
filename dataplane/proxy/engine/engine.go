package engine

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/news"
	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/tally"
	"minato/dataplane/proxy/targets"
	"minato/internal/clock"
)

const (
	defaultIdle      = time.Minute
	defaultKeepAlive = time.Hour
	sweepEvery       = 5 * time.Second
)

// Engine implements proxy.Proxy.
type Engine struct {
	sockets proxy.Sockets
	clock   clock.Clock
	log     *slog.Logger
	news    *news.News
	tell    atomic.Pointer[func(*proxy.Exchange)]
	meet    atomic.Pointer[func(*proxy.Connection)]
	probed  atomic.Pointer[func(*proxy.Checked)]

	laneOptions loop.Options
	noLanes     bool
	lanes       []*lane
	targets     *targets.Env
	greetTime   time.Duration // how long a client's handshake may take

	ctx    context.Context // until Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu        sync.Mutex
	balancers map[string]*balancer
	groups    map[string]*targets.Group
}

var _ proxy.Proxy = (*Engine)(nil)

// balancer is one load balancer.
type balancer struct {
	id      string
	network string
	sockets map[netip.AddrPort]*socket
	counts  map[string]*tally.Counters // by zone; they only grow
}

// zone returns the counters of a zone.
func (b *balancer) zone(name string) *tally.Counters {
	c := b.counts[name]
	if c == nil {
		c = &tally.Counters{}
		b.counts[name] = c
	}
	return c
}

// New makes an engine that does nothing yet.
func New(s proxy.Sockets, c clock.Clock, log *slog.Logger, options ...Option) *Engine {
	e := &Engine{greetTime: handshakeTime, sockets: s, clock: c, log: log, balancers: map[string]*balancer{}, groups: map[string]*targets.Group{}}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.news = news.New()
	for _, o := range options {
		o(e)
	}
	e.openLanes()
	e.targets = &targets.Env{Context: e.ctx, Work: &e.work, Sockets: s, Clock: c, News: e.news, Checked: e.checked}
	for _, l := range e.lanes {
		e.targets.Loops = append(e.targets.Loops, l.loop)
	}
	e.work.Go(func() { e.news.Run(e.ctx) })
	e.work.Go(e.sweep)
	return e
}

// OnChange implements proxy.Proxy.
func (e *Engine) OnChange(f func(proxy.Change)) { e.news.Subscribe(f) }

// Set implements proxy.Proxy.
func (e *Engine) Set(_ context.Context, c *proxy.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	users := c.Users()
	wanted := map[string]bool{}
	for i := range c.TargetGroups {
		tg := &c.TargetGroups[i]
		wanted[tg.ID] = true
		g := e.groups[tg.ID]
		if g == nil {
			g = targets.NewGroup(e.targets, tg.ID)
			e.groups[tg.ID] = g
		}
		g.Set(tg, users[tg.ID])
	}
	e.setBalancers(c)
	// Last, so that no rule leads to a group that is gone.
	for id, g := range e.groups {
		if !wanted[id] {
			g.Set(&proxy.TargetGroup{ID: id}, nil)
			delete(e.groups, id)
		}
	}
	return nil
}

func (e *Engine) setBalancers(c *proxy.Config) {
	wanted := map[string]bool{}
	for i := range c.LoadBalancers {
		lb := &c.LoadBalancers[i]
		wanted[lb.ID] = true
		b := e.balancers[lb.ID]
		if b != nil && b.network != lb.Network {
			b.close()
			b = nil
		}
		if b == nil {
			b = &balancer{id: lb.ID, network: lb.Network, sockets: map[netip.AddrPort]*socket{}, counts: map[string]*tally.Counters{}}
			e.balancers[lb.ID] = b
		}
		open := map[netip.AddrPort]bool{}
		for j := range lb.Listeners {
			t := compile(b, lb, &lb.Listeners[j], e.groups)
			t.tls = secure.Config(&lb.Listeners[j], !lb.Options.NoHTTP2 && len(e.lanes) > 0)
			for _, node := range lb.Nodes {
				at := netip.AddrPortFrom(node.Addr, lb.Listeners[j].Port)
				open[at] = true
				if s := b.sockets[at]; s != nil {
					s.table.Store(t)
				} else {
					b.sockets[at] = e.open(b, at, t)
				}
			}
		}
		for at, s := range b.sockets {
			if !open[at] {
				s.close()
				delete(b.sockets, at)
			}
		}
	}
	for id, b := range e.balancers {
		if !wanted[id] {
			b.close()
			delete(e.balancers, id)
		}
	}
}

func (b *balancer) close() {
	for _, s := range b.sockets {
		s.close()
	}
}

// Health implements proxy.Proxy.
func (e *Engine) Health(id string) ([]proxy.TargetHealth, bool) {
	e.mu.Lock()
	g := e.groups[id]
	e.mu.Unlock()
	if g == nil {
		return nil, false
	}
	return g.Health(), true
}

// Listeners implements proxy.Proxy.
func (e *Engine) Listeners(id string) []proxy.ListenerStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.balancers[id]
	if b == nil {
		return nil
	}
	var all []proxy.ListenerStatus
	for _, s := range b.sockets {
		all = append(all, s.status())
	}
	slices.SortFunc(all, func(x, y proxy.ListenerStatus) int { return x.Address.Compare(y.Address) })
	return all
}

// Counters implements proxy.Proxy.
func (e *Engine) Counters(id string) proxy.Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all proxy.Counters
	if b := e.balancers[id]; b != nil {
		for _, c := range b.counts {
			all = all.Plus(c.Read())
		}
	}
	return all
}

// Account implements proxy.Proxy.
func (e *Engine) Account() proxy.Account {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := proxy.Account{LoadBalancers: map[string]map[string]proxy.Counters{}, TargetGroups: map[string]map[string]proxy.GroupCounters{}}
	for id, b := range e.balancers {
		zones := map[string]proxy.Counters{}
		for zone, c := range b.counts {
			zones[zone] = c.Read()
		}
		a.LoadBalancers[id] = zones
	}
	for id, g := range e.groups {
		a.TargetGroups[id] = g.Account()
	}
	return a
}

// sweep tidies the connections to targets now and then.
func (e *Engine) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-tick.C:
			e.mu.Lock()
			all := slices.Collect(maps.Values(e.groups))
			e.mu.Unlock()
			for _, g := range all {
				g.Sweep(now)
			}
		}
	}
}

// Close implements proxy.Proxy.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.cancel()
	for id, b := range e.balancers {
		b.close()
		delete(e.balancers, id)
	}
	for id, g := range e.groups {
		g.Set(&proxy.TargetGroup{ID: id}, nil)
		delete(e.groups, id)
	}
	e.mu.Unlock()
	e.closeLanes()
	e.work.Wait()
	return nil
}
