// Package secrets gets what a task definition names instead of writing it down:
// values of parameters and secrets for the environment of containers, and logins
// of private registries.
//
//	valuefrom.go  what valueFrom names: a parameter, or a secret and a part of it
//	resolve.go    the values, asked for as the task's execution role
//	values.go     where they are until the container is made: in memory, nowhere else
//
// Failures are worded as the agent of Fargate words them, and hold no value.
package secrets

import (
	"errors"
	"strings"

	"minato/aws/arn"
)

// Ref is what a valueFrom names.
type Ref struct {
	// Secret says that it is a secret of Secrets Manager; otherwise it is a
	// parameter of Systems Manager.
	Secret bool
	ID     string // a parameter's name or ARN, a secret's ARN
	Region string // of an ARN, "" for the task's own

	// The part of a secret; "" for the whole, and for what is current.
	JSONKey, VersionStage, VersionID string
}

// The parts of an ARN, between colons: seven name a secret, three more a part of
// it.
const (
	secretParts = 7
	partParts   = 10
)

var errFormat = errors.New("unexpected ARN format with parameters when trying to retrieve ASM secret")

// Parse reads a valueFrom:
//
//	name, /path/name                    parameter
//	arn:aws:ssm:…:parameter/path/name   parameter
//	arn:aws:secretsmanager:…:secret:name-AbCdEf[:json-key:version-stage:version-id]
func Parse(valueFrom string) (Ref, error) {
	if !arn.Is(valueFrom) {
		return Ref{ID: valueFrom}, nil
	}
	a, ok := arn.Parse(valueFrom)
	if !ok {
		return Ref{}, errors.New("invalid ARN: " + valueFrom)
	}
	switch a.Service {
	case "ssm":
		return Ref{ID: valueFrom, Region: a.Region}, nil
	case "secretsmanager":
	default:
		return Ref{}, errors.New("unsupported secret provider " + a.Service + ": " + valueFrom)
	}
	parts := strings.Split(valueFrom, ":")
	r := Ref{Secret: true, Region: a.Region}
	switch len(parts) {
	case secretParts:
	case partParts:
		r.JSONKey, r.VersionStage, r.VersionID = parts[7], parts[8], parts[9]
	default:
		return Ref{}, errFormat
	}
	if r.ID = strings.Join(parts[:secretParts], ":"); a.Kind() != "secret" || parts[6] == "" {
		return Ref{}, errFormat
	}
	return r, nil
}

// whole is the same secret and version, whatever part of it is wanted: it is
// asked for once.
func (r Ref) whole() Ref {
	r.JSONKey = ""
	return r
}
