package protocol

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"minato/aws"
	"minato/aws/payload"
	"minato/aws/sigv4"
)

// restRequest is a request of a REST protocol, its path taken apart.
type restRequest struct {
	http        *http.Request
	bucket, key string
	query       url.Values
	stream      *payload.Body // nil until UseBody
}

// restRoute tells the requests that mean an operation. Of those that match, the
// one with the most conditions is meant: a PUT with uploadId and partNumber is
// UploadPart, not PutObject.
type restRoute struct {
	name   string
	op     *aws.Operation // nil: AWS has it, we do not
	method string
	depth  int         // 0 the service, 1 a bucket, 2 a key
	query  [][2]string // what the URI has after the question mark; without a value any will do
	needs  []string    // parameters of the query that the input requires
	header string      // a header that the input requires
}

// restRoutes reads the routes of a service.
func restRoutes(s *aws.Service) []restRoute {
	var out []restRoute
	for _, op := range s.Operations {
		r := newRestRoute(op.Name, op.Method, op.URI)
		r.op = op
		for _, m := range op.InputShape.Members {
			switch {
			case !m.Required:
			case m.Location == "querystring":
				r.needs = append(r.needs, m.WireName)
			case m.Location == "header":
				r.header = m.WireName
			}
		}
		out = append(out, r)
	}
	for _, u := range s.Unserved {
		out = append(out, newRestRoute(u.Name, u.Method, u.URI))
	}
	// The order decides between equals: what is served, then the later name
	// (PutBucketLifecycleConfiguration came after PutBucketLifecycle).
	slices.SortFunc(out, func(a, b restRoute) int {
		if (a.op != nil) != (b.op != nil) {
			return map[bool]int{true: -1, false: 1}[a.op != nil]
		}
		return strings.Compare(b.name, a.name)
	})
	return out
}

func newRestRoute(name, method, uri string) restRoute {
	path, query, _ := strings.Cut(uri, "?")
	r := restRoute{name: name, method: method}
	switch {
	case strings.Contains(path, "{Key+}"):
		r.depth = 2
	case strings.Contains(path, "{Bucket}"):
		r.depth = 1
	}
	for _, part := range strings.Split(query, "&") {
		if part != "" {
			k, v, _ := strings.Cut(part, "=")
			r.query = append(r.query, [2]string{k, v})
		}
	}
	return r
}

// match counts the conditions that hold; -1 when one does not.
func (r *restRoute) match(q *restRequest, depth int) int {
	if r.method != q.http.Method || r.depth != depth {
		return -1
	}
	for _, part := range r.query {
		if have, ok := q.query[part[0]]; !ok || part[1] != "" && have[0] != part[1] {
			return -1
		}
	}
	for _, name := range r.needs {
		if !q.query.Has(name) {
			return -1
		}
	}
	conditions := len(r.query) + len(r.needs)
	if r.header != "" {
		if q.http.Header.Get(r.header) == "" {
			return -1
		}
		conditions++
	}
	return conditions
}

// RouteREST finds out what a request of a REST protocol means; the Call is nil
// when it is none. Its body is not read: UseBody gives it to Decode.
//
// A request is S3's when it is signed for S3, or when it is not signed at all
// and has a path: everybody else's requests go to "/".
func (rt *Router) RouteREST(r *http.Request) (*Call, error) {
	if rt.paths == nil {
		return nil, nil
	}
	bucket, inHost := BucketOfHost(r.Host)
	scope, signed := sigv4.ScopeOf(r)
	path := r.URL.EscapedPath()
	switch {
	case signed && scope.Service != rt.paths.SigningName:
		return nil, nil
	case !signed && (r.Header.Get("X-Amz-Target") != "" || r.Header.Get("Smithy-Protocol") != ""):
		return nil, nil
	case !signed && !inHost && (path == "" || path == "/"):
		return nil, nil
	}
	q := &restRequest{http: r, bucket: bucket, query: r.URL.Query()}
	c := &Call{Service: rt.paths, Protocol: aws.RestXML, rest: q}
	rest := strings.TrimPrefix(path, "/")
	if !inHost {
		q.bucket, rest, _ = strings.Cut(rest, "/")
	}
	var err error
	if q.key, err = url.PathUnescape(rest); err != nil || !utf8.ValidString(q.key) || strings.ContainsRune(q.key, 0) {
		return c, &aws.Error{Code: "InvalidURI", Message: "Couldn't parse the specified URI.", Status: http.StatusBadRequest, Fields: map[string]any{"URI": path}}
	}
	if q.bucket, err = url.PathUnescape(q.bucket); err != nil {
		return c, &aws.Error{Code: "InvalidBucketName", Message: "The specified bucket is not valid.", Status: http.StatusBadRequest}
	}
	if strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") {
		return c, aws.Errorf("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	return c, rt.find(c)
}

// find names the operation of a call.
func (rt *Router) find(c *Call) error {
	q, depth := c.rest, 0
	switch {
	case q.bucket != "" && q.key != "":
		depth = 2
	case q.bucket != "":
		depth = 1
	}
	best, most := (*restRoute)(nil), -1
	for i := range rt.routes {
		if n := rt.routes[i].match(q, depth); n > most {
			best, most = &rt.routes[i], n
		}
	}
	if best == nil {
		return restCodec{}.unknown(c)
	}
	c.Name = best.name
	if best.op == nil {
		return &aws.Error{
			Code: "NotImplemented", Message: c.Service.IAMPrefix + ":" + c.Name + " is an operation of AWS that minato does not serve.", Status: http.StatusNotImplemented,
		}
	}
	c.Operation = best.op
	return nil
}

// UseBody gives a call of a REST protocol the body that it is decoded from.
func (c *Call) UseBody(b *payload.Body) { c.rest.stream = b }

// BucketOfHost reads a bucket from the Host header, as virtual-host style has
// it: <bucket>.localhost, <bucket>.s3.<region>.amazonaws.com and their like.
func BucketOfHost(host string) (string, bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.ToLower(host)
	if bucket, ok := strings.CutSuffix(host, ".localhost"); ok {
		bucket = strings.TrimSuffix(bucket, ".s3")
		return bucket, bucket != "s3" && bucket != ""
	}
	if rest, ok := strings.CutSuffix(host, ".amazonaws.com"); ok {
		for _, mark := range []string{".s3.", ".s3-"} {
			if i := strings.LastIndex(rest+".", mark); i > 0 {
				return rest[:i], true
			}
		}
	}
	return "", false
}
