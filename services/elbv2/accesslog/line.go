// Package accesslog writes the logs of load balancers: the lines, and the files that
// come to a bucket every five minutes. Application load balancers have access logs
// (line.go), logs of connections and of health checks, network load balancers access
// logs of what comes over TLS (connection.go).
//
// A line is made when what it says has happened, and compressed at once; what is not
// yet in the bucket when the daemon is killed is lost, as ELB's best effort
// allows. A file is of one load balancer and one of its nodes:
//
//	<prefix>/AWSLogs/<account>/elasticloadbalancing/<region>/<yyyy>/<mm>/<dd>/
//	  [conn_log_|health_check_log_]<account>_elasticloadbalancing_<region>_app.<name>.<id>_<end>_<node>_<random>.log.gz
package accesslog

import (
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

const stamp = "2006-01-02T15:04:05.000000Z"

// Append appends the line of a request, in the order of ELB's documentation.
func (b *Balancer) Append(out []byte, x *proxy.Exchange) []byte {
	w := line{b: out}
	w.plain(kind(x))
	w.plain(x.Ended.UTC().Format(stamp))
	w.plain(b.Name)
	w.plain(x.Client.String())
	w.plain(address(x.Target))
	w.plain(seconds(x.Request))
	w.plain(seconds(x.Thinking))
	w.plain(seconds(x.Response))
	w.plain(strconv.Itoa(x.Status))
	w.plain(status(x.TargetStatus))
	w.plain(strconv.FormatInt(x.BytesIn, 10))
	w.plain(strconv.FormatInt(x.BytesOut, 10))
	w.quoted(b.request(x))
	w.quoted(x.UserAgent)
	w.plain(cipher(x.TLS))
	w.plain(version(x.TLS))
	w.plain(x.TargetGroup)
	w.quoted(x.TraceID)
	if x.TLS != nil {
		w.quoted(x.TLS.ServerName)
	} else {
		w.quoted("")
	}
	w.quoted(b.certificate(x.Listener, x.TLS))
	if x.Rule < 0 {
		w.plain("")
	} else {
		w.plain(strconv.Itoa(x.Rule))
	}
	w.plain(x.Created.UTC().Format(stamp))
	w.quoted(x.Action)
	w.quoted(x.Location)
	w.quoted("") // error_reason: of actions that are not served here
	w.quoted(address(x.Target))
	w.quoted(status(x.TargetStatus))
	w.quoted(x.Class)
	w.quoted(x.Why)
	w.plain("TID_" + x.Connection)
	w.quoted(x.NewHost)
	w.quoted(x.NewURI)
	w.quoted(x.Transformed)
	return append(w.b, '\n')
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

// request is the request line, with the whole address.
func (b *Balancer) request(x *proxy.Exchange) string {
	scheme, port := "http", strconv.Itoa(int(x.Port))
	if x.TLS != nil {
		scheme = "https"
	}
	if x.Method == "" {
		return "- " + scheme + "://" + b.DNSName + ":" + port + "- -"
	}
	host := x.Host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if host == "" {
		host = x.Node.String() // HTTP/1.0 knows no Host
	}
	return x.Method + " " + scheme + "://" + host + ":" + port + x.URI + " " + x.Version
}

func address(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func status(code int) string {
	if code == 0 {
		return ""
	}
	return strconv.Itoa(code)
}

// seconds is a time to the millisecond; -1 for one that there was not.
func seconds(d time.Duration) string {
	if d < 0 {
		return "-1"
	}
	return strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
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

// line is a line while it is written; what is not there is a hyphen.
type line struct{ b []byte }

func (w *line) space() {
	if len(w.b) > 0 && w.b[len(w.b)-1] != '\n' {
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

// maxText is how much is kept of what a client sends.
const maxText = 8 << 10

// quoted writes a field that a client may have made: quotes, and what is no
// printable ASCII, as \x and two digits, so that a line has as many fields as it
// should.
func (w *line) quoted(text string) {
	w.space()
	if text == "" {
		text = "-"
	}
	w.b = append(w.b, '"')
	for i := range min(len(text), maxText) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.b = append(w.b, '\\', 'x', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		} else {
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}
