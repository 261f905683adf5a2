// Package sts serves STS: who the caller is, roles' sessions and temporary
// keys. It also is the gateway's Authenticator for temporary keys (ASIA…).
//
// A session is a record, written before it is answered, so that it is good
// after a restart too:
//
//	sts/session/<account>/global/<access key id>
//
// Its rights are not in it: IAM decides with the role's policies as they are
// at the time of a call; only the session policy is fixed. Expired sessions
// are swept now and then while new ones are made.
//
// Roles belong to IAM, which is asked through its API. Whether a caller may
// assume one is decided by IAM as well: the check of AssumeRole carries the
// role's trust policy. Services (ECS for tasks, EC2 for instances) assume roles
// by the same operation, as "ecs-tasks.amazonaws.com" or "ec2.amazonaws.com",
// so that a wrong trust policy stops them here as it does on AWS.
//
// Not here: federation (there are no identity providers: AssumeRoleWithWebIdentity
// says so), AssumeRoot, DecodeAuthorizationMessage, MFA.
package sts
