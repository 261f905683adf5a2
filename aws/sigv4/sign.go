package sigv4

import (
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests with one key for one service in one region.
type Signer struct {
	AccessKeyID  string
	Secret       string
	SessionToken string // of temporary keys
	Region       string
	Service      string // signing name
}

// Sign signs the request with the body in its headers.
func (s Signer) Sign(r *http.Request, body []byte, now time.Time) {
	date := now.UTC().Format(timeFormat)
	r.Header.Set("X-Amz-Date", date)
	if s.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", s.SessionToken)
	}
	hash := hashOf(body)
	if s.Service == "s3" {
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	signed := []string{"host"}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") || lower == "content-type" {
			signed = append(signed, lower)
		}
	}
	sort.Strings(signed)
	scope := s.scope(date)
	value := signature(s.Secret, scope, date, canonicalRequest(r, signed, hash, s.Service))
	r.Header.Set("Authorization", algorithm+" Credential="+s.AccessKeyID+"/"+scope.String()+", SignedHeaders="+strings.Join(signed, ";")+", Signature="+value)
}

// Presign puts the signature of a request without body into its URL, valid for
// the given time.
func (s Signer) Presign(r *http.Request, expires time.Duration, now time.Time) {
	date := now.UTC().Format(timeFormat)
	scope := s.scope(date)
	q := r.URL.Query()
	q.Set("X-Amz-Algorithm", algorithm)
	q.Set("X-Amz-Credential", s.AccessKeyID+"/"+scope.String())
	q.Set("X-Amz-Date", date)
	q.Set("X-Amz-Expires", strconv.Itoa(int(expires/time.Second)))
	q.Set("X-Amz-SignedHeaders", "host")
	if s.SessionToken != "" {
		q.Set("X-Amz-Security-Token", s.SessionToken)
	}
	r.URL.RawQuery = q.Encode()
	hash := hashOf(nil)
	if s.Service == "s3" {
		hash = Unsigned
	}
	value := signature(s.Secret, scope, date, canonicalRequest(r, []string{"host"}, hash, s.Service))
	r.URL.RawQuery += "&X-Amz-Signature=" + url.QueryEscape(value)
}

func (s Signer) scope(date string) Scope {
	return Scope{AccessKeyID: s.AccessKeyID, Date: date[:8], Region: s.Region, Service: s.Service}
}
