package engine

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/match"
)

// FuzzMatch: no request that the parser takes makes the matcher fail, and what
// it says of the host, the path and the query is what net/http reads there.
func FuzzMatch(f *testing.F) {
	f.Add([]byte("GET /a/b?c=d&e HTTP/1.1\r\nHost: www.example.com:80\r\nX-Y: z\r\n\r\n"), "/a/*", "*.com", "c", "d")
	f.Add([]byte("GET http://h/ HTTP/1.1\r\nHost: a\r\n\r\n"), "/", "h", "", "*")
	f.Fuzz(func(t *testing.T, in []byte, path, host, key, value string) {
		n := http1.HeadEnd(in, 0)
		v := visit{req: &http1.Request{}}
		if n == 0 || v.req.Parse(in[:n]) != nil {
			return
		}
		v.t = &table{}
		conditions := []proxy.Condition{
			{Field: proxy.Path, Values: []string{path}, Regexes: []string{host}},
			{Field: proxy.Host, Values: []string{host}},
			{Field: proxy.Method, Values: []string{path}},
			{Field: proxy.Header, Name: key, Values: []string{value}},
			{Field: proxy.Query, Queries: []proxy.QueryPattern{{Key: key, Value: value}}},
			{Field: proxy.SourceIP},
		}
		for i := range conditions {
			match.All(match.Compile(conditions[i:i+1]), v.req, v.remote.Addr())
		}
		cookie.Find(v.req.Fields, key)
		v.location(&proxy.Redirect{Status: 301, Path: "/#{path}", Query: "#{query}"})
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in[:n])))
		if err != nil {
			return
		}
		if u := std.URL; u.RawQuery != string(v.req.Query) || std.Host != "" && !strings.EqualFold(std.Host, string(v.req.Host)) {
			t.Fatalf("net/http reads host %q and query %q, we %q and %q", std.Host, u.RawQuery, v.req.Host, v.req.Query)
		}
	})
}

// TestWrittenAnew: what is written for the target is one request, which net/http
// reads as we did: the same method, path, host and fields, framed alike.
func TestWrittenAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`[A-Za-z][A-Za-z0-9-]{0,12}`)
		text := rapid.StringMatching(`[ -~]{0,20}`)
		method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "X"}).Draw(t, "method")
		target := "/" + rapid.StringMatching(`[a-z0-9/._~%-]{0,12}`).Filter(func(s string) bool { return !strings.Contains(s, "%") && !strings.HasPrefix(s, "/") }).Draw(t, "path")
		if rapid.Bool().Draw(t, "query?") {
			target += "?" + rapid.StringMatching(`[a-z=&]{0,8}`).Draw(t, "query")
		}
		head := method + " " + target + " HTTP/1.1\r\nHost: h.example\r\n"
		sent := http.Header{}
		for range rapid.IntRange(0, 6).Draw(t, "fields") {
			name, value := token.Draw(t, "name"), strings.TrimSpace(text.Draw(t, "value"))
			switch http.CanonicalHeaderKey(name) {
			case "Host", "Te", "Connection", "Expect", "Upgrade", "Keep-Alive", "Trailer", "Content-Length", "Transfer-Encoding":
				continue
			}
			sent.Add(name, value)
			head += name + ":" + rapid.SampledFrom([]string{"", " ", "\t "}).Draw(t, "space") + value + "\r\n"
		}
		length := int64(0)
		switch rapid.IntRange(0, 2).Draw(t, "framing") {
		case 1:
			length = 5
			head += "Content-Length: 5\r\n"
		case 2:
			length = -1
			head += "Transfer-Encoding: chunked\r\n"
		}
		v := visit{t: &table{}, req: &http1.Request{}}
		if err := v.req.Parse([]byte(head + "\r\n")); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		out := v.appendRequest(nil, false)
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(out) + "0\r\n\r\n")))
		if err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if got.Method != method || got.RequestURI != target || got.Host != "h.example" || got.ContentLength != length {
			t.Fatalf("%q became %q", head, out)
		}
		for name, values := range sent {
			if name == "X-Forwarded-For" || name == "X-Forwarded-Proto" || name == "X-Forwarded-Port" || name == "X-Amzn-Trace-Id" {
				continue
			}
			if have := got.Header.Values(name); strings.Join(have, "|") != strings.Join(values, "|") {
				t.Fatalf("%s: %q became %q", name, values, have)
			}
		}
		if n := http1.HeadEnd(out, 0); n != len(out) {
			t.Fatalf("%q is not one head", out)
		}
	})
}
