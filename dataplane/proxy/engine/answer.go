package engine

import (
	"bytes"
	"strconv"
	"strings"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/match"
	"minato/dataplane/proxy/page"
	"minato/dataplane/proxy/stream"
)

// fail answers with an error page.
func (c *client) fail(status int) bool { return c.answer(status, "text/html", page.Of(status), "") }

// answer answers without a target. It reports whether the connection can take
// another request.
func (c *client) answer(status int, contentType, content, location string) bool {
	c.s.count.Own.Add(status)
	c.note.Own(status, location)
	keep := c.keep && c.skipBody()
	out := c.out[:0]
	out = append(out, "HTTP/1.1 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(out, ' ')
	out = append(out, page.Reason(status)...)
	out = append(out, "\r\nServer: "+page.Server+"\r\n"...)
	out = page.AppendDate(out)
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
	return c.Send(out) == nil && keep
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
	if c.body.Done() {
		return true
	}
	if c.req.Expect || c.body.Framing == http1.Length && c.body.Left > maxSkip {
		return false
	}
	scratch := stream.GetBuffer()
	defer stream.PutBuffer(scratch)
	for n := 0; !c.body.Done(); {
		p, err := c.body.Next(scratch)
		if n += len(p); err != nil || n > maxSkip {
			return false
		}
	}
	return true
}

func (c *client) fixed(f *proxy.FixedResponse) bool {
	c.s.count.Own.Fixed.Add(1)
	return c.answer(f.Status, fixedType(f), f.Body, "")
}

func fixedType(f *proxy.FixedResponse) string {
	if f.ContentType == "" {
		return "text/plain; charset=utf-8"
	}
	return f.ContentType + "; charset=utf-8"
}

func (c *client) redirect(r *proxy.Redirect) bool {
	c.s.count.Own.Redirects.Add(1)
	return c.answer(r.Status, "text/html", page.Of(r.Status), c.location(r))
}

// location fills the placeholders of a redirect. What comes from the request
// holds no control characters: the parser refused them.
func (v *visit) location(r *proxy.Redirect) string {
	req := v.req
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
