package secretsmanager

import (
	"context"
	"fmt"
	"slices"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/store"
)

// ListSecretVersionIds lists a secret's versions, the newest first.
func (s *Service) ListSecretVersionIds(ctx context.Context, in *api.ListSecretVersionIdsInput) (*api.ListSecretVersionIdsOutput, error) {
	p, r, err := s.find(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	all, err := s.versions.List(ctx, p.Account, p.Region, r.id())
	if err != nil {
		return nil, aws.Internal(err)
	}
	if !aws.Val(in.IncludeDeprecated) {
		all = slices.DeleteFunc(all, func(v version) bool { return len(r.VersionIdsToStages[v.ID]) == 0 })
	}
	order := func(v version) string { return fmt.Sprintf("%020d %s", v.Created.UnixMilli(), v.ID) }
	all, next, err := page(all, order, true, in.NextToken, limit(in.MaxResults, 100))
	if err != nil {
		return nil, err
	}
	out := &api.ListSecretVersionIdsOutput{ARN: r.ARN, Name: r.Name, NextToken: next, Versions: []api.SecretVersionsListEntry{}}
	for _, v := range all {
		key := "DefaultEncryptionKey"
		if aws.Val(r.KmsKeyId) != "" {
			key = *r.KmsKeyId
		}
		out.Versions = append(out.Versions, api.SecretVersionsListEntry{
			VersionId: &v.ID, CreatedDate: &v.Created, LastAccessedDate: v.Accessed, VersionStages: r.VersionIdsToStages[v.ID], KmsKeyIds: []string{key},
		})
	}
	return out, nil
}

// UpdateSecretVersionStage moves a label between versions.
func (s *Service) UpdateSecretVersionStage(ctx context.Context, in *api.UpdateSecretVersionStageInput) (*api.UpdateSecretVersionStageOutput, error) {
	r, err := s.changeActive(ctx, in.SecretId, func(tx *store.Tx, p arn.Place, r *secret) error {
		for _, id := range []*string{in.MoveToVersionId, in.RemoveFromVersionId} {
			if id == nil {
				continue
			}
			_, found, err := s.versions.TxGet(tx, p.Account, p.Region, r.id(), *id)
			if err != nil {
				return err
			}
			if !found {
				return api.ResourceNotFoundException("Secrets Manager can't find the specified secret value for VersionId: %s", *id)
			}
		}
		r.LastChangedDate = aws.Ptr(s.now())
		return r.stages().move(*in.VersionStage, aws.Val(in.RemoveFromVersionId), aws.Val(in.MoveToVersionId))
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateSecretVersionStageOutput{ARN: r.ARN, Name: r.Name}, nil
}
