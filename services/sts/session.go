package sts

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"minato/aws"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/gateway"
)

// session is the record of temporary credentials. The secret is kept as it is:
// a signature cannot be checked by a hash of it.
type session struct {
	KeyID   string
	Secret  string
	Token   string
	Expires time.Time
	Caller  identity.Caller // whom the keys stand for
}

// issue makes, keeps and shows temporary credentials.
func (s *Service) issue(ctx context.Context, caller identity.Caller, length time.Duration) (*stsapi.Credentials, error) {
	s.sweep(ctx)
	x := &session{
		KeyID: identity.NewKeyID("ASIA", caller.Account), Secret: random(30), Token: random(240),
		Expires: s.clock.Now().UTC().Truncate(time.Second).Add(length), Caller: caller,
	}
	x.Caller.AccessKeyID = x.KeyID
	if err := s.sessions.Put(ctx, *x, caller.Account, global, x.KeyID); err != nil {
		return nil, err
	}
	s.remember(x)
	return &stsapi.Credentials{AccessKeyId: &x.KeyID, SecretAccessKey: &x.Secret, SessionToken: &x.Token, Expiration: &x.Expires}, nil
}

// random is n random bytes in base64.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand aborts the program instead
	return base64.StdEncoding.EncodeToString(b)
}

// Credential implements gateway.Authenticator for temporary keys.
func (s *Service) Credential(ctx context.Context, id string) (gateway.Credential, error) {
	s.mu.RLock()
	x := s.known[id]
	s.mu.RUnlock()
	if x == nil {
		unknown := &aws.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
		acct, ok := identity.AccountOfKeyID(id)
		if !ok {
			return gateway.Credential{}, unknown
		}
		read, found, err := s.sessions.Get(ctx, acct, global, id)
		if err != nil {
			return gateway.Credential{}, err
		}
		if !found {
			return gateway.Credential{}, unknown
		}
		x = &read
		s.remember(x)
	}
	if !s.clock.Now().Before(x.Expires) {
		return gateway.Credential{}, &aws.Error{Code: "ExpiredToken", Message: "The security token included in the request is expired", Status: http.StatusForbidden}
	}
	return gateway.Credential{Secret: x.Secret, SessionToken: x.Token, Caller: x.Caller}, nil
}
