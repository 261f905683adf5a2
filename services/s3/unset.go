package s3

import (
	"context"
	"net/http"

	"minato/aws"
	api "minato/aws/api/s3"
)

// What follows is read by clients on their own (Terraform, before every plan),
// and cannot be set here: the answers are those of a bucket on which it never
// was.

// unset answers for a setting that S3 says is not there.
func (s *Service) unset(ctx context.Context, name, owner *string, code, message string) error {
	b, err := s.find(ctx, name, owner)
	if err != nil {
		return err
	}
	return with(failure(http.StatusNotFound, code, message), "BucketName", b.Name)
}

// found answers for a setting that S3 describes as empty.
func found[T any](ctx context.Context, s *Service, name, owner *string, out *T) (*T, error) {
	if _, err := s.find(ctx, name, owner); err != nil {
		return nil, err
	}
	return out, nil
}

// GetBucketAccelerateConfiguration answers that nothing is accelerated.
func (s *Service) GetBucketAccelerateConfiguration(ctx context.Context, in *api.GetBucketAccelerateConfigurationInput) (*api.GetBucketAccelerateConfigurationOutput, error) {
	return found(ctx, s, in.Bucket, in.ExpectedBucketOwner, &api.GetBucketAccelerateConfigurationOutput{})
}

// GetBucketLogging answers that access to the bucket is not logged.
func (s *Service) GetBucketLogging(ctx context.Context, in *api.GetBucketLoggingInput) (*api.GetBucketLoggingOutput, error) {
	return found(ctx, s, in.Bucket, in.ExpectedBucketOwner, &api.GetBucketLoggingOutput{})
}

// GetBucketNotificationConfiguration answers that nobody is notified.
func (s *Service) GetBucketNotificationConfiguration(ctx context.Context, in *api.GetBucketNotificationConfigurationInput) (*api.GetBucketNotificationConfigurationOutput, error) {
	return found(ctx, s, in.Bucket, in.ExpectedBucketOwner, &api.GetBucketNotificationConfigurationOutput{})
}

// GetBucketRequestPayment answers that the owner pays.
func (s *Service) GetBucketRequestPayment(ctx context.Context, in *api.GetBucketRequestPaymentInput) (*api.GetBucketRequestPaymentOutput, error) {
	return found(ctx, s, in.Bucket, in.ExpectedBucketOwner, &api.GetBucketRequestPaymentOutput{Payer: aws.Ptr(api.PayerBucketOwner)})
}

// GetBucketCors answers that there are no rules.
func (s *Service) GetBucketCors(ctx context.Context, in *api.GetBucketCorsInput) (*api.GetBucketCorsOutput, error) {
	return nil, s.unset(ctx, in.Bucket, in.ExpectedBucketOwner, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
}

// GetBucketReplication answers that nothing is replicated.
func (s *Service) GetBucketReplication(ctx context.Context, in *api.GetBucketReplicationInput) (*api.GetBucketReplicationOutput, error) {
	return nil, s.unset(ctx, in.Bucket, in.ExpectedBucketOwner, "ReplicationConfigurationNotFoundError", "The replication configuration was not found")
}

// GetBucketWebsite answers that it is no website.
func (s *Service) GetBucketWebsite(ctx context.Context, in *api.GetBucketWebsiteInput) (*api.GetBucketWebsiteOutput, error) {
	return nil, s.unset(ctx, in.Bucket, in.ExpectedBucketOwner, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration")
}

// GetObjectLockConfiguration answers that nothing is locked.
func (s *Service) GetObjectLockConfiguration(ctx context.Context, in *api.GetObjectLockConfigurationInput) (*api.GetObjectLockConfigurationOutput, error) {
	return nil, s.unset(ctx, in.Bucket, in.ExpectedBucketOwner, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket")
}

// ownerOnly is the access control list of everything: its owner's.
func ownerOnly(account string) (*api.Owner, []api.Grant) {
	o := ownerOf(account)
	return o, []api.Grant{{Grantee: &api.Grantee{ID: o.ID, Type: aws.Ptr(api.TypeCanonicalUser)}, Permission: aws.Ptr(api.PermissionFullControl)}}
}

// GetBucketAcl returns the only list that a bucket can have here.
func (s *Service) GetBucketAcl(ctx context.Context, in *api.GetBucketAclInput) (*api.GetBucketAclOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &api.GetBucketAclOutput{}
	out.Owner, out.Grants = ownerOnly(b.Account)
	return out, nil
}

// GetObjectAcl returns the only list that an object can have here.
func (s *Service) GetObjectAcl(ctx context.Context, in *api.GetObjectAclInput) (*api.GetObjectAclOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	b, _, err := s.object(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	out := &api.GetObjectAclOutput{}
	out.Owner, out.Grants = ownerOnly(b.Account)
	return out, nil
}
