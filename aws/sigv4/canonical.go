package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// canonicalRequest is the text whose hash is signed.
func canonicalRequest(r *http.Request, signed []string, payloadHash, service string) string {
	var b strings.Builder
	b.Grow(512)
	b.WriteString(r.Method)
	b.WriteByte('\n')
	b.WriteString(canonicalPath(r, service))
	b.WriteByte('\n')
	b.WriteString(canonicalQuery(r.URL.RawQuery))
	b.WriteByte('\n')
	for _, name := range signed {
		b.WriteString(name)
		b.WriteByte(':')
		b.WriteString(headerValue(r, name))
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	b.WriteString(strings.Join(signed, ";"))
	b.WriteByte('\n')
	b.WriteString(payloadHash)
	return b.String()
}

// headerValue is a header as it is signed: values joined by commas, runs of
// spaces made one. Go moves two headers out of the map.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		if r.Host != "" {
			return r.Host
		}
		return r.URL.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	}
	values := r.Header[http.CanonicalHeaderKey(name)]
	if len(values) == 1 && !strings.Contains(values[0], "  ") {
		return strings.TrimSpace(values[0])
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ",")
}

// canonicalPath is the path as it is signed: for S3 as it is, for the others
// without dot segments and encoded once more.
func canonicalPath(r *http.Request, service string) string {
	path := r.URL.EscapedPath()
	if path == "" || path == "/" {
		return "/"
	}
	if service == "s3" {
		return path
	}
	var kept []string
	for _, segment := range strings.Split(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, encode(segment))
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// canonicalQuery is the query sorted by encoded name and value, without the
// signature itself.
func canonicalQuery(raw string) string {
	if raw == "" {
		return ""
	}
	type pair struct{ name, value string }
	var pairs []pair
	for _, part := range strings.Split(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name = encode(decode(name))
		if name != "X-Amz-Signature" {
			pairs = append(pairs, pair{name, encode(decode(value))})
		}
	}
	sort.Slice(pairs, func(i, j int) bool {
		if pairs[i].name != pairs[j].name {
			return pairs[i].name < pairs[j].name
		}
		return pairs[i].value < pairs[j].value
	})
	parts := make([]string, len(pairs))
	for i, p := range pairs {
		parts[i] = p.name + "=" + p.value
	}
	return strings.Join(parts, "&")
}

// decode undoes percent encoding and leaves what is not a valid escape; a plus
// is a space, as clients mean it in a query.
func decode(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s):
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
			b = append(b, s[i])
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

// encode percent-encodes all but the unreserved characters of RFC 3986.
func encode(s string) string {
	const digits = "0123456789ABCDEF"
	plain := true
	for i := 0; i < len(s); i++ {
		plain = plain && unreserved(s[i])
	}
	if plain {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); i++ {
		if c := s[i]; unreserved(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(b)
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~'
}

// signature signs a canonical request.
func signature(secret string, scope Scope, date, canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	toSign := algorithm + "\n" + date + "\n" + scope.String() + "\n" + hex.EncodeToString(hash[:])
	return hex.EncodeToString(mac(signingKey(secret, scope), toSign))
}

// derived remembers signing keys: the same secret signs a whole day's requests
// to a service with the same one.
var derived = struct {
	sync.RWMutex
	m map[keyScope][]byte
}{m: map[keyScope][]byte{}}

type keyScope struct{ secret, date, region, service string }

// maxDerived bounds the remembered keys; beyond it all are forgotten.
const maxDerived = 1024

func signingKey(secret string, scope Scope) []byte {
	id := keyScope{secret, scope.Date, scope.Region, scope.Service}
	derived.RLock()
	key := derived.m[id]
	derived.RUnlock()
	if key != nil {
		return key
	}
	key = mac([]byte("AWS4"+secret), scope.Date)
	for _, part := range []string{scope.Region, scope.Service, terminator} {
		key = mac(key, part)
	}
	derived.Lock()
	defer derived.Unlock()
	if len(derived.m) >= maxDerived {
		clear(derived.m)
	}
	derived.m[id] = key
	return key
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// hashOf is the payload hash of a body.
func hashOf(body []byte) string {
	h := sha256.Sum256(body)
	return hex.EncodeToString(h[:])
}
