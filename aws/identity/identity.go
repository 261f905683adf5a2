// Package identity carries who makes a call: from the signature of a request,
// or from the service of ours that calls on its own behalf.
package identity

import (
	"context"
	"strings"
)

// Kind tells what sort of principal a Caller is.
type Kind uint8

// The kinds of principals.
const (
	Anonymous   Kind = iota
	Root             // the account itself
	User             // an IAM user
	AssumedRole      // a role's session
	Service          // a service of ours, under its service-linked role
)

// Caller is the authenticated maker of a call.
type Caller struct {
	Kind          Kind
	Account       string // 12 digits
	Region        string // the region the call is for
	Partition     string // "aws"
	ARN           string // as GetCallerIdentity shows it
	UserID        string // unique id ("AIDA…", "AROA…:session")
	PrincipalID   string // ARN of the user or role whose policies count
	AccessKeyID   string
	Service       string            // of a Service: its principal, "ecs.amazonaws.com"
	Source        string            // of a Service: the ARN of what it acts for (aws:SourceArn), where it is known
	Via           string            // service that forwards the caller's rights (aws:CalledVia), such as CloudFormation
	SourceIP      string            // empty for calls from inside
	UserAgent     string            // as sent by the client
	Tags          map[string]string // session and principal tags, for aws:PrincipalTag
	SessionPolicy string            // JSON of an inline session policy, if any
	// Endpoint is the VPC endpoint that the request came through, nil for none.
	// What is done for the caller later, or by a service that forwards his rights,
	// does not come through it.
	Endpoint *Endpoint `json:"-"`
}

// Endpoint is a VPC endpoint as a request passes it.
type Endpoint struct {
	ID, VPC string
	Policy  string // JSON
	// Signing is the name that requests to its service are signed for, and Actions
	// are the service's in policies, before the colon.
	Signing, Actions string
	Source           string // the private address that the request came from
}

// ServiceCaller is the identity a service of ours uses for calls that nobody
// asked for at that moment: its service-linked role.
func ServiceCaller(principal, account, region string) Caller {
	return Caller{
		Kind: Service, Account: account, Region: region, Partition: "aws", Service: principal,
		ARN: "arn:aws:sts::" + account + ":assumed-role/" + strings.TrimSuffix(principal, ".amazonaws.com") + "/minato",
	}
}

type key struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, c Caller) context.Context { return context.WithValue(ctx, key{}, c) }

// From returns the caller of the context; the zero Caller (Anonymous) when
// there is none.
func From(ctx context.Context) Caller {
	c, _ := ctx.Value(key{}).(Caller)
	return c
}
