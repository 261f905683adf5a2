package s3

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/gateway"
)

// actions are the IAM actions of the operations that are called otherwise.
var actions = map[string]string{
	"HeadBucket": "ListBucket", "ListBuckets": "ListAllMyBuckets", "ListObjects": "ListBucket", "ListObjectsV2": "ListBucket", "ListObjectVersions": "ListBucketVersions",
	"ListMultipartUploads": "ListBucketMultipartUploads", "ListParts": "ListMultipartUploadParts",
	"GetBucketEncryption": "GetEncryptionConfiguration", "PutBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketEncryption": "PutEncryptionConfiguration",
	"GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock", "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
	"DeleteBucketOwnershipControls": "PutBucketOwnershipControls", "DeleteBucketTagging": "PutBucketTagging",
	"GetBucketAccelerateConfiguration": "GetAccelerateConfiguration", "GetBucketCors": "GetBucketCORS", "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
	"PutBucketLifecycleConfiguration": "PutLifecycleConfiguration", "DeleteBucketLifecycle": "PutLifecycleConfiguration",
	"GetBucketNotificationConfiguration": "GetBucketNotification", "GetBucketReplication": "GetReplicationConfiguration", "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
	"HeadObject": "GetObject", "CopyObject": "PutObject", "CreateMultipartUpload": "PutObject", "CompleteMultipartUpload": "PutObject", "UploadPart": "PutObject", "UploadPartCopy": "PutObject",
}

// versioned are the actions that are others with a version id.
var versioned = map[string]string{
	"GetObject": "GetObjectVersion", "DeleteObject": "DeleteObjectVersion", "GetObjectAcl": "GetObjectVersionAcl",
	"GetObjectTagging": "GetObjectVersionTagging", "PutObjectTagging": "PutObjectVersionTagging", "DeleteObjectTagging": "DeleteObjectVersionTagging",
}

// checks is what IAM is asked for a call.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	action := op.Name
	if a := actions[action]; a != "" {
		action = a
	}
	if other := versioned[action]; other != "" && aws.Text(in, "VersionId") != "" {
		action = other
	}
	name, key := aws.Text(in, "Bucket"), aws.Text(in, "Key")
	if name == "" {
		return []gateway.Check{{Action: "s3:" + action, Resource: "*"}}
	}
	c := s.check(ctx, "s3:"+action, name, key)
	requestKeys(c.Context, in)
	switch in := in.(type) {
	case *api.DeleteObjectsInput:
		c.Action = "" // each key is asked for by itself
	case *api.CopyObjectInput:
		return append([]gateway.Check{c}, s.sourceCheck(ctx, in.CopySource)...)
	case *api.UploadPartCopyInput:
		return append([]gateway.Check{c}, s.sourceCheck(ctx, in.CopySource)...)
	case *api.PutObjectInput:
		if aws.Val(in.Tagging) != "" {
			tagging := c
			tagging.Action = "s3:PutObjectTagging"
			return []gateway.Check{c, tagging}
		}
	}
	return []gateway.Check{c}
}

// sourceCheck asks for what is copied.
func (s *Service) sourceCheck(ctx context.Context, source *string) []gateway.Check {
	name, key, version, err := parseSource(aws.Val(source))
	if err != nil {
		return nil // the operation says so
	}
	action := "GetObject"
	if version != nil {
		action = versioned[action]
	}
	return []gateway.Check{s.check(ctx, "s3:"+action, name, key)}
}

// check asks for an action on a bucket, or on a key of it, with the bucket's
// policy.
func (s *Service) check(ctx context.Context, action, name, key string) gateway.Check {
	c := gateway.Check{Action: action, Resource: place(ctx).Bucket(name), Context: map[string][]string{}}
	if key != "" {
		c.Resource = place(ctx).Object(name, key)
	}
	c.Shown = `"` + c.Resource + `"`
	caller := identity.From(ctx)
	b, found, err := s.buckets.Get(ctx, partition, s.Region, name)
	switch {
	case err != nil:
		// A policy that cannot be read may have denied this very call.
		s.Log.Error("a call is denied: the bucket cannot be read", "bucket", name, "error", err)
		c.ResourcePolicy = nobody
	case !found:
		if caller.Kind == identity.Anonymous || caller.Kind == identity.Service {
			c.Action = "" // whoever asks is told that there is no such bucket
		}
	default:
		c.Owner, c.ResourcePolicy = b.Account, b.Policy
		if caller.Account != b.Account && caller.Kind != identity.Service && b.blocks().restrict && policy.Public(b.Policy) {
			c.ResourcePolicy = nobody
		}
	}
	return c
}

// nobody is a policy that lets nobody do anything.
const nobody = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`

// may tells whether the caller may do a thing besides what was called.
func (s *Service) may(ctx context.Context, action, name, key string) error {
	c := s.check(ctx, action, name, key)
	if c.Action == "" {
		return nil
	}
	err := s.Authorizer.Authorize(ctx, identity.From(ctx), c)
	if aws.IsCode(err, "AccessDeniedException") {
		if identity.From(ctx).Kind == identity.Anonymous {
			return denied("Access Denied")
		}
		return denied(aws.AsError(err).Message)
	}
	return err
}

// requestKeys adds the condition keys that a request itself gives.
func requestKeys(to map[string][]string, in any) {
	for member, key := range map[string]string{
		"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "ACL": "s3:x-amz-acl", "CopySource": "s3:x-amz-copy-source", "MetadataDirective": "s3:x-amz-metadata-directive",
		"ServerSideEncryption": "s3:x-amz-server-side-encryption", "StorageClass": "s3:x-amz-storage-class", "ObjectOwnership": "s3:x-amz-object-ownership",
		"VersionId": "s3:VersionId", "IfMatch": "s3:if-match", "IfNoneMatch": "s3:if-none-match",
	} {
		if v := aws.Text(in, member); v != "" {
			to[key] = []string{v}
		}
	}
	switch in := in.(type) {
	case *api.ListObjectsV2Input:
		if in.MaxKeys != nil {
			to["s3:max-keys"] = []string{strconv.Itoa(int(*in.MaxKeys))}
		}
	case *api.CreateBucketInput:
		if in.CreateBucketConfiguration != nil {
			to["s3:LocationConstraint"] = []string{aws.Val(in.CreateBucketConfiguration.LocationConstraint)}
		}
	case *api.PutObjectInput:
		if tags, err := url.ParseQuery(aws.Val(in.Tagging)); err == nil {
			for k, v := range tags {
				to["s3:RequestObjectTag/"+k] = v
				to["s3:RequestObjectTagKeys"] = append(to["s3:RequestObjectTagKeys"], k)
			}
		}
	}
}

// parseSource reads what is copied: bucket/key, encoded as in a URL, and perhaps
// ?versionId= and that.
func parseSource(source string) (name, key string, version *string, err error) {
	source = strings.TrimPrefix(source, "/")
	path, id, there := strings.Cut(source, "?versionId=")
	path, err = url.PathUnescape(path)
	name, key, _ = strings.Cut(path, "/")
	switch {
	case arn.Is(source):
		return "", "", nil, notServed("a copy source by ARN (access points)")
	case err != nil || name == "" || key == "":
		return "", "", nil, invalidArgument("x-amz-copy-source", source, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	case there:
		version = &id
	}
	return name, key, version, nil
}
