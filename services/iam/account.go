package iam

import (
	"context"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/identity"
	"minato/services/iam/managed"
	"minato/store"
)

// accountRecord is what is kept for an account itself.
type accountRecord struct {
	AdminMade bool       // the first start has been
	Deletions []deletion `json:",omitempty"`
	Alias     string     `json:",omitempty"`
}

// adminName is the user that the first start makes.
const adminName = "admin"

// EnsureAdmin makes the user admin with AdministratorAccess and random keys at
// the first start of an account, and returns its first active keys. They are
// empty when somebody has deleted the user or its keys since: it is not made
// again behind their back.
func (s *Service) EnsureAdmin(ctx context.Context, acct string) (keyID, secret string, err error) {
	ctx = identity.With(ctx, identity.Caller{Account: acct})
	err = s.change(ctx, func(tx *store.Tx) error {
		keyID, secret = "", ""
		a, _, err := s.accounts.TxGet(tx, acct, global)
		if err != nil {
			return err
		}
		u, found, err := s.users.TxGet(tx, acct, global, adminName)
		if err != nil {
			return err
		}
		if a.AdminMade {
			if !found {
				return nil
			}
			for _, id := range u.KeyIDs {
				k, found, err := s.keys.TxGet(tx, acct, global, id)
				if err != nil {
					return err
				}
				if found && *k.Status == active {
					keyID, secret = id, *k.SecretAccessKey
					return nil
				}
			}
			return nil
		}
		a.AdminMade = true
		u = user{
			User: iamapi.User{
				UserName: aws.Ptr(adminName), UserId: uniqueID("AIDA"), Path: aws.Ptr("/"), CreateDate: s.now(),
				Arn: aws.Ptr(arnOf(acct, "user", "/", adminName)),
			},
			grants: grants{Attached: []string{managed.ARN("/", "AdministratorAccess")}},
		}
		k := s.newKey(acct)
		if err := s.addKey(tx, &u, &k); err != nil {
			return err
		}
		if err := s.users.TxPut(tx, u, acct, global, adminName); err != nil {
			return err
		}
		keyID, secret = *k.AccessKeyId, *k.SecretAccessKey
		return s.accounts.TxPut(tx, a, acct, global)
	})
	return keyID, secret, err
}

// CreateAccountAlias gives the account a name; it has one at most.
func (s *Service) CreateAccountAlias(ctx context.Context, in *iamapi.CreateAccountAliasInput) (*iamapi.CreateAccountAliasOutput, error) {
	return &iamapi.CreateAccountAliasOutput{}, s.changeAccount(ctx, func(a *accountRecord) error {
		a.Alias = *in.AccountAlias
		return nil
	})
}

// DeleteAccountAlias takes the account's name away.
func (s *Service) DeleteAccountAlias(ctx context.Context, in *iamapi.DeleteAccountAliasInput) (*iamapi.DeleteAccountAliasOutput, error) {
	return &iamapi.DeleteAccountAliasOutput{}, s.changeAccount(ctx, func(a *accountRecord) error {
		if a.Alias != *in.AccountAlias {
			return iamapi.NoSuchEntityException("The Account Alias %s cannot be found.", *in.AccountAlias)
		}
		a.Alias = ""
		return nil
	})
}

// ListAccountAliases lists the account's name, if it has one.
func (s *Service) ListAccountAliases(ctx context.Context, _ *iamapi.ListAccountAliasesInput) (*iamapi.ListAccountAliasesOutput, error) {
	a, _, err := s.accounts.Get(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListAccountAliasesOutput{AccountAliases: []string{}, IsTruncated: aws.Ptr(false)}
	if a.Alias != "" {
		out.AccountAliases = append(out.AccountAliases, a.Alias)
	}
	return out, nil
}

// changeAccount changes the record of the caller's account.
func (s *Service) changeAccount(ctx context.Context, f func(*accountRecord) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		a, _, err := s.accounts.TxGet(tx, account(ctx), global)
		if err == nil {
			err = f(&a)
		}
		if err != nil {
			return err
		}
		return s.accounts.TxPut(tx, a, account(ctx), global)
	})
}
