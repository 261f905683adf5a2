// Package ec2 is the network half of Amazon EC2: VPCs, subnets, gateways, route
// tables, addresses, security groups and network interfaces, and the instances
// that stand for workspaces. It has no virtual machines.
//
// An operation checks what AWS checks and writes records. The reconciler of the
// network reads them all, computes the whole wanted state of the data plane
// (package netplan, pure) and hands it over; what the data plane then is - a NAT
// gateway that is available, an interface that is there - is written back.
//
//	          CreateNatGateway          Set done                DeleteNatGateway      Set done
//	(nothing) ───────────────► pending ─────────► available ──────────────────► deleting ─────► deleted (an hour)
//
//	          CreateNetworkInterface     used by a service of ours
//	(nothing) ─────────────────────► available / in-use ──► (nothing)
//
// Every account has a default VPC in the region, as AWS gives it: 172.31.0.0/16
// with a /20 subnet in each of three zones, an internet gateway, a main route
// table that leads there. A service's interfaces are made through this API too,
// under the service's own identity, and are requester-managed.
//
//	          CreateVpcEndpoint          Set done                DeleteVpcEndpoints        Set done
//	(nothing) ────────────────► pending ─────────► available ───────────────────► deleting ─────────► (nothing)
//
// A VPC endpoint (package endpoint) leads to a service that minato serves.
//
// Not here: IPv6, peering, transit gateways, VPNs, prefix lists of one's own, and
// endpoints for services of others. Their operations answer an error.
package ec2
