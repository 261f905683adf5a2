package secretsmanager

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/store"
)

// secret is the record of a secret: its description as DescribeSecret shows it,
// and what that does not show.
type secret struct {
	api.DescribeSecretOutput
	Policy string `json:"policy,omitempty"`
}

// id is the secret's own, part of its versions' keys.
func (r *secret) id() string {
	a, _ := arn.Parse(aws.Val(r.ARN))
	return a.ID()
}

// expired tells whether the recovery window is over.
func (r *secret) expired(now time.Time) bool {
	return r.DeletedDate != nil && !now.Before(*r.DeletedDate)
}

// stages are the secret's labels, to be changed.
func (r *secret) stages() stages {
	if r.VersionIdsToStages == nil {
		r.VersionIdsToStages = map[string][]string{}
	}
	return r.VersionIdsToStages
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]+$`)

func checkName(name string) error {
	if !nameForm.MatchString(name) {
		return &aws.Error{Code: "ValidationException", Message: "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"}
	}
	return nil
}

// defaultKeys are the names of the key that values are encrypted with when
// nobody names one; there is no other here.
func checkKey(id *string) error {
	switch k := aws.Val(id); {
	case k == "" || k == "alias/aws/secretsmanager" || strings.HasSuffix(k, ":alias/aws/secretsmanager"):
		return nil
	default:
		return api.InvalidParameterException("KMS keys are not supported by minato (KmsKeyId): values are encrypted with the instance's own key.")
	}
}

const suffixLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// newSuffix makes the six characters that end a secret's ARN.
func newSuffix() string {
	b := make([]byte, 6)
	for i := range b {
		b[i] = suffixLetters[below(len(suffixLetters))]
	}
	return string(b)
}

// below is a random number from 0 to n-1, every one as likely; n is at most 256.
func below(n int) int {
	for {
		var b [1]byte
		rand.Read(b[:])
		if int(b[0]) < 256-256%n {
			return int(b[0]) % n
		}
	}
}

// CreateSecret makes a secret, with its first version if a value is given.
func (s *Service) CreateSecret(ctx context.Context, in *api.CreateSecretInput) (*api.CreateSecretOutput, error) {
	if err := checkName(aws.Val(in.Name)); err != nil {
		return nil, err
	}
	if len(in.AddReplicaRegions) > 0 {
		return nil, noReplicas(ctx)
	}
	if aws.Val(in.Type) != "" {
		return nil, api.InvalidParameterException("Secrets managed by partners are not supported by minato (Type).")
	}
	if err := checkKey(in.KmsKeyId); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	value, err := given(in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	p, now := place(ctx), s.now()
	fresh := secret{DescribeSecretOutput: api.DescribeSecretOutput{
		ARN: aws.Ptr(p.Secret(*in.Name + "-" + newSuffix())), Name: in.Name, Description: in.Description, KmsKeyId: in.KmsKeyId,
		CreatedDate: &now, LastChangedDate: &now, Tags: mergeTags(nil, in.Tags),
	}}
	var out *api.CreateSecretOutput
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		out = nil
		r := fresh
		r.VersionIdsToStages = nil
		old, found, err := s.secrets.TxGet(tx, p.Account, p.Region, *in.Name)
		if err != nil {
			return err
		}
		if found && !old.expired(now) {
			out, err = s.again(tx, p, &old, in.ClientRequestToken, value)
			return err
		}
		out = &api.CreateSecretOutput{ARN: r.ARN, Name: r.Name}
		if value != nil {
			out.VersionId = in.ClientRequestToken
			if _, err := s.putVersion(tx, p, &r, *in.ClientRequestToken, value, nil); err != nil {
				return err
			}
		}
		return s.secrets.TxPut(tx, r, p.Account, p.Region, *in.Name)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// again answers a CreateSecret for a name that is taken: with success only when
// it is the same request once more.
func (s *Service) again(tx *store.Tx, p arn.Place, old *secret, token *string, value *plain) (*api.CreateSecretOutput, error) {
	if old.DeletedDate != nil {
		return nil, api.InvalidRequestException("You can't create this secret because a secret with this name is already scheduled for deletion.")
	}
	if value != nil {
		v, found, err := s.versions.TxGet(tx, p.Account, p.Region, old.id(), aws.Val(token))
		if err != nil {
			return nil, err
		}
		if found {
			same, err := s.same(old, &v, value)
			if err != nil {
				return nil, err
			}
			if same {
				return &api.CreateSecretOutput{ARN: old.ARN, Name: old.Name, VersionId: token}, nil
			}
		}
	}
	return nil, api.ResourceExistsException("The operation failed because the secret %s already exists.", aws.Val(old.Name))
}

// DescribeSecret shows all of a secret but its value.
func (s *Service) DescribeSecret(ctx context.Context, in *api.DescribeSecretInput) (*api.DescribeSecretOutput, error) {
	_, r, err := s.find(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	return &r.DescribeSecretOutput, nil
}

// UpdateSecret changes a secret's description, and its value by a new version.
func (s *Service) UpdateSecret(ctx context.Context, in *api.UpdateSecretInput) (*api.UpdateSecretOutput, error) {
	if aws.Val(in.Type) != "" {
		return nil, api.InvalidParameterException("Secrets managed by partners are not supported by minato (Type).")
	}
	if err := checkKey(in.KmsKeyId); err != nil {
		return nil, err
	}
	value, err := given(in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	out := &api.UpdateSecretOutput{}
	r, err := s.changeActive(ctx, in.SecretId, func(tx *store.Tx, p arn.Place, r *secret) error {
		if in.Description != nil {
			r.Description = in.Description
		}
		if in.KmsKeyId != nil {
			r.KmsKeyId = in.KmsKeyId
		}
		r.LastChangedDate = aws.Ptr(s.now())
		if value == nil {
			return nil
		}
		out.VersionId = in.ClientRequestToken
		_, err := s.putVersion(tx, p, r, *in.ClientRequestToken, value, nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	out.ARN, out.Name = r.ARN, r.Name
	return out, nil
}

// ListSecrets lists the secrets of the account.
func (s *Service) ListSecrets(ctx context.Context, in *api.ListSecretsInput) (*api.ListSecretsOutput, error) {
	match, err := filters(in.Filters)
	if err != nil {
		return nil, err
	}
	all, err := s.listed(ctx, match, aws.Val(in.IncludePlannedDeletion))
	if err != nil {
		return nil, err
	}
	order := func(r secret) string { return orderOf(aws.Val(in.SortBy), &r) }
	all, next, err := page(all, order, aws.Val(in.SortOrder) != api.SortOrderTypeAsc, in.NextToken, limit(in.MaxResults, 100))
	if err != nil {
		return nil, err
	}
	out := &api.ListSecretsOutput{NextToken: next, SecretList: []api.SecretListEntry{}}
	for _, r := range all {
		out.SecretList = append(out.SecretList, api.SecretListEntry{
			ARN: r.ARN, Name: r.Name, Description: r.Description, KmsKeyId: r.KmsKeyId, CreatedDate: r.CreatedDate, LastChangedDate: r.LastChangedDate,
			LastAccessedDate: r.LastAccessedDate, DeletedDate: r.DeletedDate, OwningService: r.OwningService, Tags: r.Tags, SecretVersionsToStages: maps.Clone(r.VersionIdsToStages),
		})
	}
	return out, nil
}

// listed are the caller's secrets that match.
func (s *Service) listed(ctx context.Context, match func(*secret, string) bool, planned bool) ([]secret, error) {
	p, now := place(ctx), s.now()
	all, err := s.secrets.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	return slices.DeleteFunc(all, func(r secret) bool {
		return r.expired(now) || r.DeletedDate != nil && !planned || !match(&r, p.Region)
	}), nil
}

// orderOf is a text by which secrets are sorted as asked; those that are alike,
// by name.
func orderOf(by string, r *secret) string {
	at := r.CreatedDate
	switch by {
	case api.SortByTypeName:
		at = nil
	case api.SortByTypeLastAccessedDate:
		at = r.LastAccessedDate
	case api.SortByTypeLastChangedDate:
		at = r.LastChangedDate
	}
	return fmt.Sprintf("%020d %s", max(aws.Val(at).UnixMilli(), 0), aws.Val(r.Name))
}
