package s3

import (
	"context"
	"net/http"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/checksum"
	"minato/dataplane/blobs"
)

// source finds the object that is copied, if the conditions on it hold, and tells
// its version.
func (s *Service) source(ctx context.Context, from, owner *string, c conditions) (object, *string, error) {
	name, key, version, err := parseSource(aws.Val(from))
	if err != nil {
		return object{}, nil, err
	}
	b, o, err := s.object(ctx, &name, owner, &key, version)
	if aws.IsCode(err, "MethodNotAllowed") {
		err = invalidRequest("The source of a copy request may not specifically refer to a delete marker by version id.")
	}
	if err != nil {
		return o, nil, err
	}
	if err := c.check(o); err != nil {
		if err.Status == http.StatusNotModified {
			return o, nil, precondition("x-amz-copy-source-If-None-Match") // a PUT is not answered with 304
		}
		return o, nil, err
	}
	return o, b.told(&o), nil
}

// CopyObject makes an object of another. The content of the two is one file with
// two names, unless it has to be read: to put the parts of an upload together, or
// for a checksum that it does not have yet.
func (s *Service) CopyObject(ctx context.Context, in *api.CopyObjectInput) (*api.CopyObjectOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	from, fromVersion, err := s.source(ctx, in.CopySource, in.ExpectedSourceBucketOwner, conditions{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince})
	if err != nil {
		return nil, err
	}
	if from.Size > maxPut {
		return nil, invalidRequest("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	o := object{Key: aws.Val(in.Key), Tags: from.Tags, headers: from.headers}
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	replace := aws.Val(in.MetadataDirective) == api.MetadataDirectiveReplace
	if replace {
		if o.headers, err = headersOf(in); err != nil {
			return nil, err
		}
	} else if same(b.Name, o.Key, *in.CopySource) && in.ServerSideEncryption == nil && in.StorageClass == nil {
		return nil, invalidRequest("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if aws.Val(in.TaggingDirective) == api.TaggingDirectiveReplace {
		if o.Tags, err = headerTags(aws.Val(in.Tagging)); err != nil {
			return nil, err
		}
	}
	want, err := wantedAlgorithm(in.ChecksumAlgorithm)
	if err != nil {
		return nil, err
	}
	if err := s.copyContent(&o, from, want); err != nil {
		return nil, err
	}
	o.Modified = s.now()
	if o, err = s.commit(ctx, &b, o, in.IfMatch, in.IfNoneMatch, nil); err != nil {
		s.Blobs.Remove(o.Content...)
		return nil, err
	}
	result := &api.CopyObjectResult{ETag: quoted(o.ETag), LastModified: &o.Modified}
	o.Checksum.tell(result)
	return &api.CopyObjectOutput{CopyObjectResult: result, ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256), VersionId: b.told(&o), Expiration: b.expiration(&o), CopySourceVersionId: fromVersion}, nil
}

// same tells whether an object is copied onto itself; an older version that is
// copied there is brought back.
func same(bucket, key, source string) bool {
	name, from, version, err := parseSource(source)
	return err == nil && name == bucket && from == key && version == nil
}

// wantedAlgorithm reads the algorithm that a client asks for.
func wantedAlgorithm(name *string) (checksum.Algorithm, error) {
	if name == nil {
		return "", nil
	}
	a, ok := checksum.Parse(*name)
	if !ok {
		return "", notServed("checksum algorithm " + *name)
	}
	return a, nil
}

// copyContent gives an object the content of another.
func (s *Service) copyContent(o *object, from object, want checksum.Algorithm) error {
	if len(from.Content) == 1 && from.Upload == "" && (want == "" || want == from.Checksum.Algorithm) {
		c, err := s.Blobs.Copy(from.Content[0])
		if err == nil {
			o.Size, o.ETag, o.Checksum, o.Content = from.Size, from.ETag, from.Checksum, []blobs.Blob{c}
			return nil
		}
		// The file may have gone with the object, or have too many names.
	}
	if want == "" {
		want = from.Checksum.Algorithm
	}
	body, err := s.open(from, span{0, from.Size})
	if err != nil {
		return aws.Internal(err)
	}
	got, err := s.receive(body, want)
	if err != nil {
		return err
	}
	o.Size, o.ETag, o.Content = got.Size, got.etag, []blobs.Blob{got.Blob}
	o.Checksum = digest{got.algorithm, got.checksum, api.ChecksumTypeFullObject}
	return nil
}

// UploadPartCopy makes a part of an upload from an object, or from a range of it.
func (s *Service) UploadPartCopy(ctx context.Context, in *api.UploadPartCopyInput) (*api.UploadPartCopyOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	b, u, err := s.upload(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
	if err != nil {
		return nil, err
	}
	from, fromVersion, err := s.source(ctx, in.CopySource, in.ExpectedSourceBucketOwner, conditions{in.CopySourceIfMatch, in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince, in.CopySourceIfUnmodifiedSince})
	if err != nil {
		return nil, err
	}
	at := span{0, from.Size}
	if in.CopySourceRange != nil {
		r, partial, fault := parseRange(*in.CopySourceRange, from.Size)
		if fault != nil || !partial || strings.HasSuffix(*in.CopySourceRange, "-") {
			return nil, invalidArgument("x-amz-copy-source-range", *in.CopySourceRange, "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
		}
		at = r
	}
	body, err := s.open(from, at)
	if err != nil {
		return nil, aws.Internal(err)
	}
	p, err := s.putPart(ctx, b, u, aws.Val(in.PartNumber), body)
	if err != nil {
		return nil, err
	}
	result := &api.CopyPartResult{ETag: quoted(p.ETag), LastModified: &p.Modified}
	if u.Chosen {
		digest{u.Algorithm, p.Checksum, ""}.tell(result)
	}
	return &api.UploadPartCopyOutput{CopyPartResult: result, ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256), CopySourceVersionId: fromVersion}, nil
}
