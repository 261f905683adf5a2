package iam

import (
	"context"
	"log/slog"
	"strings"
	"time"

	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/ids"
	"minato/internal/seal"
	"minato/store"
)

// global stands where other services' keys have the region.
const global = "global"

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	// CertificateUsers returns the ARNs of what uses a server certificate; nil
	// stands for nothing.
	CertificateUsers func(ctx context.Context, certificate string) ([]string, error)
	// Seal is what the private keys of server certificates are kept under.
	Seal *seal.Sealer
}

// Service implements iamapi.API, gateway.Authenticator and gateway.Authorizer.
type Service struct {
	store store.Store
	clock clock.Clock
	log   *slog.Logger
	cache *cache

	certificateUsers func(ctx context.Context, certificate string) ([]string, error)
	seal             *seal.Sealer

	users    store.Table[user]
	keys     store.Table[accessKey]
	groups   store.Table[group]
	roles    store.Table[role]
	profiles store.Table[profile]
	policies store.Table[managedPolicy]
	accounts store.Table[accountRecord]

	certificates store.Table[serverCertificate]
}

var (
	_ iamapi.API            = (*Service)(nil)
	_ gateway.Authenticator = (*Service)(nil)
	_ gateway.Authorizer    = (*Service)(nil)
)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		store: d.Store, clock: d.Clock, log: d.Log, cache: newCache(), certificateUsers: d.CertificateUsers, seal: d.Seal,
		users:    store.NewTable[user](d.Store, "iam/user"),
		keys:     store.NewTable[accessKey](d.Store, "iam/access-key"),
		groups:   store.NewTable[group](d.Store, "iam/group"),
		roles:    store.NewTable[role](d.Store, "iam/role"),
		profiles: store.NewTable[profile](d.Store, "iam/instance-profile"),
		policies: store.NewTable[managedPolicy](d.Store, "iam/policy"),
		accounts: store.NewTable[accountRecord](d.Store, "iam/account"),

		certificates: store.NewTable[serverCertificate](d.Store, "iam/server-certificate"),
	}
}

// Registration is what the gateway needs to serve IAM.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: iamapi.Model, Handlers: iamapi.Handlers(s), Checks: s.checks}
}

// change runs a transaction on IAM's records and empties the cache: also after
// an error, because a commit may have happened before it.
func (s *Service) change(ctx context.Context, f func(tx *store.Tx) error) error {
	defer s.cache.clear()
	return store.Update(ctx, s.store, f)
}

// account is the account of the caller.
func account(ctx context.Context) string { return identity.From(ctx).Account }

// fold is the form of a name in keys.
func fold(name string) string { return strings.ToLower(name) }

// now is the time as IAM shows it: whole seconds.
func (s *Service) now() *time.Time {
	t := s.clock.Now().UTC().Truncate(time.Second)
	return &t
}

// uniqueID makes an id such as "AIDA…".
func uniqueID(prefix string) *string {
	id := prefix + ids.Base32(17)
	return &id
}

// arnOf is the ARN of an entity: kind is "user", "role", "group", "policy" or
// "instance-profile".
func arnOf(account, kind, path, name string) string {
	return arn.In("", account).Of("iam", kind+path+name)
}
