package http2

import (
	"strconv"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// names are the indexes of the static table of RFC 7541 by which fields of answers
// are named.
var names = map[string]uint8{
	"accept-ranges": 18, "access-control-allow-origin": 20, "age": 21, "allow": 22, "cache-control": 24,
	"content-disposition": 25, "content-encoding": 26, "content-language": 27, "content-length": 28,
	"content-location": 29, "content-range": 30, "content-type": 31, "date": 33, "etag": 34, "expires": 36,
	"last-modified": 44, "link": 45, "location": 46, "proxy-authenticate": 48, "refresh": 52, "retry-after": 53,
	"server": 54, "set-cookie": 55, "strict-transport-security": 56, "vary": 59, "via": 60, "www-authenticate": 61,
}

// appendStatus appends :status.
func appendStatus(out []byte, status int) []byte {
	switch status {
	case 200:
		return append(out, 0x80|8)
	case 204:
		return append(out, 0x80|9)
	case 206:
		return append(out, 0x80|10)
	case 304:
		return append(out, 0x80|11)
	case 400:
		return append(out, 0x80|12)
	case 404:
		return append(out, 0x80|13)
	case 500:
		return append(out, 0x80|14)
	}
	return strconv.AppendInt(append(out, 8, 3), int64(status), 10)
}

// AppendField appends a field to a block of fields, the name in lower case: a
// literal that no table keeps. What a client should keep secret from others that
// compress with it, a cookie, is safe so.
func AppendField(out, name, value []byte) []byte {
	var low [64]byte
	key := low[:0]
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		key = append(key, c)
	}
	if i := names[string(key)]; i != 0 {
		out = appendInt(out, 0, 4, uint64(i))
	} else {
		out = appendInt(append(out, 0), 0, 7, uint64(len(key)))
		out = append(out, key...)
	}
	out = appendInt(out, 0, 7, uint64(len(value)))
	return append(out, value...)
}

// appendInt appends an integer with a prefix of n bits: RFC 7541, 5.1.
func appendInt(out []byte, first byte, n uint, v uint64) []byte {
	limit := uint64(1)<<n - 1
	if v < limit {
		return append(out, first|byte(v))
	}
	out = append(out, first|byte(limit))
	for v -= limit; v >= 128; v >>= 7 {
		out = append(out, byte(v)|128)
	}
	return append(out, byte(v))
}

// block is a head that is being received.
type block struct {
	stream    uint32
	open      bool // CONTINUATION must follow
	end       bool // END_STREAM
	fragments int
	bytes     []byte // what came in frames that did not end it
}

// read reads what was decoded as the head of a request; why is empty when it is one.
func (h *Head) read(list []hpack.HeaderField) (why string) {
	h.Length = -1
	regular, host := false, ""
	cookies, crumbs := 0, strings.Builder{}
	for i := range list {
		f := &list[i]
		if f.IsPseudo() {
			if regular {
				return "a pseudo field after others"
			}
			var at *string
			switch f.Name {
			case ":method":
				at = &h.Method
			case ":path":
				at = &h.Path
			case ":scheme":
				at = &h.Scheme
			case ":authority":
				at = &h.Authority
			default:
				return "an unknown pseudo field"
			}
			if *at != "" || f.Value == "" && f.Name != ":authority" {
				return "a pseudo field twice or empty"
			}
			*at = f.Value
			continue
		}
		regular = true
		if why := check(f); why != "" {
			return why
		}
		switch f.Name {
		case "host":
			if host != "" && host != f.Value {
				return "two hosts"
			}
			host = f.Value
			continue // it goes where :authority goes
		case "content-length":
			n, err := strconv.ParseUint(f.Value, 10, 62)
			if err != nil || f.Value[0] == '+' || h.Length >= 0 {
				return "content-length is malformed or given twice"
			}
			h.Length = int64(n)
		case "cookie": // in one piece again: RFC 9113, 8.2.3
			if cookies > 0 {
				crumbs.WriteString("; ")
			}
			cookies++
			crumbs.WriteString(f.Value)
			continue
		}
		h.Fields = append(h.Fields, Field{f.Name, f.Value})
	}
	switch {
	case h.Authority == "":
		h.Authority = host
	case host != "" && host != h.Authority:
		return "host is another than :authority"
	}
	if cookies > 0 {
		h.Fields = append(h.Fields, Field{"cookie", crumbs.String()})
	}
	connect := h.Method == "CONNECT"
	if h.Method == "" || connect == (h.Path != "") || connect == (h.Scheme != "") {
		return "a pseudo field is missing, or must not be"
	}
	return ""
}

// check refuses what RFC 9113, 8.2 does not allow in any message.
func check(f *hpack.HeaderField) (why string) {
	if f.Name == "" {
		return "an empty name"
	}
	for i := range len(f.Name) {
		if c := f.Name[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' || c == ':' {
			return "a name with a character it must not have"
		}
	}
	for i := range len(f.Value) {
		if c := f.Value[i]; c == 0 || c == '\r' || c == '\n' {
			return "a value with a character it must not have"
		}
	}
	if n := len(f.Value); n > 0 && (f.Value[0] == ' ' || f.Value[0] == '\t' || f.Value[n-1] == ' ' || f.Value[n-1] == '\t') {
		return "a value with white space around it"
	}
	switch f.Name {
	case "connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade":
		return "a field of connections"
	case "te":
		if f.Value != "trailers" {
			return "te"
		}
	}
	return ""
}
