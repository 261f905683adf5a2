package engine

import (
	"context"
	"errors"

	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/stream"
)

// dial opens a connection to the client's target.
func (c *fastClient) dial() {
	c.dials++
	number := c.dials
	c.lane.dial(c.s, c.target, c.node(), func(u *fastUpstream, err error) bool {
		waited := c.state == fastWaiting && c.dials == number
		switch {
		case !waited:
		case err == nil:
			c.touch()
			c.send(u)
		case stream.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded):
			c.handOver(504, false)
		default:
			c.handOver(0, false) // there may be other targets
		}
		return waited
	})
}

// headOnly implements asker.
func (c *fastClient) headOnly() bool { return c.isHead }

// answer implements asker.
func (c *fastClient) answer(u *fastUpstream, r *http1.Response) {
	c.answered(c.target, r.Status, c.lane.loop.Now()-c.sentAt)
	c.note.Answered(r.Status)
	chunked := r.Framing == http1.UntilClose || r.Framing == http1.Chunked
	cookies := c.cookies(c.a, c.target, func(name string) bool { return cookie.Sets(r.Fields, name) })
	c.put(c.appendResponse(c.writer(), r, c.keep, chunked, cookies))
	c.state = fastAnswer
}

// content implements asker.
func (c *fastClient) content(u *fastUpstream, p []byte, _ bool) {
	switch {
	case u.framing != http1.Length:
		c.put(http1.AppendChunk(c.writer(), p))
	case c.secure == nil && c.conn.Pending() == 0 && u.conn.Take():
		c.lane.loop.Recycle(c.conn.Out)
		c.conn.Out = nil
		c.put(p) // without copying
	default:
		c.put(append(c.writer(), p...))
	}
}

// trailers implements asker.
func (c *fastClient) trailers(all []http1.Field) { c.put(http1.AppendEnd(c.writer(), all)) }

// ready implements asker.
func (c *fastClient) ready() bool {
	n := c.conn.Pending()
	c.flush()
	return n < maxAhead
}

// cut implements asker. What is cut short must look so: the client's connection
// ends within the body.
func (c *fastClient) cut() {
	c.up = nil
	c.keep = false
	c.tellNote(int64(c.size), c.wrote)
	c.drop()
	c.flush()
	c.last()
}

// failed implements asker.
func (c *fastClient) failed(stale, refused bool) {
	c.up = nil
	if stale && !c.resent && (c.req.Safe() || refused) {
		c.s.count.Retries.Add(1)
		c.resent = true
		c.dial()
		return
	}
	c.handOver(502, false)
}

// expired implements asker: the deadline is that of the client's connection.
func (c *fastClient) expired() {}
