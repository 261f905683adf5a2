package engine

import (
	"bytes"
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

// table is a listener made ready for requests. It never changes.
type table struct {
	b        *balancer
	id       string
	port     uint16
	opts     proxy.Options
	hide     bool                // the Server header of targets
	set      []proxy.HeaderField // of every answer
	zones    map[netip.Addr]string
	tls      *tls.Config // nil: plain
	stream   bool
	rules    []rule
	fallback action
}

type rule struct {
	conditions []proxy.Condition
	action     action
}

type action struct {
	priority int // of its rule; 0 for the default
	forward  []share
	sticky   time.Duration // of the groups in forward
	total    int           // of the weights in forward
	fixed    *proxy.FixedResponse
	redirect *proxy.Redirect
}

type share struct {
	group  *group
	weight int
}

func compile(b *balancer, lb *proxy.LoadBalancer, l *proxy.Listener, groups map[string]*group) *table {
	t := &table{b: b, id: l.ID, port: l.Port, opts: lb.Options, hide: l.HideServer, set: l.SetHeaders, stream: l.Stream, zones: map[netip.Addr]string{}, tls: tlsConfig(lb, l), fallback: compileAction(&l.Default, groups)}
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
		t.rules = append(t.rules, rule{compileConditions(rules[i].Conditions), a})
	}
	return t
}

// Characters of a pattern that stand for themselves. No request holds these bytes.
const (
	plainStar = 1
	plainMark = 2
)

// compileConditions takes the backslashes out of patterns of query strings.
func compileConditions(all []proxy.Condition) []proxy.Condition {
	all = slices.Clone(all)
	plain := strings.NewReplacer(`\\`, `\`, `\*`, string(rune(plainStar)), `\?`, string(rune(plainMark)))
	for i := range all {
		if all[i].Field != proxy.Query {
			continue
		}
		all[i].Queries = slices.Clone(all[i].Queries)
		for j, q := range all[i].Queries {
			all[i].Queries[j] = proxy.QueryPattern{Key: plain.Replace(q.Key), Value: plain.Replace(q.Value)}
		}
	}
	return all
}

func compileAction(a *proxy.Action, groups map[string]*group) action {
	c := action{fixed: a.Fixed, redirect: a.Redirect}
	if a.Forward != nil {
		c.sticky = a.Forward.Sticky
		for _, g := range a.Forward.Groups {
			c.forward = append(c.forward, share{groups[g.TargetGroup], g.Weight})
			c.total += g.Weight
		}
	}
	return c
}

// pick chooses a group by weight; nil when all weights are 0.
func (a *action) pick() *group {
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
		if holds(t.rules[i].conditions, r, source) {
			return &t.rules[i].action
		}
	}
	return &t.fallback
}

func holds(conditions []proxy.Condition, r *http1.Request, source netip.Addr) bool {
	for i := range conditions {
		if !condition(&conditions[i], r, source) {
			return false
		}
	}
	return true
}

func condition(c *proxy.Condition, r *http1.Request, source netip.Addr) bool {
	switch c.Field {
	case proxy.Path:
		return anyGlob(c.Values, r.Path, false)
	case proxy.Host:
		return anyGlob(c.Values, hostname(r.Host), true)
	case proxy.Method:
		return slices.ContainsFunc(c.Values, func(v string) bool { return v == string(r.Method) })
	case proxy.Header:
		for i := range r.Fields {
			if f := &r.Fields[i]; len(f.Name) == len(c.Name) && bytes.EqualFold(f.Name, []byte(c.Name)) && anyGlob(c.Values, f.Value, true) {
				return true
			}
		}
	case proxy.Query:
		for rest := r.Query; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{'&'})
			key, value, _ := bytes.Cut(pair, []byte{'='})
			for _, q := range c.Queries {
				if (q.Key == "" || glob(q.Key, key, true)) && glob(q.Value, value, true) {
					return true
				}
			}
		}
	case proxy.SourceIP:
		return slices.ContainsFunc(c.Sources, func(p netip.Prefix) bool { return p.Contains(source) })
	}
	return false
}

// hostname is a Host without its port.
func hostname(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

func anyGlob(patterns []string, s []byte, fold bool) bool {
	for _, p := range patterns {
		if glob(p, s, fold) {
			return true
		}
	}
	return false
}

// glob matches s against a pattern with * and ?. It goes back to the latest
// star only, which is enough, and so takes len(p)*len(s) steps at worst.
func glob(p string, s []byte, fold bool) bool {
	i, star, from := 0, -1, 0
	for j := 0; j < len(s); {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j] || fold && lower(p[i]) == lower(s[j]) || p[i] == plainStar && s[j] == '*' || p[i] == plainMark && s[j] == '?'):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
