// Package elbv2 is Elastic Load Balancing v2: application and network load
// balancers, their listeners, rules and certificates, target groups of addresses
// and of instances, and the health of their targets.
//
// An operation checks what AWS checks and writes records. Four reconcilers do
// the rest:
//
//   - interfaces (plan_interfaces.go, pure): for each subnet of a load balancer
//     one network interface, made through EC2's API under the service's own
//     identity; what belongs to no load balancer any more is deleted. What is
//     there is written back as the load balancer's nodes.
//   - proxy (plan_proxy.go, pure): all records together are the wanted state of
//     the data plane (dataplane/proxy), and the names of the load balancers.
//     Targets whose draining is over are removed.
//   - instances: targets that are instances follow them: what is stopped gets
//     nothing, what is terminated is taken out.
//   - health: what the data plane saw of a target group is kept, so that a
//     restart begins with it, and the group's ARN is published on the bus.
//
// The states of a load balancer:
//
//	CreateLoadBalancer             each subnet's interface is there
//	─────────────────► provisioning ─────────────────────────► active ──Delete──► (nothing)
//
// and of a target, as DescribeTargetHealth shows it (dataplane/proxy draws the
// middle):
//
//	             a listener uses the group     one check passes
//	RegisterTargets ──► unused ──► initial ──────────────────────► healthy ◄──► unhealthy
//	                                  │ UnhealthyThreshold fail ───────────────────▲
//	DeregisterTargets: draining for deregistration_delay.timeout_seconds (paced), then gone;
//	at once where the group is in no use.
//
// For other services: a change of a target's health publishes the target group's
// ARN on the controller's bus, after DescribeTargetHealth shows it.
//
// Keys of certificates are handed in by the daemon (Deps.Certificates), since no
// operation shows them; whoever deletes one asks CertificateUsers first.
//
// Not here, each answered with an error that says so: gateway and classic load
// balancers; UDP, TCP_UDP and QUIC; network load balancers with addresses of one's
// own; lambda and alb targets; authentication actions;
// mutual TLS; FIPS policies; weighted random and anomaly mitigation; IPv6. Logs are
// package accesslog's.
package elbv2
