// Package http1 reads HTTP/1.x messages for a proxy: heads into slices of the
// caller's buffer, without copying and without garbage, and chunked bodies.
//
// It is strict where two readers of the same bytes could disagree about where a
// message ends (RFC 9112, 11.2), because a proxy that disagrees with the server
// behind it lets requests be smuggled: a message has one framing, given once,
// in one spelling. Line ends in heads may be a bare LF, which is harmless as the
// proxy writes every head anew; Strict refuses that too.
package http1

import "bytes"

// The largest heads that are read, as on ALB.
const (
	MaxLine = 16 << 10 // a request line, or one header field
	MaxHead = 64 << 10 // all of it
)

// Error is a message that cannot be read. Status is what a client is answered
// that sent it.
type Error struct {
	Status int
	What   string
}

// Error implements error.
func (e *Error) Error() string { return "http1: " + e.What }

func bad(what string) *Error { return &Error{400, what} }

// HeadEnd returns the length of the head at the beginning of b, its final empty
// line included, or 0 when it is not complete. from is how much of b was looked
// at before; it saves looking twice.
func HeadEnd(b []byte, from int) int {
	if from > 3 {
		from -= 3 // the empty line may straddle
	} else {
		from = 0
	}
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		i += from
		switch rest := b[i+1:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 2
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 3
		}
		from = i + 1
	}
}

// line cuts the first line off b. crlf tells that it ended in CR LF.
func line(b []byte) (l, rest []byte, crlf bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return b, nil, false
	}
	l, rest = b[:i], b[i+1:]
	if n := len(l); n > 0 && l[n-1] == '\r' {
		return l[:n-1], rest, true
	}
	return l, rest, false
}

const (
	isToken = 1 << iota // tchar of RFC 9110
	isPlain             // letter, digit or hyphen
	isValue             // may stand in a field value
	isURI               // may stand in a request target
	isHost              // may stand in Host
)

var class = func() (t [256]uint8) {
	for c := range 256 {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if alnum || c == '-' {
			t[c] |= isPlain
		}
		if alnum || c > 0 && c < 128 && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0 {
			t[c] |= isToken
		}
		if c >= ' ' && c != 0x7f || c == '\t' {
			t[c] |= isValue
		}
		if c > ' ' && c != 0x7f && c != '#' {
			t[c] |= isURI
		}
		if alnum || c > 0 && c < 128 && bytes.IndexByte([]byte("-._~%!$&'()*+,;=:[]"), byte(c)) >= 0 {
			t[c] |= isHost
		}
	}
	return t
}()

func all(b []byte, mask uint8) bool {
	for _, c := range b {
		if class[c]&mask == 0 {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Is reports whether b is the lower-case word, whatever b's case.
func Is(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// EachToken calls f with each element of a comma-separated list.
func EachToken(list []byte, f func([]byte)) {
	for len(list) > 0 {
		item, rest, _ := bytes.Cut(list, []byte{','})
		if item = trim(item); len(item) > 0 {
			f(item)
		}
		list = rest
	}
}
