package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdkaws "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/aws/sigv4"
	"minato/aws/validate"
	"minato/controller"
	"minato/dataplane/blobs"
	"minato/gateway"
	"minato/internal/clock"
	"minato/services/s3"
	"minato/store"
	"minato/store/memstore"
)

const account = "000000000000"

// world is S3 behind a gateway. Its users are called as their keys: AKIAadmin may
// do everything, every other nothing but what a bucket's policy gives.
type world struct {
	dir    string
	store  store.Store
	server *httptest.Server
	*s3.Service
}

func (*world) Credential(_ context.Context, id string) (gateway.Credential, error) {
	if !strings.HasPrefix(id, "AKIA") {
		return gateway.Credential{}, aws.Errorf("InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	c := identity.Caller{Kind: identity.User, Account: account, ARN: "arn:aws:iam::" + account + ":user/" + id[4:]}
	return gateway.Credential{Secret: "secret", Caller: c}, nil
}

func (*world) Authorize(_ context.Context, c identity.Caller, check gateway.Check) error {
	set := &policy.Set{}
	compile := func(text string, kind policy.Kind) policy.Named {
		p, err := policy.Compile(text, kind)
		if err != nil {
			panic(err)
		}
		return policy.Named{Policy: p}
	}
	if c.ARN == "arn:aws:iam::"+account+":user/admin" || c.ARN == "arn:aws:iam::"+account+":root" {
		set.Identity = []policy.Named{compile(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, policy.Identity)}
	}
	if check.ResourcePolicy != "" {
		r := compile(check.ResourcePolicy, policy.Resource)
		set.Resource = &r
	}
	req := &policy.Request{Action: check.Action, Resource: check.Resource, Caller: policy.Caller{Account: c.Account, ARN: c.ARN}}
	req.Lookup = func(key string) ([]string, bool) {
		for k, v := range check.Context {
			if strings.EqualFold(k, key) {
				return v, true
			}
		}
		return nil, false
	}
	if d := policy.Evaluate(set, req); !d.Allowed {
		return aws.Errorf("AccessDeniedException", "%s", d.Denial(req))
	}
	return nil
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{dir: t.TempDir(), store: memstore.New()}
	files, err := blobs.Open(w.dir, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	w.Service = s3.New(s3.Deps{Store: w.store, Blobs: files, Clock: clock.Real(1), Authorizer: w, Region: "us-east-1"})
	g := gateway.New(gateway.Options{Account: account, Region: "us-east-1", Clock: clock.Real(1), Authenticator: w, Authorizer: w, Validate: validate.Input})
	g.Register(w.Registration())
	w.server = httptest.NewServer(g.Handler())
	t.Cleanup(w.server.Close)
	return w
}

// client is the SDK with a user's key.
func (w *world) client(user string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: &w.server.URL, UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("AKIA"+user, "secret", ""),
	})
}

// files counts the files of content.
func (w *world) files(t *testing.T) int {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	temporary, err := filepath.Glob(filepath.Join(w.dir, "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(all) + len(temporary)
}

// code is the code of an answer.
func code(err error) string {
	var e interface{ ErrorCode() string }
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func put(t *testing.T, c *sdk.Client, key, content string) *sdk.PutObjectOutput {
	t.Helper()
	return must[*sdk.PutObjectOutput](t)(c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: sdkaws.String("logs"), Key: &key, Body: strings.NewReader(content)}))
}

func get(t *testing.T, c *sdk.Client, key string) string {
	t.Helper()
	out := must[*sdk.GetObjectOutput](t)(c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: sdkaws.String("logs"), Key: &key, ChecksumMode: types.ChecksumModeEnabled}))
	defer out.Body.Close()
	return string(must[[]byte](t)(io.ReadAll(out.Body)))
}

// bucket is a world with the bucket logs.
func bucket(t *testing.T) (*world, *sdk.Client) {
	t.Helper()
	w := open(t)
	c := w.client("admin")
	must[*sdk.CreateBucketOutput](t)(c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: sdkaws.String("logs")}))
	return w, c
}

func TestObjects(t *testing.T) {
	w, c := bucket(t)
	name := sdkaws.String("logs")
	for _, key := range []string{"a", "/", "a//b", "a/../b", "ü \"'<>&+%?#=;.txt", strings.Repeat("k", 1024), "%2F", "\x01\t\n"} {
		put(t, c, key, "content of "+key)
		if got := get(t, c, key); got != "content of "+key {
			t.Errorf("%q has %q", key, got)
		}
	}
	if n := w.files(t); n != 8 {
		t.Errorf("%d files for 8 objects", n)
	}
	put(t, c, "a", "again")
	if n := w.files(t); n != 8 || get(t, c, "a") != "again" {
		t.Errorf("%d files after an object was written again", n)
	}
	in := &sdk.PutObjectInput{
		Bucket: name, Key: sdkaws.String("told"), Body: strings.NewReader("x"), ContentType: sdkaws.String("text/x"), ContentEncoding: sdkaws.String("gzip"), CacheControl: sdkaws.String("no-cache"),
		ContentDisposition: sdkaws.String("inline"), ContentLanguage: sdkaws.String("ja"), Metadata: map[string]string{"Who": "me"}, Tagging: sdkaws.String("a=b&c=d%20e"),
	}
	must[*sdk.PutObjectOutput](t)(c.PutObject(t.Context(), in))
	head := must[*sdk.HeadObjectOutput](t)(c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: name, Key: in.Key}))
	if *head.ContentType != "text/x" || *head.ContentEncoding != "gzip" || *head.CacheControl != "no-cache" || *head.ContentDisposition != "inline" || *head.ContentLanguage != "ja" ||
		head.Metadata["who"] != "me" || *head.ContentLength != 1 || *head.ETag != `"9dd4e461268c8034f5c8564e155c67a6"` || head.ServerSideEncryption != types.ServerSideEncryptionAes256 {
		t.Errorf("told otherwise: %+v", head)
	}
	tags := must[*sdk.GetObjectTaggingOutput](t)(c.GetObjectTagging(t.Context(), &sdk.GetObjectTaggingInput{Bucket: name, Key: in.Key}))
	if len(tags.TagSet) != 2 || *tags.TagSet[1].Value != "d e" {
		t.Errorf("tags: %+v", tags.TagSet)
	}
	out := must[*sdk.DeleteObjectsOutput](t)(c.DeleteObjects(t.Context(), &sdk.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: sdkaws.String("\x01\t\n")}, {Key: sdkaws.String("none")}}}}))
	if len(out.Deleted) != 2 || len(out.Errors) != 0 {
		t.Errorf("deleted: %+v", out)
	}
}

// TestChecksums: each algorithm is checked, kept and told.
func TestChecksums(t *testing.T) {
	_, c := bucket(t)
	for _, a := range []types.ChecksumAlgorithm{types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256} {
		key := string(a)
		must[*sdk.PutObjectOutput](t)(c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: sdkaws.String("logs"), Key: &key, Body: strings.NewReader("x"), ChecksumAlgorithm: a}))
		if got := get(t, c, key); got != "x" { // the SDK checks it again
			t.Errorf("%s: %q", a, got)
		}
		list := must[*sdk.ListObjectsV2Output](t)(c.ListObjectsV2(t.Context(), &sdk.ListObjectsV2Input{Bucket: sdkaws.String("logs"), Prefix: &key, MaxKeys: sdkaws.Int32(1)}))
		if list.Contents[0].ChecksumAlgorithm[0] != a {
			t.Errorf("%s is listed as %v", a, list.Contents[0].ChecksumAlgorithm)
		}
	}
	_, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("bad"), Body: strings.NewReader("x"), ChecksumCRC32: sdkaws.String("AAAAAA==")})
	if code(err) != "BadDigest" {
		t.Errorf("another checksum: %v", err)
	}
	if _, err := c.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("bad")}); err == nil {
		t.Error("an object that was refused is there")
	}
}

func TestUpload(t *testing.T) {
	w, c := bucket(t)
	name, key := sdkaws.String("logs"), sdkaws.String("big")
	for _, a := range []types.ChecksumAlgorithm{"", types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha256} {
		begun := must[*sdk.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: name, Key: key, ChecksumAlgorithm: a, Metadata: map[string]string{"of": "parts"}}))
		content := bytes.Repeat([]byte("0123456789abcdef"), 5<<16+7)
		var parts []types.CompletedPart
		part := func(number int32, content []byte) {
			p := must[*sdk.UploadPartOutput](t)(c.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: name, Key: key, UploadId: begun.UploadId, PartNumber: &number, Body: bytes.NewReader(content), ChecksumAlgorithm: a}))
			parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256, ChecksumCRC64NVME: p.ChecksumCRC64NVME})
		}
		part(3, []byte("replaced"))
		part(1, content)
		part(3, []byte("the end"))
		part(7, []byte("not listed"))
		complete := func(parts ...types.CompletedPart) (*sdk.CompleteMultipartUploadOutput, error) {
			return c.CompleteMultipartUpload(t.Context(), &sdk.CompleteMultipartUploadInput{Bucket: name, Key: key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
		}
		for want, bad := range map[string][]types.CompletedPart{
			"InvalidPartOrder": {parts[2], parts[1]}, "InvalidPart": {parts[1], parts[0]}, "EntityTooSmall": {parts[2], parts[3]}, "MalformedXML": {},
		} {
			if _, err := complete(bad...); code(err) != want {
				t.Errorf("%v, not %s", err, want)
			}
		}
		listed := must[*sdk.ListPartsOutput](t)(c.ListParts(t.Context(), &sdk.ListPartsInput{Bucket: name, Key: key, UploadId: begun.UploadId, MaxParts: sdkaws.Int32(2)}))
		if len(listed.Parts) != 2 || !*listed.IsTruncated || *listed.NextPartNumberMarker != "3" {
			t.Errorf("parts: %+v", listed)
		}
		done := must[*sdk.CompleteMultipartUploadOutput](t)(complete(parts[1], parts[2]))
		again := must[*sdk.CompleteMultipartUploadOutput](t)(complete(parts[1], parts[2]))
		if !strings.HasSuffix(*done.ETag, `-2"`) || *again.ETag != *done.ETag {
			t.Errorf("completed with %s, then %s", *done.ETag, *again.ETag)
		}
		if got := get(t, c, "big"); got != string(content)+"the end" {
			t.Fatalf("%q: %d bytes", a, len(got))
		}
		if n := w.files(t); n != 2 {
			t.Errorf("%d files of two parts", n)
		}
		second := must[*sdk.GetObjectOutput](t)(c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: key, PartNumber: sdkaws.Int32(2)}))
		if text := must[[]byte](t)(io.ReadAll(second.Body)); string(text) != "the end" || *second.PartsCount != 2 {
			t.Errorf("the second part: %q of %d", text, second.PartsCount)
		}
		over := must[*sdk.GetObjectOutput](t)(c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: key, Range: sdkaws.String(fmt.Sprintf("bytes=%d-%d", len(content)-2, len(content)+2))}))
		if text := must[[]byte](t)(io.ReadAll(over.Body)); string(text) != "efthe" {
			t.Errorf("over the edge: %q", text)
		}
	}
	begun := must[*sdk.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: name, Key: key}))
	copied := must[*sdk.UploadPartCopyOutput](t)(c.UploadPartCopy(t.Context(), &sdk.UploadPartCopyInput{Bucket: name, Key: key, UploadId: begun.UploadId, PartNumber: sdkaws.Int32(1), CopySource: sdkaws.String("logs/big"), CopySourceRange: sdkaws.String("bytes=0-9")}))
	if *copied.CopyPartResult.ETag != `"781e5e245d69b566979b86e28d23f2c7"` {
		t.Errorf("the copied part has %s", *copied.CopyPartResult.ETag)
	}
	uploads := must[*sdk.ListMultipartUploadsOutput](t)(c.ListMultipartUploads(t.Context(), &sdk.ListMultipartUploadsInput{Bucket: name, Prefix: sdkaws.String("b"), Delimiter: sdkaws.String("g")}))
	if len(uploads.CommonPrefixes) != 1 || *uploads.CommonPrefixes[0].Prefix != "big" {
		t.Errorf("uploads: %+v", uploads)
	}
	must[*sdk.AbortMultipartUploadOutput](t)(c.AbortMultipartUpload(t.Context(), &sdk.AbortMultipartUploadInput{Bucket: name, Key: key, UploadId: begun.UploadId}))
	_, err := c.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: name, Key: key, UploadId: begun.UploadId, PartNumber: sdkaws.Int32(1), Body: strings.NewReader("x")})
	if code(err) != "NoSuchUpload" || w.files(t) != 2 {
		t.Errorf("a part after the end: %v, %d files", err, w.files(t))
	}
}

func TestCopy(t *testing.T) {
	w, c := bucket(t)
	put(t, c, "from", "content")
	copyTo := func(in sdk.CopyObjectInput) error {
		in.Bucket, in.CopySource = sdkaws.String("logs"), sdkaws.String("/logs/from")
		_, err := c.CopyObject(t.Context(), &in)
		return err
	}
	if err := copyTo(sdk.CopyObjectInput{Key: sdkaws.String("to")}); err != nil {
		t.Fatal(err)
	}
	if err := copyTo(sdk.CopyObjectInput{Key: sdkaws.String("summed"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256}); err != nil {
		t.Fatal(err)
	}
	if err := copyTo(sdk.CopyObjectInput{Key: sdkaws.String("from")}); code(err) != "InvalidRequest" {
		t.Errorf("onto itself: %v", err)
	}
	if err := copyTo(sdk.CopyObjectInput{Key: sdkaws.String("from"), MetadataDirective: types.MetadataDirectiveReplace, ContentType: sdkaws.String("text/y")}); err != nil {
		t.Error(err)
	}
	if err := copyTo(sdk.CopyObjectInput{Key: sdkaws.String("x"), CopySourceIfMatch: sdkaws.String("other")}); code(err) != "PreconditionFailed" {
		t.Errorf("on a condition: %v", err)
	}
	must[*sdk.DeleteObjectOutput](t)(c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("from")}))
	if get(t, c, "to") != "content" || get(t, c, "summed") != "content" || w.files(t) != 2 {
		t.Errorf("after the original went: %d files", w.files(t))
	}
}

func TestConditionsOfWrites(t *testing.T) {
	_, c := bucket(t)
	write := func(match, noneMatch *string) string {
		_, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("k"), Body: strings.NewReader("x"), IfMatch: match, IfNoneMatch: noneMatch})
		return code(err)
	}
	star, tag, other := sdkaws.String("*"), sdkaws.String(`"9dd4e461268c8034f5c8564e155c67a6"`), sdkaws.String(`"00000000000000000000000000000000"`)
	for i, step := range []struct {
		match, noneMatch *string
		want             string
	}{{tag, nil, "NoSuchKey"}, {nil, star, ""}, {nil, star, "PreconditionFailed"}, {tag, nil, ""}, {other, nil, "PreconditionFailed"}, {nil, tag, "NotImplemented"}} {
		if got := write(step.match, step.noneMatch); got != step.want {
			t.Errorf("step %d: %q, not %q", i, got, step.want)
		}
	}
}

// TestRights: who may do what is the caller's policies and the bucket's.
func TestRights(t *testing.T) {
	w, admin := bucket(t)
	poor, name := w.client("poor"), sdkaws.String("logs")
	put(t, admin, "public/a", "open")
	put(t, admin, "b", "closed")
	read := func(key string) string {
		_, err := poor.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: name, Key: &key})
		return code(err)
	}
	anonymous := func(key string) int {
		r, err := http.Get(w.server.URL + "/logs/" + key)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	setPolicy := func(text string) error {
		_, err := admin.PutBucketPolicy(t.Context(), &sdk.PutBucketPolicyInput{Bucket: name, Policy: &text})
		return err
	}
	if got := read("public/a"); got != "AccessDenied" {
		t.Errorf("without a policy: %q", got)
	}
	mine := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:user/poor"},"Action":["s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::logs/public/*"}]}`
	if err := setPolicy(mine); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"public/a": "", "b": "AccessDenied", "public/none": "AccessDenied"} { // who may not list is not told what is missing
		if got := read(key); got != want {
			t.Errorf("%s: %q, not %q", key, got, want)
		}
	}
	out := must[*sdk.DeleteObjectsOutput](t)(poor.DeleteObjects(t.Context(), &sdk.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: sdkaws.String("public/a")}, {Key: sdkaws.String("b")}}}}))
	if len(out.Deleted) != 1 || len(out.Errors) != 1 || *out.Errors[0].Key != "b" || *out.Errors[0].Code != "AccessDenied" {
		t.Errorf("deleted: %+v", out)
	}
	put(t, admin, "public/a", "open")
	everyone := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::logs/public/*"}]}`
	if err := setPolicy(everyone); code(err) != "AccessDenied" {
		t.Errorf("a public policy on a blocked bucket: %v", err)
	}
	block := func(policy, restrict bool) {
		must[*sdk.PutPublicAccessBlockOutput](t)(admin.PutPublicAccessBlock(t.Context(), &sdk.PutPublicAccessBlockInput{Bucket: name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicPolicy: &policy, RestrictPublicBuckets: &restrict}}))
	}
	block(false, true)
	if err := setPolicy(everyone); err != nil {
		t.Fatal(err)
	}
	if got := anonymous("public/a"); got != http.StatusForbidden {
		t.Errorf("a restricted public bucket: %d", got)
	}
	block(false, false)
	for key, want := range map[string]int{"public/a": 200, "b": 403, "public/none": 403} {
		if got := anonymous(key); got != want {
			t.Errorf("anybody, %s: %d, not %d", key, got, want)
		}
	}
	for text, want := range map[string]string{
		"{": "MalformedPolicy", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::other/*"}]}`: "MalformedPolicy",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecs:RunTask","Resource":"arn:aws:s3:::logs"}]}`: "MalformedPolicy",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::logs"}]}`:                "MalformedPolicy",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject"}]}`:                               "MalformedPolicy",
	} {
		if err := setPolicy(text); code(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestPresigned(t *testing.T) {
	w, c := bucket(t)
	put(t, c, "a b", "content")
	p := sdk.NewPresignClient(c)
	signed, err := p.PresignGetObject(t.Context(), &sdk.GetObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("a b"), ResponseContentType: sdkaws.String("text/z")}, sdk.WithPresignExpires(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(url string, headers ...string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		out, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		return out.StatusCode, string(must[[]byte](t)(io.ReadAll(out.Body)))
	}
	if status, body := ask(signed.URL); status != 200 || body != "content" {
		t.Errorf("%d %s", status, body)
	}
	for want, bad := range map[string][]string{
		"<Code>SignatureDoesNotMatch":                               {strings.Replace(signed.URL, "text%2Fz", "text%2Fy", 1)},
		"headers present in the request which were not signed":      {signed.URL, "x-amz-checksum-mode", "ENABLED"},
		"<Code>InvalidAccessKeyId":                                  {strings.Replace(signed.URL, "AKIAadmin", "ASIAadmin", 1)},
		"<Code>AccessDenied</Code><Message>Access Denied</Message>": {w.server.URL + "/logs/a%20b"},
		"<Code>NoSuchBucket":                                        {w.server.URL + "/none-such/a"},
		"<Code>MethodNotAllowed":                                    nil,
	} {
		if bad == nil {
			continue
		}
		if status, body := ask(bad[0], bad[1:]...); status < 400 || !strings.Contains(body, want) {
			t.Errorf("%d %s, not %s", status, body, want)
		}
	}
	old := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/logs/a%20b", nil))
	sigv4.Signer{AccessKeyID: "AKIAadmin", Secret: "secret", Region: "us-east-1", Service: "s3"}.Presign(old, time.Minute, time.Now().Add(-time.Hour))
	if status, body := ask(old.URL.String()); status != 403 || !strings.Contains(body, "Request has expired") {
		t.Errorf("an old URL: %d %s", status, body)
	}
}

func TestBuckets(t *testing.T) {
	w, c := bucket(t)
	name := sdkaws.String("logs")
	for bad, want := range map[string]string{"UP": "InvalidBucketName", "a": "InvalidBucketName", "192.168.1.1": "InvalidBucketName", "logs": ""} {
		if _, err := c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: &bad}); code(err) != want {
			t.Errorf("%s: %v", bad, err)
		}
	}
	_, err := c.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: sdkaws.String("elsewhere"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-west-1"}})
	if code(err) != "InvalidLocationConstraint" {
		t.Errorf("in another region: %v", err)
	}
	must[*sdk.PutBucketTaggingOutput](t)(c.PutBucketTagging(t.Context(), &sdk.PutBucketTaggingInput{Bucket: name, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: sdkaws.String("k"), Value: sdkaws.String("v")}}}}))
	if out := must[*sdk.GetBucketTaggingOutput](t)(c.GetBucketTagging(t.Context(), &sdk.GetBucketTaggingInput{Bucket: name})); *out.TagSet[0].Value != "v" {
		t.Errorf("tags: %+v", out.TagSet)
	}
	put(t, c, "k", "x")
	if _, err := c.DeleteBucket(t.Context(), &sdk.DeleteBucketInput{Bucket: name}); code(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with an object: %v", err)
	}
	put(t, c, "k", "still writable")
	begun := must[*sdk.CreateMultipartUploadOutput](t)(c.CreateMultipartUpload(t.Context(), &sdk.CreateMultipartUploadInput{Bucket: name, Key: sdkaws.String("m")}))
	must[*sdk.UploadPartOutput](t)(c.UploadPart(t.Context(), &sdk.UploadPartInput{Bucket: name, Key: sdkaws.String("m"), UploadId: begun.UploadId, PartNumber: sdkaws.Int32(1), Body: strings.NewReader("x")}))
	must[*sdk.DeleteObjectOutput](t)(c.DeleteObject(t.Context(), &sdk.DeleteObjectInput{Bucket: name, Key: sdkaws.String("k")}))
	must[*sdk.DeleteBucketOutput](t)(c.DeleteBucket(t.Context(), &sdk.DeleteBucketInput{Bucket: name}))
	if n := w.files(t); n != 0 {
		t.Errorf("%d files of a deleted bucket", n)
	}
	recs, _, err := w.store.List(t.Context(), "s3/", store.Page{})
	if err != nil || len(recs) != 0 {
		t.Errorf("%d records of a deleted bucket, %v", len(recs), err)
	}
	if _, err := c.PutObject(t.Context(), &sdk.PutObjectInput{Bucket: name, Key: sdkaws.String("k"), Body: strings.NewReader("x")}); code(err) != "NoSuchBucket" || w.files(t) != 0 {
		t.Errorf("into a deleted bucket: %v, %d files", err, w.files(t))
	}
}

// TestDeleteRace: no object that was acknowledged is in a bucket that is gone.
func TestDeleteRace(t *testing.T) {
	w, _ := bucket(t)
	ctx := gateway.AsRoot(t.Context(), account, "us-east-1")
	for range 50 {
		if _, err := w.CreateBucket(ctx, &api.CreateBucketInput{Bucket: aws.Ptr("race")}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := w.PutObject(ctx, &api.PutObjectInput{Bucket: aws.Ptr("race"), Key: aws.Ptr("k"), Body: io.NopCloser(strings.NewReader("x"))})
			done <- err
		}()
		_, deleted := w.DeleteBucket(ctx, &api.DeleteBucketInput{Bucket: aws.Ptr("race")})
		written := <-done
		if (deleted == nil) == (written == nil) && deleted == nil {
			t.Fatal("the bucket was deleted with an object that was acknowledged")
		}
		if written == nil {
			if _, err := w.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: aws.Ptr("race"), Key: aws.Ptr("k")}); err != nil {
				t.Fatal(err)
			}
		}
		if deleted != nil {
			if _, err := w.DeleteBucket(ctx, &api.DeleteBucketInput{Bucket: aws.Ptr("race")}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSweep takes what a crash left, and leaves what is in use.
func TestSweep(t *testing.T) {
	w, c := bucket(t)
	enable(t, c)
	first := put(t, c, "kept", "former")
	put(t, c, "kept", "content")
	orphan := filepath.Join(w.dir, "data", "00", strings.Repeat("0", 32))
	if err := os.MkdirAll(filepath.Dir(orphan), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(orphan, []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctl := controller.New(clock.Real(1), nil, controller.NewBus())
	w.AddReconcilers(ctl)
	ctl.Start()
	defer ctl.Stop()
	for {
		if _, err := os.Stat(orphan); errors.Is(err, os.ErrNotExist) {
			break
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the file is still there")
		case <-time.After(5 * time.Millisecond):
		}
	}
	if get(t, c, "kept") != "content" {
		t.Error("what was kept is gone")
	}
	out := must[*sdk.GetObjectOutput](t)(c.GetObject(t.Context(), &sdk.GetObjectInput{Bucket: sdkaws.String("logs"), Key: sdkaws.String("kept"), VersionId: first.VersionId}))
	defer out.Body.Close()
	if text := must[[]byte](t)(io.ReadAll(out.Body)); string(text) != "former" {
		t.Errorf("the former version has %q", text)
	}
}
