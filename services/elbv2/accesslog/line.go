// Package accesslog writes the logs of load balancers: the lines, and the files that
// come to a bucket every five minutes. Application load balancers have access logs
// (line.go), logs of connections and of health checks, network load balancers access
// logs of what comes over TLS (connection.go).
//
// A line is made when what it says has happened, and compressed with the others of its
// page (desk.go); what is not yet in the bucket when the daemon is killed is lost, as
// ELB's best effort allows. Who serves requests waits for nothing of this: lines that
// are too many to compress, or wait for a bucket for too long, are lost too, and counted.
// A file is of one load balancer and one of its nodes:
//
//	<prefix>/AWSLogs/<account>/elasticloadbalancing/<region>/<yyyy>/<mm>/<dd>/
//	  [conn_log_|health_check_log_]<account>_elasticloadbalancing_<region>_app.<name>.<id>_<end>_<node>_<random>.log.gz
package accesslog

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/tlsname"
)

// Balancer is a load balancer that has logs.
type Balancer struct {
	ARN             string
	Name            string // "app/chat/0123456789abcdef"
	DNSName         string
	Network         bool
	Account, Region string
	To              [3]Destination            // by Kind
	Groups          []string                  // the ARNs of its target groups
	Public          map[netip.Addr]netip.Addr // of its nodes, by the private ones
	// Certificates are those of its listeners, the default first, by the
	// listener's ARN.
	Certificates map[string][]Certificate
}

// Destination is where logs of a kind go; without a bucket there are none.
type Destination struct{ Bucket, Prefix string }

// Certificate is a certificate and its ARN.
type Certificate struct {
	ARN string
	TLS *tls.Certificate
}

// exchange writes the line of a request, in the order of ELB's documentation.
func (b *Balancer) exchange(w *line, x *proxy.Exchange) {
	w.plain(kind(x))
	w.stamp(x.Ended)
	w.plain(b.Name)
	w.address(x.Client)
	w.address(x.Target)
	w.seconds(x.Request)
	w.seconds(x.Thinking)
	w.seconds(x.Response)
	w.number(int64(x.Status))
	w.status(x.TargetStatus)
	w.number(x.BytesIn)
	w.number(x.BytesOut)
	w.request(b, x)
	w.quoted(x.UserAgent)
	w.plain(cipher(x.TLS))
	w.plain(version(x.TLS))
	w.plain(x.TargetGroup)
	w.quoted(x.TraceID)
	if x.TLS != nil {
		w.text(x.TLS.ServerName)
		w.text(w.certificate(b, x.Listener, x.TLS))
	} else {
		w.text("")
		w.text("")
	}
	if x.Rule < 0 {
		w.plain("")
	} else {
		w.number(int64(x.Rule))
	}
	w.stamp(x.Created)
	w.text(x.Action)
	w.text(x.Location)
	w.text("") // error_reason: of actions that are not served here
	w.open()
	w.b = appendAddress(w.b, x.Target)
	w.shut()
	w.open()
	w.b = appendStatus(w.b, x.TargetStatus)
	w.shut()
	w.text(x.Class)
	w.text(x.Why)
	w.space()
	w.b = append(append(w.b, "TID_"...), x.Connection...)
	w.text(x.NewHost)
	w.text(x.NewURI)
	w.text(x.Transformed)
	w.b = append(w.b, '\n')
}

// kind is the type of a request.
func kind(x *proxy.Exchange) string {
	switch {
	case x.GRPC:
		return "grpcs"
	case x.HTTP2:
		return "h2"
	case x.WebSocket && x.TLS != nil:
		return "wss"
	case x.WebSocket:
		return "ws"
	case x.TLS != nil:
		return "https"
	}
	return "http"
}

// request writes the request line, with the whole address.
func (w *line) request(b *Balancer, x *proxy.Exchange) {
	w.open()
	scheme := " http://"
	if x.TLS != nil {
		scheme = " https://"
	}
	port := func() { w.b = strconv.AppendUint(append(w.b, ':'), uint64(x.Port), 10) }
	if len(x.Method) == 0 {
		w.b = append(append(append(w.b, '-'), scheme...), b.DNSName...)
		port()
		w.b = append(w.b, "- -"...)
		w.shut()
		return
	}
	host := x.Host
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && host[len(host)-1] != ']' {
		host = host[:i]
	}
	left := escape(w, x.Method, maxText)
	w.b = append(w.b, scheme...)
	if len(host) > 0 {
		left = escape(w, host, left)
	} else {
		w.b = x.Node.AppendTo(w.b) // HTTP/1.0 knows no Host
	}
	port()
	escape(w, x.URI, left)
	w.b = append(append(w.b, ' '), x.Version...)
	w.shut()
}

// version is the version of TLS as OpenSSL names it.
func version(s *tls.ConnectionState) string {
	if s == nil {
		return ""
	}
	return strings.TrimSuffix(tlsname.Version(s.Version), ".0")
}

// cipher is a cipher suite as OpenSSL names it.
func cipher(s *tls.ConnectionState) string {
	if s == nil {
		return ""
	}
	return tlsname.Cipher(s.CipherSuite)
}

// certificate is the one of a listener's that the client was shown.
func (b *Balancer) certificate(listener string, s *tls.ConnectionState) string {
	all := b.Certificates[listener]
	switch {
	case s == nil || len(all) == 0:
		return ""
	case s.DidResume:
		return "session-reused"
	}
	for _, c := range all {
		if s.ServerName != "" && c.TLS != nil && c.TLS.Leaf != nil && c.TLS.Leaf.VerifyHostname(s.ServerName) == nil {
			return c.ARN
		}
	}
	return all[0].ARN
}

// line is lines while they are written, and what is remembered for the next one; what
// is not there is a hyphen.
type line struct {
	b     []byte
	at    int64 // the second of clock
	clock []byte
	shown map[shown]string // certificates, of the load balancer's state of
	of    *Balancer
}

// shown is what a certificate was chosen by.
type shown struct{ listener, name string }

// maxShown is how many choices are remembered: clients make the names.
const maxShown = 256

// certificate is Balancer's, remembered.
func (w *line) certificate(b *Balancer, listener string, s *tls.ConnectionState) string {
	if s.DidResume || len(b.Certificates[listener]) < 2 {
		return b.certificate(listener, s)
	}
	by := shown{listener, s.ServerName}
	if arn, ok := w.shown[by]; ok && w.of == b {
		return arn
	}
	if w.of != b || len(w.shown) >= maxShown {
		w.of, w.shown = b, map[shown]string{}
	}
	arn := b.certificate(listener, s)
	w.shown[by] = arn
	return arn
}

func (w *line) space() {
	if n := len(w.b); n > 0 && w.b[n-1] != '\n' {
		w.b = append(w.b, ' ')
	}
}

func (w *line) plain(text string) {
	w.space()
	if text == "" {
		text = "-"
	}
	w.b = append(w.b, text...)
}

func (w *line) number(n int64) {
	w.space()
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *line) status(code int) {
	w.space()
	w.b = appendStatus(w.b, code)
}

func appendStatus(out []byte, code int) []byte {
	if code == 0 {
		return append(out, '-')
	}
	return strconv.AppendInt(out, int64(code), 10)
}

func (w *line) address(a netip.AddrPort) {
	w.space()
	w.b = appendAddress(w.b, a)
}

func appendAddress(out []byte, a netip.AddrPort) []byte {
	if !a.IsValid() {
		return append(out, '-')
	}
	return a.AppendTo(out)
}

// seconds writes a time to the millisecond; -1 for one that there was not.
func (w *line) seconds(d time.Duration) {
	w.space()
	if d < 0 {
		w.b = append(w.b, "-1"...)
		return
	}
	ms := int64((d + time.Millisecond/2) / time.Millisecond)
	w.b = append(strconv.AppendInt(w.b, ms/1000, 10), '.')
	w.b = digits(w.b, ms%1000, 3)
}

// stamp writes a time to the microsecond.
func (w *line) stamp(t time.Time) {
	w.space()
	if second := t.Unix(); second != w.at || w.clock == nil {
		w.at, w.clock = second, t.UTC().AppendFormat(w.clock[:0], "2006-01-02T15:04:05.")
	}
	w.b = append(w.b, w.clock...)
	w.b = append(digits(w.b, int64(t.Nanosecond()/1000), 6), 'Z')
}

// digits appends the last n digits of a number.
func digits(out []byte, x int64, n int) []byte {
	for range n {
		out = append(out, '0')
	}
	for i := len(out) - 1; n > 0; i, n = i-1, n-1 {
		out[i] = byte('0' + x%10)
		x /= 10
	}
	return out
}

// maxText is how much is kept of what a client sends.
const maxText = 8 << 10

// open begins a field in quotes, shut ends it.
func (w *line) open() {
	w.space()
	w.b = append(w.b, '"')
}

func (w *line) shut() { w.b = append(w.b, '"') }

// text writes a field in quotes, quoted one that is bytes. A client may have made it.
func (w *line) text(text string)   { quote(w, text) }
func (w *line) quoted(text []byte) { quote(w, text) }

func quote[T string | []byte](w *line, text T) {
	w.open()
	if len(text) == 0 {
		w.b = append(w.b, '-')
	}
	escape(w, text, maxText)
	w.shut()
}

// escape writes at most so much of a text, and returns how much more there may be.
// Quotes, and what is no printable ASCII, are \x and two digits, so that a line has as
// many fields as it should.
func escape[T string | []byte](w *line, text T, most int) int {
	text = text[:min(len(text), most)]
	begun := 0
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.b = append(w.b, text[begun:i]...)
			w.b = append(w.b, '\\', 'x', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
			begun = i + 1
		}
	}
	w.b = append(w.b, text[begun:]...)
	return most - len(text)
}
