package engine

import (
	"time"

	"minato/dataplane/proxy/http1"
	"minato/dataplane/proxy/stream"
	"minato/dataplane/proxy/targets"
)

// upload passes a request's body on while the answer is awaited, or already
// being passed on. It has the reading side of the client and the writing side
// of the target for itself.
type upload struct {
	c    *client
	u    *targets.Upstream
	done chan struct{}
	// After done; both nil when the whole body was passed on.
	clientErr error
	targetErr error
}

func (c *client) startUpload(u *targets.Upstream) *upload {
	up := &upload{c: c, u: u, done: make(chan struct{})}
	go up.run()
	return up
}

func (up *upload) run() {
	defer close(up.done)
	b, chunked := &up.c.body, up.c.req.Framing == http1.Chunked
	scratch := stream.GetBuffer()
	defer stream.PutBuffer(scratch)
	var out []byte
	for {
		p, err := b.Next(scratch)
		var trailers []http1.Field
		if err == nil && chunked && b.Done() {
			trailers, err = b.Decoder.Trailers(nil)
		}
		if err != nil {
			up.clientErr = err
			up.u.Interrupt() // nobody will answer half a request
			return
		}
		if chunked {
			out = http1.AppendChunk(out[:0], p)
			if b.Done() {
				out = http1.AppendEnd(out, trailers)
			}
			p = out
		}
		if len(p) > 0 {
			if up.targetErr = up.u.Send(p); up.targetErr != nil {
				return // the answer, if there is one, is still worth reading
			}
		}
		if b.Done() {
			return
		}
	}
}

// soon reports whether the upload is over, or is in a moment.
func (up *upload) soon() bool {
	select {
	case <-up.done:
		return true
	default:
	}
	t := time.NewTimer(soonEnough)
	defer t.Stop()
	select {
	case <-up.done:
		return true
	case <-t.C:
		return false
	}
}

// stop ends the upload. The connection to the target is closed already.
func (up *upload) stop() {
	up.c.Interrupt()
	<-up.done
	up.c.Resume()
}
