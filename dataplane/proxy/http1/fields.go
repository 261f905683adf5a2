package http1

import "bytes"

// Known is a header field with a meaning to a proxy.
type Known uint8

// The fields a proxy knows.
const (
	Other Known = iota
	Connection
	ContentLength
	Date
	Expect
	Host
	KeepAlive
	ProxyConnection
	Server
	Suspicious // looks like Content-Length or Transfer-Encoding and is not
	TE
	Trailer
	TransferEncoding
	Upgrade
	XAmznTraceID
	XForwardedFor
	XForwardedPort
	XForwardedProto
)

var known = map[string]Known{
	"connection": Connection, "content-length": ContentLength, "date": Date, "expect": Expect, "host": Host,
	"keep-alive": KeepAlive, "proxy-connection": ProxyConnection, "server": Server, "te": TE, "trailer": Trailer,
	"transfer-encoding": TransferEncoding, "upgrade": Upgrade, "x-amzn-trace-id": XAmznTraceID,
	"x-forwarded-for": XForwardedFor, "x-forwarded-port": XForwardedPort, "x-forwarded-proto": XForwardedProto,
}

// Field is one header field; name and value lie in the caller's buffer.
type Field struct {
	Name, Value []byte
	Known       Known
	Dropped     bool // listed in Connection: not to be passed on
}

// Plain reports whether the name is made of letters, digits and hyphens only.
func (f *Field) Plain() bool { return all(f.Name, isPlain) }

func lookup(name []byte) Known {
	var low [20]byte
	if len(name) > len(low) {
		return Other
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	k := known[string(low[:len(name)])] // no allocation: the compiler sees a lookup
	if k == Other && len(name) >= len("contentlength") && suspicious(low[:len(name)]) {
		return Suspicious
	}
	return k
}

// suspicious tells whether a name in lower case becomes one that frames a
// message once somebody has tidied it up.
func suspicious(low []byte) bool {
	if low[0] != 't' && low[0] != 'c' && class[low[0]]&isPlain != 0 {
		return false
	}
	var letters [20]byte
	n := 0
	for _, c := range low {
		if c >= 'a' && c <= 'z' {
			letters[n] = c
			n++
		}
	}
	return string(letters[:n]) == "contentlength" || string(letters[:n]) == "transferencoding"
}

// ParseFields reads header lines up to the empty line, or the end of b, into
// fields. lf tells that some line ended in a bare LF.
func ParseFields(b []byte, fields []Field) (_ []Field, lf bool, err error) {
	for len(b) > 0 {
		l, rest, crlf := line(b)
		b = rest
		lf = lf || !crlf
		if len(l) == 0 {
			break
		}
		if len(l) > MaxLine {
			return fields, lf, bad("header field too long")
		}
		colon := bytes.IndexByte(l, ':')
		// A line that begins with a space (obs-fold) and a space before the
		// colon both fail here: a space is no token.
		if colon <= 0 || !all(l[:colon], isToken) {
			return fields, lf, bad("malformed header field name")
		}
		value := trim(l[colon+1:])
		if !all(value, isValue) {
			return fields, lf, bad("control character in a header field")
		}
		fields = append(fields, Field{Name: l[:colon], Value: value, Known: lookup(l[:colon])})
	}
	return fields, lf, nil
}

// Framing says how a body's end is found.
type Framing uint8

// The framings.
const (
	NoBody     Framing = iota
	Length             // so many bytes
	Chunked            // chunked transfer coding
	UntilClose         // until the connection closes: responses only
)

// common is what requests and responses share.
type common struct {
	Minor   int // of HTTP/1.Minor
	Fields  []Field
	Framing Framing
	Length  int64 // of Framing Length
	Close   bool  // the sender will not use the connection again
	Upgrade bool  // Connection names Upgrade
	Class   Class // how the message complies
	Why     string
	lf      bool
}

// Class is how a message that can be framed for sure complies with RFC 9112.
// One that cannot is an Error.
type Class uint8

// The classes, from good to bad.
const (
	Compliant  Class = iota
	Acceptable       // breaks a rule, but every reader reads it alike
	Ambiguous        // a careless reader could read it differently; written anew it is harmless
)

// mark notes a fault.
func (m *common) mark(c Class, why string) {
	if c > m.Class {
		m.Class, m.Why = c, why
	}
}

// frame finds framing and connection options in the fields. A response must be
// beyond doubt; a request is classed.
func (m *common) frame(request bool) *Error {
	var haveLength, haveCoding, keep bool
	m.Framing, m.Length, m.Close, m.Upgrade = NoBody, 0, false, false
	for i := range m.Fields {
		f := &m.Fields[i]
		switch f.Known {
		case ContentLength:
			n, ok := decimal(f.Value)
			if !ok || haveLength && (!request || n != m.Length) {
				return bad("Content-Length is malformed or given twice")
			}
			if haveLength {
				m.mark(Ambiguous, "DuplicateContentLength")
			}
			haveLength, m.Length = true, n
		case TransferEncoding:
			if haveCoding {
				return bad("Transfer-Encoding is given twice")
			}
			haveCoding = true
			if !Is(f.Value, "chunked") {
				return &Error{501, "Transfer-Encoding other than chunked"}
			}
		case Suspicious:
			if request {
				return bad("a header field that some take for Content-Length or Transfer-Encoding")
			}
		case Connection:
			EachToken(f.Value, func(t []byte) {
				switch {
				case Is(t, "close"):
					m.Close = true
				case Is(t, "keep-alive"):
					keep = true
				case Is(t, "upgrade"):
					m.Upgrade = true
				default:
					m.drop(t)
				}
			})
		}
	}
	switch {
	case haveCoding && haveLength && !request:
		return bad("both Transfer-Encoding and Content-Length")
	case haveCoding && m.Minor == 0:
		return bad("Transfer-Encoding in HTTP/1.0")
	case haveCoding:
		m.Framing = Chunked
		if haveLength {
			m.mark(Ambiguous, "BothTeClPresent")
		}
	case haveLength:
		m.Framing = Length
	}
	if m.Minor == 0 && !keep {
		m.Close = true
	}
	return nil
}

// drop marks the fields that Connection names. What frames the message and
// where it goes cannot be taken out by the sender's wish.
func (m *common) drop(name []byte) {
	for i := range m.Fields {
		if f := &m.Fields[i]; f.Known != Host && f.Known != ContentLength && f.Known != TransferEncoding && bytes.EqualFold(f.Name, name) {
			f.Dropped = true
		}
	}
}

// decimal reads a length: digits and nothing else.
func decimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}
