package linux

import (
	"net/netip"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// tableName is the nft table in each of our namespaces; on the host it carries
// the instance's id.
const tableName = "minato"

// hubHost is the hub's link to the host.
const hubHost = "host"

// localRanges are those that a machine's LAN or the machine itself may use; they
// are never on the internet.
var localRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("224.0.0.0/4"),
	netip.MustParsePrefix("240.0.0.0/4"),
}

// natGatewayRules: everything leaves with the gateway's own address; a call to
// the gateway itself is not answered.
func natGatewayRules() *ruleset {
	rs := newRuleset()
	rs.base("input", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter, drop: true})
	rs.base("forward", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookForward, priority: nftables.ChainPriorityFilter},
		match().invalid().drop())
	rs.base("postrouting", hook{typ: nftables.ChainTypeNAT, num: nftables.ChainHookPostrouting, priority: nftables.ChainPriorityNATSource},
		match().out("eth0").masquerade())
	return rs
}

// hubRules: between public addresses everything passes (the VPCs filter); what
// leaves for the host goes to our service address or to the internet, never to
// what may be the LAN or the machine itself.
func hubRules(o Options) *ruleset {
	rs := newRuleset()
	rs.base("input", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter, drop: true})
	rs.base("forward", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookForward, priority: nftables.ChainPriorityFilter},
		match().in(hubHost).notOut(hubHost).accept(),
		match().notOut(hubHost).accept(),
		match().dst(o.PublicCIDR).accept()) // the service, or an answer to the host
	for _, r := range localRanges {
		if o.LAN && r.Addr().IsPrivate() {
			continue
		}
		rs.add("forward", match().dst(r).drop())
	}
	return rs
}

// hostRules: VPCs reach nothing of the machine but the service ports; the LAN
// reaches nothing of ours; what goes out is masqueraded.
func hostRules(o Options) *ruleset {
	rs, link := newRuleset(), hostLink(o.ID)
	rs.base("input", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookInput, priority: nftables.ChainPriorityFilter},
		match().notIn(link).notIn("lo").dst(o.PublicCIDR).drop(),
		match().notIn(link).accept(),
		match().established().accept())
	for _, a := range []netip.Addr{o.service(), o.objects()} {
		for _, p := range o.ServicePorts {
			rs.add("input", match().dst(netip.PrefixFrom(a, 32)).proto(unix.IPPROTO_TCP).dport(p, p).accept())
		}
	}
	rs.add("input", match().drop())
	rs.base("forward", hook{typ: nftables.ChainTypeFilter, num: nftables.ChainHookForward, priority: nftables.ChainPriorityFilter},
		match().out(link).established().accept(),
		match().out(link).drop(),
		match().in(link).clampMSS())
	rs.base("postrouting", hook{typ: nftables.ChainTypeNAT, num: nftables.ChainHookPostrouting, priority: nftables.ChainPriorityNATSource},
		match().notOut(link).notOut("lo").src(o.PublicCIDR).masquerade())
	return rs
}
