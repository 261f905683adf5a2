package http1

import (
	"bytes"
	"unsafe"
)

// Request is the head of a request. Its slices lie in the buffer it was parsed
// from.
type Request struct {
	common
	Method []byte
	Target []byte // as sent
	Path   []byte // without query; "*" for OPTIONS *
	Query  []byte // without the question mark
	Host   []byte // of the Host field or of the absolute target; as sent, with port
	Expect bool   // Expect: 100-continue

	HasQuery bool
}

// Parse reads a whole head, its final empty line included, and classes it. The
// Request may be used again.
func (r *Request) Parse(head []byte) error {
	for len(head) > 1 && (head[0] == '\n' || head[0] == '\r' && head[1] == '\n') {
		_, head, _ = line(head) // RFC 9112, 2.2: an empty line before a request is skipped
	}
	first, rest, crlf := line(head)
	*r = Request{common: common{Fields: r.Fields[:0]}}
	if err := r.parseLine(first); err != nil {
		return err
	}
	var err error
	if r.Fields, r.lf, err = ParseFields(rest, r.Fields); err != nil {
		return err
	}
	if err := r.frame(true); err != nil {
		return err
	}
	r.classify(r.lf || !crlf)
	return r.destination()
}

// classify notes the faults that do no harm.
func (r *Request) classify(lf bool) {
	if lf {
		r.mark(Acceptable, "BareLineFeed")
	}
	if len(r.Method) <= 4 && (string(r.Method) == "GET" || string(r.Method) == "HEAD") && r.Framing != NoBody {
		switch {
		case r.Framing == Chunked:
			r.mark(Ambiguous, "UndefinedTransferEncodingSemantics")
		case r.Length > 0:
			r.mark(Ambiguous, "UndefinedContentLengthSemantics")
		default:
			r.mark(Acceptable, "GetHeadZeroContentLength")
		}
	}
}

func (r *Request) parseLine(l []byte) error {
	if len(l) > MaxLine {
		return &Error{414, "request line too long"}
	}
	method, rest, ok1 := bytes.Cut(l, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || len(method) == 0 || !all(method, isToken) || len(target) == 0 || !all(target, isURI) {
		return bad("malformed request line")
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || version[6] != '.' {
		return bad("malformed version")
	}
	if version[5] != '1' || version[7] < '0' || version[7] > '9' {
		return &Error{505, "version not supported"}
	}
	r.Minor = min(int(version[7]-'0'), 1)
	r.Method, r.Target = method, target
	return nil
}

// destination finds host, path and query.
func (r *Request) destination() error {
	hosts := 0
	for i := range r.Fields {
		switch f := &r.Fields[i]; f.Known {
		case Host:
			hosts++
			r.Host = f.Value
		case Expect:
			r.Expect = r.Minor > 0 && Is(f.Value, "100-continue")
		}
	}
	if hosts > 1 || hosts == 0 && r.Minor > 0 && len(r.Host) == 0 {
		return bad("not exactly one Host")
	}
	path := r.Target
	switch {
	case path[0] == '/':
	case string(path) == "*" && string(r.Method) == "OPTIONS":
	default:
		i := bytes.Index(path, []byte("://"))
		if i < 0 || !Is(path[:i], "http") && !Is(path[:i], "https") {
			return bad("malformed request target")
		}
		path = path[i+3:]
		end := bytes.IndexAny(path, "/?")
		if end < 0 {
			end = len(path)
		}
		// RFC 9112, 3.2.2: the target's authority is the one that counts.
		r.Host, path = path[:end], path[end:]
	}
	if !all(r.Host, isHost) {
		return bad("malformed Host")
	}
	r.Path, r.Query, r.HasQuery = bytes.Cut(path, []byte{'?'})
	if len(r.Path) == 0 {
		r.Path = []byte{'/'}
	}
	return nil
}

// Safe reports whether the method may be sent twice without harm.
func (r *Request) Safe() bool {
	switch string(r.Method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// Adopt makes r a request that came by another protocol, which framed it: length
// is that of its body, -1 when it is not known. Fields are added after it. The
// strings are not copied.
func (r *Request) Adopt(method, target, host string, length int64) error {
	*r = Request{common: common{Fields: r.Fields[:0], Minor: 1}, Method: bytesOf(method), Target: bytesOf(target), Host: bytesOf(host)}
	switch {
	case !all(r.Method, isToken) || len(target) == 0 || !all(r.Target, isURI):
		return bad("malformed pseudo-header field")
	case len(target) > MaxLine:
		return &Error{414, "path too long"}
	case length < 0:
		r.Framing = Chunked
	case length > 0:
		r.Framing, r.Length = Length, length
	}
	return r.destination()
}

// Add adds a field to an adopted request. What frames messages or ends at a
// connection is none of the message's there.
func (r *Request) Add(name, value string) error {
	f := Field{Name: bytesOf(name), Value: bytesOf(value)}
	f.Known = lookup(f.Name)
	if f.Known == Suspicious || len(name) == 0 || !all(f.Name, isToken) || !all(f.Value, isValue) {
		return bad("malformed header field")
	}
	r.Fields = append(r.Fields, f)
	return nil
}

// SetHost puts another host in the place of the request's.
func (r *Request) SetHost(host []byte) error {
	if len(host) == 0 || !all(host, isHost) {
		return bad("malformed Host")
	}
	r.Host = host
	return nil
}

// SetTarget puts another path, and what follows it, in the place of the request's.
func (r *Request) SetTarget(target []byte) error {
	if len(target) == 0 || target[0] != '/' || len(target) > MaxLine || !all(target, isURI) {
		return bad("malformed request target")
	}
	r.Target = target
	r.Path, r.Query, r.HasQuery = bytes.Cut(target, []byte{'?'})
	return nil
}

// bytesOf are the bytes of a string, where they are: nobody writes to what lies in
// a Request.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
