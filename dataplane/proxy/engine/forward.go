package engine

import (
	"context"
	"errors"
	"time"

	"minato/dataplane/proxy/cookie"
	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// maxTargets is how many targets are tried for one request.
const maxTargets = 3

// outcome is what came of sending a request to a target.
type outcome struct {
	answered bool // the client got an answer, or is gone: nothing more to do
	keep     bool // of answered: the client connection can take another request
	status   int  // of not answered: what the client is told at last
	next     bool // nothing was sent: another target may be tried
}

// forward has the request answered by a target.
func (c *client) forward(a *action) bool {
	if status := c.verdict; status != 0 {
		c.verdict = 0
		return c.fail(status)
	}
	if !c.rewrite(a) {
		return c.fail(500)
	}
	g := c.pick(a)
	if g == nil {
		return c.fail(503)
	}
	if !c.fits(g.Settings.Load().Protocol, false) {
		return c.fail(464)
	}
	websocket := c.websocket()
	c.out = c.appendRequest(c.out[:0], websocket)
	if c.note != nil {
		c.note.X.WebSocket = websocket
	}
	streamed := false
	if !c.body.Done() {
		if c.req.Framing == http1.Length && int64(len(c.Unread())) >= c.req.Length {
			p, _ := c.body.Next(nil) // it is here: no read, no error
			c.out = append(c.out, p...)
		} else {
			streamed = true
		}
	}
	c.Busy = &c.active
	c.active.Touch()
	if streamed && c.req.Expect && c.Send([]byte("HTTP/1.1 100 Continue\r\n\r\n")) != nil {
		return false
	}
	status := 503
	var tried []*targets.Target
	for len(tried) < maxTargets {
		t := c.choose(g, tried)
		if t == nil {
			break
		}
		o := c.try(a, t, streamed, websocket)
		t.InFlight.Add(-1)
		if o.answered {
			return o.keep
		}
		if status = o.status; !o.next {
			break
		}
		tried = append(tried, t)
	}
	if !c.body.Done() {
		c.keep = false
	}
	return c.fail(status)
}

// try sends the request, which lies in c.out, to one target.
func (c *client) try(a *action, t *targets.Target, streamed, websocket bool) outcome {
	fresh := streamed || websocket // what cannot be sent twice
	for {
		var u *targets.Upstream
		if !fresh {
			u = t.Pool.Take(c.node())
		}
		if u == nil {
			var err error
			if u, err = t.Pool.Dial(c.s.e.ctx, c.s.b.network, c.node()); err != nil {
				c.s.count.ConnErrors.Add(1)
				t.Tally.ConnErrors.Add(1)
				if stream.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded) {
					return outcome{status: 504}
				}
				return outcome{status: 502, next: true}
			}
		}
		u.Idle, u.Busy = c.Idle, c.Busy
		o, again := c.exchange(a, u, streamed, websocket)
		if !again {
			return o
		}
		c.s.count.Retries.Add(1)
		fresh = true
	}
}

// exchange sends the request and passes the answer on. again means that the
// request never reached anybody and may be sent on a new connection.
func (c *client) exchange(a *action, u *targets.Upstream, streamed, websocket bool) (o outcome, again bool) {
	begun := time.Now()
	c.note.Sending(u.Target().Addr, u.Target().Group.ID)
	if n, err := u.SendSome(c.out); err != nil && u.Reused && (n == 0 || c.safe) {
		u.Close()
		return outcome{status: 502}, true // closed before: nothing was taken
	}
	// Other errors show when reading: a target may have answered and closed
	// before it took everything.
	var up *upload
	if streamed {
		up = c.startUpload(u)
	} else {
		c.watch.start(u)
	}
	heard, err := c.await(u)
	if err == nil && c.resp.Status == 101 && !websocket {
		err = errors.New("the target switches protocols, which nobody asked for")
	}
	if err == nil {
		u.Target().Tally.Answered(c.resp.Status, time.Since(begun))
		return outcome{answered: true, keep: c.respond(a, u, up)}, false
	}
	gone := c.watch.stop()
	refused := u.Refused(err)
	u.Close()
	if up != nil {
		up.stop()
		if up.clientErr != nil {
			return c.badUpload(up.clientErr), false
		}
	}
	switch {
	case gone:
		c.s.count.ClientClosed.Add(1)
		c.note.Left()
		return outcome{answered: true}, false
	case stream.IsTimeout(err):
		return outcome{status: 504}, false
	case u.Reused && !heard && !streamed && (c.safe || refused):
		return outcome{status: 502}, true
	}
	return outcome{status: 502}, false
}

// badUpload is the outcome when a client did not send its body.
func (c *client) badUpload(err error) outcome {
	var malformed *http1.Error
	switch {
	case errors.As(err, &malformed):
		return outcome{status: malformed.Status}
	case stream.IsTimeout(err):
		return outcome{status: 408}
	}
	c.s.count.ClientClosed.Add(1)
	c.note.Left()
	return outcome{answered: true}
}

// await reads the head of the answer into c.resp. heard tells whether the
// target said anything at all.
func (c *client) await(u *targets.Upstream) (heard bool, err error) {
	for {
		head, err := u.Head()
		if err != nil {
			return heard || !u.Empty(), err
		}
		heard = true
		if err := c.resp.Parse(head, c.isHead); err != nil {
			return true, err
		}
		if c.resp.Status >= 200 || c.resp.Status == 101 {
			return true, nil
		}
	}
}

// respond passes the answer on, whose head is in c.resp. It reports whether the
// client connection can take another request.
func (c *client) respond(a *action, u *targets.Upstream, up *upload) bool {
	c.s.count.Target.Add(c.resp.Status)
	c.note.Answered(c.resp.Status)
	if up != nil && !up.soon() {
		c.keep = false // the body is still coming; nothing can follow it
	}
	var b stream.Body
	b.Start(&u.Stream, c.resp.Framing, c.resp.Length)
	untilClose := c.resp.Framing == http1.UntilClose
	chunked := untilClose || c.resp.Framing == http1.Chunked
	if chunked && c.req.Minor == 0 {
		chunked, c.keep = false, false
	}
	reuse := !c.resp.Close && !c.suspect
	keep := c.keep
	cookies := c.cookies(a, u.Target(), func(name string) bool { return cookie.Sets(c.resp.Fields, name) })
	c.out = c.appendResponse(c.out[:0], &c.resp, c.keep, chunked, cookies)
	if c.resp.Status == 101 {
		c.tunnel(u)
		return false
	}
	err := c.relay(&b, chunked)
	if err != nil && !chunked && (untilClose || c.resp.Framing == http1.Chunked) {
		c.reset() // to a client of HTTP/1.0 the end of the connection is the end of the answer
	}
	if c.watch.stop() {
		reuse = false // interrupted, though too late to matter
	}
	if up != nil && !up.soon() {
		u.Close()
		up.stop()
		return false
	}
	if up != nil && (up.clientErr != nil || up.targetErr != nil) {
		reuse = false
	}
	if err == nil && reuse && u.Empty() {
		u.Put()
	} else {
		u.Close()
	}
	if err != nil {
		c.linger = false
	}
	return err == nil && keep && c.body.Done()
}

// relay sends c.out, the head, and the body after it. Whatever is here goes in
// one write; what comes later goes when it comes.
func (c *client) relay(b *stream.Body, chunked bool) error {
	var scratch []byte
	var trailers []http1.Field
	for {
		for b.Here() && len(c.out) < stream.BufferSize {
			p, err := b.Next(nil)
			if err != nil {
				return err
			}
			if chunked {
				c.out = http1.AppendChunk(c.out, p)
			} else {
				c.out = append(c.out, p...)
			}
		}
		done := b.Done()
		if done && chunked {
			var err error
			if trailers, err = b.Decoder.Trailers(trailers[:0]); err != nil {
				return err
			}
			c.out = http1.AppendEnd(c.out, trailers)
		}
		if len(c.out) > 0 {
			if err := c.Send(c.out); err != nil {
				return err
			}
			c.out = c.out[:0]
		}
		if done {
			return nil
		}
		if scratch == nil {
			scratch = stream.GetBuffer()
			defer stream.PutBuffer(scratch)
		}
		p, err := b.Next(scratch)
		if err != nil {
			return err
		}
		if chunked {
			c.out = http1.AppendChunk(c.out, p)
		} else if len(p) > 0 {
			if err := c.Send(p); err != nil {
				return err
			}
		}
	}
}

// soonEnough is how long the end of an upload is waited for when the answer is
// already here: the two race when a target answers quickly.
const soonEnough = 5 * time.Millisecond
