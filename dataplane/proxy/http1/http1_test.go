package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func status(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestRequests(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		status int // 0: accepted
	}{
		"plain":                    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"leading empty line":       {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"bare LF":                  {"GET / HTTP/1.1\nHost: a\n\n", 0},
		"1.0 without host":         {"GET / HTTP/1.0\r\n\r\n", 0},
		"absolute":                 {"GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"options":                  {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"no host":                  {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":                {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
		"bad host":                 {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		"star":                     {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"connect":                  {"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"two spaces":               {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"no version":               {"GET /\r\n\r\n", 400},
		"version 2":                {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		"cl and te":                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 0},
		"the same cl twice":        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 0},
		"two cl":                   {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400},
		"nearly te":                {"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 400},
		"nearly cl":                {"POST / HTTP/1.1\r\nHost: a\r\nContent.Length: 3\r\n\r\n", 400},
		"te, tidied":               {"POST / HTTP/1.1\r\nHost: a\r\n'Transfer-Encoding: chunked\r\n\r\n", 400},
		"cl list":                  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400},
		"cl sign":                  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400},
		"cl empty":                 {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
		"te gzip":                  {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		"te twice":                 {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"te in 1.0":                {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		"te with vertical tab":     {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \vchunked\r\n\r\n", 400},
		"space before colon":       {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n", 400},
		"obs-fold":                 {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400},
		"bare CR":                  {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\rY: 2\r\n\r\n", 400},
		"NUL":                      {"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400},
		"fragment":                 {"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"connection names framing": {"POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 1\r\n\r\n", 0},
		"line too long":            {"GET /" + strings.Repeat("a", MaxLine) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		"field too long":           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", MaxLine) + "\r\n\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			if n := HeadEnd([]byte(c.in), 0); n != len(c.in) && !strings.HasPrefix(c.in, "\r\n") {
				t.Fatalf("HeadEnd is %d of %d", n, len(c.in))
			}
			var r Request
			if got := status(r.Parse([]byte(c.in))); got != c.status {
				t.Fatalf("status %d, want %d", got, c.status)
			}
			for _, f := range r.Fields {
				if f.Known == ContentLength && f.Dropped {
					t.Fatal("Connection took Content-Length out")
				}
			}
		})
	}
	var r Request
	for in, want := range map[string]struct {
		class Class
		why   string
	}{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                     {Compliant, ""},
		"GET / HTTP/1.1\nHost: a\n\n":                                                           {Acceptable, "BareLineFeed"},
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n":                                {Acceptable, "GetHeadZeroContentLength"},
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n":                                {Ambiguous, "UndefinedContentLengthSemantics"},
		"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n":                      {Ambiguous, "UndefinedTransferEncodingSemantics"},
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": {Ambiguous, "BothTeClPresent"},
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n":          {Ambiguous, "DuplicateContentLength"},
	} {
		if err := r.Parse([]byte(in)); err != nil || r.Class != want.class || r.Why != want.why {
			t.Errorf("%q: class %d %s, %v", in, r.Class, r.Why, err)
		}
	}
	if err := r.Parse([]byte("GET http://b:8/x?y?z HTTP/1.1\r\nHost: a\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if string(r.Host) != "b:8" || string(r.Path) != "/x" || string(r.Query) != "y?z" || !r.Close || !r.Fields[2].Dropped {
		t.Fatalf("%+v", r)
	}
}

func TestResponses(t *testing.T) {
	for in, want := range map[string]struct {
		framing Framing
		close   bool
		bad     bool
	}{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n":                                  {framing: Length},
		"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n":                            {framing: Chunked},
		"HTTP/1.1 200 OK\r\n\r\n":                                                       {framing: UntilClose, close: true},
		"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n":                                  {framing: Length, close: true},
		"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n":        {framing: Length},
		"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n":                          {},
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n":                        {},
		"HTTP/1.1 20 OK\r\n\r\n":                                                        {bad: true},
		"HTTP/1.1 2000 OK\r\n\r\n":                                                      {bad: true},
		"HTTP/2 200 OK\r\n\r\n":                                                         {bad: true},
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n":    {bad: true},
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n":             {bad: true},
		"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n":                                           {bad: true},
		"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3 and more than a status line\r\n\r\n":    {bad: true},
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n": {},
	} {
		var r Response
		err := r.Parse([]byte(in), false)
		if (err != nil) != want.bad {
			t.Errorf("%q: %v", in, err)
		} else if err == nil && (r.Framing != want.framing || r.Close != want.close) {
			t.Errorf("%q: framing %d close %v", in, r.Framing, r.Close)
		}
	}
}

// Whatever the chunks and wherever the pieces are cut, the content comes out,
// and what follows is left.
func TestChunkedRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var wire, want []byte
		for _, chunk := range rapid.SliceOf(rapid.SliceOfN(rapid.Byte(), 0, 70)).Draw(t, "chunks") {
			wire, want = AppendChunk(wire, chunk), append(want, chunk...)
		}
		wire = AppendEnd(wire, []Field{{Name: []byte("X-Sum"), Value: []byte("1")}, {Name: []byte("Content-Length"), Value: []byte("9")}})
		wire = append(wire, "GET /next"...)
		var d Decoder
		var got, after []byte
		for len(wire) > 0 {
			n := rapid.IntRange(1, len(wire)).Draw(t, "piece")
			content, rest, err := d.Decode(bytes.Clone(wire[:n]))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, content...)
			if wire = wire[n:]; d.Done() {
				after = append(rest, wire...)
				break
			}
		}
		if !bytes.Equal(got, want) || !d.Done() || string(after) != "GET /next" {
			t.Fatalf("got %q want %q, done %v, after %q", got, want, d.Done(), after)
		}
		trailers, err := d.Trailers(nil)
		if err != nil || len(trailers) != 1 || string(trailers[0].Name) != "X-Sum" {
			t.Fatalf("trailers %v %v", trailers, err)
		}
	})
}

func TestMalformedChunks(t *testing.T) {
	for _, in := range []string{"\r\n", "x\r\n", "5\nhello", "1\r\nab\r\n", "1\r\na\n", "0\r\n\n", "ffffffffffffffff\r\n", "-1\r\n", "0x1\r\na\r\n", "1;\x00\r\na\r\n"} {
		var d Decoder
		if _, _, err := d.Decode([]byte(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// What we accept, net/http must read in the same way: same framing, same fields.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"))
	f.Add([]byte("POST /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := HeadEnd(in, 0)
		var r Request
		if n == 0 || r.Parse(in[:n]) != nil || r.Class == Ambiguous {
			return
		}
		std, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(in[:n]), strings.NewReader("0\r\n\r\n"))))
		if err != nil {
			return // it is pickier about URLs
		}
		length := map[Framing]int64{NoBody: 0, Length: r.Length, Chunked: -1}[r.Framing]
		if std.ContentLength != length || std.Method != string(r.Method) {
			t.Fatalf("net/http reads length %d method %q, we %d %q", std.ContentLength, std.Method, length, r.Method)
		}
	})
}

// The decoder must not panic, and agree with net/http where both take the input.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Add([]byte("5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var d Decoder
		var got []byte
		cut = max(1, cut)
		for rest := bytes.Clone(in); len(rest) > 0 && !d.Done(); {
			n := min(cut, len(rest))
			content, _, err := d.Decode(rest[:n])
			if err != nil {
				return
			}
			got, rest = append(got, content...), rest[n:]
		}
		if !d.Done() {
			return
		}
		msg := append([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), in...)
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(msg)))
		if err != nil {
			t.Fatal(err)
		}
		if want, err := io.ReadAll(std.Body); err == nil && !bytes.Equal(got, want) {
			t.Fatalf("content %q, net/http says %q", got, want)
		}
	})
}

// What a target answers and we accept, net/http must read in the same way: an
// answer that ends elsewhere for somebody else could be two.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.0 304\r\nContent-Length: 3\r\n\r\n"), true)
	f.Fuzz(func(t *testing.T, in []byte, head bool) {
		n := HeadEnd(in, 0)
		var r Response
		if n == 0 || r.Parse(in[:n], head) != nil {
			return
		}
		req := &http.Request{Method: map[bool]string{false: "GET", true: "HEAD"}[head]}
		std, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(in[:n]), strings.NewReader("0\r\n\r\n"))), req)
		if err != nil || r.Status < 200 {
			return // it is pickier; what comes before the answer has no body
		}
		if std.StatusCode != r.Status {
			t.Fatalf("net/http reads status %d, we %d", std.StatusCode, r.Status)
		}
		if head || r.Status == 204 || r.Status == 304 {
			if r.Framing != NoBody {
				t.Fatalf("framing %v of an answer without a body", r.Framing)
			}
			return
		}
		length := map[Framing]int64{NoBody: 0, Length: r.Length, Chunked: -1, UntilClose: -1}[r.Framing]
		if std.ContentLength != length || (r.Framing == Chunked) != (len(std.TransferEncoding) > 0) {
			t.Fatalf("net/http reads length %d, encoding %q, we framing %v, length %d", std.ContentLength, std.TransferEncoding, r.Framing, r.Length)
		}
	})
}
