// Package proxy is the interface of the load balancer's data plane: what a
// control plane hands over (Config), what it may ask (Health, Listeners,
// Counters), and nothing of how it is done. It knows no AWS.
//
// The engine that does the work is dataplane/proxy/engine; proxytest is the
// suite that every engine must pass. loop is the event loop that it uses, http1, http2
// and multiplex its protocols, match its rules, targets whom it chooses from, stream what its
// goroutines read and write.
//
// # How it is used
//
// The whole wanted state goes in with Set; the same twice is fine. What is new
// is opened, what is gone is closed, what is unchanged is not touched:
// connections, pools, counters and health live on over any number of Sets.
//
//   - A load balancer has nodes: addresses (of its network interfaces) inside a
//     named network. It listens on each of them, and it dials targets from the
//     node that took the request, so that the network's rules (security groups,
//     routes) see where traffic really comes from.
//   - A target group is used when a rule of some listener forwards to it. Only
//     then its targets are checked, from the load balancer's first node.
//   - A target marked Draining gets no new request; those in flight go on. A
//     target that is no longer in the Config is cut: its connections are closed.
//     So whoever calls Set decides how long draining takes.
//   - Health survives a restart by being handed back in (Target.Last): such a
//     target counts as it did before until the first check says otherwise.
//
// # The life of a target's health
//
//	(in no rule)    Unused/NotInUse
//	      |  a rule forwards to the group
//	      v
//	Initial/Registering --check sent--> Initial/Checking
//	      |  one check passes                |  UnhealthyThreshold checks fail
//	      v                                  v
//	   Healthy  --UnhealthyThreshold fail--> Unhealthy/{Mismatch,Timeout,Failed}
//	            <--HealthyThreshold pass---
//	any of them --Target.Draining--> Draining --no longer in Config--> gone
//
// Intervals between checks are paced by the clock; how long a check may take
// never is. When a group has no healthy target, requests go to all of them that
// do not drain (fail open); when it has none at all the answer is 503.
package proxy
