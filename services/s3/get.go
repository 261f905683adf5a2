package s3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
)

// reading is one read of an object: which one, which bytes, what is told of it.
type reading struct {
	bucket  bucket
	object  object
	span    span
	partial bool
	parts   int // of the object, when one was asked for
}

// read finds an object and the bytes that are wanted, if the conditions hold. GET
// and HEAD differ in nothing else than the bytes.
func (s *Service) read(ctx context.Context, in *api.GetObjectInput) (reading, error) {
	if err := refuse(in); err != nil {
		return reading{}, err
	}
	b, o, err := s.object(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.VersionId)
	if err != nil {
		return reading{}, err
	}
	if err := (conditions{in.IfMatch, in.IfNoneMatch, in.IfModifiedSince, in.IfUnmodifiedSince}).check(o); err != nil {
		return reading{}, err
	}
	r := reading{bucket: b, object: o, span: span{0, o.Size}}
	switch {
	case in.PartNumber != nil && in.Range != nil:
		return r, invalidRequest("Cannot specify both Range header and partNumber query parameter")
	case in.PartNumber != nil:
		err := r.part(int(*in.PartNumber))
		return r, err
	case in.Range != nil:
		var fault *aws.Error
		if r.span, r.partial, fault = parseRange(*in.Range, o.Size); fault != nil {
			return r, fault
		}
	}
	return r, nil
}

// part narrows a reading to a part of the upload that made the object.
func (r *reading) part(number int) error {
	if number < 1 || number > len(r.object.Content) {
		return with(failure(http.StatusRequestedRangeNotSatisfiable, "InvalidPartNumber", "The requested partnumber is not satisfiable"),
			"PartNumberRequested", strconv.Itoa(number), "ActualPartCount", strconv.Itoa(len(r.object.Content)))
	}
	r.span = span{}
	for _, c := range r.object.Content[:number-1] {
		r.span.from += c.Size
	}
	r.span.length, r.partial = r.object.Content[number-1].Size, r.object.Size > 0
	if r.object.Upload != "" {
		r.parts = len(r.object.Content)
	}
	return nil
}

// tell fills the members that GetObjectOutput and HeadObjectOutput share.
func (r *reading) tell(out any, in *api.GetObjectInput) {
	v, o := reflect.ValueOf(out).Elem(), r.object
	set := func(member string, value any) { v.FieldByName(member).Set(reflect.ValueOf(value)) }
	set("AcceptRanges", aws.Ptr("bytes"))
	set("ContentLength", aws.Ptr(r.span.length))
	set("ETag", quoted(o.ETag))
	set("LastModified", aws.Ptr(o.Modified))
	set("ServerSideEncryption", aws.Ptr(api.ServerSideEncryptionAes256))
	set("Metadata", o.Metadata)
	if v := r.bucket.told(&o); v != nil {
		set("VersionId", v)
	}
	if e := r.bucket.expiration(&o); e != nil {
		set("Expiration", e)
	}
	if r.partial {
		set("ContentRange", aws.Ptr(fmt.Sprintf("bytes %d-%d/%d", r.span.from, r.span.from+r.span.length-1, o.Size)))
	}
	if len(o.Tags) > 0 {
		set("TagCount", aws.Ptr(int32(len(o.Tags))))
	}
	if r.parts > 0 {
		set("PartsCount", aws.Ptr(int32(r.parts)))
	}
	expires := o.Expires
	if in.ResponseExpires != nil {
		expires = in.ResponseExpires.Format(time.RFC1123)
	}
	for _, h := range []struct {
		member, value string
		instead       *string
	}{
		{"ContentType", o.ContentType, in.ResponseContentType},
		{"ContentEncoding", o.ContentEncoding, in.ResponseContentEncoding},
		{"ContentLanguage", o.ContentLanguage, in.ResponseContentLanguage},
		{"ContentDisposition", o.ContentDisposition, in.ResponseContentDisposition},
		{"CacheControl", o.CacheControl, in.ResponseCacheControl},
		{"Expires", expires, nil},
	} {
		if h.instead != nil {
			h.value = *h.instead
		}
		if h.value != "" {
			set(h.member, aws.Ptr(h.value))
		}
	}
	if aws.Val(in.ChecksumMode) == api.ChecksumModeEnabled && !r.partial {
		o.Checksum.tell(out)
	}
}

// GetObject returns an object, or a range of it.
func (s *Service) GetObject(ctx context.Context, in *api.GetObjectInput) (*api.GetObjectOutput, error) {
	r, err := s.read(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &api.GetObjectOutput{}
	r.tell(out, in)
	out.Body, err = s.open(r.object, r.span)
	if err != nil {
		// It may have been deleted since its record was read.
		if r, err = s.read(ctx, in); err != nil {
			return nil, err
		}
		out = &api.GetObjectOutput{}
		r.tell(out, in)
		if out.Body, err = s.open(r.object, r.span); err != nil {
			return nil, aws.Internal(err)
		}
	}
	return out, nil
}

// HeadObject is GetObject without the content.
func (s *Service) HeadObject(ctx context.Context, in *api.HeadObjectInput) (*api.HeadObjectOutput, error) {
	get := api.GetObjectInput(*in)
	r, err := s.read(ctx, &get)
	if err != nil {
		return nil, err
	}
	out := &api.HeadObjectOutput{}
	r.tell(out, &get)
	return out, nil
}

// open opens a range of an object's content. The files of an upload are opened
// when they are reached, and kept until then: who deletes the object does not
// take them from this reader.
func (s *Service) open(o object, at span) (io.ReadCloser, error) {
	r := &content{service: s, release: s.Blobs.Retain(o.Content...)}
	for _, c := range o.Content {
		from := max(0, at.from)
		if from < c.Size {
			n := min(at.length, c.Size-from)
			r.rest = append(r.rest, func() (io.ReadCloser, error) { return s.Blobs.Read(c, from, n) })
			at.length -= n
		}
		at.from -= c.Size
		if at.length == 0 {
			break
		}
	}
	if err := r.next(); err != nil {
		r.release()
		return nil, err
	}
	return r, nil
}

// content reads the files of an object one after the other.
type content struct {
	service *Service
	now     io.ReadCloser
	rest    []func() (io.ReadCloser, error)
	release func()
}

func (c *content) next() (err error) {
	if c.now != nil {
		c.now.Close()
		c.now = nil
	}
	if len(c.rest) > 0 {
		c.now, err = c.rest[0]()
		c.rest = c.rest[1:]
	}
	return err
}

// Read implements io.Reader.
func (c *content) Read(p []byte) (int, error) {
	for c.now != nil {
		n, err := c.now.Read(p)
		if err == io.EOF && len(c.rest) > 0 {
			if err = c.next(); err == nil && n == 0 {
				continue
			}
		}
		if err != nil && err != io.EOF {
			c.service.Log.Error("an object cannot be read", "error", err)
		}
		return n, err
	}
	return 0, io.EOF
}

// Close implements io.Closer.
func (c *content) Close() error {
	c.rest = nil
	defer c.release()
	return c.next()
}
