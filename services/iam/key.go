package iam

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/identity"
	"minato/gateway"
	"minato/store"
)

// accessKey is the record of an access key. The secret is kept as it is: a
// signature cannot be checked by a hash of it. The store's file is 0600.
type accessKey struct {
	iamapi.AccessKey
	Account string
}

// maxKeys is the most access keys of a user.
const maxKeys = 2

// active is the Status of a key that may be used.
const active = "Active"

// newSecret makes a secret key: 40 characters, as AWS's.
func newSecret() string {
	var b [30]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

func noKey(id string) error {
	return iamapi.NoSuchEntityException("The Access Key with id %s cannot be found.", id)
}

// CreateAccessKey makes a key for a user, or for the caller. Its secret is
// shown this once.
func (s *Service) CreateAccessKey(ctx context.Context, in *iamapi.CreateAccessKeyInput) (*iamapi.CreateAccessKeyOutput, error) {
	name, err := ownName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	k := s.newKey(account(ctx))
	err = s.changeUser(ctx, name, func(tx *store.Tx, u *user) error {
		if len(u.KeyIDs) >= maxKeys {
			return iamapi.LimitExceededException("Cannot exceed quota for AccessKeysPerUser: %d", maxKeys)
		}
		return s.addKey(tx, u, &k)
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateAccessKeyOutput{AccessKey: &k.AccessKey}, nil
}

// newKey makes a key that belongs to nobody yet.
func (s *Service) newKey(acct string) accessKey {
	return accessKey{Account: acct, AccessKey: iamapi.AccessKey{
		AccessKeyId: aws.Ptr(identity.NewKeyID("AKIA", acct)), SecretAccessKey: aws.Ptr(newSecret()), Status: aws.Ptr(active), CreateDate: s.now(),
	}}
}

// addKey gives a key to a user.
func (s *Service) addKey(tx *store.Tx, u *user, k *accessKey) error {
	k.UserName = u.UserName
	u.KeyIDs = append(u.KeyIDs, *k.AccessKeyId)
	return s.keys.TxPut(tx, *k, k.Account, global, *k.AccessKeyId)
}

// ListAccessKeys lists a user's keys, or the caller's, without the secrets.
func (s *Service) ListAccessKeys(ctx context.Context, in *iamapi.ListAccessKeysInput) (*iamapi.ListAccessKeysOutput, error) {
	name, err := ownName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(ctx, name)
	if err != nil {
		return nil, err
	}
	var list []iamapi.AccessKeyMetadata
	for _, id := range u.KeyIDs {
		k, found, err := s.keys.Get(ctx, account(ctx), global, id)
		if err != nil {
			return nil, err
		}
		if found {
			list = append(list, iamapi.AccessKeyMetadata{AccessKeyId: k.AccessKeyId, CreateDate: k.CreateDate, Status: k.Status, UserName: k.UserName})
		}
	}
	out := &iamapi.ListAccessKeysOutput{}
	out.AccessKeyMetadata, out.Marker, out.IsTruncated, err = page(list, func(k *iamapi.AccessKeyMetadata) string { return *k.AccessKeyId }, in.Marker, in.MaxItems)
	return out, err
}

// UpdateAccessKey makes a key active or inactive.
func (s *Service) UpdateAccessKey(ctx context.Context, in *iamapi.UpdateAccessKeyInput) (*iamapi.UpdateAccessKeyOutput, error) {
	name, err := ownName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	return &iamapi.UpdateAccessKeyOutput{}, s.changeUser(ctx, name, func(tx *store.Tx, u *user) error {
		if !slices.Contains(u.KeyIDs, *in.AccessKeyId) {
			return noKey(*in.AccessKeyId)
		}
		k, found, err := s.keys.TxGet(tx, account(ctx), global, *in.AccessKeyId)
		if err != nil || !found {
			return either(err, noKey(*in.AccessKeyId))
		}
		k.Status = in.Status
		return s.keys.TxPut(tx, k, account(ctx), global, *in.AccessKeyId)
	})
}

// DeleteAccessKey removes a key.
func (s *Service) DeleteAccessKey(ctx context.Context, in *iamapi.DeleteAccessKeyInput) (*iamapi.DeleteAccessKeyOutput, error) {
	name, err := ownName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	return &iamapi.DeleteAccessKeyOutput{}, s.changeUser(ctx, name, func(tx *store.Tx, u *user) error {
		i := slices.Index(u.KeyIDs, *in.AccessKeyId)
		if i < 0 {
			return noKey(*in.AccessKeyId)
		}
		u.KeyIDs = slices.Delete(u.KeyIDs, i, i+1)
		s.keys.TxDelete(tx, account(ctx), global, *in.AccessKeyId)
		return nil
	})
}

// Credential implements gateway.Authenticator for users' keys.
func (s *Service) Credential(ctx context.Context, id string) (gateway.Credential, error) {
	if c, ok := s.cache.credential(id); ok {
		return c, nil
	}
	generation := s.cache.now()
	unknown := &aws.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403}
	acct, ok := identity.AccountOfKeyID(id)
	if !ok {
		return gateway.Credential{}, unknown
	}
	k, found, err := s.keys.Get(ctx, acct, global, id)
	if err != nil {
		return gateway.Credential{}, err
	}
	if !found || *k.Status != active {
		return gateway.Credential{}, unknown
	}
	u, found, err := s.users.Get(ctx, acct, global, fold(*k.UserName))
	if err != nil {
		return gateway.Credential{}, err
	}
	if !found {
		return gateway.Credential{}, unknown
	}
	c := gateway.Credential{Secret: *k.SecretAccessKey, Caller: identity.Caller{
		Kind: identity.User, Account: acct, Partition: "aws", AccessKeyID: id,
		ARN: arnOf(acct, "user", *u.Path, *u.UserName), PrincipalID: *u.Arn, UserID: *u.UserId,
	}}
	s.cache.putCredential(generation, id, c)
	return c, nil
}
