package protocol

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"minato/aws"
	"minato/aws/api/s3"
	"minato/aws/payload"
)

var s3Router = NewRouter(s3.Model)

// TestRestRoutes: what a request of S3 means is in method, path, query, headers.
func TestRestRoutes(t *testing.T) {
	for _, c := range []struct {
		method, url, header string
		want                string // operation, or error code
		bucket, key         string
	}{
		{"PUT", "http://127.0.0.1/b", "", "CreateBucket", "b", ""},
		{"PUT", "http://127.0.0.1/b/", "", "CreateBucket", "b", ""},
		{"GET", "http://127.0.0.1/b", "", "ListObjects", "b", ""},
		{"GET", "http://127.0.0.1/b?list-type=2&prefix=x", "", "ListObjectsV2", "b", ""},
		{"GET", "http://127.0.0.1/b?list-type=1", "", "ListObjects", "b", ""},
		{"GET", "http://127.0.0.1/b?versions", "", "ListObjectVersions", "b", ""},
		{"GET", "http://127.0.0.1/b?location=", "", "GetBucketLocation", "b", ""},
		{"GET", "http://127.0.0.1/b?uploads", "", "ListMultipartUploads", "b", ""},
		{"POST", "http://127.0.0.1/b?delete", "", "DeleteObjects", "b", ""},
		{"PUT", "http://127.0.0.1/b/k", "", "PutObject", "b", "k"},
		{"PUT", "http://127.0.0.1/b/k?x-id=PutObject", "", "PutObject", "b", "k"},
		{"PUT", "http://127.0.0.1/b/k", "x-amz-copy-source", "CopyObject", "b", "k"},
		{"PUT", "http://127.0.0.1/b/k?partNumber=1&uploadId=u", "", "UploadPart", "b", "k"},
		{"PUT", "http://127.0.0.1/b/k?partNumber=1&uploadId=u", "x-amz-copy-source", "UploadPartCopy", "b", "k"},
		{"PUT", "http://127.0.0.1/b/k?tagging", "", "PutObjectTagging", "b", "k"},
		{"GET", "http://127.0.0.1/b/k?uploadId=u", "", "ListParts", "b", "k"},
		{"GET", "http://127.0.0.1/b/k?partNumber=1", "", "GetObject", "b", "k"},
		{"POST", "http://127.0.0.1/b/k?uploads", "", "CreateMultipartUpload", "b", "k"},
		{"POST", "http://127.0.0.1/b/k?uploadId=u", "", "CompleteMultipartUpload", "b", "k"},
		{"DELETE", "http://127.0.0.1/b/k?uploadId=u", "", "AbortMultipartUpload", "b", "k"},
		{"HEAD", "http://127.0.0.1/b/a%20b/c%2Fd//%C3%BC", "", "HeadObject", "b", "a b/c/d//ü"},
		{"GET", "http://127.0.0.1/b//k", "", "GetObject", "b", "/k"},
		{"GET", "http://b.localhost:4566/", "", "ListObjects", "b", ""},
		{"GET", "http://b.s3.localhost:4566/k/l", "", "GetObject", "b", "k/l"},
		{"GET", "http://b.c.s3.eu-west-1.amazonaws.com/k", "", "GetObject", "b.c", "k"},
		{"GET", "http://b.s3.amazonaws.com/k", "", "GetObject", "b", "k"},
		{"GET", "http://s3.eu-west-1.amazonaws.com/b/k", "", "GetObject", "b", "k"},
		{"GET", "http://127.0.0.1/b/%ff", "", "InvalidURI", "b", "\xff"},
		{"PATCH", "http://127.0.0.1/b/k", "", "MethodNotAllowed", "b", "k"},
		{"POST", "http://127.0.0.1/b", "", "MethodNotAllowed", "b", ""},
		{"GET", "http://127.0.0.1/b?analytics", "", "NotImplemented", "b", ""},
		{"PUT", "http://127.0.0.1/b?lifecycle", "", "PutBucketLifecycleConfiguration", "b", ""},
		{"PUT", "http://127.0.0.1/b?accelerate", "", "NotImplemented", "b", ""},
		{"POST", "http://127.0.0.1/b/k?select&select-type=2", "", "NotImplemented", "b", "k"},
	} {
		r := httptest.NewRequest(c.method, c.url, nil)
		if c.header != "" {
			r.Header.Set(c.header, "x/y")
		}
		call, err := s3Router.RouteREST(r)
		if call == nil {
			t.Errorf("%s %s is not taken for S3's", c.method, c.url)
			continue
		}
		got := call.Name
		if err != nil {
			got = aws.AsError(err).Code
		}
		if got != c.want || call.rest.bucket != c.bucket || call.rest.key != c.key {
			t.Errorf("%s %s: %s of %q, %q", c.method, c.url, got, call.rest.bucket, call.rest.key)
		}
	}
	for name, change := range map[string]func(r *http.Request){
		"nothing":   func(*http.Request) {},
		"another's": func(r *http.Request) { r.Header.Set("X-Amz-Target", "Logs_20140328.X") },
		"CBOR's": func(r *http.Request) {
			r.URL.Path = "/service/x/operation/y"
			r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		},
		"signed for others": func(r *http.Request) {
			r.URL.Path = "/b"
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=K/20260101/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0")
		},
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1/", nil)
		change(r)
		if call, _ := s3Router.RouteREST(r); call != nil {
			t.Errorf("%s is taken for S3's: %s", name, call.Name)
		}
	}
}

// decodeREST decodes a request as the gateway does.
func decodeREST(r *http.Request) (any, error) {
	call, err := s3Router.RouteREST(r)
	if err != nil {
		return nil, err
	}
	body, err := payload.New(r, nil)
	if err != nil {
		return nil, err
	}
	call.UseBody(body)
	return call.Decode()
}

func TestRestDecode(t *testing.T) {
	r := httptest.NewRequest("PUT", "http://127.0.0.1/b/k?partNumber=12&uploadId=u", strings.NewReader("content"))
	in, err := decodeREST(r)
	if p, ok := in.(*s3.UploadPartInput); err != nil || !ok || *p.PartNumber != 12 || *p.ContentLength != 7 || p.Body == nil || *p.Key != "k" {
		t.Errorf("%+v %v", in, err)
	}
	r = httptest.NewRequest("GET", "http://127.0.0.1/b/k", nil)
	r.Header.Set("If-Modified-Since", "Fri, 02 Jan 2026 03:04:05 GMT")
	r.Header.Set("If-Unmodified-Since", "yesterday")
	in, err = decodeREST(r)
	if g, ok := in.(*s3.GetObjectInput); err != nil || !ok || !g.IfModifiedSince.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) || g.IfUnmodifiedSince != nil {
		t.Errorf("%+v %v", in, err)
	}
	const tags = `<?xml version="1.0"?><x:Tagging xmlns:x="http://s3.amazonaws.com/doc/2006-03-01/"><x:TagSet><x:Tag><x:Key>a&amp;b</x:Key><x:Value/></x:Tag><x:Tag><x:Key>c</x:Key><x:Value> d </x:Value></x:Tag></x:TagSet></x:Tagging>`
	in, err = decodeREST(httptest.NewRequest("PUT", "http://127.0.0.1/b?tagging", strings.NewReader(tags)))
	want := &s3.Tagging{TagSet: []s3.Tag{{Key: aws.Ptr("a&b"), Value: aws.Ptr("")}, {Key: aws.Ptr("c"), Value: aws.Ptr(" d ")}}}
	if p, ok := in.(*s3.PutBucketTaggingInput); err != nil || !ok || !reflect.DeepEqual(p.Tagging, want) {
		t.Errorf("%+v %v", in, err)
	}
	for name, c := range map[string]struct{ method, url, body, want string }{
		"a number that is none": {"PUT", "/b/k?partNumber=x&uploadId=u", "", "InvalidArgument"},
		"another root":          {"PUT", "/b?tagging", "<Tags/>", "MalformedXML"},
		"no XML":                {"PUT", "/b?tagging", "{}", "MalformedXML"},
		"an entity":             {"PUT", "/b?tagging", `<!DOCTYPE a [<!ENTITY x "y">]><Tagging>&x;</Tagging>`, "MalformedXML"},
		"two roots":             {"PUT", "/b?tagging", "<Tagging/><Tagging/>", "MalformedXML"},
		"deep":                  {"PUT", "/b?tagging", strings.Repeat("<Tagging>", 1000) + strings.Repeat("</Tagging>", 1000), "MalformedXML"},
		"a boolean of text":     {"POST", "/b?delete", "<Delete><Quiet>perhaps</Quiet></Delete>", "MalformedXML"},
		"cut":                   {"POST", "/b?delete", "<Delete><Object>", "MalformedXML"},
	} {
		if _, err := decodeREST(httptest.NewRequest(c.method, "http://127.0.0.1"+c.url, strings.NewReader(c.body))); !aws.IsCode(err, c.want) {
			t.Errorf("%s: %v, not %s", name, err, c.want)
		}
	}
}

// TestRestAnswers: headers, status and body of answers, as S3 writes them.
func TestRestAnswers(t *testing.T) {
	answer := func(method, url string, out any) *http.Response {
		t.Helper()
		call, err := s3Router.RouteREST(httptest.NewRequest(method, "http://127.0.0.1"+url, nil))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if e, ok := out.(*aws.Error); ok {
			err = call.WriteError(w, e, "r")
		} else {
			err = call.WriteResponse(w, out, "r")
		}
		if err != nil {
			t.Fatal(err)
		}
		return w.Result()
	}
	const head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	for _, c := range []struct {
		method, url string
		out         any
		status      int
		body        string
	}{
		{"GET", "/b?location", &s3.GetBucketLocationOutput{}, 200, head + "<LocationConstraint" + ns + "></LocationConstraint>"},
		{"GET", "/b?location", &s3.GetBucketLocationOutput{LocationConstraint: aws.Ptr("eu-west-1")}, 200, head + "<LocationConstraint" + ns + ">eu-west-1</LocationConstraint>"},
		{"GET", "/b?versioning", &s3.GetBucketVersioningOutput{}, 200, head + "<VersioningConfiguration" + ns + "></VersioningConfiguration>"},
		{"GET", "/b?policy", &s3.GetBucketPolicyOutput{Policy: aws.Ptr("{}")}, 200, "{}"},
		{"DELETE", "/b", &s3.DeleteBucketOutput{}, 204, ""},
		{"PUT", "/b/k", &s3.PutObjectOutput{ETag: aws.Ptr(`"t"`)}, 200, ""},
		{"GET", "/b?tagging", &s3.GetBucketTaggingOutput{TagSet: []s3.Tag{{Key: aws.Ptr("<"), Value: aws.Ptr("v")}}}, 200, head + "<Tagging" + ns + "><TagSet><Tag><Key>&lt;</Key><Value>v</Value></Tag></TagSet></Tagging>"},
		{
			"GET", "/b?acl",
			&s3.GetBucketAclOutput{Grants: []s3.Grant{{Grantee: &s3.Grantee{ID: aws.Ptr("i"), Type: aws.Ptr("CanonicalUser")}, Permission: aws.Ptr("READ")}}}, 200,
			head + "<AccessControlPolicy" + ns + `><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>i</ID></Grantee><Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>`,
		},
		{"PUT", "/b/k?x", &aws.Error{Code: "NoSuchBucket", Message: "m", Status: 404, Fields: map[string]any{"BucketName": "b"}}, 404, head + "<Error><Code>NoSuchBucket</Code><Message>m</Message><BucketName>b</BucketName><RequestId>r</RequestId><HostId>cg==</HostId></Error>"},
		{"GET", "/b/k", &aws.Error{Code: "NotModified", Status: 304, Fields: map[string]any{"ETag": "t"}}, 304, ""},
	} {
		r := answer(c.method, c.url, c.out)
		body := new(strings.Builder)
		if err := r.Write(body); err != nil {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(body.String(), "\r\n\r\n")
		if r.StatusCode != c.status || got != c.body || !strings.Contains(body.String(), "x-amz-request-id: r\r\n") {
			t.Errorf("%s %s: %d %s\nnot %s", c.method, c.url, r.StatusCode, got, c.body)
		}
	}
	r := answer("HEAD", "/b/k", &s3.HeadObjectOutput{ContentLength: aws.Ptr(int64(5)), LastModified: aws.Ptr(time.Unix(0, 0)), Metadata: map[string]string{"a": "b\r\nc"}, ETag: aws.Ptr(`"t"`)})
	for name, want := range map[string]string{"Content-Length": "5", "Last-Modified": "Thu, 01 Jan 1970 00:00:00 GMT", "x-amz-meta-a": "b  c", "ETag": `"t"`} {
		if got := r.Header[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// FuzzXMLBody: any body is decoded or refused, and never a fault of ours.
func FuzzXMLBody(f *testing.F) {
	f.Add("delete", "<Delete><Object><Key>a</Key></Object><Quiet>true</Quiet></Delete>")
	f.Add("tagging", "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
	f.Add("encryption", "<ServerSideEncryptionConfiguration><Rule><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>")
	f.Add("publicAccessBlock", "<PublicAccessBlockConfiguration xmlns='x'><BlockPublicAcls>1</BlockPublicAcls></PublicAccessBlockConfiguration>")
	f.Fuzz(func(t *testing.T, what, body string) {
		method := map[string]string{"delete": "POST", "tagging": "PUT", "encryption": "PUT", "publicAccessBlock": "PUT"}[what]
		if method == "" {
			return
		}
		if _, err := decodeREST(httptest.NewRequest(method, "http://127.0.0.1/b?"+what, strings.NewReader(body))); err != nil && aws.AsError(err).HTTPStatus() != 400 {
			t.Fatal(err)
		}
	})
}
