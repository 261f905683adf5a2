package linux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"minato/dataplane/network"
)

// vpc is one VPC's namespace and what is known to be in it.
type vpc struct {
	n   *Network
	id  string
	ns  *os.File
	rt  *netlink.Handle
	nft *table

	// have is what is there; nil until observed, and again after a failure.
	have *plan
	cfg  *network.VPC // what have was made from
	gone []departed   // interfaces whose drops may still be asked for

	ready map[string]bool // interfaces that are real

	mu sync.Mutex // nft: reading drops while rules change
}

// openVPC opens a VPC's namespace, made if need be.
func (n *Network) openVPC(id string) (*vpc, error) {
	pin := n.vpcPin(id)
	if !pinned(pin) {
		if err := createNS(pin, func() error {
			h, err := routeHandle()
			if err != nil {
				return err
			}
			defer h.Close()
			lo, err := h.LinkByName("lo")
			if err != nil {
				return err
			}
			if err := h.LinkSetUp(lo); err != nil {
				return err
			}
			return routerSysctls()
		}); err != nil {
			return nil, err
		}
	}
	v := &vpc{n: n, id: id}
	var err error
	if v.ns, err = os.Open(pin); err != nil {
		return nil, err
	}
	if err = inNS(v.ns, func() (err error) { v.rt, err = routeHandle(); return err }); err == nil {
		v.nft, err = openTable(int(v.ns.Fd()), tableName)
	}
	if err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

// close lets go of the namespace without touching what is in it.
func (v *vpc) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cfg = nil
	if v.nft != nil {
		v.nft.close()
	}
	if v.rt != nil {
		v.rt.Close()
	}
	v.ns.Close()
}

// observe reads what is real in the namespace. Interfaces count only when they
// are finished; the rules are not read but replaced.
func (v *vpc) observe(want *plan) (*plan, error) {
	have := &plan{
		local: map[netip.Addr]bool{}, eths: map[string]eth{}, routes: map[routeKey]routeVal{},
		rules: map[netip.Prefix]int{}, public: map[netip.Addr]bool{}, loose: map[string]bool{},
	}
	links, err := v.rt.LinkList()
	if err != nil {
		return nil, err
	}
	wanted, names := map[string]eth{}, map[int]string{}
	for _, e := range want.eths {
		wanted[e.link] = e
	}
	var lo netlink.Link
	for _, l := range links {
		a := l.Attrs()
		names[a.Index] = a.Name
		switch e, ok := wanted[a.Name]; {
		case a.Name == "lo":
			lo = l
		case a.Name == uplinkName:
			have.uplink = a.Alias == uplinkDone
		case ok && a.Alias == e.digest() && pinned(v.n.NetnsPath(e.id)):
			have.eths[e.id] = e
		default:
			// A leftover, or half made: its name stands for it, so that it is removed.
			have.eths["link "+a.Name] = eth{link: a.Name}
		}
	}
	as, err := v.rt.AddrList(lo, netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	for _, a := range as {
		if p := toPrefix(a.IPNet); !p.Addr().IsLoopback() {
			have.local[p.Addr()] = true
		}
	}
	routes, err := v.rt.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if r.Table != insideTable && r.Table < 0x10000 {
			continue // the kernel's own
		}
		val := routeVal{dev: names[r.LinkIndex]}
		val.via, _ = netip.AddrFromSlice(r.Gw.To4())
		val.src, _ = netip.AddrFromSlice(r.Src.To4())
		have.routes[routeKey{r.Table, toPrefix(r.Dst)}] = val
	}
	rules, err := v.rt.RuleList(netlink.FAMILY_V4)
	if err != nil {
		return nil, err
	}
	inside := false
	for _, r := range rules {
		switch {
		case r.Priority == insideRule:
			inside = true
		case r.Priority == subnetRule && r.Src != nil:
			have.rules[toPrefix(r.Src)] = r.Table
		}
	}
	if !inside {
		if err := v.rt.RuleAdd(ipRule(insideRule, nil, insideTable)); err != nil && !exists(err) {
			return nil, fmt.Errorf("rule for what is inside: %w", err)
		}
	}
	return have, nil
}

func ipRule(priority int, from *netip.Prefix, table int) *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table = unix.AF_INET, priority, table
	if from != nil {
		r.Src = ipNet(*from)
	}
	return r
}

// apply makes want real. What is allowed comes last, what is forbidden first:
// links and routes, then rules in one transaction, then deletions. Failures of
// single interfaces do not stop the others.
func (v *vpc) apply(ctx context.Context, cfg *network.VPC, want *plan) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	have := v.have
	known := have != nil
	v.have = nil
	if !known {
		var err error
		if have, err = v.observe(want); err != nil {
			return err
		}
		if err := v.nft.replace(want.rs); err != nil {
			return err
		}
	}
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	fail(v.syncLocal(have, want))
	if want.uplink && !have.uplink {
		fail(v.n.hub.connect(v))
		have.loseRoutes(uplinkName)
	}
	broken := v.makeEths(ctx, have, want)
	for id, err := range broken {
		fail(fmt.Errorf("interface %s: %w", id, err))
	}
	fail(v.setLoose(have, want, known))
	fail(v.addRoutes(have, want))
	if known {
		fail(v.nft.update(have.rs, want.rs))
	}
	v.remove(have, want)
	v.forget(have, want)
	v.depart(cfg, time.Now())
	v.cfg = cfg
	if len(errs) == 0 {
		v.have = want
	}
	v.setReady(cfg, broken)
	return errors.Join(errs...)
}

// loseRoutes says that a link was made anew: the kernel removed the routes over
// an earlier one of that name.
func (p *plan) loseRoutes(link string) {
	maps.DeleteFunc(p.routes, func(_ routeKey, val routeVal) bool { return val.dev == link })
}

func (v *vpc) setReady(cfg *network.VPC, broken map[string]error) {
	v.ready = make(map[string]bool, len(cfg.Interfaces))
	for _, e := range cfg.Interfaces {
		if broken[e.ID] == nil {
			v.ready[e.ID] = true
		}
	}
}

func (v *vpc) syncLocal(have, want *plan) error {
	lo, err := v.rt.LinkByName("lo")
	if err != nil {
		return err
	}
	for a := range want.local {
		if !have.local[a] {
			if err := addAddr(v.rt, lo, netip.PrefixFrom(a, 32)); err != nil {
				return err
			}
		}
	}
	for a := range have.local {
		if !want.local[a] {
			if err := v.rt.AddrDel(lo, &netlink.Addr{IPNet: host32(a)}); err != nil && !gone(err) {
				return fmt.Errorf("removing address %s: %w", a, err)
			}
		}
	}
	return nil
}

// makeEths makes what is missing, a few at a time, and returns what failed.
func (v *vpc) makeEths(ctx context.Context, have, want *plan) map[string]error {
	broken := map[string]error{}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(4)
	for id, e := range want.eths {
		if have.eths[id] == e {
			continue
		}
		have.loseRoutes(e.link)
		g.Go(func() error {
			err := ctx.Err()
			if err == nil {
				err = v.makeEth(e)
			}
			if err != nil {
				mu.Lock()
				broken[id] = err
				mu.Unlock()
			}
			return nil
		})
	}
	g.Wait()
	return broken
}

// setLoose turns the reverse path check off where others' packets come through,
// and on again elsewhere.
func (v *vpc) setLoose(have, want *plan, known bool) error {
	change := map[string]string{}
	for link := range want.loose {
		if !have.loose[link] {
			change[link] = "0"
		}
	}
	for id, e := range want.eths {
		if was := known && have.loose[e.link] || !known && have.eths[id] == e; was && !want.loose[e.link] {
			change[e.link] = "1"
		}
	}
	if len(change) == 0 {
		return nil
	}
	return inNS(v.ns, func() error {
		var errs []error
		for link, value := range change {
			errs = append(errs, sysctl("net/ipv4/conf/"+link+"/rp_filter", value))
		}
		return errors.Join(errs...)
	})
}

func (v *vpc) addRoutes(have, want *plan) error {
	index := map[string]int{}
	link := func(name string) (int, error) {
		if i, ok := index[name]; ok {
			return i, nil
		}
		l, err := v.rt.LinkByName(name)
		if err != nil {
			return 0, err
		}
		index[name] = l.Attrs().Index
		return index[name], nil
	}
	var errs []error
	for key, val := range want.routes {
		if have.routes[key] == val && val.dev != "" {
			continue
		}
		i, err := link(val.dev)
		if err == nil {
			err = v.rt.RouteReplace(v.route(key, val, i))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("route %s by %s: %w", key.dst, val.dev, err))
		}
	}
	for from, table := range want.rules {
		if have.rules[from] == table {
			continue
		}
		if err := v.rt.RuleAdd(ipRule(subnetRule, &from, table)); err != nil && !exists(err) {
			errs = append(errs, fmt.Errorf("rule for %s: %w", from, err))
		}
	}
	return errors.Join(errs...)
}

func (v *vpc) route(key routeKey, val routeVal, link int) *netlink.Route {
	r := &netlink.Route{LinkIndex: link, Table: key.table, Dst: ipNet(key.dst), Scope: netlink.SCOPE_LINK}
	if val.via.IsValid() {
		r.Scope, r.Gw, r.Flags = netlink.SCOPE_UNIVERSE, val.via.AsSlice(), int(netlink.FLAG_ONLINK)
	}
	if val.src.IsValid() {
		r.Src = val.src.AsSlice()
	}
	return r
}

// remove takes away what is no longer wanted. Links go in the background: the
// kernel takes tens of milliseconds for each, and the rules are gone already.
func (v *vpc) remove(have, want *plan) {
	for from, table := range have.rules {
		if want.rules[from] != table {
			v.warn("removing a rule", v.rt.RuleDel(ipRule(subnetRule, &from, table)))
		}
	}
	for key, val := range have.routes {
		if _, ok := want.routes[key]; !ok {
			r := v.route(key, val, 0)
			r.Gw, r.Flags, r.Src, r.Scope = nil, 0, nil, netlink.SCOPE_NOWHERE
			v.warn("removing a route", v.rt.RouteDel(r))
		}
	}
	kept := map[string]bool{}
	for _, e := range want.eths {
		kept[e.link] = true
	}
	for id, e := range have.eths {
		if kept[e.link] {
			continue
		}
		if e.id != "" {
			v.warn("unpinning "+id, unpin(v.n.NetnsPath(e.id)))
		}
		v.n.background(func() { v.n.deleteLink(v.id, e.link) })
	}
	if have.uplink && !want.uplink {
		v.warn("removing the uplink", v.n.hub.disconnect(v.id))
	}
}

func (v *vpc) warn(what string, err error) {
	if err != nil && !gone(err) {
		v.n.log.Warn("network: "+what, "vpc", v.id, "error", err)
	}
}

// forget ends the connections that the kernel tracks for addresses that went
// away, so that the next to have the address does not inherit them.
func (v *vpc) forget(have, want *plan) {
	var addrs []netip.Addr
	for id, e := range have.eths {
		if _, ok := want.eths[id]; !ok && e.id != "" {
			addrs = append(addrs, e.addr.Addr())
		}
	}
	for a := range have.local {
		if !want.local[a] {
			addrs = append(addrs, a)
		}
	}
	for a := range have.public {
		if !want.public[a] {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) > 0 {
		v.n.background(func() { v.n.forgetConnections(v.id, addrs) })
	}
}
