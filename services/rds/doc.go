// Package rds is Amazon RDS for MySQL, MariaDB and PostgreSQL: instances, subnet
// groups, parameter groups, snapshots and events. The servers themselves are
// dataplane/database's.
//
// What RDS offers is data: catalog.json (versions, instance classes) and
// parameters/ (parameters of each engine). What is retired there is refused in
// RDS's words, or with RetiredVersions: accept the nearest is taken and an event
// says so.
//
// An operation checks what RDS checks and writes what is wanted; the reconciler
// compares that with what is observed (plan_instance.go, pure) and takes one
// step after the other:
//
//	CreateDBInstance          interface, server, first answer
//	─────────────► creating ─────────────────────────────────► available ◄──────────┐
//	                   │ no server program                      │ │ │ │             │
//	                   └─► failed                               │ │ │ └ Modify… ► modifying
//	                                                            │ │ └─ Reboot… ► rebooting
//	                   Start…            Stop…                  │ └── CreateDBSnapshot ► backing-up
//	      starting ◄────────── stopped ◄─────────── stopping ◄──┘
//	         └──► available
//	any ── DeleteDBInstance ──► deleting ── (final snapshot) ──► (nothing)
//
// A server that does not start with the parameters of its group is
// incompatible-parameters until they are changed.
//
// The master's password is not kept: the record has the verifier that the server
// itself would store, until the server has it.
//
// What the server program does not do is said: DescribeEvents tells that MariaDB
// stands in for MySQL, and which parameters are not applied. Refused with an
// error, because nothing here would do it: Multi-AZ, storage encryption, IAM
// authentication, passwords in Secrets Manager, read replicas, clusters,
// Performance Insights, Enhanced Monitoring, log exports, directories.
package rds
