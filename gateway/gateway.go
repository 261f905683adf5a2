// Package gateway is the one door to every operation, from the wire or from
// inside: authenticate, authorize, validate, invoke, log.
//
// A request from the wire passes ServeHTTP: the Host header must be one of
// ours, the signature is checked, the protocol decodes the body. A call from
// inside (a generated Client in a service) enters at Invoke with the caller in
// its context. From there both go the same way, so a service cannot do through
// another what the API would refuse.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"

	"minato/aws"
	"minato/aws/identity"
	"minato/internal/clock"
)

// Options is what a Gateway needs.
type Options struct {
	Account       string // the account of unsigned decisions, such as the default
	Region        string // the one region this instance runs
	Clock         clock.Clock
	Log           *slog.Logger
	Authenticator Authenticator
	Authorizer    Authorizer
	Validate      func(op *aws.Operation, in any) error // the constraints of the model

	// DevCredentials accepts any key without checking its signature; a key id
	// of 12 digits selects the account. Off by default.
	DevCredentials bool
	// Hosts are the Host headers served besides loopback's: the names of AWS's
	// services. A web page that found another name for us is refused.
	Hosts []string
	// Record, if set, is told every operation that came over HTTP and its
	// outcome; docs/coverage.md is made of what the end-to-end tests called.
	Record func(service, operation, code string)
	// Refusals, if set, remembers the calls that were refused.
	Refusals *Refusals
}

// Gateway routes operations to services.
type Gateway struct {
	opt      Options
	services map[string]*Registration // by our package name
	ops      map[*aws.Operation]*Registration
}

// New makes a gateway without services.
func New(opt Options) *Gateway {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Gateway{opt: opt, services: map[string]*Registration{}, ops: map[*aws.Operation]*Registration{}}
}

// Register adds a service. All services are registered before the first call;
// a served operation without a handler, or a handler without an operation, is a
// fault of the build and panics.
func (g *Gateway) Register(r Registration) {
	reg := &r
	for name, op := range r.Service.Operations {
		if r.Handlers[name] == nil {
			panic(fmt.Sprintf("gateway: %s.%s has no handler", r.Service.Name, name))
		}
		g.ops[op] = reg
	}
	for name := range r.Handlers {
		if r.Service.Operations[name] == nil {
			panic(fmt.Sprintf("gateway: the handler %s.%s has no operation", r.Service.Name, name))
		}
	}
	g.services[r.Service.Name] = reg
}

// Invoke runs an operation for the caller in ctx: validated, authorized, and
// guarded against panics. It implements aws.Invoker.
func (g *Gateway) Invoke(ctx context.Context, op *aws.Operation, in any) (out any, err error) {
	reg := g.ops[op]
	if reg == nil {
		return nil, aws.Internal(fmt.Errorf("no service is registered for %s", op.Action()))
	}
	if reflect.TypeOf(in) != reflect.PointerTo(op.Input) {
		return nil, aws.Internal(fmt.Errorf("%s was called with a %T", op.Action(), in))
	}
	denied := true
	defer func() {
		if err != nil {
			g.refused(ctx, op, in, err, denied)
		}
	}()
	if err := g.authorize(ctx, reg, op, in); err != nil {
		return nil, err
	}
	denied = false
	if g.opt.Validate != nil {
		if err := g.opt.Validate(op, in); err != nil {
			return nil, err
		}
	}
	defer func() {
		if r := recover(); r != nil {
			g.opt.Log.Error("operation panicked", "operation", op.Action(), "panic", r, "stack", string(debug.Stack()))
			out, err = nil, aws.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	out, err = reg.Handlers[op.Name](ctx, in)
	if err != nil {
		e := aws.AsError(err)
		if e.OurFault() && !errors.Is(err, context.Canceled) {
			g.opt.Log.Error("operation failed", "operation", op.Action(), "caller", identity.From(ctx).ARN, "error", err)
		}
		return nil, e
	}
	return out, nil
}

// authorize asks IAM every check of the call; the first denial is the answer.
func (g *Gateway) authorize(ctx context.Context, reg *Registration, op *aws.Operation, in any) error {
	caller := identity.From(ctx)
	var checks []Check
	if reg.Checks != nil {
		checks = reg.Checks(ctx, op, in)
	}
	if len(checks) == 0 {
		checks = []Check{{Action: op.Action(), Resource: "*"}}
	}
	for _, c := range checks {
		if c.Action == "" {
			continue
		}
		if err := g.opt.Authorizer.Authorize(ctx, caller, c); err != nil {
			if caller.Kind == identity.Anonymous && op.Service.Protocols[0] == aws.RestXML {
				return (&aws.Error{Code: "AccessDenied", Message: "Access Denied", Status: http.StatusForbidden}).Because(err)
			}
			return denial(op.Service, err)
		}
	}
	return nil
}

// denial gives an AccessDenied the code that the service's protocol uses
// (reference/clients.md: EC2 says UnauthorizedOperation, the query services
// AccessDenied, the JSON services AccessDeniedException).
func denial(svc *aws.Service, err error) error {
	var e *aws.Error
	if !errors.As(err, &e) || e.Code != "AccessDeniedException" {
		return err
	}
	d := *e
	switch svc.Protocols[0] {
	case aws.EC2:
		d.Code = "UnauthorizedOperation"
		d.Message = "You are not authorized to perform this operation. " + e.Message
		d.Status = 403
	case aws.Query, aws.CBOR, aws.RestXML:
		d.Code = "AccessDenied"
		d.Status = 403
	default:
		d.Status = 400
	}
	return &d
}
