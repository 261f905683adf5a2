package secretsmanager

import (
	"bytes"
	"context"
	"slices"
	"time"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/store"
)

// version is the record of one version of a secret.
type version struct {
	ID       string     `json:"id"`
	Created  time.Time  `json:"created"`
	Accessed *time.Time `json:"accessed,omitempty"`
	Binary   bool       `json:"binary,omitempty"`
	Sealed   []byte     `json:"sealed"`
}

// plain is a value in the open; it is never stored so.
type plain struct {
	binary bool
	bytes  []byte
}

// maxValue is how long a value may be.
const maxValue = 65536

// given is the value of a request, nil when it has none.
func given(text *string, binary []byte, token *string) (*plain, error) {
	var v *plain
	switch {
	case text != nil && binary != nil:
		return nil, api.InvalidParameterException("You can't specify both a binary secret value and a string secret value in the same secret.")
	case text != nil:
		v = &plain{bytes: []byte(*text)}
	case binary != nil:
		v = &plain{binary: true, bytes: binary}
	default:
		return nil, nil
	}
	// The model counts characters; the limit is of bytes.
	if len(v.bytes) > maxValue {
		return nil, &aws.Error{Code: "ValidationException", Message: "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"}
	}
	if token == nil {
		return nil, api.InvalidRequestException("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	return v, nil
}

// sealName is what a version's value is sealed under.
func sealName(r *secret, id string) string { return aws.Val(r.ARN) + " " + id }

// open decrypts a version's value.
func (s *Service) open(r *secret, v *version) (*plain, error) {
	b, err := s.Seal.Open(v.Sealed, sealName(r, v.ID))
	if err != nil {
		return nil, api.DecryptionFailure("Secrets Manager can't decrypt the protected secret text using the provided KMS key. ").Because(err)
	}
	return &plain{binary: v.Binary, bytes: b}, nil
}

// same tells whether a version has a value.
func (s *Service) same(r *secret, v *version, value *plain) (bool, error) {
	old, err := s.open(r, v)
	return err == nil && old.binary == value.binary && bytes.Equal(old.bytes, value.bytes), err
}

// putVersion adds a version with its labels within a transaction. The same
// version with the same value once more changes nothing.
func (s *Service) putVersion(tx *store.Tx, p arn.Place, r *secret, token string, value *plain, labels []string) (repeated bool, err error) {
	v, found, err := s.versions.TxGet(tx, p.Account, p.Region, r.id(), token)
	if err != nil {
		return false, err
	}
	if found {
		same, err := s.same(r, &v, value)
		if err == nil && !same {
			err = api.ResourceExistsException("You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", token, aws.Val(r.ARN))
		}
		return true, err
	}
	if err := s.makeRoom(tx, p, r); err != nil {
		return false, err
	}
	if err := r.stages().add(token, labels); err != nil {
		return false, err
	}
	r.LastChangedDate = aws.Ptr(s.now())
	v = version{ID: token, Created: s.now(), Binary: value.binary, Sealed: s.Seal.Seal(value.bytes, sealName(r, token))}
	return false, s.versions.TxPut(tx, v, p.Account, p.Region, r.id(), token)
}

const (
	// keptVersions is how many versions a secret keeps; of those beyond, the
	// deprecated ones go, once they are a day old.
	keptVersions = 100
	keptFor      = 24 * time.Hour
)

// makeRoom removes deprecated versions so that there is room for one more.
func (s *Service) makeRoom(tx *store.Tx, p arn.Place, r *secret) error {
	all, err := s.versions.TxList(tx, p.Account, p.Region, r.id())
	if err != nil {
		return err
	}
	excess := len(all) + 1 - keptVersions
	if excess <= 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b version) int { return a.Created.Compare(b.Created) })
	for _, v := range all {
		if excess == 0 || s.now().Sub(v.Created) < keptFor {
			break
		}
		if len(r.VersionIdsToStages[v.ID]) == 0 {
			s.versions.TxDelete(tx, p.Account, p.Region, r.id(), v.ID)
			excess--
		}
	}
	return nil
}

// PutSecretValue gives a secret a new version.
func (s *Service) PutSecretValue(ctx context.Context, in *api.PutSecretValueInput) (*api.PutSecretValueOutput, error) {
	value, err := given(in.SecretString, in.SecretBinary, in.ClientRequestToken)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, api.InvalidRequestException("You must provide either SecretString or SecretBinary.")
	}
	if in.RotationToken != nil {
		return nil, api.InvalidParameterException("Rotation is not supported by minato (RotationToken).")
	}
	token := *in.ClientRequestToken
	r, err := s.changeActive(ctx, in.SecretId, func(tx *store.Tx, p arn.Place, r *secret) error {
		_, err := s.putVersion(tx, p, r, token, value, in.VersionStages)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &api.PutSecretValueOutput{ARN: r.ARN, Name: r.Name, VersionId: &token, VersionStages: r.VersionIdsToStages[token]}, nil
}

// GetSecretValue returns the value of one version: the one that is named by id
// or label, or the current one.
func (s *Service) GetSecretValue(ctx context.Context, in *api.GetSecretValueInput) (*api.GetSecretValueOutput, error) {
	p, r, err := s.findActive(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	if p.Account != place(ctx).Account {
		return nil, api.InvalidRequestException("You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
	}
	v, err := s.pick(ctx, p, &r, in.VersionId, in.VersionStage)
	if err != nil {
		return nil, err
	}
	value, err := s.open(&r, &v)
	if err != nil {
		return nil, err
	}
	s.accessed(ctx, p, &r, &v)
	out := &api.GetSecretValueOutput{ARN: r.ARN, Name: r.Name, CreatedDate: &v.Created, VersionId: &v.ID, VersionStages: r.VersionIdsToStages[v.ID]}
	if value.binary {
		out.SecretBinary = value.bytes
	} else {
		out.SecretString = aws.Ptr(string(value.bytes))
	}
	return out, nil
}

// pick finds the version that id and label name.
func (s *Service) pick(ctx context.Context, p arn.Place, r *secret, id, label *string) (version, error) {
	stage := aws.Val(label)
	if stage == "" && aws.Val(id) == "" {
		stage = current
	}
	want := aws.Val(id)
	if want == "" {
		want = stages(r.VersionIdsToStages).holder(stage)
		if want == "" {
			return version{}, api.ResourceNotFoundException("Secrets Manager can't find the specified secret value for staging label: %s", stage)
		}
	}
	v, found, err := s.versions.Get(ctx, p.Account, p.Region, r.id(), want)
	if err != nil {
		return v, aws.Internal(err)
	}
	if !found {
		return v, api.ResourceNotFoundException("Secrets Manager can't find the specified secret value for VersionId: %s", want)
	}
	if stage != "" && !slices.Contains(r.VersionIdsToStages[want], stage) {
		return v, api.InvalidRequestException("You provided a VersionStage that is not associated to the provided VersionId.")
	}
	return v, nil
}

// accessed notes the day on which a value was read. A reader gets the value
// also when the note cannot be made.
func (s *Service) accessed(ctx context.Context, p arn.Place, r *secret, v *version) {
	day := s.now().Truncate(24 * time.Hour)
	if v.Accessed != nil && !v.Accessed.Before(day) && r.LastAccessedDate != nil && !r.LastAccessedDate.Before(day) {
		return
	}
	_, err := s.versions.Update(ctx, func(v *version) error { v.Accessed = &day; return nil }, p.Account, p.Region, r.id(), v.ID)
	if err == nil {
		_, err = s.secrets.Update(ctx, func(now *secret) error {
			if aws.Val(now.ARN) == aws.Val(r.ARN) {
				now.LastAccessedDate = &day
			}
			return nil
		}, p.Account, p.Region, aws.Val(r.Name))
	}
	if err != nil {
		s.Log.Warn("the day of a secret's last access was not noted", "secret", aws.Val(r.ARN), "error", err)
	}
}

// BatchGetSecretValue returns the current values of several secrets; those that
// the caller may not read or that are not there are in its errors.
func (s *Service) BatchGetSecretValue(ctx context.Context, in *api.BatchGetSecretValueInput) (*api.BatchGetSecretValueOutput, error) {
	if (len(in.SecretIdList) > 0) == (len(in.Filters) > 0) {
		return nil, api.InvalidParameterException("Either 'SecretIdList' or 'Filters' must be provided, but not both.")
	}
	if len(in.SecretIdList) > 0 && in.MaxResults != nil {
		return nil, api.InvalidParameterException("'SecretIdList' and 'MaxResults' can't be provided together.")
	}
	wanted := in.SecretIdList
	out := &api.BatchGetSecretValueOutput{SecretValues: []api.SecretValueEntry{}, Errors: []api.APIErrorType{}}
	if len(in.Filters) > 0 {
		match, err := filters(in.Filters)
		if err != nil {
			return nil, err
		}
		all, err := s.listed(ctx, match, false)
		if err != nil {
			return nil, err
		}
		all, out.NextToken, err = page(all, func(r secret) string { return r.id() }, false, in.NextToken, limit(in.MaxResults, 20))
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			wanted = append(wanted, *r.ARN)
		}
	}
	for _, id := range wanted {
		v, err := s.Self.GetSecretValue(ctx, &api.GetSecretValueInput{SecretId: &id})
		if err != nil {
			e := aws.AsError(err)
			if e.HTTPStatus() >= 500 {
				return nil, err
			}
			out.Errors = append(out.Errors, api.APIErrorType{SecretId: &id, ErrorCode: &e.Code, Message: &e.Message})
			continue
		}
		out.SecretValues = append(out.SecretValues, api.SecretValueEntry{
			ARN: v.ARN, Name: v.Name, CreatedDate: v.CreatedDate, SecretBinary: v.SecretBinary, SecretString: v.SecretString, VersionId: v.VersionId, VersionStages: v.VersionStages,
		})
	}
	return out, nil
}
