package s3

import (
	"context"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"unicode/utf8"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/store"
)

// How many tags a bucket and an object may have.
const (
	maxBucketTags = 50
	maxObjectTags = 10
)

// checkTags holds tags to S3's rules.
func checkTags(tags []api.Tag, most int) error {
	invalid := func(message, key string) error {
		return with(failure(http.StatusBadRequest, "InvalidTag", message), "TagKey", key)
	}
	if len(tags) > most {
		if most == maxObjectTags {
			return failure(http.StatusBadRequest, "BadRequest", "Object tags cannot be greater than 10")
		}
		return failure(http.StatusBadRequest, "BadRequest", "Bucket tag count cannot be greater than 50")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		k, v := aws.Val(t.Key), aws.Val(t.Value)
		switch {
		case t.Key == nil || t.Value == nil:
			return malformedXML()
		case k == "" || utf8.RuneCountInString(k) > 128:
			return invalid("The TagKey you have provided is invalid", k)
		case utf8.RuneCountInString(v) > 256:
			return invalid("The TagValue you have provided is invalid", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return invalid("System tags cannot be added/updated by requester", k)
		case seen[k]:
			return invalid("Cannot provide multiple Tags with the same key", k)
		}
		seen[k] = true
	}
	return nil
}

// headerTags reads the tags of the header x-amz-tagging, a query string.
func headerTags(header string) ([]api.Tag, error) {
	values, err := url.ParseQuery(header)
	if err != nil {
		return nil, invalidArgument("x-amz-tagging", header, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	var tags []api.Tag
	for k, v := range values {
		if len(v) != 1 {
			return nil, invalidArgument("x-amz-tagging", header, "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
		}
		tags = append(tags, api.Tag{Key: aws.Ptr(k), Value: aws.Ptr(v[0])})
	}
	sort.Slice(tags, func(i, j int) bool { return *tags[i].Key < *tags[j].Key })
	return tags, checkTags(tags, maxObjectTags)
}

// PutObjectTagging replaces an object's tags.
func (s *Service) PutObjectTagging(ctx context.Context, in *api.PutObjectTaggingInput) (*api.PutObjectTaggingOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tagging.TagSet, maxObjectTags); err != nil {
		return nil, err
	}
	version, err := s.retag(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, in.Tagging.TagSet)
	return &api.PutObjectTaggingOutput{VersionId: version}, err
}

// GetObjectTagging returns an object's tags.
func (s *Service) GetObjectTagging(ctx context.Context, in *api.GetObjectTaggingInput) (*api.GetObjectTaggingOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	b, o, err := s.object(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId)
	if err != nil {
		return nil, err
	}
	return &api.GetObjectTaggingOutput{TagSet: append([]api.Tag{}, o.Tags...), VersionId: b.told(&o)}, nil
}

// DeleteObjectTagging takes an object's tags.
func (s *Service) DeleteObjectTagging(ctx context.Context, in *api.DeleteObjectTaggingInput) (*api.DeleteObjectTaggingOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	version, err := s.retag(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId, nil)
	return &api.DeleteObjectTaggingOutput{VersionId: version}, err
}

// retag replaces the tags of an object, or of a version of it, and tells of which.
func (s *Service) retag(ctx context.Context, name, owner, key, version *string, tags []api.Tag) (*string, error) {
	b, o, err := s.object(ctx, name, owner, key, version)
	if err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		now, err := s.inBucket(tx, b)
		if err != nil {
			return err
		}
		h, err := s.history(tx, now, *key)
		if err != nil {
			return err
		}
		var found bool
		if o, found, err = h.find(aws.Val(version)); err != nil {
			return err
		}
		if !found || o.Marker {
			return noSuchKey(*key)
		}
		o.Tags = tags
		return h.set(o)
	})
	return b.told(&o), err
}
