// Package iam serves IAM: users and their access keys, groups, roles, instance
// profiles, policies (inline, the customer's with their versions, and AWS's
// own), permissions boundaries and service-linked roles. It also is the
// gateway's Authenticator for long-lived keys and its Authorizer.
//
// An entity is one record, its inline policies and the ARNs of its attached
// ones in it, so that most operations write one record:
//
//	iam/user/<account>/global/<name, lower case>
//	iam/access-key/<account>/global/<id>
//	iam/group/…  iam/role/…  iam/instance-profile/…  iam/policy/…
//	iam/account/<account>/global        what was made for the account itself
//
// Names are unique without regard to case, as on AWS. A customer's policy
// counts its attachments in its own record, so that deleting and attaching at
// once cannot both win.
//
// Decisions (authorize.go) come from a cache of principals with their compiled
// policies, which every write of this package empties. Nobody else writes
// below iam/, so that a caller sees its own change at once.
//
// A service of ours that calls another for itself is decided by the policy of
// its service-linked role, which is made when it is first needed, as ECS, ELB
// and RDS do it. linked.go says what our services need beyond that.
//
// Not here: passwords and MFA, SAML and OIDC providers, SSH keys, reports,
// organizations. Those operations answer that they are not served; those that
// list a user's credentials answer that there are none.
package iam
