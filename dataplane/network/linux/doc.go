// Package linux makes VPCs out of network namespaces, veth pairs, routes and
// nftables.
//
//	 host                  hub ("the internet")           VPC (the router)            interface
//	┌──────────────┐      ┌────────────────────┐      ┌──────────────────────┐      ┌───────────────┐
//	│ mn<id> ──────┼─veth─┤ host      u<vpc> ──┼─veth─┤ igw     e<interface>─┼─veth─┤ eth0          │
//	│ .1 service   │      │ a /32 route to     │      │ a /32 route to each  │      │ 10.0.2.5/24   │
//	│ .2 the host  │      │ each public address│      │ interface; groups,   │      │ default via   │
//	│ masquerade   │      │ the rest blackhole │      │ ACLs, 1:1 translation│      │ 10.0.2.1      │
//	└──────────────┘      └────────────────────┘      └──────────────────────┘      └───────────────┘
//
// A VPC is a namespace that routes. Each interface is a veth pair with a /32
// route to its end in the VPC, so no two interfaces share a wire: traffic within
// a subnet is filtered like any other, and the strict reverse path check drops
// forged sources. Neighbours are permanent entries; nothing asks ARP. Interfaces
// without a namespace of their own (load balancers) are addresses on the VPC's lo.
//
// Routing is the kernel's: a rule per subnet chooses the table of its route
// table. Table 100, asked first, holds what is inside the VPC. What leads nowhere
// is routed to lo, where the rules count and drop it, because AWS is silent where
// the kernel would send "unreachable". A NAT gateway is a namespace of its own
// behind an interface in its subnet, so that the routes of that subnet decide
// whether it reaches anything. An endpoint is a namespace too, which has one
// address: only the route tables that lead to it know the way, and the address it
// is called from is the caller's own.
//
// The hub stands between the VPCs and the host: traffic between public addresses,
// also back into the same VPC, never meets the host's firewall, and the host has
// one link, one route and one nft table of ours, however many VPCs there are.
//
// Everything is pinned in Options.Dir and goes on working when this process dies.
// The next one finds it there: observe reads what is real, and the same
// difference that serves a change serves the adoption. A part that failed is
// observed again by the next Set. nft tables are replaced in one transaction.
//
// Differences from AWS: an ACL does not see packets on their way through a NAT
// gateway at that gateway's subnet; there is no IPv6.
package linux
