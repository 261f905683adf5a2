package linux

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"

	"minato/dataplane/network"
)

// The sets of dropped packets, by reason. An ACL is told apart by direction,
// because only the subnet on that side has it.
const (
	dropsIn     = "drops_ingress"
	dropsOut    = "drops_egress"
	dropsACLIn  = "drops_acl_in"
	dropsACLOut = "drops_acl_out"
	dropsRoute  = "drops_no_route"
	dropsPublic = "drops_no_public"
	dropsNobody = "drops_nobody"
)

var dropSets = []string{dropsIn, dropsOut, dropsACLIn, dropsACLOut, dropsRoute, dropsPublic, dropsNobody}

// chainOf names the chain that records a drop and drops.
func chainOf(dropSet string) string { return "to_" + dropSet }

// makeRules writes the rules of a VPC's namespace.
//
// A new connection passes: the ACLs of both subnets; egress (eni_out: source
// address to a chain of its groups); after_egress, which sees where the route
// leads; ingress (eni_in: destination address to a chain of its groups). An
// interface's chain jumps to one chain for each group, and drops what none
// accepted. Interfaces with the same groups share a chain; what has no groups
// (NAT gateways, some load balancers) passes at once.
func makeRules(v *network.VPC, p *plan) *ruleset {
	rs := newRuleset()
	for _, s := range dropSets {
		rs.recordAndDrop(chainOf(s), s)
	}
	inside := rs.set("inside", addrs)
	eniIn, eniOut := rs.set("eni_in", addrToChain), rs.set("eni_out", addrToChain)
	routerIn, routerOut := rs.set("router_in", linkToChain), rs.set("router_out", linkToChain)
	publicIn, publicOut := rs.set("public_in", addrToAddr), rs.set("public_out", addrToAddr)

	for _, g := range v.Groups {
		rs.set("m_"+g.ID, addrs)
	}
	for _, g := range v.Groups {
		rs.add("in_"+g.ID, groupRules(rs, g.Ingress, srcOffset, (*ruleBuilder).accept)...)
		rs.add("out_"+g.ID, groupRules(rs, g.Egress, dstOffset, func(r *ruleBuilder) *ruleBuilder { return r.goTo("after_egress") })...)
	}
	translate := func(addr, public netip.Addr) {
		if public.IsValid() && v.InternetGateway {
			publicIn.mapAddr(public, addr)
			publicOut.mapAddr(addr, public)
		}
	}
	for _, e := range v.Interfaces {
		in, out := "ungrouped", "after_egress"
		if !e.Unfiltered {
			in, out = groupChains(rs, e.Groups)
		}
		eniIn.gotoAddr(e.Addr, in)
		eniOut.gotoAddr(e.Addr, out)
		translate(e.Addr, e.Public)
		for _, g := range e.Groups {
			if m := rs.sets["m_"+g]; m != nil {
				m.addr(e.Addr)
			}
		}
		switch {
		case e.Inside:
			inside.addr(e.Addr)
		case e.Forward:
			routerIn.gotoLink(p.eths[e.ID].link, in)
			routerOut.gotoLink(p.eths[e.ID].link, out)
		}
	}
	rs.add("ungrouped", match().accept())
	for _, n := range v.NATGateways {
		eniOut.gotoAddr(n.Addr, "after_egress")
		routerIn.gotoLink(p.eths[n.Interface].link, "ungrouped")
		translate(n.Addr, n.Public)
	}
	for _, e := range v.Endpoints {
		routerIn.gotoLink(p.eths[e.ID].link, "ungrouped")
	}
	addACLs(rs, v)
	spoof := func(chain string) { // a private address of ours does not come from outside
		for _, c := range v.CIDRs {
			rs.add(chain, match().in(uplinkName).src(c).drop())
		}
	}
	filter := func(num *nftables.ChainHook) hook {
		return hook{typ: nftables.ChainTypeFilter, num: num, priority: nftables.ChainPriorityFilter, drop: true}
	}

	rs.base("forward", filter(nftables.ChainHookForward))
	spoof("forward")
	rs.add("forward",
		match().jump("acl"),
		match().established().accept(),
		match().invalid().drop(),
		match().in(uplinkName).goTo("ingress"),
		match().srcVmap("eni_out"),
		match().inVmap("router_out"),
		match().drop())

	rs.base("input", filter(nftables.ChainHookInput), match().in("lo").accept()) // filtered on its way out
	for _, s := range v.Services {
		rs.add("input", match().notIn(uplinkName).dst(netip.PrefixFrom(s.Addr, 32)).proto(uint8(s.Protocol)).dport(s.Port, s.Port).accept())
	}
	spoof("input")
	rs.add("input",
		match().dstNotIn("inside").drop(),
		match().jump("acl"),
		match().established().accept(),
		match().invalid().drop(),
		match().in(uplinkName).goTo("ingress"),
		match().srcVmap("eni_out"),
		match().inVmap("router_out"),
		match().drop())

	rs.base("output", filter(nftables.ChainHookOutput))
	for _, a := range serviceAddrs(v) {
		rs.add("output", match().src(netip.PrefixFrom(a, 32)).notOut(uplinkName).accept())
	}
	rs.add("output",
		match().jump("acl"),
		match().established().accept(),
		match().srcVmap("eni_out"),
		match().drop())

	rs.add("after_egress",
		match().dstVmap("eni_in"),
		match().out(uplinkName).srcHas("public_out").accept(),
		match().out(uplinkName).goTo(chainOf(dropsPublic)),
		match().outVmap("router_in"))
	for _, c := range v.CIDRs {
		rs.add("after_egress", match().dst(c).goTo(chainOf(dropsNobody)))
	}
	rs.add("after_egress", match().goTo(chainOf(dropsRoute)))

	rs.add("ingress", match().dstVmap("eni_in"), match().goTo(chainOf(dropsNobody)))

	nat := func(num *nftables.ChainHook, prio *nftables.ChainPriority) hook {
		return hook{typ: nftables.ChainTypeNAT, num: num, priority: prio}
	}
	rs.base("prerouting", nat(nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest), match().in(uplinkName).dnatMap("public_in"))
	rs.base("postrouting", nat(nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource), match().out(uplinkName).snatMap("public_out"))
	return rs
}

// groupChains returns the ingress and egress chain of interfaces with these groups.
func groupChains(rs *ruleset, groups []string) (in, out string) {
	groups = slices.Clone(groups)
	slices.Sort(groups)
	groups = slices.Compact(groups)
	sum := sha256.Sum256([]byte(strings.Join(groups, " ")))
	key := hex.EncodeToString(sum[:8])
	in, out = "ci_"+key, "co_"+key
	if rs.chains[in] != nil {
		return in, out
	}
	for _, g := range groups {
		if rs.sets["m_"+g] != nil {
			rs.add(in, match().jump("in_"+g))
			rs.add(out, match().jump("out_"+g))
		}
	}
	rs.add(in, match().goTo(chainOf(dropsIn)))
	rs.add(out, match().goTo(chainOf(dropsOut)))
	return in, out
}

// groupRules writes the rules of a group in one direction; offset is that of the
// other side's address.
func groupRules(rs *ruleset, rules []network.Rule, offset uint32, end func(*ruleBuilder) *ruleBuilder) []*ruleBuilder {
	word := map[uint32]string{srcOffset: "saddr", dstOffset: "daddr"}[offset]
	var out []*ruleBuilder
	for _, r := range rules {
		b := match()
		switch {
		case r.Group == "":
			b.addrIn(word, offset, r.CIDR, true)
		case rs.sets["m_"+r.Group] == nil:
			continue // a group of another network: nobody of it is here
		default:
			b.inSet(word, offset, "m_"+r.Group, true)
		}
		out = append(out, end(ports(b, r.Protocol, r.FromPort, r.ToPort)))
	}
	return out
}

// ports matches protocol and ports.
func ports(b *ruleBuilder, p network.Protocol, from, to int) *ruleBuilder {
	switch p {
	case network.All:
		return b
	case network.TCP, network.UDP:
		b.proto(uint8(p))
		if from < 0 {
			return b
		}
		return b.dport(uint16(from), uint16(to))
	case network.ICMP:
		return b.proto(uint8(p)).icmp(from, to)
	default:
		return b.proto(uint8(p))
	}
}

// addACLs writes the chain acl, which drops what an ACL does not let pass at the
// border of a subnet, and returns from the rest.
func addACLs(rs *ruleset, v *network.VPC) {
	acls := map[string]network.ACL{}
	for _, a := range v.ACLs {
		acls[a.ID] = a
	}
	rs.add("acl")
	for _, s := range v.Subnets {
		a, ok := acls[s.ACL]
		if !ok {
			continue
		}
		if !allows(a.Egress) {
			rs.add("acl", match().src(s.CIDR).notDst(s.CIDR).jump("acl_out_"+a.ID))
			aclChain(rs, "acl_out_"+a.ID, a.Egress, dstOffset, dropsACLOut)
		}
		if !allows(a.Ingress) {
			rs.add("acl", match().dst(s.CIDR).notSrc(s.CIDR).jump("acl_in_"+a.ID))
			aclChain(rs, "acl_in_"+a.ID, a.Ingress, srcOffset, dropsACLIn)
		}
	}
}

func aclChain(rs *ruleset, name string, rules []network.ACLRule, offset uint32, drops string) {
	if rs.chains[name] != nil {
		return
	}
	rules = slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b network.ACLRule) int { return a.Number - b.Number })
	word := map[uint32]string{srcOffset: "saddr", dstOffset: "daddr"}[offset]
	for _, r := range rules {
		b := ports(match().addrIn(word, offset, r.CIDR, true), r.Protocol, r.FromPort, r.ToPort)
		if r.Allow {
			rs.add(name, b.ret())
		} else {
			rs.add(name, b.goTo(chainOf(drops)))
		}
	}
	rs.add(name, match().goTo(chainOf(drops)))
}

// serviceAddrs lists the addresses of the VPC's own services once each.
func serviceAddrs(v *network.VPC) []netip.Addr {
	var out []netip.Addr
	for _, s := range v.Services {
		if !slices.Contains(out, s.Addr) {
			out = append(out, s.Addr)
		}
	}
	return out
}
