package sigv4

import (
	"net/http"
	"strings"
)

// Scope is the credential scope of a signature: which key signed, for which
// day, region and service.
type Scope struct {
	AccessKeyID string
	Date        string // yyyymmdd
	Region      string
	Service     string
}

// String returns the scope as it is signed, without the key.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// ScopeOf reads the credential scope of a request, from the Authorization
// header or the URL, without checking anything. It tells a router which
// service a client means.
func ScopeOf(r *http.Request) (Scope, bool) {
	if h := r.Header.Get("Authorization"); h != "" {
		_, rest, ok := strings.Cut(h, "Credential=")
		if !ok {
			return Scope{}, false
		}
		end := strings.IndexAny(rest, ", ")
		if end < 0 {
			end = len(rest)
		}
		return parseScope(rest[:end])
	}
	if !strings.Contains(r.URL.RawQuery, "X-Amz-Credential=") {
		return Scope{}, false
	}
	return parseScope(r.URL.Query().Get("X-Amz-Credential"))
}

// parseScope reads KEY/yyyymmdd/region/service/aws4_request.
func parseScope(text string) (Scope, bool) {
	p := strings.Split(text, "/")
	if len(p) != 5 || p[0] == "" || p[4] != terminator {
		return Scope{}, false
	}
	return Scope{AccessKeyID: p[0], Date: p[1], Region: p[2], Service: p[3]}, true
}
