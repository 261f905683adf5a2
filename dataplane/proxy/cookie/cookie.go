// Package cookie has the cookies of stickiness, as ALB's: their names, what they say,
// and how they are found and set.
package cookie

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"minato/dataplane/proxy/http1"
)

// The names. Each comes twice, but for App, the second time for requests from other
// sites, which browsers mark.
const (
	Target    = "AWSALB"
	Group     = "AWSALBTG"
	App       = "AWSALBAPP-0"
	CrossSite = "CORS"
)

// Token is what a cookie says instead of a name: opaque, and the same after a
// restart.
func Token(of ...string) string {
	sum := sha512.Sum512([]byte(strings.Join(of, "\x00")))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Find finds a cookie among a request's fields.
func Find(fields []http1.Field, name string) string {
	for i := range fields {
		f := &fields[i]
		if len(f.Name) != len("cookie") || !http1.Is(f.Name, "cookie") {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{';'})
			key, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte{'='})
			if string(key) == name {
				return string(value)
			}
		}
	}
	return ""
}

// Append appends the values of Set-Cookie that give a client a cookie.
func Append(all []string, name, value string, life time.Duration, secure bool) []string {
	c := name + "=" + value + "; Expires=" + time.Now().Add(life).UTC().Format(http.TimeFormat) + "; Path=/"
	all = append(all, c)
	if name == App {
		return all
	}
	c = name + CrossSite + strings.TrimPrefix(c, name) + "; SameSite=None"
	if secure {
		c += "; Secure"
	}
	return append(all, c)
}

// Sets reports whether an answer with these fields sets a cookie of the name.
func Sets(fields []http1.Field, name string) bool {
	for i := range fields {
		f := &fields[i]
		if len(f.Name) == len("set-cookie") && http1.Is(f.Name, "set-cookie") {
			if key, _, ok := bytes.Cut(f.Value, []byte{'='}); ok && string(bytes.TrimSpace(key)) == name {
				return true
			}
		}
	}
	return false
}
