package ssm

import (
	"context"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	secretsapi "minato/aws/api/secretsmanager"
	api "minato/aws/api/ssm"
	"minato/aws/arn"
	"minato/aws/identity"
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
	// Secrets is asked, as the caller, for /aws/reference/secretsmanager/NAME.
	Secrets interface {
		GetSecretValue(context.Context, *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error)
	}
	// EC2 is asked which image a public parameter names.
	EC2 interface {
		DescribeImages(context.Context, *ec2api.DescribeImagesInput) (*ec2api.DescribeImagesOutput, error)
	}
}

// Service implements the API of the Parameter Store.
type Service struct {
	Deps
	parameters store.Table[parameter]
	versions   store.Table[version]
}

var _ api.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:       d,
		parameters: store.NewTable[parameter](d.Store, "ssm/parameter"),
		versions:   store.NewTable[version](d.Store, "ssm/version"),
	}
}

// Registration is what the gateway needs to serve the Parameter Store.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: api.Model, Handlers: api.Handlers(s), Checks: s.checks}
}

// version is the record of one version of a parameter.
type version struct {
	Number   int64     `json:"number"`
	Type     string    `json:"type"`
	Value    string    `json:"value,omitempty"`  // of String and StringList
	Sealed   []byte    `json:"sealed,omitempty"` // of SecureString
	DataType string    `json:"dataType"`
	Tier     string    `json:"tier"`
	Pattern  *string   `json:"pattern,omitempty"`
	About    *string   `json:"description,omitempty"`
	KeyID    *string   `json:"keyId,omitempty"`
	At       time.Time `json:"at"`
	By       string    `json:"by"`
}

// parameter is the record of a parameter; its newest version is in it.
type parameter struct {
	ID     string           `json:"id"`
	Name   string           `json:"name"`
	Newest version          `json:"newest"`
	Oldest int64            `json:"oldest"` // the number of the oldest version that is kept
	Labels map[string]int64 `json:"labels,omitempty"`
	Tags   []api.Tag        `json:"tags,omitempty"`
}

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

func (s *Service) now() time.Time { return s.Clock.Now().UTC().Truncate(time.Millisecond) }

func notFound(name string) *aws.Error {
	return api.ParameterNotFound("Parameter %s not found.", name)
}

func invalid(format string, args ...any) *aws.Error {
	return aws.Errorf("ValidationException", format, args...)
}

// find returns the caller's parameter of a name or an ARN.
func (s *Service) find(ctx context.Context, name string) (parameter, bool, error) {
	p := place(ctx)
	for _, n := range candidates(p, name) {
		r, found, err := s.parameters.Get(ctx, p.Account, p.Region, n)
		if err != nil {
			return r, false, aws.Internal(err)
		}
		if found {
			return r, true, nil
		}
	}
	return parameter{}, false, nil
}

// candidates are the names that a name or ARN can stand for: an ARN does not
// say whether the name begins with a slash.
func candidates(p arn.Place, name string) []string {
	if !arn.Is(name) {
		return []string{name}
	}
	a, ok := arn.Parse(name)
	if !ok || a.Service != "ssm" || a.Kind() != "parameter" || a.Region != p.Region || a.Account != p.Account {
		return nil
	}
	id := a.ID()
	if strings.Contains(id, "/") {
		return []string{"/" + id}
	}
	return []string{id, "/" + id}
}

// change runs f on a parameter within a transaction and stores what it left.
func (s *Service) change(ctx context.Context, name string, f func(tx *store.Tx, p arn.Place, r *parameter) error) error {
	found, ok, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if !ok {
		return notFound(name)
	}
	p := place(ctx)
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, ok, err := s.parameters.TxGet(tx, p.Account, p.Region, found.Name)
		if err != nil {
			return err
		}
		if !ok {
			return notFound(name)
		}
		if err := f(tx, p, &r); err != nil {
			return err
		}
		return s.parameters.TxPut(tx, r, p.Account, p.Region, r.Name)
	})
}

// page cuts a list, sorted by a key that no two share, after the key that a
// token holds; the item it belongs to may be gone meanwhile.
func page[T any](items []T, key func(T) string, token *string, asked *int32, usual int) ([]T, *string, error) {
	limit := usual
	if asked != nil {
		limit = int(*asked)
	}
	if token != nil {
		after, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil || len(after) == 0 {
			return nil, nil, api.InvalidNextToken("The specified token isn't valid.")
		}
		for len(items) > 0 && key(items[0]) <= string(after) {
			items = items[1:]
		}
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	items = items[:limit]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items, &next, nil
}
