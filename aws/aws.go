// Package aws is the wire of AWS as minato speaks it: what a service, an
// operation and an error are. It knows no service of ours; the packages under
// aws/api are generated from AWS's own models and describe themselves with the
// types here.
package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// Ptr returns a pointer to a copy of v; generated shapes hold scalars by pointer.
func Ptr[T any](v T) *T { return &v }

// Val returns what p points to, or the zero value for nil.
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Error is the one error type that leaves an operation. Code and Message are
// AWS's and go to the user; Cause goes to the log only.
type Error struct {
	Code    string            // AWS's error code, such as "ClusterNotFoundException"
	Shape   string            // name of the modelled shape, where a service has codes of an older protocol besides; "" for Code
	Message string            // AWS's text for the user
	Status  int               // HTTP status; 0 means 400
	Fields  map[string]any    // further members of the modelled error shape, by member name
	Headers map[string]string // that go with the answer, where the protocol is of headers
	Cause   error             // why, for the log; never sent
}

// Errorf makes an Error with HTTP status 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// internalFailure is the code of a fault of ours until it is known which service
// answers for it.
const internalFailure = "InternalFailure"

// Internal makes the error for a fault of ours: the user sees AWS's
// InternalFailure, or what the service calls it (ServedBy); the log sees the
// cause.
func Internal(cause error) *Error {
	return &Error{Code: internalFailure, Message: "An internal error has occurred.", Status: http.StatusInternalServerError, Cause: cause}
}

// ServedBy is the error as a service tells it: a fault of ours has its code.
func (e *Error) ServedBy(s *Service) *Error {
	if s == nil || s.Fault == "" || e.Code != internalFailure {
		return e
	}
	c := *e
	c.Code = s.Fault
	return &c
}

// Error implements error.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Code + ": " + e.Message + " (" + e.Cause.Error() + ")"
	}
	return e.Code + ": " + e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Because returns a copy of e with the cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// HTTPStatus is the status the error is sent with.
func (e *Error) HTTPStatus() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// OurFault tells whether the error is a fault of the service's own, and not the
// caller's to mend: 501 is for who asks for what is not served.
func (e *Error) OurFault() bool {
	return e.HTTPStatus() >= http.StatusInternalServerError && e.HTTPStatus() != http.StatusNotImplemented
}

// IsCode reports whether err is an *Error with the given code.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// AsError returns err as an *Error; anything else becomes Internal(err).
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Internal(err)
}

// Protocol names a wire protocol as the models do.
type Protocol string

// The protocols of AWS's models.
const (
	JSON10   Protocol = "json1.0"
	JSON11   Protocol = "json1.1"
	Query    Protocol = "query"
	EC2      Protocol = "ec2"
	RestJSON Protocol = "rest-json"
	RestXML  Protocol = "rest-xml"
	CBOR     Protocol = "rpcv2-cbor"
)

// Service describes one AWS service on the wire. Generated packages hold one
// as their variable Model.
type Service struct {
	Name         string     // our package name, such as "elbv2"
	ServiceID    string     // the model's serviceId
	SigningName  string     // the service name in the SigV4 scope
	IAMPrefix    string     // the prefix of IAM actions, such as "elasticloadbalancing"
	APIVersion   string     // the Version parameter of query protocols
	TargetPrefix string     // X-Amz-Target prefix of JSON protocols
	XMLNamespace string     // namespace of XML answers
	Protocols    []Protocol // the protocols a client may choose; the first is the usual one
	Fault        string     // the code of a fault of the service's own, such as "ServerException"
	Global       bool       // IAM and STS: one endpoint for all regions
	QueryErrors  bool       // the newer protocols tell the codes of the query protocol too (awsQueryCompatible)
	Unserved     []Route    // what AWS has and we do not, of REST services
	Operations   map[string]*Operation
	Known        map[string]bool // every operation of the full model, served or not
}

// Route is how a REST service tells an operation by method and path.
type Route struct{ Name, Method, URI string }

// Operation describes one operation that minato serves.
type Operation struct {
	Name          string
	Service       *Service
	Input         reflect.Type // struct type of the input
	Output        reflect.Type // struct type of the output
	Method        string       // HTTP method of REST protocols
	URI           string       // URI template of REST protocols
	Status        int          // HTTP status of REST protocols' answers; 0 means 200
	ResultWrapper string       // element around the result in query answers, the root of REST-XML's
	InputShape    *Shape       // constraints and wire names of the input; nil when the operation has none
	OutputShape   *Shape       // nil when the operation answers with nothing
}

// NewInput returns a pointer to a new, zero input.
func (o *Operation) NewInput() any { return reflect.New(o.Input).Interface() }

// Action is the IAM action of the operation, such as "ecs:RunTask".
func (o *Operation) Action() string { return o.Service.IAMPrefix + ":" + o.Name }

// Handler runs one operation; in is the pointer NewInput returned, filled and
// validated; the answer is a pointer to the output struct. An error is an
// *Error, or becomes Internal.
type Handler func(ctx context.Context, in any) (any, error)

// Invoker runs operations in process, with authorization and validation as
// from the wire. The gateway is one; generated Clients call it.
type Invoker interface {
	Invoke(ctx context.Context, op *Operation, in any) (any, error)
}

// Call invokes an operation and returns its output as what it is; generated
// Clients are made of it.
func Call[Out any](ctx context.Context, invoker Invoker, op *Operation, in any) (*Out, error) {
	out, err := invoker.Invoke(ctx, op, in)
	if err != nil {
		return nil, err
	}
	typed, ok := out.(*Out)
	if !ok {
		return nil, Internal(fmt.Errorf("%s answered with a %T", op.Action(), out))
	}
	return typed, nil
}

// HandlerOf makes a Handler of a method of a generated API.
func HandlerOf[In, Out any](method func(context.Context, *In) (*Out, error)) Handler {
	return func(ctx context.Context, in any) (any, error) {
		typed, ok := in.(*In)
		if !ok {
			return nil, Internal(fmt.Errorf("the handler takes a %T, not a %T", typed, in))
		}
		out, err := method(ctx, typed)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// Register adds an operation with the given input and output to a service's
// table; generated packages do it at start.
func Register[In, Out any](svc *Service, op *Operation) {
	if svc.Operations == nil {
		svc.Operations = map[string]*Operation{}
	}
	op.Service, op.Input, op.Output = svc, reflect.TypeFor[In](), reflect.TypeFor[Out]()
	svc.Operations[op.Name] = op
}

// Know notes the names of all operations of the service, given between spaces.
func (s *Service) Know(names string) {
	fields := strings.Fields(names)
	s.Known = make(map[string]bool, len(fields))
	for _, name := range fields {
		s.Known[name] = true
	}
}
