package gateway

import (
	"context"

	"minato/aws"
	"minato/aws/identity"
)

// Check is one question to IAM: may the caller do Action on Resource? Without an
// Action nothing is asked: the operation asks for each thing that it does.
type Check struct {
	Action   string              // "ecs:RunTask"
	Resource string              // an ARN, or "*"
	Shown    string              // how a denial names the resource, where AWS shows what was asked for; "" means Resource
	Context  map[string][]string // condition keys, such as "iam:PassedToService"

	Owner string // the account of the resource, where its ARN has none (S3)

	// ResourcePolicy is the JSON of the resource's own policy, if it has one
	// (an ECR repository's); it may allow what the caller's policies do not.
	ResourcePolicy string
	// Trust says that ResourcePolicy is a role's trust policy, which must allow
	// whatever the caller's policies say. Only STS asks so.
	Trust bool
}

// Registration is what a service hands to the gateway.
type Registration struct {
	Service  *aws.Service
	Handlers map[string]aws.Handler // by operation name: <svc>api.Handlers(impl)
	// Checks lists what the caller must be allowed for this call; all must
	// hold. The first is the operation's own action. nil means the operation's
	// action on "*".
	Checks func(ctx context.Context, op *aws.Operation, in any) []Check
}

// Authorizer decides checks by the caller's policies. services/iam implements it.
type Authorizer interface {
	// Authorize returns nil, or an *aws.Error with AWS's denial message and the
	// code AccessDeniedException; the gateway changes the code to what the
	// service's protocol uses.
	Authorize(ctx context.Context, caller identity.Caller, check Check) error
}

// Credential is what is known of an access key.
type Credential struct {
	Secret       string
	SessionToken string // of temporary keys: must be presented
	Caller       identity.Caller
}

// Authenticator knows access keys. services/iam and services/sts implement it.
type Authenticator interface {
	// Credential returns what belongs to an access key id, or an *aws.Error:
	// InvalidClientTokenId / UnrecognizedClientException for an unknown key,
	// ExpiredToken for one that is over.
	Credential(ctx context.Context, accessKeyID string) (Credential, error)
}
