package engine

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/match"
)

const serverName = "awselb/2.0"

// reasons are ALB's phrases, where they are not net/http's.
var reasons = map[int]string{
	http.StatusServiceUnavailable: "Service Temporarily Unavailable",
	http.StatusGatewayTimeout:     "Gateway Time-out",
	http.StatusMethodNotAllowed:   "Not Allowed",
	http.StatusRequestURITooLong:  "Request-URI Too Large",
	http.StatusRequestTimeout:     "Request Time-out",
}

func reason(status int) string {
	if r, ok := reasons[status]; ok {
		return r
	}
	return http.StatusText(status)
}

// page is the body ALB gives to answers of its own.
func page(status int) string {
	title := strings.TrimSpace(strconv.Itoa(status) + " " + reason(status))
	return "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n"
}

// fail answers with an error page.
func (c *client) fail(status int) bool { return c.answer(status, "text/html", page(status), "") }

// answer answers without a target. It reports whether the connection can take
// another request.
func (c *client) answer(status int, contentType, content, location string) bool {
	c.s.count.own.add(status)
	c.note.own(status, location)
	keep := c.keep && c.skipBody()
	out := c.out[:0]
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, reason(status)...)
	out = append(out, "\r\nServer: "+serverName+"\r\n"...)
	out = appendDate(out)
	if contentType != "" {
		out = append(out, "Content-Type: "+contentType+"\r\n"...)
	}
	out = append(out, "Content-Length: "...)
	out = strconv.AppendInt(out, int64(len(content)), 10)
	out = append(out, "\r\n"...)
	if location != "" {
		out = append(out, "Location: "+location+"\r\n"...)
	}
	for i := range c.t.set {
		out = appendText(out, c.t.set[i].Name, c.t.set[i].Value)
	}
	out = appendConnection(out, keep)
	out = append(out, "\r\n"...)
	if !c.isHead {
		out = append(out, content...)
	}
	c.out = out
	return c.send(out) == nil && keep
}

// dateLine is the Date of a second.
type dateLine struct {
	second int64
	text   []byte
}

var today atomic.Pointer[dateLine]

func appendDate(out []byte) []byte {
	now := time.Now()
	d := today.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateLine{now.Unix(), now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat+"\r\n")}
		today.Store(d)
	}
	return append(out, d.text...)
}

func appendConnection(out []byte, keep bool) []byte {
	if keep {
		return append(out, "Connection: keep-alive\r\n"...)
	}
	return append(out, "Connection: close\r\n"...)
}

// maxSkip is how much of an unwanted body is read to keep the connection.
const maxSkip = 64 << 10

// skipBody reads a body nobody wants, if that is cheap.
func (c *client) skipBody() bool {
	if c.body.done() {
		return true
	}
	if c.req.Expect || c.body.framing == http1.Length && c.body.left > maxSkip {
		return false
	}
	scratch := getBuffer()
	defer putBuffer(scratch)
	for n := 0; !c.body.done(); {
		p, err := c.body.next(scratch)
		if n += len(p); err != nil || n > maxSkip {
			return false
		}
	}
	return true
}

func (c *client) fixed(f *proxy.FixedResponse) bool {
	c.s.count.own.fixed.Add(1)
	return c.answer(f.Status, fixedType(f), f.Body, "")
}

func fixedType(f *proxy.FixedResponse) string {
	if f.ContentType == "" {
		return "text/plain; charset=utf-8"
	}
	return f.ContentType + "; charset=utf-8"
}

func (c *client) redirect(r *proxy.Redirect) bool {
	c.s.count.own.redirects.Add(1)
	return c.answer(r.Status, "text/html", page(r.Status), c.location(r))
}

// location fills the placeholders of a redirect. What comes from the request
// holds no control characters: the parser refused them.
func (v *visit) location(r *proxy.Redirect) string {
	req := &v.req
	fill := strings.NewReplacer(
		"#{protocol}", v.scheme(),
		"#{host}", string(match.Hostname(req.Host)),
		"#{port}", strconv.Itoa(int(v.t.port)),
		"#{path}", string(bytes.TrimPrefix(req.Path, []byte{'/'})),
		"#{query}", string(req.Query),
	)
	part := func(s, whole string) string {
		if s == "" {
			s = whole
		}
		return fill.Replace(s)
	}
	query := string(req.Query)
	if r.Query != "" {
		query = fill.Replace(r.Query)
	}
	to := strings.ToLower(part(r.Protocol, "#{protocol}")) + "://" + part(r.Host, "#{host}") + ":" + part(r.Port, "#{port}") + part(r.Path, "/#{path}")
	if query != "" {
		to += "?" + query
	}
	return to
}
