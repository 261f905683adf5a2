package sigv4

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
)

// Older is a signature of S3's older version (2) in a URL. AWS CLI 1 and the
// SDKs of its time presign with it to this day; nothing else is signed so here.
type Older struct {
	AccessKeyID  string
	SessionToken string
	value        string
	expires      int64 // seconds since 1970
}

// ParseOlder reads the signature of a URL of the older version.
func ParseOlder(r *http.Request) (*Older, bool) {
	if !strings.Contains(r.URL.RawQuery, "AWSAccessKeyId=") || !strings.Contains(r.URL.RawQuery, "Signature=") {
		return nil, false
	}
	q := r.URL.Query()
	o := &Older{AccessKeyID: q.Get("AWSAccessKeyId"), SessionToken: q.Get("x-amz-security-token"), value: q.Get("Signature")}
	o.expires, _ = strconv.ParseInt(q.Get("Expires"), 10, 64)
	return o, o.AccessKeyID != "" && o.value != ""
}

// signedParameters are those of the query that the older version signs.
var signedParameters = []string{
	"accelerate", "acl", "cors", "defaultObjectAcl", "delete", "lifecycle", "location", "logging", "notification", "partNumber", "policy", "replication", "requestPayment",
	"response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires",
	"restore", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// Verify checks the signature. The bucket is the one in the Host header, or "".
func (o *Older) Verify(r *http.Request, bucket, secret, sessionToken string, now time.Time) error {
	if now.Unix() > o.expires {
		return &aws.Error{Code: "RequestExpired", Message: presignedOver, Status: http.StatusForbidden}
	}
	if err := (&Signature{SessionToken: o.SessionToken}).checkToken(sessionToken); err != nil {
		return err
	}
	h := hmac.New(sha1.New, []byte(secret))
	h.Write([]byte(o.toSign(r, bucket)))
	if subtle.ConstantTimeCompare([]byte(base64.StdEncoding.EncodeToString(h.Sum(nil))), []byte(o.value)) != 1 {
		return mismatch(notOurs)
	}
	return nil
}

// toSign is the text that the older version signs.
func (o *Older) toSign(r *http.Request, bucket string) string {
	query := r.URL.Query()
	lines := []string{r.Method, r.Header.Get("Content-Md5"), r.Header.Get("Content-Type"), strconv.FormatInt(o.expires, 10)}
	amz := map[string]string{}
	for name := range r.Header {
		amz[strings.ToLower(name)] = headerValue(r, name)
	}
	for name, values := range query { // a token is signed as if it were a header
		amz[strings.ToLower(name)] = strings.Join(values, ",")
	}
	var names []string
	for name := range amz {
		if strings.HasPrefix(name, "x-amz-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		lines = append(lines, name+":"+amz[name])
	}
	resource := r.URL.EscapedPath()
	if bucket != "" {
		resource = "/" + bucket + resource
	}
	return strings.Join(lines, "\n") + "\n" + resource + subresources(query)
}

// subresources are the signed parameters of a query, in order.
func subresources(query url.Values) string {
	var parts []string
	for _, name := range signedParameters {
		if values, ok := query[name]; ok {
			if values[0] != "" {
				name += "=" + values[0]
			}
			parts = append(parts, name)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}
