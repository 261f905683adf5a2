package elbv2

import (
	"net/netip"
	"slices"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// dnsName is the load balancer's name with what it resolves to: its addresses in
// the zones that are not out.
func (b *balancer) dnsName(seen nodes, out map[string]bool) Name {
	n := Name{Name: strings.ToLower(aws.Val(b.DNSName)), Internal: aws.Val(b.Scheme) == elbapi.LoadBalancerSchemeEnumInternal, VPC: aws.Val(b.VpcId)}
	for _, node := range seen.Nodes {
		addr := node.Public
		if n.Internal {
			addr = node.Private
		}
		if addr.IsValid() && !out[b.zoneOf(node.Subnet)] {
			n.Addrs = append(n.Addrs, addr)
		}
	}
	return n
}

// failedOver are the zones that the load balancer's name does not lead to, for a
// target group that keeps to its zones has too few healthy targets there. Where
// no zone would be left all are (fail open). A group that is well nowhere says
// nothing about zones.
func (b *balancer) failedOver(inv *inventory) map[string]bool {
	out := map[string]bool{}
	for i := range inv.groups {
		g := &inv.groups[i]
		if !slices.Contains(g.LoadBalancerArns, aws.Val(b.LoadBalancerArn)) || g.crosses(b.attribute(crossZoneKey) == "true") {
			continue
		}
		healthy := map[netip.AddrPort]bool{}
		for _, h := range inv.health[aws.Val(g.TargetGroupArn)].Targets {
			healthy[h.Address] = h.State == proxy.Healthy
		}
		all, well, anywhere := map[string]int{}, map[string]int{}, false
		for _, t := range g.Targets {
			if t.Deregister != nil {
				continue
			}
			for _, zone := range b.zoneNames() {
				if t.Zone != zone && t.Zone != "all" {
					continue
				}
				if all[zone]++; healthy[t.Address] {
					well[zone]++
					anywhere = true
				}
			}
		}
		for _, zone := range b.zoneNames() {
			if anywhere && (well[zone] < g.number(dnsCount) || well[zone]*100 < g.number(dnsPercent)*all[zone]) {
				out[zone] = true
			}
		}
	}
	if len(out) == len(b.AvailabilityZones) {
		return nil
	}
	return out
}
