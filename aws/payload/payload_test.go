package payload

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"minato/aws"
	"minato/aws/checksum"
	"minato/aws/sigv4"
)

// The examples of S3's documentation ("Signature calculations for the
// Authorization header: transferring payload in multiple chunks"): 66,560 times
// the letter a, in chunks of 64 KiB and 1 KiB.
const (
	secret  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	date    = "20130524T000000Z"
	content = 66560
)

// exampleChunks is the body of an example: its chunks with their signatures, and
// what follows the last.
func exampleChunks(signatures [3]string, end string) string {
	return "10000;chunk-signature=" + signatures[0] + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n" + end
}

var plain = [3]string{
	"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
	"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
	"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
}

// example is the request of an example, signed.
func example(kind, body string, more map[string]string, signed, signature string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "http://s3.amazonaws.com/examplebucket/chunkObject.txt", strings.NewReader(body))
	for k, v := range map[string]string{
		"x-amz-date": date, "x-amz-storage-class": "REDUCED_REDUNDANCY", "x-amz-content-sha256": kind, "content-encoding": "aws-chunked",
		"x-amz-decoded-content-length": fmt.Sprint(content),
		"authorization":                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=" + signed + ",Signature=" + signature,
	} {
		r.Header.Set(k, v)
	}
	for k, v := range more {
		r.Header.Set(k, v)
	}
	return r
}

func signedPlain(body string) *http.Request {
	r := example(sigv4.Streaming, body, nil, "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
	r.ContentLength = 66824
	return r
}

// read reads what a server would of the request.
func read(t *testing.T, r *http.Request) ([]byte, error) {
	t.Helper()
	sig, err := sigv4.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	now, _ := time.Parse("20060102T150405Z", date)
	if err := sig.VerifyClaimed(r, secret, "", now); err != nil {
		t.Fatal(err)
	}
	b, err := New(r, sig.Chunks(secret))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(b)
}

func TestSignedChunks(t *testing.T) {
	r := signedPlain(exampleChunks(plain, "\r\n"))
	got, err := read(t, r)
	if err != nil || len(got) != content || strings.Trim(string(got), "a") != "" {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if e := r.Header.Get("Content-Encoding"); e != "" {
		t.Errorf("Content-Encoding %q is left", e)
	}
	body := exampleChunks(plain, "\r\n")
	for name, c := range map[string]struct{ body, code string }{
		"content changed":        {strings.Replace(body, "aaaa\r\n400", "aaab\r\n400", 1), "SignatureDoesNotMatch"},
		"a chunk left out":       {body[:strings.Index(body, "400;")] + body[strings.Index(body, "0;chunk-signature=b6"):], "SignatureDoesNotMatch"},
		"another signature":      {strings.Replace(body, plain[1], plain[0], 1), "SignatureDoesNotMatch"},
		"cut in the content":     {body[:3000], "IncompleteBody"},
		"cut after a chunk":      {body[:strings.Index(body, "400;")], "IncompleteBody"},
		"no signature":           {strings.Replace(body, ";chunk-signature="+plain[0], "", 1), "IncompleteBody"},
		"a size that is none":    {"x" + body, "IncompleteBody"},
		"a negative size":        {"-" + body, "IncompleteBody"},
		"a line without an end":  {strings.Repeat("0", 10_000), "IncompleteBody"},
		"no line after a chunk":  {strings.Replace(body, "a\r\n400", "a400", 1), "IncompleteBody"},
		"nothing":                {"", "IncompleteBody"},
		"the last chunk missing": {body[:strings.Index(body, "0;chunk-signature=b6")], "IncompleteBody"},
	} {
		if _, err := read(t, signedPlain(c.body)); !aws.IsCode(err, c.code) {
			t.Errorf("%s: %v, not %s", name, err, c.code)
		}
	}
}

func TestSignedTrailer(t *testing.T) {
	signatures := [3]string{
		"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
		"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
		"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
	}
	const trailer = "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:"
	const signature = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"
	request := func(end string) *http.Request {
		r := example(sigv4.StreamingTrailer, exampleChunks(signatures, end), map[string]string{"x-amz-trailer": "x-amz-checksum-crc32c"},
			"content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
			"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")
		return r
	}
	got, err := read(t, request(trailer+signature+"\r\n\r\n"))
	if err != nil || len(got) != content {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := read(t, request(strings.Replace(trailer, "sOO8", "AAAA", 1)+signature+"\r\n\r\n")); !aws.IsCode(err, "SignatureDoesNotMatch") {
		t.Errorf("another trailer: %v", err)
	}
	if _, err := read(t, request("\r\n")); !aws.IsCode(err, "MalformedTrailerError") {
		t.Errorf("no trailer: %v", err)
	}
}

// TestUnsigned has what is not signed in a body, and all that is said of it.
func TestUnsigned(t *testing.T) {
	const text = "hello, harbour"
	sums := map[checksum.Algorithm]string{}
	for _, a := range checksum.All {
		h := a.New()
		h.Write([]byte(text))
		sums[a] = base64.StdEncoding.EncodeToString(h.Sum(nil))
	}
	tag := md5.Sum([]byte(text))
	md := base64.StdEncoding.EncodeToString(tag[:])
	chunked := func(trailer string) string { return "e\r\n" + text + "\r\n0\r\n" + trailer + "\r\n" }
	for _, c := range []struct {
		name    string
		headers map[string]string
		body    string
		code    string
	}{
		{name: "as it is", body: text},
		{name: "empty", body: ""},
		{name: "MD5", headers: map[string]string{"Content-Md5": md}, body: text},
		{name: "another MD5", headers: map[string]string{"Content-Md5": md}, body: "hello, harbouR", code: "BadDigest"},
		{name: "an MD5 that is none", headers: map[string]string{"Content-Md5": "x"}, body: text, code: "InvalidDigest"},
		{name: "its hash", headers: map[string]string{"X-Amz-Content-Sha256": "be3c4f75dcfa0c9d3d4dd6ecd4b7cd2fbbfd0d1cb3b0ef4f3cbe5a3cf5a40f6c"}, body: text, code: "XAmzContentSHA256Mismatch"},
		{name: "a hash that is none", headers: map[string]string{"X-Amz-Content-Sha256": "STREAMING-SOMETHING"}, body: text, code: "InvalidArgument"},
		{name: "two checksums", headers: map[string]string{"X-Amz-Checksum-Crc32": sums[checksum.CRC32], "X-Amz-Checksum-Sha1": sums[checksum.SHA1]}, body: text, code: "InvalidRequest"},
		{name: "a checksum that is none", headers: map[string]string{"X-Amz-Checksum-Crc32": "x"}, body: text, code: "InvalidRequest"},
		{name: "a trailer that is none", headers: map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned, "X-Amz-Decoded-Content-Length": "14", "X-Amz-Trailer": "x-amz-meta-a"}, body: chunked(""), code: "InvalidRequest"},
		{name: "no decoded length", headers: map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned}, body: chunked(""), code: "MissingContentLength"},
		{name: "too short", headers: map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned, "X-Amz-Decoded-Content-Length": "15"}, body: chunked(""), code: "IncompleteBody"},
		{name: "too long", headers: map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned, "X-Amz-Decoded-Content-Length": "13"}, body: chunked(""), code: "IncompleteBody"},
		{name: "many trailers", headers: map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned, "X-Amz-Decoded-Content-Length": "14"}, body: chunked(manyTrailers()), code: "IncompleteBody"},
	} {
		check(t, c.name, c.headers, c.body, c.code)
	}
	for a, sum := range sums {
		trailing := map[string]string{"X-Amz-Content-Sha256": sigv4.StreamingUnsigned, "X-Amz-Decoded-Content-Length": "14", "X-Amz-Trailer": a.Header(), "Content-Encoding": "aws-chunked,gzip"}
		check(t, string(a)+" in a header", map[string]string{a.Header(): sum}, text, "")
		check(t, string(a)+" of other content", map[string]string{a.Header(): sum}, "hello, Harbour", "BadDigest")
		check(t, string(a)+" in a trailer", trailing, chunked(a.Header()+":"+sum+"\r\n"), "")
		check(t, string(a)+" in a trailer, of other content", trailing, strings.Replace(chunked(a.Header()+":"+sum+"\r\n"), "hello", "Hello", 1), "BadDigest")
	}
}

func manyTrailers() string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "x-%d:y\r\n", i)
	}
	return b.String()
}

func check(t *testing.T, name string, headers map[string]string, body, code string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPut, "/b/k", strings.NewReader(body))
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	b, err := New(r, nil)
	if err == nil {
		_, err = io.ReadAll(b)
	}
	switch {
	case code == "" && err != nil, code != "" && !aws.IsCode(err, code):
		t.Errorf("%s: %v, not %q", name, err, code)
	case code == "" && r.Header.Get("Content-Encoding") == "aws-chunked,gzip":
		t.Errorf("%s: the framing is still in Content-Encoding", name)
	}
}

// TestBrokenConnection is no end of the content.
func TestBrokenConnection(t *testing.T) {
	r := httptest.NewRequest(http.MethodPut, "/b/k", io.MultiReader(strings.NewReader("hel"), &broken{}))
	r.ContentLength = 5
	b, err := New(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(b); !aws.IsCode(err, "IncompleteBody") {
		t.Errorf("%v", err)
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// FuzzChunked: whatever comes, what is read is what the chunks hold, or an error.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), false)
	f.Add([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"), false)
	f.Add([]byte(exampleChunks(plain, "\r\n"))[:200], true)
	f.Add([]byte("ffffffffffffffff\r\n"), false)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		var check *sigv4.Chunks
		if signed {
			check = (&sigv4.Signature{}).Chunks("secret")
		}
		c := newChunked(bytes.NewReader(body), signed, check)
		got, err := io.ReadAll(io.LimitReader(c, 1<<20))
		if len(got) > len(body) {
			t.Fatalf("%d bytes were made of %d", len(got), len(body))
		}
		if again, e := c.Read(make([]byte, 1)); err != nil && (again != 0 || e == nil) {
			t.Fatalf("after an error, %d bytes and %v", again, e)
		}
	})
}
