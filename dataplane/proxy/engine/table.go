package engine

import (
	"cmp"
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/match"
	"minato/dataplane/proxy/rewrite"
	"minato/dataplane/proxy/targets"
)

// table is a listener made ready for requests. It never changes.
type table struct {
	b        *balancer
	id       string
	port     uint16
	opts     proxy.Options
	hide     bool                // the Server header of targets
	set      []proxy.HeaderField // of every answer
	version  string              // the fields of Options.TLSHeaders
	cipher   string
	zones    map[netip.Addr]string
	tls      *tls.Config // nil: plain
	stream   bool
	rules    []rule
	fallback action
}

type rule struct {
	conditions []match.Condition
	action     action
}

type action struct {
	priority int // of its rule; 0 for the default
	forward  []share
	sticky   time.Duration // of the groups in forward
	total    int           // of the weights in forward
	fixed    *proxy.FixedResponse
	redirect *proxy.Redirect
	rewrite  *rewrite.Rewrite // of a forward; nil: the request goes on as it came
}

type share struct {
	group  *targets.Group
	weight int
}

func compile(b *balancer, lb *proxy.LoadBalancer, l *proxy.Listener, groups map[string]*targets.Group) *table {
	t := &table{b: b, id: l.ID, port: l.Port, opts: lb.Options, hide: l.HideServer, set: l.SetHeaders, version: cmp.Or(l.TLSVersion, "X-Amzn-Tls-Version"), cipher: cmp.Or(l.TLSCipher, "X-Amzn-Tls-Cipher-Suite"), stream: l.Stream, zones: map[netip.Addr]string{}, fallback: compileAction(&l.Default, groups)}
	for _, n := range lb.Nodes {
		t.zones[n.Addr] = n.Zone
	}
	if l.IdleTimeout > 0 {
		t.opts.IdleTimeout = l.IdleTimeout
	}
	if t.opts.IdleTimeout <= 0 {
		t.opts.IdleTimeout = defaultIdle
	}
	if t.opts.ClientKeepAlive <= 0 {
		t.opts.ClientKeepAlive = defaultKeepAlive
	}
	rules := slices.Clone(l.Rules)
	slices.SortStableFunc(rules, func(x, y proxy.Rule) int { return x.Priority - y.Priority })
	for i := range rules {
		a := compileAction(&rules[i].Action, groups)
		a.priority = rules[i].Priority
		t.rules = append(t.rules, rule{match.Compile(rules[i].Conditions), a})
	}
	return t
}

func compileAction(a *proxy.Action, groups map[string]*targets.Group) action {
	c := action{fixed: a.Fixed, redirect: a.Redirect}
	if a.Forward != nil {
		c.sticky = a.Forward.Sticky
		c.rewrite, _ = rewrite.Compile(a.Forward.Rewrite) // it was validated
		for _, g := range a.Forward.Groups {
			c.forward = append(c.forward, share{groups[g.TargetGroup], g.Weight})
			c.total += g.Weight
		}
	}
	return c
}

// pick chooses a group by weight; nil when all weights are 0.
func (a *action) pick() *targets.Group {
	if a.total == 0 {
		return nil
	}
	if len(a.forward) == 1 {
		return a.forward[0].group
	}
	n := rand.IntN(a.total)
	for _, s := range a.forward {
		if n -= s.weight; n < 0 {
			return s.group
		}
	}
	return nil
}

// match finds the action for a request.
func (t *table) match(r *http1.Request, source netip.Addr) *action {
	for i := range t.rules {
		if match.All(t.rules[i].conditions, r, source) {
			return &t.rules[i].action
		}
	}
	return &t.fallback
}
