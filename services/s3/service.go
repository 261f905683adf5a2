package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/blobs"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Blobs *blobs.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Authorizer decides what an operation does beside what it is called:
	// each key of DeleteObjects, whether a missing key may be told.
	Authorizer gateway.Authorizer
	Region     string // the one region that this instance runs
}

// Service implements the API of S3.
type Service struct {
	Deps
	buckets  store.Table[bucket]
	objects  store.Table[object] // the current versions
	heads    store.Table[head]
	versions store.Table[object] // the others, and delete markers
	uploads  store.Table[upload]
	parts    store.Table[part]
}

var _ api.API = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{
		Deps:     d,
		buckets:  store.NewTable[bucket](d.Store, "s3/bucket"),
		objects:  store.NewTable[object](d.Store, "s3/object"),
		heads:    store.NewTable[head](d.Store, "s3/head"),
		versions: store.NewTable[object](d.Store, "s3/object-version"),
		uploads:  store.NewTable[upload](d.Store, "s3/upload"),
		parts:    store.NewTable[part](d.Store, "s3/part"),
	}
}

// Registration is what the gateway needs to serve S3.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: api.Model, Handlers: api.Handlers(s), Checks: s.checks}
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add("s3-sweep", &sweeper{s}, controller.Options{Workers: 1, Resync: time.Hour})
	c.Add("s3-lifecycle", &expirer{s}, controller.Options{Workers: 1, Resync: time.Hour})
	c.Wake("s3-lifecycle", s.buckets.Prefix(), nil)
}

const partition = "aws"

// now is the time of a change; S3 tells whole seconds in headers and thousandths
// in lists, and a client compares the two.
func (s *Service) now() time.Time { return s.Clock.Now().UTC().Truncate(time.Second) }

// place is where the caller's call goes.
func place(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// find returns a bucket that a call names, which is another's only where the
// caller said so.
func (s *Service) find(ctx context.Context, name, owner *string) (bucket, error) {
	b, found, err := s.buckets.Get(ctx, partition, s.Region, aws.Val(name))
	switch {
	case err != nil:
		return b, aws.Internal(err)
	case !found:
		return b, noSuchBucket(aws.Val(name))
	case aws.Val(owner) != "" && *owner != b.Account:
		return b, denied("Access Denied")
	}
	return b, nil
}

// inBucket reads a bucket in a transaction, for a write to what is in it.
func (s *Service) inBucket(tx *store.Tx, b bucket) (bucket, error) {
	now, found, err := s.buckets.TxGet(tx, partition, s.Region, b.Name)
	switch {
	case err != nil:
		return now, err
	case !found || now.ID != b.ID:
		return now, noSuchBucket(b.Name)
	case now.Deleting:
		return now, failure(http.StatusConflict, "OperationAborted", "A conflicting conditional operation is currently in progress against this resource. Please try again.")
	}
	return now, nil
}

// change changes a bucket's record.
func (s *Service) change(ctx context.Context, name, owner *string, f func(b *bucket) error) error {
	if _, err := s.find(ctx, name, owner); err != nil {
		return err
	}
	found, err := s.buckets.Update(ctx, f, partition, s.Region, *name)
	if err == nil && !found {
		err = noSuchBucket(*name)
	}
	return err
}

// objectKey is the key of an object's record.
func (s *Service) objectKey(b bucket, key string) string {
	return s.objects.Prefix(partition, s.Region, b.ID) + key
}

// ownerOf is an account as S3's older answers name it: by a canonical user id.
func ownerOf(account string) *api.Owner {
	sum := sha256.Sum256([]byte("canonical user of " + account))
	return &api.Owner{ID: aws.Ptr(hex.EncodeToString(sum[:]))}
}

// failure makes an error of S3.
func failure(status int, code, message string) *aws.Error {
	return &aws.Error{Code: code, Message: message, Status: status}
}

// with adds what S3 says besides the message.
func with(e *aws.Error, fields ...string) *aws.Error {
	e.Fields = map[string]any{}
	for i := 0; i+1 < len(fields); i += 2 {
		e.Fields[fields[i]] = fields[i+1]
	}
	return e
}

func noSuchBucket(name string) *aws.Error {
	return with(failure(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"), "BucketName", name)
}

func noSuchKey(key string) *aws.Error {
	return with(failure(http.StatusNotFound, "NoSuchKey", "The specified key does not exist."), "Key", key)
}

func noSuchVersion(key, id string) *aws.Error {
	return with(failure(http.StatusNotFound, "NoSuchVersion", "The specified version does not exist."), "Key", key, "VersionId", id)
}

func noSuchUpload(id string) *aws.Error {
	return with(failure(http.StatusNotFound, "NoSuchUpload", "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."), "UploadId", id)
}

func denied(message string) *aws.Error {
	return failure(http.StatusForbidden, "AccessDenied", message)
}

func invalidArgument(name, value, message string) *aws.Error {
	return with(failure(http.StatusBadRequest, "InvalidArgument", message), "ArgumentName", name, "ArgumentValue", value)
}

func invalidRequest(message string) *aws.Error {
	return failure(http.StatusBadRequest, "InvalidRequest", message)
}

func malformedXML() *aws.Error {
	return failure(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

// notServed refuses by name what S3 has and minato has not.
func notServed(what string) *aws.Error {
	return failure(http.StatusNotImplemented, "NotImplemented", "A header or parameter you provided implies functionality that is not implemented: "+what+" is not served by minato.")
}

// unserved are the members of inputs that ask for what is not here, and what it
// is called.
var unserved = []struct{ member, what string }{
	{"SSECustomerAlgorithm", "x-amz-server-side-encryption-customer-algorithm (SSE-C)"},
	{"SSECustomerKey", "x-amz-server-side-encryption-customer-key (SSE-C)"},
	{"CopySourceSSECustomerAlgorithm", "x-amz-copy-source-server-side-encryption-customer-algorithm (SSE-C)"},
	{"SSEKMSKeyId", "x-amz-server-side-encryption-aws-kms-key-id (SSE-KMS)"},
	{"ObjectLockMode", "x-amz-object-lock-mode"},
	{"ObjectLockLegalHoldStatus", "x-amz-object-lock-legal-hold"},
	{"ObjectLockRetainUntilDate", "x-amz-object-lock-retain-until-date"},
	{"ObjectLockEnabledForBucket", "x-amz-bucket-object-lock-enabled"},
	{"WebsiteRedirectLocation", "x-amz-website-redirect-location"},
	{"WriteOffsetBytes", "x-amz-write-offset-bytes"},
	{"MFA", "x-amz-mfa"},
	{"RequestPayer", ""},
	{"ChecksumMD5", "x-amz-checksum-md5"},
	{"ChecksumSHA512", "x-amz-checksum-sha512"},
	{"ChecksumXXHASH64", "x-amz-checksum-xxhash64"},
	{"ChecksumXXHASH3", "x-amz-checksum-xxhash3"},
	{"ChecksumXXHASH128", "x-amz-checksum-xxhash128"},
}

// refuse names what an input asks for that is not here: headers, encryption under
// keys that were named, storage classes but STANDARD, ACLs but the owner's.
func refuse(in any) error {
	v := reflect.ValueOf(in).Elem()
	for _, u := range unserved {
		if u.what == "" || !v.FieldByName(u.member).IsValid() {
			continue
		}
		if _, asked := aws.Asked(in, u.member); asked {
			return notServed(u.what)
		}
	}
	if sse := aws.Text(in, "ServerSideEncryption"); sse != "" && sse != api.ServerSideEncryptionAes256 && sse != api.ServerSideEncryptionAwsKms {
		return notServed("x-amz-server-side-encryption: " + sse)
	}
	if class := aws.Text(in, "StorageClass"); class != "" && class != api.StorageClassStandard {
		return notServed("x-amz-storage-class: " + class)
	}
	return refuseACL(in)
}

// refuseACL refuses ACLs as a bucket does whose owner owns everything in it.
func refuseACL(in any) error {
	granted := false
	for _, member := range []string{"GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP"} {
		granted = granted || aws.Text(in, member) != ""
	}
	switch acl := aws.Text(in, "ACL"); {
	case !granted && (acl == "" || acl == api.ObjectCannedACLPrivate || acl == api.ObjectCannedACLBucketOwnerFullControl):
		return nil
	case reflect.TypeOf(in) == reflect.TypeFor[*api.CreateBucketInput]():
		return failure(http.StatusBadRequest, "InvalidBucketAclWithObjectOwnership", "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")
	}
	return failure(http.StatusBadRequest, "AccessControlListNotSupported", "The bucket does not allow ACLs")
}
