// Package reach is the way from a task to AWS's services: by the names that its
// VPC's resolver knows, its own routes and groups, and VPC endpoints where there
// are any.
package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"minato/aws/identity"
)

// Way is where a task's calls to a host of AWS's go.
type Way struct {
	Address netip.AddrPort
	// Through is the VPC endpoint that has the address, or to which the subnet's
	// route table leads for it; nil for none.
	Through *identity.Endpoint
}

// Ways knows them.
type Ways interface {
	// Way finds where a subnet's calls to a host go.
	Way(ctx context.Context, vpc, subnet, host string) (Way, error)
	// Variables are what programs in a VPC need to know so that the SDKs take the
	// way by its endpoints.
	Variables(vpc string) []string
}

// Only is the one address of all hosts, where there are no endpoints.
type Only netip.AddrPort

// Way implements Ways.
func (o Only) Way(context.Context, string, string, string) (Way, error) {
	return Way{Address: netip.AddrPort(o)}, nil
}

// Variables implements Ways.
func (o Only) Variables(string) []string { return nil }

// Host is the name of a service in a region.
func Host(service, region string) string { return service + "." + region + ".amazonaws.com" }

// Layers is the host of S3 from which ECR has the layers of images fetched.
func Layers(region string) (bucket, host string) {
	bucket = "prod-" + region + "-starport-layer-bucket"
	return bucket, Host(bucket+".s3", region)
}

// Mark gives the caller of a context the endpoint that calls go through.
type Mark func(context.Context) context.Context

// Through gives the caller of a context the endpoint that its calls go through,
// and the address that they come from.
func Through(ctx context.Context, e *identity.Endpoint, source string) context.Context {
	c := identity.From(ctx)
	c.Endpoint = nil
	if e != nil {
		with := *e
		with.Source = source
		c.Endpoint = &with
	}
	return identity.With(ctx, c)
}

// timeout is how long an attempt takes.
const timeout = 2 * time.Second

// Try connects, so often. These are real attempts and real time-outs: a way that
// comes late is found.
func Try(ctx context.Context, attempts int, way Way, dial func(ctx context.Context, address string) (net.Conn, error)) error {
	var last error
	for range attempts {
		dctx, cancel := context.WithTimeout(ctx, timeout)
		conn, err := dial(dctx, way.Address.String())
		cancel()
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = err
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			// Refused, or no route at all: not worth a pause, but worth a retry.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return last
}

// Why is the last part of what net says of a connection that failed.
func Why(err error) string {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return "i/o timeout"
	}
	text := err.Error()
	if _, cause, ok := strings.Cut(text, "connect: "); ok {
		return cause
	}
	return text
}
