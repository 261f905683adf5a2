package s3

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/checksum"
	"minato/dataplane/blobs"
	"minato/store"
)

// Limits of objects.
const (
	maxKey      = 1024
	maxPut      = 5 << 30 // of one request's content
	maxMetadata = 2 << 10
)

// headers are what a client says of an object and is told again.
type headers struct {
	ContentType        string            `json:",omitempty"`
	ContentEncoding    string            `json:",omitempty"`
	ContentLanguage    string            `json:",omitempty"`
	ContentDisposition string            `json:",omitempty"`
	CacheControl       string            `json:",omitempty"`
	Expires            string            `json:",omitempty"`
	Metadata           map[string]string `json:",omitempty"`
}

// headersOf reads the headers of an input.
func headersOf(in any) (headers, error) {
	h := headers{
		ContentType: aws.Text(in, "ContentType"), ContentEncoding: aws.Text(in, "ContentEncoding"), ContentLanguage: aws.Text(in, "ContentLanguage"),
		ContentDisposition: aws.Text(in, "ContentDisposition"), CacheControl: aws.Text(in, "CacheControl"), Expires: aws.Text(in, "Expires"),
	}
	if h.ContentType == "" {
		h.ContentType = "binary/octet-stream"
	}
	h.Metadata, _ = reflect.ValueOf(in).Elem().FieldByName("Metadata").Interface().(map[string]string)
	size := 0
	for k, v := range h.Metadata {
		size += len(k) + len(v)
	}
	if size > maxMetadata {
		return h, failure(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return h, nil
}

// digest is a checksum as it is told.
type digest struct {
	Algorithm checksum.Algorithm
	Value     string // base64; of parts together with "-N"
	Type      string // of the whole, or of the parts' checksums
}

// object is an object's record.
type object struct {
	Key      string
	Size     int64
	ETag     string // without quotes
	Modified time.Time
	Checksum digest
	Tags     []api.Tag    `json:",omitempty"`
	Content  []blobs.Blob // one, or the parts of the upload
	Upload   string       `json:",omitempty"` // that made it

	Order  string    `json:",omitempty"` // among the versions of its key; none before the bucket kept versions
	Null   bool      `json:",omitempty"` // its version id is null
	Marker bool      `json:",omitempty"` // a delete marker: no content
	Since  time.Time `json:",omitzero"`  // that it is not the current version
	headers
}

func quoted(etag string) *string { return aws.Ptr(`"` + etag + `"`) }

// object finds an object, or a version of it.
func (s *Service) object(ctx context.Context, name, owner, key, version *string) (bucket, object, error) {
	b, err := s.find(ctx, name, owner)
	if err == nil {
		err = checkVersion(version)
	}
	if err != nil {
		return b, object{}, err
	}
	id := aws.Val(version)
	o, found, err := s.lookup(ctx, b, aws.Val(key), id)
	switch {
	case err != nil:
		return b, o, aws.Internal(err)
	case found && !o.Marker:
		return b, o, nil
	case found && id != "":
		e := with(failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource."), "Method", "GET", "ResourceType", "DeleteMarker")
		e.Headers = map[string]string{"Allow": "DELETE", "Last-Modified": o.Modified.Format(http.TimeFormat), "x-amz-delete-marker": "true", "x-amz-version-id": id}
		return b, o, e
	}
	if err := s.may(ctx, "s3:ListBucket", b.Name, ""); err != nil {
		return b, o, err // who may not list the bucket is not told that it is missing
	}
	if id != "" {
		return b, o, noSuchVersion(aws.Val(key), id)
	}
	e := noSuchKey(aws.Val(key))
	if found {
		e.Headers = map[string]string{"x-amz-delete-marker": "true", "x-amz-version-id": o.version()}
	}
	return b, o, e
}

// commit makes an object what a bucket has under its key, if the conditions hold
// for what it has now, and lets go of the content that no version has any more.
// The bucket is then as it was at that moment.
func (s *Service) commit(ctx context.Context, b *bucket, o object, match, noneMatch *string, also func(tx *store.Tx) error) (object, error) {
	var h *history
	var done object
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		now, err := s.inBucket(tx, *b)
		if err != nil {
			return err
		}
		if h, err = s.history(tx, now, o.Key); err != nil {
			return err
		}
		if err := mayWrite(h.now, h.found, match, noneMatch); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		done, err = h.put(o)
		return err
	})
	if err != nil {
		return o, err
	}
	*b = h.b
	s.Blobs.Settle(o.Content...)
	s.Blobs.Remove(h.gone...)
	return done, nil
}

// PutObject stores an object.
func (s *Service) PutObject(ctx context.Context, in *api.PutObjectInput) (*api.PutObjectOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	o := object{Key: aws.Val(in.Key)}
	if err := checkKey(o.Key); err != nil {
		return nil, err
	}
	if o.headers, err = headersOf(in); err != nil {
		return nil, err
	}
	if o.Tags, err = headerTags(aws.Val(in.Tagging)); err != nil {
		return nil, err
	}
	got, err := s.receive(in.Body, "")
	if err != nil {
		return nil, err
	}
	o.Size, o.ETag, o.Modified, o.Content = got.Size, got.etag, s.now(), []blobs.Blob{got.Blob}
	o.Checksum = digest{got.algorithm, got.checksum, api.ChecksumTypeFullObject}
	if o, err = s.commit(ctx, &b, o, in.IfMatch, in.IfNoneMatch, nil); err != nil {
		s.Blobs.Remove(o.Content...)
		return nil, err
	}
	out := &api.PutObjectOutput{ETag: quoted(o.ETag), ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256), VersionId: b.told(&o), Expiration: b.expiration(&o)}
	o.Checksum.tell(out)
	return out, nil
}

func checkKey(key string) error {
	if len(key) > maxKey {
		return failure(http.StatusBadRequest, "KeyTooLongError", "Your key is too long")
	}
	return nil
}

// tell sets the checksum's members of an output.
func (d digest) tell(out any) {
	v := reflect.ValueOf(out).Elem()
	if f := v.FieldByName("Checksum" + string(d.Algorithm)); d.Value != "" && f.IsValid() {
		f.Set(reflect.ValueOf(aws.Ptr(d.Value)))
		if t := v.FieldByName("ChecksumType"); t.IsValid() {
			t.Set(reflect.ValueOf(aws.Ptr(d.Type)))
		}
	}
}

// sameTag compares an entity tag with one as clients write it.
func sameTag(asked, etag string) bool {
	asked = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(asked), "W/"))
	return strings.Trim(asked, `"`) == etag
}
