package gateway

import (
	"context"
	"net/http"

	"minato/aws/identity"
)

type endpointKey struct{}

// Endpoint is the address at which the client of a call reached us, such as
// "http://127.0.0.1:4566"; "" for calls from inside.
func Endpoint(ctx context.Context) string {
	s, _ := ctx.Value(endpointKey{}).(string)
	return s
}

// withEndpoint notes in ctx where a request came to.
func withEndpoint(ctx context.Context, r *http.Request) context.Context {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return context.WithValue(ctx, endpointKey{}, scheme+r.Host)
}

type passedKey struct{}

// Through notes in ctx that a request came through a VPC endpoint.
func Through(ctx context.Context, e *identity.Endpoint) context.Context {
	return context.WithValue(ctx, passedKey{}, e)
}

// Passed is the VPC endpoint that a request came through, nil for none.
func Passed(ctx context.Context) *identity.Endpoint {
	e, _ := ctx.Value(passedKey{}).(*identity.Endpoint)
	return e
}
