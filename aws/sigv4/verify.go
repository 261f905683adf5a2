package sigv4

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
)

// How far the time of a signature may be from ours.
const (
	skew          = 5 * time.Minute
	s3Skew        = 15 * time.Minute
	presignedSkew = 15 * time.Minute
	maxExpires    = 7 * 24 * time.Hour
)

// Signature is what a request says about its signature, not yet believed.
type Signature struct {
	Scope
	SignedHeaders []string
	Value         string // hex
	SessionToken  string
	Presigned     bool
	date          string // as sent and signed
	time          time.Time
	expires       time.Duration
}

// Parse reads the signature of a request. The errors are
// MissingAuthenticationToken and IncompleteSignature.
func Parse(r *http.Request) (*Signature, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		return parseHeader(r, h)
	}
	if strings.Contains(r.URL.RawQuery, "X-Amz-Signature=") || strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") {
		return parsePresigned(r)
	}
	return nil, &aws.Error{Code: "MissingAuthenticationToken", Message: "Request is missing Authentication Token", Status: http.StatusForbidden}
}

func parseHeader(r *http.Request, h string) (*Signature, error) {
	kind, rest, _ := strings.Cut(h, " ")
	if kind != algorithm {
		return nil, incomplete("Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization=" + kind)
	}
	params := map[string]string{}
	for _, part := range strings.Split(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if ok {
			params[name] = value
		}
	}
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if params[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	date := r.Header.Get("X-Amz-Date")
	if date == "" {
		date = r.Header.Get("Date")
	}
	if date == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) > 0 {
		return nil, incomplete(strings.Join(missing, " ") + " Authorization=" + kind)
	}
	s := &Signature{Value: params["Signature"], SessionToken: r.Header.Get("X-Amz-Security-Token"), date: date}
	return s, s.fill(r, params["Credential"], params["SignedHeaders"])
}

func parsePresigned(r *http.Request) (*Signature, error) {
	q := r.URL.Query()
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if q.Get(name) == "" {
			return nil, incomplete("AWS query-string parameters must include '" + name + "'. Re-examine the query-string parameters.")
		}
	}
	if q.Get("X-Amz-Algorithm") != algorithm {
		return nil, incomplete("AWS query-string parameter 'X-Amz-Algorithm' must be " + algorithm + ".")
	}
	s := &Signature{Value: q.Get("X-Amz-Signature"), SessionToken: q.Get("X-Amz-Security-Token"), date: q.Get("X-Amz-Date"), Presigned: true, expires: presignedSkew}
	if text := q.Get("X-Amz-Expires"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 || time.Duration(seconds)*time.Second > maxExpires {
			return nil, incomplete("X-Amz-Expires must be between 0 and 604800 seconds.")
		}
		s.expires = time.Duration(seconds) * time.Second
	}
	return s, s.fill(r, q.Get("X-Amz-Credential"), q.Get("X-Amz-SignedHeaders"))
}

// fill reads scope, headers and time, and checks that they fit together.
func (s *Signature) fill(r *http.Request, credential, headers string) error {
	scope, ok := parseScope(credential)
	if !ok {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" + credential + "'")
	}
	s.Scope = scope
	t, err := time.Parse(timeFormat, s.date)
	if err != nil {
		if t, err = http.ParseTime(s.date); err != nil {
			return incomplete("Date must be in ISO-8601 'basic format'. Got '" + s.date + "'. See http://en.wikipedia.org/wiki/ISO_8601")
		}
		s.date = t.UTC().Format(timeFormat)
	}
	s.time = t
	if scope.Date != t.UTC().Format("20060102") {
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" + scope.Date + "' != '" + t.UTC().Format("20060102") + "', from '" + s.date + "'.")
	}
	s.SignedHeaders = strings.Split(headers, ";")
	return s.checkHeaders(r)
}

// checkHeaders sees to it that what decides the meaning of the request is
// signed: host, and for a signature in the header date and operation.
func (s *Signature) checkHeaders(r *http.Request) error {
	signed := map[string]bool{}
	for _, name := range s.SignedHeaders {
		signed[name] = true
	}
	if !signed["host"] {
		return mismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for _, name := range []string{"x-amz-date", "x-amz-target"} {
		if !signed[name] && r.Header.Get(name) != "" {
			return mismatch("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	return nil
}

// Verify checks the signature against the secret and the session token (empty
// for a long-term key) that belong to its access key. The errors are
// SignatureDoesNotMatch, RequestExpired and InvalidClientTokenId.
func (s *Signature) Verify(r *http.Request, body []byte, secret, sessionToken string, now time.Time) error {
	if err := s.checkTime(now); err != nil {
		return err
	}
	if err := s.checkToken(sessionToken); err != nil {
		return err
	}
	hash := hashOf(body)
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	if s.Presigned && claimed == "" && s.Service == "s3" {
		claimed = Unsigned
	}
	switch claimed {
	case "", hash:
	case Unsigned:
		hash = Unsigned
	default:
		return mismatch("The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return s.compare(r, hash, secret)
}

// notOurs is AWS's text for a signature that is not the one that was expected.
const notOurs = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."

// checkToken compares the session token with the one that belongs to the key.
func (s *Signature) checkToken(sessionToken string) error {
	if subtle.ConstantTimeCompare([]byte(s.SessionToken), []byte(sessionToken)) != 1 {
		return &aws.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
	}
	return nil
}

// compare computes the signature and compares.
func (s *Signature) compare(r *http.Request, hash, secret string) error {
	want := signature(secret, s.Scope, s.date, canonicalRequest(r, s.SignedHeaders, hash, s.Service))
	if subtle.ConstantTimeCompare([]byte(want), []byte(s.Value)) != 1 {
		return mismatch(notOurs)
	}
	return nil
}

// VerifyClaimed is Verify for a body that is not read yet: the signature is
// checked with what the request claims its body's hash to be, and who reads the
// body has to hold it to that (aws/payload). It is how S3 is called, which also
// wants every header of its own signed.
func (s *Signature) VerifyClaimed(r *http.Request, secret, sessionToken string, now time.Time) error {
	if err := s.checkTime(now); err != nil {
		return err
	}
	if err := s.checkToken(sessionToken); err != nil {
		return err
	}
	claimed := r.Header.Get("X-Amz-Content-Sha256")
	if claimed == "" {
		if !s.Presigned {
			return &aws.Error{Code: "InvalidRequest", Message: "Missing required header for this request: x-amz-content-sha256", Status: http.StatusBadRequest}
		}
		claimed = Unsigned
	}
	if name := s.unsigned(r); name != "" {
		return &aws.Error{
			Code: "AccessDenied", Message: "There were headers present in the request which were not signed", Status: http.StatusForbidden,
			Fields: map[string]any{"HeadersNotSigned": name},
		}
	}
	return s.compare(r, claimed, secret)
}

// unsigned is a header of AWS's that changes what a request means and is not
// signed, or "".
func (s *Signature) unsigned(r *http.Request) string {
	for name := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-content-sha256" && !slices.Contains(s.SignedHeaders, lower) {
			return lower
		}
	}
	return ""
}

// presignedOver says that a presigned URL is no longer valid.
const presignedOver = "Request has expired."

// checkTime refuses what was signed too long ago or in the future.
func (s *Signature) checkTime(now time.Time) error {
	now = now.UTC()
	early, late := skew, skew
	if s.Service == "s3" {
		early, late = s3Skew, s3Skew
	}
	if s.Presigned {
		early, late = presignedSkew, s.expires
	}
	show := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	minutes := strconv.Itoa(int(early / time.Minute))
	switch {
	case s.time.After(now.Add(early)):
		return mismatch("Signature not yet current: " + s.date + " is still later than " + show(now.Add(early)) + " (" + show(now) + " + " + minutes + " min.)")
	case s.Presigned && now.After(s.time.Add(late)):
		return &aws.Error{Code: "RequestExpired", Message: presignedOver, Status: http.StatusForbidden}
	case now.After(s.time.Add(late)):
		return &aws.Error{Code: "RequestExpired", Message: "Signature expired: " + s.date + " is now earlier than " + show(now.Add(-late)) + " (" + show(now) + " - " + minutes + " min.)", Status: http.StatusForbidden}
	}
	return nil
}

func incomplete(message string) *aws.Error {
	return &aws.Error{Code: "IncompleteSignature", Message: message, Status: http.StatusBadRequest}
}

func mismatch(message string) *aws.Error {
	return &aws.Error{Code: "SignatureDoesNotMatch", Message: message, Status: http.StatusForbidden}
}
