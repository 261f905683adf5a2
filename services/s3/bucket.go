package s3

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/store"
)

// bucket is a bucket's record.
type bucket struct {
	Name     string
	ID       string // of this bucket, also when the name is used again
	Account  string
	Created  time.Time
	Deleting bool `json:",omitempty"` // DeleteBucket is looking whether it is empty

	Policy       string                                 `json:",omitempty"`
	Tags         []api.Tag                              `json:",omitempty"`
	PublicAccess *api.PublicAccessBlockConfiguration    `json:",omitempty"`
	Ownership    string                                 `json:",omitempty"`
	Encryption   *api.ServerSideEncryptionConfiguration `json:",omitempty"`
	Lifecycle    []api.LifecycleRule                    `json:",omitempty"`
	LeastMoved   string                                 `json:",omitempty"` // the smallest object that transitions are for, were there any
	Versioning   string                                 `json:",omitempty"` // Enabled or Suspended, once it was set
}

// usEast1 has no location constraint, for S3 began there.
const usEast1 = "us-east-1"

// CreateBucket makes a bucket. In us-east-1 it is no error to make one's own
// again, as ever.
func (s *Service) CreateBucket(ctx context.Context, in *api.CreateBucketInput) (*api.CreateBucketOutput, error) {
	name := aws.Val(in.Bucket)
	if !validName(name) {
		return nil, with(failure(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid."), "BucketName", name)
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	b := bucket{Name: name, ID: ids.Hex(16), Account: identity.From(ctx).Account, Created: s.now(), Ownership: api.ObjectOwnershipBucketOwnerEnforced}
	if o := aws.Val(in.ObjectOwnership); o != "" && o != b.Ownership {
		return nil, notServed("object ownership " + o)
	}
	if c := aws.Val(in.BucketNamespace); c != "" && c != "global" {
		return nil, notServed("x-amz-bucket-namespace: " + c)
	}
	if err := s.location(in.CreateBucketConfiguration); err != nil {
		return nil, err
	}
	if c := in.CreateBucketConfiguration; c != nil {
		if err := checkTags(c.Tags, maxBucketTags); err != nil {
			return nil, err
		}
		b.Tags = c.Tags
	}
	yes := true
	b.PublicAccess = &api.PublicAccessBlockConfiguration{BlockPublicAcls: &yes, BlockPublicPolicy: &yes, IgnorePublicAcls: &yes, RestrictPublicBuckets: &yes}
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old, found, err := s.buckets.TxGet(tx, partition, s.Region, name)
		switch {
		case err != nil:
			return err
		case !found:
			return s.buckets.TxPut(tx, b, partition, s.Region, name)
		case old.Account != b.Account:
			return with(failure(http.StatusConflict, "BucketAlreadyExists", "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."), "BucketName", name)
		case s.Region == usEast1:
			return nil
		}
		return with(failure(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."), "BucketName", name)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateBucketOutput{Location: aws.Ptr("/" + name), BucketArn: aws.Ptr(place(ctx).Bucket(name))}, nil
}

// location holds a new bucket to the region that this instance runs.
func (s *Service) location(c *api.CreateBucketConfiguration) error {
	asked := ""
	if c != nil {
		if c.Location != nil || c.Bucket != nil {
			return notServed("a directory bucket")
		}
		asked = aws.Val(c.LocationConstraint)
	}
	switch {
	case asked == "" && s.Region == usEast1, asked == s.Region && asked != usEast1:
		return nil
	case asked == usEast1 || asked != "" && s.Region == usEast1:
		return with(failure(http.StatusBadRequest, "InvalidLocationConstraint", "The specified location-constraint is not valid"), "LocationConstraint", asked)
	case asked == "":
		asked = "unspecified"
	}
	return failure(http.StatusBadRequest, "IllegalLocationConstraintException", "The "+asked+" location constraint is incompatible for the region specific endpoint this request was sent to.")
}

// HeadBucket tells that a bucket is there.
func (s *Service) HeadBucket(ctx context.Context, in *api.HeadBucketInput) (*api.HeadBucketOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	return &api.HeadBucketOutput{BucketRegion: &s.Region, BucketArn: aws.Ptr(place(ctx).Bucket(b.Name)), AccessPointAlias: aws.Ptr(false)}, nil
}

// GetBucketLocation tells where a bucket is; us-east-1 is told by saying nothing.
func (s *Service) GetBucketLocation(ctx context.Context, in *api.GetBucketLocationInput) (*api.GetBucketLocationOutput, error) {
	if _, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	out := &api.GetBucketLocationOutput{}
	if s.Region != usEast1 {
		out.LocationConstraint = &s.Region
	}
	return out, nil
}

// ListBuckets lists the caller's buckets.
func (s *Service) ListBuckets(ctx context.Context, in *api.ListBucketsInput) (*api.ListBucketsOutput, error) {
	all, err := s.buckets.List(ctx, partition, s.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	account, prefix, after := identity.From(ctx).Account, aws.Val(in.Prefix), ""
	if in.ContinuationToken != nil {
		if after, err = untoken(*in.ContinuationToken); err != nil {
			return nil, err
		}
	}
	most := int(aws.Val(in.MaxBuckets))
	if in.MaxBuckets == nil {
		most = len(all)
	} else if most < 1 || most > 10_000 {
		return nil, invalidArgument("max-buckets", aws.Text(in, "MaxBuckets"), "Argument max-buckets must be an integer between 1 and 10000")
	}
	out := &api.ListBucketsOutput{Buckets: []api.Bucket{}, Owner: ownerOf(account), Prefix: in.Prefix}
	for _, b := range all {
		if b.Account != account || !strings.HasPrefix(b.Name, prefix) || b.Name <= after || in.BucketRegion != nil && *in.BucketRegion != s.Region {
			continue
		}
		if len(out.Buckets) == most {
			out.ContinuationToken = aws.Ptr(token(aws.Val(out.Buckets[most-1].Name)))
			break
		}
		entry := api.Bucket{Name: aws.Ptr(b.Name), CreationDate: aws.Ptr(b.Created), BucketRegion: &s.Region}
		if in.MaxBuckets != nil {
			entry.BucketArn = aws.Ptr(arn.Place{Partition: partition}.Bucket(b.Name))
		}
		out.Buckets = append(out.Buckets, entry)
	}
	return out, nil
}

// token hides where a page ends.
func token(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }

func untoken(token string) (string, error) {
	last, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(last) == 0 {
		return "", invalidArgument("continuation-token", token, "The continuation token provided is incorrect")
	}
	return string(last), nil
}

// DeleteBucket deletes a bucket without objects. Uploads that were not completed
// go with it.
func (s *Service) DeleteBucket(ctx context.Context, in *api.DeleteBucketInput) (*api.DeleteBucketOutput, error) {
	var id string
	versioned := false
	err := s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Deleting, id, versioned = true, b.ID, b.Versioning != ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	empty, err := s.empty(ctx, id)
	if err == nil && empty {
		if err = s.buckets.Delete(ctx, partition, s.Region, *in.Bucket); err == nil {
			s.dropUploads(ctx, id)
			return &api.DeleteBucketOutput{}, nil
		}
	}
	// The mark is taken off, also for a client that is gone.
	unmark := s.change(context.WithoutCancel(ctx), in.Bucket, nil, func(b *bucket) error {
		b.Deleting = false
		return nil
	})
	switch {
	case err != nil:
		return nil, aws.Internal(err)
	case unmark != nil:
		return nil, unmark
	}
	message := "The bucket you tried to delete is not empty"
	if versioned {
		message += ". You must delete all versions in the bucket."
	}
	return nil, with(failure(http.StatusConflict, "BucketNotEmpty", message), "BucketName", *in.Bucket)
}

// empty tells whether a bucket has neither objects nor versions nor markers.
func (s *Service) empty(ctx context.Context, bucketID string) (bool, error) {
	for _, prefix := range []string{s.objects.Prefix(partition, s.Region, bucketID), s.versions.Prefix(partition, s.Region, bucketID)} {
		if recs, _, err := s.Store.List(ctx, prefix, store.Page{Limit: 1}); err != nil || len(recs) > 0 {
			return false, err
		}
	}
	return true, nil
}
