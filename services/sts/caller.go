package sts

import (
	"context"
	"net/http"
	"time"

	"minato/aws"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
)

// GetCallerIdentity says who calls.
func (s *Service) GetCallerIdentity(ctx context.Context, _ *stsapi.GetCallerIdentityInput) (*stsapi.GetCallerIdentityOutput, error) {
	c := identity.From(ctx)
	return &stsapi.GetCallerIdentityOutput{Account: &c.Account, Arn: &c.ARN, UserId: &c.UserID}, nil
}

// GetAccessKeyInfo says which account a key belongs to; the id holds it.
func (s *Service) GetAccessKeyInfo(_ context.Context, in *stsapi.GetAccessKeyInfoInput) (*stsapi.GetAccessKeyInfoOutput, error) {
	account, ok := identity.AccountOfKeyID(*in.AccessKeyId)
	if !ok {
		return nil, aws.Errorf("ValidationError", "Invalid access key id.")
	}
	return &stsapi.GetAccessKeyInfoOutput{Account: &account}, nil
}

// How long the keys of GetSessionToken are good.
const (
	userSession = 12 * time.Hour
	rootSession = time.Hour
)

// GetSessionToken makes temporary keys for the calling user.
func (s *Service) GetSessionToken(ctx context.Context, in *stsapi.GetSessionTokenInput) (*stsapi.GetSessionTokenOutput, error) {
	c := identity.From(ctx)
	if c.Kind != identity.User && c.Kind != identity.Root || isTemporary(c.AccessKeyID) {
		return nil, &aws.Error{Code: "AccessDenied", Message: "Cannot call GetSessionToken with session credentials", Status: http.StatusForbidden}
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, &aws.Error{Code: "AccessDenied", Message: "MultiFactorAuthentication failed with invalid MFA one time pass code.", Status: http.StatusForbidden}
	}
	length := userSession
	if in.DurationSeconds != nil {
		length = time.Duration(*in.DurationSeconds) * time.Second
	}
	if c.Kind == identity.Root {
		length = min(length, rootSession)
	}
	keys, err := s.issue(ctx, c, length)
	if err != nil {
		return nil, err
	}
	return &stsapi.GetSessionTokenOutput{Credentials: keys}, nil
}

func isTemporary(keyID string) bool { return len(keyID) > 4 && keyID[:4] == "ASIA" }

// AssumeRoleWithWebIdentity needs an identity provider, and there are none
// here, which is what AWS answers without one.
func (s *Service) AssumeRoleWithWebIdentity(context.Context, *stsapi.AssumeRoleWithWebIdentityInput) (*stsapi.AssumeRoleWithWebIdentityOutput, error) {
	return nil, stsapi.InvalidIdentityTokenException("No OpenIDConnect provider found in your account: minato has no identity providers.")
}
