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
		ContentType: text(in, "ContentType"), ContentEncoding: text(in, "ContentEncoding"), ContentLanguage: text(in, "ContentLanguage"),
		ContentDisposition: text(in, "ContentDisposition"), CacheControl: text(in, "CacheControl"), Expires: text(in, "Expires"),
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
	headers
}

func quoted(etag string) *string { return aws.Ptr(`"` + etag + `"`) }

// object finds an object.
func (s *Service) object(ctx context.Context, name, owner, key *string) (bucket, object, error) {
	b, err := s.find(ctx, name, owner)
	if err != nil {
		return b, object{}, err
	}
	o, found, err := s.objects.GetKey(ctx, s.objectKey(b, aws.Val(key)))
	switch {
	case err != nil:
		return b, o, aws.Internal(err)
	case !found:
		return b, o, s.missing(ctx, b, aws.Val(key))
	}
	return b, o, nil
}

// commit makes an object what a bucket has under its key, if the conditions hold
// for what it has now, and lets go of the content of that.
func (s *Service) commit(ctx context.Context, b bucket, o object, match, noneMatch *string, also func(tx *store.Tx) error) error {
	var old object
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old = object{}
		if err := s.inBucket(tx, b); err != nil {
			return err
		}
		key := s.objectKey(b, o.Key)
		was, found, err := store.Get[object](tx, key)
		if err != nil {
			return err
		}
		if err := mayWrite(was, found, match, noneMatch); err != nil {
			return err
		}
		old = was
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		return store.Set(tx, key, o)
	})
	if err != nil {
		return err
	}
	s.Blobs.Settle(o.Content...)
	s.Blobs.Remove(old.Content...)
	return nil
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
	if err := s.commit(ctx, b, o, in.IfMatch, in.IfNoneMatch, nil); err != nil {
		s.Blobs.Remove(o.Content...)
		return nil, err
	}
	out := &api.PutObjectOutput{ETag: quoted(o.ETag), ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256)}
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

// DeleteObject deletes an object; one that is not there is fine.
func (s *Service) DeleteObject(ctx context.Context, in *api.DeleteObjectInput) (*api.DeleteObjectOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	for _, member := range []string{"IfMatchSize", "IfMatchLastModifiedTime"} {
		if _, asked := aws.Asked(in, member); asked {
			return nil, notServed(member)
		}
	}
	return &api.DeleteObjectOutput{}, s.remove(ctx, b, aws.Val(in.Key), in.IfMatch)
}

func (s *Service) remove(ctx context.Context, b bucket, key string, match *string) error {
	var old object
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old = object{}
		was, found, err := store.Get[object](tx, s.objectKey(b, key))
		if err != nil || !found && match == nil {
			return err
		}
		if match != nil {
			if err := mayWrite(was, found, match, nil); err != nil {
				return err
			}
		}
		old = was
		tx.Delete(s.objectKey(b, key))
		return nil
	})
	if err == nil {
		s.Blobs.Remove(old.Content...)
	}
	return err
}

// maxDelete is how many keys one DeleteObjects may name.
const maxDelete = 1000

// DeleteObjects deletes many objects; each is allowed or denied by itself.
func (s *Service) DeleteObjects(ctx context.Context, in *api.DeleteObjectsInput) (*api.DeleteObjectsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	if n := len(in.Delete.Objects); n == 0 || n > maxDelete {
		return nil, malformedXML()
	}
	out := &api.DeleteObjectsOutput{}
	for _, o := range in.Delete.Objects {
		err := s.may(ctx, "s3:DeleteObject", b.Name, aws.Val(o.Key))
		switch v := aws.Val(o.VersionId); {
		case err != nil:
		case v != "" && v != "null":
			err = failure(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist.")
		default:
			err = s.remove(ctx, b, aws.Val(o.Key), o.ETag)
		}
		if err != nil {
			e := aws.AsError(err).ServedBy(api.Model)
			out.Errors = append(out.Errors, api.Error{Key: o.Key, VersionId: o.VersionId, Code: &e.Code, Message: &e.Message})
		} else if !aws.Val(in.Delete.Quiet) {
			out.Deleted = append(out.Deleted, api.DeletedObject{Key: o.Key, VersionId: o.VersionId})
		}
	}
	return out, nil
}

// sameTag compares an entity tag with one as clients write it.
func sameTag(asked, etag string) bool {
	asked = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(asked), "W/"))
	return strings.Trim(asked, `"`) == etag
}
