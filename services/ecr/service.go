package ecr

import (
	"context"
	"encoding/base64"
	"log/slog"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/dataplane/registry"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Account and Region are those of a registry that is asked for by another
	// name than AWS's, such as localhost:4566.
	Account, Region string
	// Authorizer is IAM, for the registry's own requests; the API's go through
	// the gateway.
	Authorizer gateway.Authorizer
	// OpenRegistry makes the registry with who may do what and what there is.
	OpenRegistry func(registry.Authorizer, registry.Repositories) *registry.Registry
}

// Service implements ecrapi.API.
type Service struct {
	deps     Deps
	store    store.Store
	clock    clock.Clock
	log      *slog.Logger
	registry *registry.Registry

	repositories store.Table[repository]
	images       store.Table[image]
	tags         store.Table[tag]
	blobs        store.Table[layer]
	tokenKeys    store.Table[tokenKey]
}

var _ ecrapi.API = (*Service)(nil)

// New returns the service, with its registry.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		deps: d, store: d.Store, clock: d.Clock, log: d.Log,
		repositories: store.NewTable[repository](d.Store, "ecr/repository"),
		images:       store.NewTable[image](d.Store, "ecr/image"),
		tags:         store.NewTable[tag](d.Store, "ecr/tag"),
		blobs:        store.NewTable[layer](d.Store, "ecr/blob"),
		tokenKeys:    store.NewTable[tokenKey](d.Store, "ecr/token-key"),
	}
	s.registry = d.OpenRegistry(registryAuthorizer{s}, repositories{s})
	return s
}

// Registration is what the gateway needs to serve ECR.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: ecrapi.Model, Handlers: ecrapi.Handlers(s), Checks: s.checks}
}

// Registry is the handler of the registry's hosts: those that IsRegistryHost
// knows, and whatever else the daemon sends to /v2/.
func (s *Service) Registry() *registry.Registry { return s.registry }

// registryOf is the registry an operation is about: registryId if it was
// given, else the caller's own, in the caller's region.
func registryOf(ctx context.Context, registryID *string) arn.Place {
	caller := identity.From(ctx)
	account := caller.Account
	if id := aws.Val(registryID); id != "" {
		account = id
	}
	return arn.In(caller.Region, account)
}

// page cuts out of sorted items the page after a token. The token is the key
// of the last item before it.
func page[T any](items []T, key func(*T) string, token *string, limit *int32) ([]T, *string, error) {
	after, err := base64.RawURLEncoding.DecodeString(aws.Val(token))
	if err != nil {
		return nil, nil, ecrapi.InvalidParameterException("Invalid parameter at 'nextToken' failed to satisfy constraint: 'Invalid token'")
	}
	most := 100
	if limit != nil {
		most = int(*limit)
	}
	out := []T{}
	for i := range items {
		if len(after) > 0 && key(&items[i]) <= string(after) {
			continue
		}
		if len(out) == most {
			return out, aws.Ptr(base64.RawURLEncoding.EncodeToString([]byte(key(&out[most-1])))), nil
		}
		out = append(out, items[i])
	}
	return out, nil, nil
}
