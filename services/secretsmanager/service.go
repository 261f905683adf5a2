package secretsmanager

import (
	"context"
	"encoding/base64"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	Seal  *seal.Sealer
	// Self is this service through the gateway: BatchGetSecretValue is
	// authorized secret by secret.
	Self interface {
		GetSecretValue(context.Context, *api.GetSecretValueInput) (*api.GetSecretValueOutput, error)
	}
}

// Service implements the API of Secrets Manager.
type Service struct {
	Deps
	secrets  store.Table[secret]
	versions store.Table[version]
}

var _ api.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:     d,
		secrets:  store.NewTable[secret](d.Store, "secretsmanager/secret"),
		versions: store.NewTable[version](d.Store, "secretsmanager/version"),
	}
}

// Registration is what the gateway needs to serve Secrets Manager.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: api.Model, Handlers: api.Handlers(s), Checks: s.checks}
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add("secretsmanager-deletion", &deletion{s}, controller.Options{Workers: 1, Resync: time.Hour})
	c.Wake("secretsmanager-deletion", s.secrets.Prefix(), nil)
}

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

func (s *Service) now() time.Time { return s.Clock.Now().UTC().Truncate(time.Millisecond) }

func notFound() error {
	return api.ResourceNotFoundException("Secrets Manager can't find the specified secret.")
}

func markedForDeletion() error {
	return api.InvalidRequestException("You can't perform this operation on the secret because it was marked for deletion.")
}

// suffix is what Secrets Manager ends a secret's ARN with.
var suffix = regexp.MustCompile(`-[A-Za-z0-9]{6}$`)

// target is the secret that an id names, and where: the id is a name, an ARN,
// or an ARN without its six random characters.
func (s *Service) target(ctx context.Context, id string) (arn.Place, secret, bool, error) {
	p := place(ctx)
	name := id
	if arn.Is(id) {
		a, ok := arn.Parse(id)
		if !ok || a.Service != "secretsmanager" || a.Kind() != "secret" || a.ID() == "" || a.Region != p.Region {
			return p, secret{}, false, nil
		}
		p.Account, name = a.Account, a.ID()
		if at := suffix.FindStringIndex(name); at != nil {
			r, found, err := s.alive(ctx, p, name[:at[0]])
			if err != nil || found && aws.Val(r.ARN) == id {
				return p, r, found, err
			}
		}
	}
	r, found, err := s.alive(ctx, p, name)
	return p, r, found, err
}

// alive reads a secret by its name. One whose recovery window is over is gone,
// also while nobody has swept it.
func (s *Service) alive(ctx context.Context, p arn.Place, name string) (secret, bool, error) {
	r, found, err := s.secrets.Get(ctx, p.Account, p.Region, name)
	if found && r.expired(s.now()) {
		return secret{}, false, err
	}
	return r, found, err
}

// find returns the secret that an id names.
func (s *Service) find(ctx context.Context, id *string) (arn.Place, secret, error) {
	p, r, found, err := s.target(ctx, aws.Val(id))
	if err != nil {
		return p, r, aws.Internal(err)
	}
	if !found {
		return p, r, notFound()
	}
	return p, r, nil
}

// findActive is find for what may not be done with a secret that is scheduled
// for deletion.
func (s *Service) findActive(ctx context.Context, id *string) (arn.Place, secret, error) {
	p, r, err := s.find(ctx, id)
	if err == nil && r.DeletedDate != nil {
		err = markedForDeletion()
	}
	return p, r, err
}

// change runs f on the secret that an id names, in a transaction. f also gets
// secrets that are scheduled for deletion.
func (s *Service) change(ctx context.Context, id *string, f func(tx *store.Tx, p arn.Place, r *secret) error) (secret, error) {
	p, found, err := s.find(ctx, id)
	if err != nil {
		return secret{}, err
	}
	var out secret
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, ok, err := s.secrets.TxGet(tx, p.Account, p.Region, aws.Val(found.Name))
		if err != nil {
			return err
		}
		if !ok || aws.Val(r.ARN) != aws.Val(found.ARN) {
			return notFound() // deleted meanwhile
		}
		if err := f(tx, p, &r); err != nil {
			return err
		}
		out = r
		return s.secrets.TxPut(tx, r, p.Account, p.Region, aws.Val(r.Name))
	})
	return out, err
}

// changeActive is change for secrets that are not scheduled for deletion.
func (s *Service) changeActive(ctx context.Context, id *string, f func(tx *store.Tx, p arn.Place, r *secret) error) (secret, error) {
	return s.change(ctx, id, func(tx *store.Tx, p arn.Place, r *secret) error {
		if r.DeletedDate != nil {
			return markedForDeletion()
		}
		return f(tx, p, r)
	})
}

// page sorts items by a key that no two share and cuts the list after the key
// that a token holds; the item it belongs to may be gone meanwhile.
func page[T any](items []T, key func(T) string, falling bool, token *string, limit int) ([]T, *string, error) {
	order := func(a, b string) int {
		if falling {
			return strings.Compare(b, a)
		}
		return strings.Compare(a, b)
	}
	slices.SortFunc(items, func(a, b T) int { return order(key(a), key(b)) })
	if token != nil {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || len(after) == 0 {
			return nil, nil, api.InvalidNextTokenException("Invalid NextToken.")
		}
		items = slices.DeleteFunc(items, func(v T) bool { return order(key(v), string(after)) <= 0 })
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	items = items[:limit]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items, &next, nil
}

// limit is how many items a page holds.
func limit(asked *int32, usual int) int {
	if asked != nil {
		return int(*asked)
	}
	return usual
}
