package s3

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/aws/policy"
)

// maxPolicy is the size of a bucket policy.
const maxPolicy = 20 << 10

// PutBucketPolicy gives a bucket its policy.
func (s *Service) PutBucketPolicy(ctx context.Context, in *api.PutBucketPolicyInput) (*api.PutBucketPolicyOutput, error) {
	text, name := aws.Val(in.Policy), aws.Val(in.Bucket)
	if _, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if err := checkPolicy(text, place(ctx).Bucket(name)); err != nil {
		return nil, err
	}
	return &api.PutBucketPolicyOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		if b.blocks().policy && policy.Public(text) {
			return denied("User: " + identity.From(ctx).ARN + " is not authorized to perform: s3:PutBucketPolicy on resource: \"" + place(ctx).Bucket(name) + "\" because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access.")
		}
		b.Policy = text
		return nil
	})
}

// checkPolicy says why a text is no policy of the bucket.
func checkPolicy(text, bucketARN string) error {
	malformed := func(message string) *aws.Error {
		return failure(http.StatusBadRequest, "MalformedPolicy", message)
	}
	if len(text) > maxPolicy {
		return malformed("Policies must not be larger than 20480 bytes")
	}
	if text == "" || text[0] != '{' || !json.Valid([]byte(text)) {
		return malformed("This policy contains invalid Json")
	}
	if _, err := policy.Parse(text, policy.Resource); err != nil {
		message := aws.AsError(err).Message
		if strings.HasPrefix(message, "Invalid principal") {
			message = "Invalid principal in policy"
		}
		return malformed(message).Because(err)
	}
	var doc struct{ Statement statements }
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return malformed("This policy contains invalid Json").Because(err)
	}
	for _, st := range doc.Statement {
		if len(st.Resource)+len(st.NotResource) == 0 {
			return malformed("Missing required field Resource")
		}
		for _, r := range append(st.Resource, st.NotResource...) {
			if r != bucketARN && !strings.HasPrefix(r, bucketARN+"/") && !strings.HasPrefix(r, bucketARN+"*") {
				return malformed("Policy has invalid resource")
			}
		}
		for _, a := range append(st.Action, st.NotAction...) {
			if a != "*" && !strings.HasPrefix(strings.ToLower(a), "s3:") {
				return malformed("Policy has invalid action")
			}
		}
	}
	return nil
}

// statements are a policy's, as far as S3 looks into them.
type statements []struct{ Action, NotAction, Resource, NotResource oneOrMany }

// UnmarshalJSON takes a lone statement too.
func (s *statements) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '{' {
		raw = []byte("[" + string(raw) + "]")
	}
	type plain statements
	return json.Unmarshal(raw, (*plain)(s))
}

type oneOrMany []string

// UnmarshalJSON takes a lone string too.
func (s *oneOrMany) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		raw = []byte("[" + string(raw) + "]")
	}
	return json.Unmarshal(raw, (*[]string)(s))
}

// GetBucketPolicy returns a bucket's policy.
func (s *Service) GetBucketPolicy(ctx context.Context, in *api.GetBucketPolicyInput) (*api.GetBucketPolicyOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, with(failure(http.StatusNotFound, "NoSuchBucketPolicy", "The bucket policy does not exist"), "BucketName", b.Name)
	}
	return &api.GetBucketPolicyOutput{Policy: &b.Policy}, nil
}

// GetBucketPolicyStatus tells whether a bucket's policy makes it public.
func (s *Service) GetBucketPolicyStatus(ctx context.Context, in *api.GetBucketPolicyStatusInput) (*api.GetBucketPolicyStatusOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Policy == "" {
		return nil, with(failure(http.StatusNotFound, "NoSuchBucketPolicy", "The bucket policy does not exist"), "BucketName", b.Name)
	}
	return &api.GetBucketPolicyStatusOutput{PolicyStatus: &api.PolicyStatus{IsPublic: aws.Ptr(policy.Public(b.Policy))}}, nil
}

// DeleteBucketPolicy takes a bucket's policy.
func (s *Service) DeleteBucketPolicy(ctx context.Context, in *api.DeleteBucketPolicyInput) (*api.DeleteBucketPolicyOutput, error) {
	return &api.DeleteBucketPolicyOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Policy = ""
		return nil
	})
}

// blocks are the settings of a bucket's public access block.
type blocks struct{ policy, restrict bool }

func (b *bucket) blocks() blocks {
	if b.PublicAccess == nil {
		return blocks{}
	}
	return blocks{policy: aws.Val(b.PublicAccess.BlockPublicPolicy), restrict: aws.Val(b.PublicAccess.RestrictPublicBuckets)}
}

// PutPublicAccessBlock sets what keeps a bucket from becoming public. A setting
// that is not given is off.
func (s *Service) PutPublicAccessBlock(ctx context.Context, in *api.PutPublicAccessBlockInput) (*api.PutPublicAccessBlockOutput, error) {
	c := *in.PublicAccessBlockConfiguration
	for _, p := range []**bool{&c.BlockPublicAcls, &c.BlockPublicPolicy, &c.IgnorePublicAcls, &c.RestrictPublicBuckets} {
		if *p == nil {
			*p = aws.Ptr(false)
		}
	}
	return &api.PutPublicAccessBlockOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.PublicAccess = &c
		return nil
	})
}

// GetPublicAccessBlock returns what keeps a bucket from becoming public.
func (s *Service) GetPublicAccessBlock(ctx context.Context, in *api.GetPublicAccessBlockInput) (*api.GetPublicAccessBlockOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.PublicAccess == nil {
		return nil, with(failure(http.StatusNotFound, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"), "BucketName", b.Name)
	}
	return &api.GetPublicAccessBlockOutput{PublicAccessBlockConfiguration: b.PublicAccess}, nil
}

// DeletePublicAccessBlock lets a bucket become public.
func (s *Service) DeletePublicAccessBlock(ctx context.Context, in *api.DeletePublicAccessBlockInput) (*api.DeletePublicAccessBlockOutput, error) {
	return &api.DeletePublicAccessBlockOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.PublicAccess = nil
		return nil
	})
}

// PutBucketOwnershipControls sets who owns what others put; only the bucket's
// owner can, here.
func (s *Service) PutBucketOwnershipControls(ctx context.Context, in *api.PutBucketOwnershipControlsInput) (*api.PutBucketOwnershipControlsOutput, error) {
	if len(in.OwnershipControls.Rules) != 1 {
		return nil, malformedXML()
	}
	if o := aws.Val(in.OwnershipControls.Rules[0].ObjectOwnership); o != api.ObjectOwnershipBucketOwnerEnforced {
		return nil, notServed("object ownership " + o)
	}
	return &api.PutBucketOwnershipControlsOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = api.ObjectOwnershipBucketOwnerEnforced
		return nil
	})
}

// GetBucketOwnershipControls returns who owns what others put.
func (s *Service) GetBucketOwnershipControls(ctx context.Context, in *api.GetBucketOwnershipControlsInput) (*api.GetBucketOwnershipControlsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if b.Ownership == "" {
		return nil, with(failure(http.StatusNotFound, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found"), "BucketName", b.Name)
	}
	return &api.GetBucketOwnershipControlsOutput{OwnershipControls: &api.OwnershipControls{Rules: []api.OwnershipControlsRule{{ObjectOwnership: &b.Ownership}}}}, nil
}

// DeleteBucketOwnershipControls forgets the setting; nobody else owns anything
// here all the same.
func (s *Service) DeleteBucketOwnershipControls(ctx context.Context, in *api.DeleteBucketOwnershipControlsInput) (*api.DeleteBucketOwnershipControlsOutput, error) {
	return &api.DeleteBucketOwnershipControlsOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Ownership = ""
		return nil
	})
}

// managedKey is the key of KMS that S3 manages by itself, and takes where none is
// named.
const managedKey = "alias/aws/s3"

// PutBucketEncryption sets how objects are encrypted: as they are in any case,
// under the instance's key, which stands for the one that S3 manages too.
func (s *Service) PutBucketEncryption(ctx context.Context, in *api.PutBucketEncryptionInput) (*api.PutBucketEncryptionOutput, error) {
	c := *in.ServerSideEncryptionConfiguration
	if len(c.Rules) != 1 || c.Rules[0].ApplyServerSideEncryptionByDefault == nil {
		return nil, malformedXML()
	}
	by := c.Rules[0].ApplyServerSideEncryptionByDefault
	switch a := aws.Val(by.SSEAlgorithm); {
	case a == api.ServerSideEncryptionAwsKms && (by.KMSMasterKeyID == nil || *by.KMSMasterKeyID == managedKey):
		// S3's own key of the account: the instance's is nobody else's either.
	case a == api.ServerSideEncryptionAwsKms:
		return nil, notServed("encryption by the KMS key " + *by.KMSMasterKeyID)
	case a != api.ServerSideEncryptionAes256:
		return nil, notServed("encryption by " + a)
	case by.KMSMasterKeyID != nil:
		return nil, invalidArgument("KMSMasterKeyID", *by.KMSMasterKeyID, "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse")
	}
	return &api.PutBucketEncryptionOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Encryption = &c
		return nil
	})
}

// GetBucketEncryption tells how objects are encrypted.
func (s *Service) GetBucketEncryption(ctx context.Context, in *api.GetBucketEncryptionInput) (*api.GetBucketEncryptionOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	c := b.Encryption
	if c == nil {
		c = &api.ServerSideEncryptionConfiguration{Rules: []api.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &api.ServerSideEncryptionByDefault{SSEAlgorithm: aws.Ptr(api.ServerSideEncryptionAes256)}, BucketKeyEnabled: aws.Ptr(false),
		}}}
	}
	return &api.GetBucketEncryptionOutput{ServerSideEncryptionConfiguration: c}, nil
}

// DeleteBucketEncryption goes back to the usual encryption.
func (s *Service) DeleteBucketEncryption(ctx context.Context, in *api.DeleteBucketEncryptionInput) (*api.DeleteBucketEncryptionOutput, error) {
	return &api.DeleteBucketEncryptionOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Encryption = nil
		return nil
	})
}

// PutBucketTagging replaces a bucket's tags.
func (s *Service) PutBucketTagging(ctx context.Context, in *api.PutBucketTaggingInput) (*api.PutBucketTaggingOutput, error) {
	if err := checkTags(in.Tagging.TagSet, maxBucketTags); err != nil {
		return nil, err
	}
	return &api.PutBucketTaggingOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Tags = in.Tagging.TagSet
		return nil
	})
}

// GetBucketTagging returns a bucket's tags.
func (s *Service) GetBucketTagging(ctx context.Context, in *api.GetBucketTaggingInput) (*api.GetBucketTaggingOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if len(b.Tags) == 0 {
		return nil, with(failure(http.StatusNotFound, "NoSuchTagSet", "The TagSet does not exist"), "BucketName", b.Name)
	}
	return &api.GetBucketTaggingOutput{TagSet: b.Tags}, nil
}

// DeleteBucketTagging takes a bucket's tags.
func (s *Service) DeleteBucketTagging(ctx context.Context, in *api.DeleteBucketTaggingInput) (*api.DeleteBucketTaggingOutput, error) {
	return &api.DeleteBucketTaggingOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Tags = nil
		return nil
	})
}
