package ecr

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/store"
)

// tokenLifetime is AWS's.
const tokenLifetime = 12 * time.Hour

// tokenKey is what the tokens of a registry are sealed with.
type tokenKey struct{ Key []byte }

// currentKey is the id of the one key there is; a second one would be for
// changing it.
const currentKey = "current"

// password is a token as docker sends it: JSON in base64, as AWS's are. Only
// the payload counts; the rest says which key opens it.
type password struct {
	Payload    []byte `json:"payload"`
	Version    string `json:"version"`
	Type       string `json:"type"`
	Expiration int64  `json:"expiration"`
	Account    string `json:"account"`
	Region     string `json:"region"`
}

// sealed is what a token's payload holds.
type sealed struct {
	Caller  identity.Caller
	Expires time.Time
	Path    string // of a download URL's token: all it is good for
}

// downloadToken is the parameter of a download URL that holds its token.
const downloadToken = "X-Minato-Token"

// errExpired is returned for a token that is over; any other error of
// openToken means that it is none of ours.
var errExpired = errors.New("the token has expired")

// GetAuthorizationToken makes a password for the registry, which stands for
// the caller for 12 hours.
func (s *Service) GetAuthorizationToken(ctx context.Context, in *ecrapi.GetAuthorizationTokenInput) (*ecrapi.GetAuthorizationTokenOutput, error) {
	caller := identity.From(ctx)
	expires := s.clock.Now().Add(tokenLifetime).UTC().Truncate(time.Millisecond)
	token, err := s.sealToken(ctx, sealed{Caller: caller, Expires: expires})
	if err != nil {
		return nil, err
	}
	registries := in.RegistryIds
	if len(registries) == 0 {
		registries = []string{caller.Account}
	}
	out := &ecrapi.GetAuthorizationTokenOutput{}
	for _, account := range registries {
		out.AuthorizationData = append(out.AuthorizationData, ecrapi.AuthorizationData{
			AuthorizationToken: aws.Ptr(base64.StdEncoding.EncodeToString([]byte("AWS:" + token))),
			ExpiresAt:          &expires,
			ProxyEndpoint:      aws.Ptr("https://" + registryHost(arn.In(caller.Region, account))),
		})
	}
	return out, nil
}

func (s *Service) sealToken(ctx context.Context, t sealed) (string, error) {
	box, err := s.tokenBox(ctx, t.Caller.Account, t.Caller.Region, true)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce) // never fails
	b, err := json.Marshal(password{
		Payload: box.Seal(nonce, nonce, text, nil), Version: "2", Type: "DATA_KEY", Expiration: t.Expires.Unix(),
		Account: t.Caller.Account, Region: t.Caller.Region,
	})
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// openToken returns whom a token stands for; path is that of the request for a
// download URL's, and "" for a password.
func (s *Service) openToken(ctx context.Context, text, path string) (identity.Caller, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return identity.Caller{}, fmt.Errorf("the password is no token: %w", err)
	}
	var p password
	if err := json.Unmarshal(b, &p); err != nil {
		return identity.Caller{}, fmt.Errorf("the password is no token: %w", err)
	}
	box, err := s.tokenBox(ctx, p.Account, p.Region, false)
	if err != nil {
		return identity.Caller{}, err
	}
	if len(p.Payload) < box.NonceSize() {
		return identity.Caller{}, errors.New("the token is too short")
	}
	nonce, body := p.Payload[:box.NonceSize()], p.Payload[box.NonceSize():]
	opened, err := box.Open(nil, nonce, body, nil)
	if err != nil {
		return identity.Caller{}, fmt.Errorf("the token is not ours: %w", err)
	}
	var t sealed
	if err := json.Unmarshal(opened, &t); err != nil {
		return identity.Caller{}, err
	}
	if !s.clock.Now().Before(t.Expires) {
		return identity.Caller{}, errExpired
	}
	if t.Path != path {
		return identity.Caller{}, errors.New("the token is for something else")
	}
	return t.Caller, nil
}

// tokenBox returns what seals and opens a registry's tokens; its key is made
// when it is first needed.
func (s *Service) tokenBox(ctx context.Context, account, region string, create bool) (cipher.AEAD, error) {
	var key tokenKey
	err := store.Update(ctx, s.store, func(tx *store.Tx) error {
		var found bool
		var err error
		key, found, err = s.tokenKeys.TxGet(tx, account, region, currentKey)
		if err != nil || found {
			return err
		}
		if !create {
			return errors.New("the token is of a registry that never made one")
		}
		key = tokenKey{Key: make([]byte, 32)}
		rand.Read(key.Key) // never fails
		return s.tokenKeys.TxPut(tx, key, account, region, currentKey)
	})
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key.Key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
