package gateway

import (
	"context"
	"net/http"
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
